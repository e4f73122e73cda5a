"""One class for each step of each series."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from carousel.data import IGNORED_LABEL, SequenceBatches, Sequences
from carousel.tasks.labels import check_classes, check_labels, check_sorted, class_weights, encode, expected_classes
from carousel.tasks.network import SequenceNetwork
from carousel.tasks.objectives import CrossEntropy
from carousel.tasks.parameters import parameter
from carousel.tasks.scores import class_scores
from carousel.tasks.supervised import PREDICTION_STEPS, SupervisedEstimator, check_length
from carousel.training import METHODS


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceLabeler(SupervisedEstimator):
    """Assign a class to every step of each series with an LSTM, in scikit-learn's manner.

    y is a list of arrays (time,), or an array (series, time) where all series are equally long. Predictions come as
    an array (series, time) for tables and 3-D arrays, and as a list of arrays (time,) for lists.

    With a delay, a network that reads forwards alone sees some steps of what comes after, as in Graves and Schmidhuber
    2005: it answers for step t when it has read step t + delay.
    """

    delay: int = parameter(0, "steps that are read after a step before it is labelled", minimum=0)
    buckets: int | None = parameter(
        None, "batches that are drawn together and sorted by length, so that less is padded", minimum=1
    )
    class_weight: dict[Any, float] | str | None = parameter(
        None, "weight of each class, or 'balanced'", choices=("balanced",)
    )

    _learned: ClassVar[dict[str, Any]] = {**SupervisedEstimator._learned, "classes_": np.ndarray}
    _step_targets: ClassVar[bool] = True

    def predict(self, X: Any) -> Any:
        """The most probable class of each step: (series, time), or a list of (time,) arrays for a list of series."""
        return _in_kind(X, self._predicted(self._read(X)))

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class at each step: (series, time, classes), or a list of (time, classes) arrays."""
        return _in_kind(X, list(self._probabilities(self._read(X))))

    def score(self, X: Any, y: Any) -> float:
        """Framewise accuracy: the share of all steps of all series that are labelled correctly."""
        return self._scores(X, y)["accuracy"]

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """Accuracy, balanced accuracy and macro F1 over all steps of series X with the labels y.

        Raises ValueError for a class that was not seen in training, naming the series and the step.
        """
        check_is_fitted(self)
        for position, labels in enumerate(_step_labels(y)):
            encode(labels, self.classes_, f"series {position} of y")
        return self._scores(X, y)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, *, reset: Any = False) -> Self:
        """Learn from the next steps of streams, one or more at a time, in memory that does not grow.

        X, y: the next steps of each series and their labels; a call goes on where the one before stopped, so the same
            series come in the same order. reset: True, or one boolean a series, where a series begins anew.
        The first call sets everything up, unless `fit` did: `classes` must then be all labels that will ever come, and
        inputs are scaled as its own steps are, so let it have some. Needs a method that carries the state: "tbptt",
            or "rtrl" or "rule1997", whose gradient goes on from call to call, too; all three read forwards alone.
        """
        if self.method in METHODS and not METHODS[self.method].carries:
            carrying = ", ".join(f'"{name}"' for name, method in METHODS.items() if method.carries)
            raise ValueError(
                f"partial_fit carries the state from call to call, which method={self.method!r} does not; "
                f"use method={carrying}"
            )
        if self.delay:
            raise ValueError(
                f"partial_fit labels each step as it comes, but delay is {self.delay}; use delay=0, or fit"
            )
        return self._learn_more(X, y, classes=classes, reset=reset)

    def _scores(self, X: Any, y: Any) -> dict[str, float]:
        sequences = self._read(X)
        truth = _step_labels(y)
        _check_steps(truth, sequences)
        return class_scores(np.concatenate(truth), np.concatenate(self._predicted(sequences)))

    def _predicted(self, sequences: Sequences) -> list[NDArray[Any]]:
        return [self.classes_.take(own.argmax(axis=1)) for own in self._probabilities(sequences)]

    def _probabilities(self, sequences: Sequences) -> Iterator[NDArray[np.float64]]:
        """The probabilities of each series, some series at a time, so that memory does not grow with their number."""
        for part in _parts(sequences.lengths):
            chosen = sequences.take(part)
            padded = [row for output in self._outputs(chosen) for row in output.double().softmax(-1).unbind(1)]
            for own, length in zip(padded, chosen.lengths, strict=True):
                yield own[self.delay : self.delay + length].numpy()

    def _batches(self, scaled: Sequences, target: Any, chosen: NDArray[np.int64], seed: int) -> SequenceBatches:
        batches = super()._batches(scaled, target, chosen, seed)
        batches.buckets = self.buckets
        return batches

    def _scaled(self, sequences: Sequences, dtype: Any) -> Sequences:
        scaled = super()._scaled(sequences, dtype)
        return replace(scaled, values=[np.pad(own, ((0, self.delay), (0, 0))) for own in scaled.values])

    def _fit_target(self, target: Any, kept: NDArray[np.int64]) -> Any:
        return [np.pad(own, (self.delay, 0), constant_values=IGNORED_LABEL) for own in target]

    def _read_target(self, y: Any, sequences: Sequences) -> list[NDArray[np.int64]]:
        labels = _step_labels(y)
        _check_steps(labels, sequences)
        together = check_labels(np.concatenate(labels))
        self.classes_ = np.unique(together)
        check_classes(self.classes_)
        self._class_weights = class_weights(self.class_weight, self.classes_, together)
        return [encode(own, self.classes_) for own in labels]

    def _expect(self, y: Any, sequences: Sequences, classes: Any) -> None:
        self.classes_ = expected_classes(classes, self.class_weight)

    def _next_target(self, y: Any, sequences: Sequences) -> list[NDArray[np.int64]]:
        labels = _step_labels(y)
        _check_steps(labels, sequences)
        return [encode(own, self.classes_) for own in labels]

    def _network(self) -> SequenceNetwork:
        objective = CrossEntropy(getattr(self, "_class_weights", None))
        lstm = self._lstm(self.channels_)
        return SequenceNetwork(lstm, len(self.classes_), objective, pool=None, dropout=self.dropout)

    def _check_learned(self) -> None:
        super()._check_learned()
        check_sorted(self.classes_)


def _parts(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The series in order, cut into parts of about as many steps as are answered at once."""
    return np.split(np.arange(len(lengths)), np.flatnonzero(np.diff(np.cumsum(lengths) // PREDICTION_STEPS)) + 1)


def _in_kind(X: Any, values: list[NDArray[Any]]) -> Any:
    return values if isinstance(X, list | tuple | Sequences) else np.stack(values)


def _step_labels(y: Any) -> list[NDArray[Any]]:
    """The labels of each series as a list of 1-D arrays; ValueError names the series that has none."""
    parts = [np.asarray(part) for part in y]
    for position, part in enumerate(parts):
        if part.ndim != 1:
            raise ValueError(f"y of series {position} has shape {part.shape}; give one label a step, (time,)")
        check_labels(part, f"series {position} of y")
    if len({part.dtype.kind for part in parts} & set("US")) and len({part.dtype.kind for part in parts}) > 1:
        raise ValueError("y has text labels in some series and numbers in others; make them all of one type")
    return parts


def _check_steps(labels: list[NDArray[Any]], sequences: Sequences) -> None:
    check_length(labels, len(sequences))
    for own, series, name in zip(labels, sequences.values, sequences.ids, strict=True):
        if len(own) != len(series):
            raise ValueError(f"y of series {name} has {len(own)} labels for {len(series)} steps; give one a step")
