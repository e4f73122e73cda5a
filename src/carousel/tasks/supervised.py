"""What the tasks share that learn from series and targets: reading both, the held-out part, scaling, batches."""

from abc import abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from carousel.data import SequenceBatches, Sequences, as_sequences
from carousel.tasks.base import Material, SequenceEstimator
from carousel.tasks.parameters import parameter, redefault
from carousel.tasks.scaler import Scaler
from carousel.training import METHODS, Report

PREDICTION_BATCH, PREDICTION_STEPS = 256, 2**16
"""Series, and steps with the padded ones, that are answered at once."""
LEAST_HELD_OUT = 50


@dataclass(kw_only=True, eq=False, repr=False)
class SupervisedEstimator(SequenceEstimator):
    """A network that learns a target for each series, or for each of its steps, from examples."""

    bidirectional: bool | None = parameter(  # pyright: ignore[reportIncompatibleVariableOverride]
        None, "also read each series from its end; None: where the method can"
    )
    dropout: float = redefault(SequenceEstimator, "dropout", 0.2)
    learning_rate: float = redefault(SequenceEstimator, "learning_rate", 1e-2)
    max_epochs: int = redefault(SequenceEstimator, "max_epochs", 50)
    validation_fraction: float = parameter(
        0.1,
        f"share of the series held out to find the best epoch, where that makes {LEAST_HELD_OUT} or more; 0 for none",
        minimum=0,
        below=1,
    )
    patience: int | None = redefault(SequenceEstimator, "patience", None)

    _method_defaults: ClassVar[dict[str, Any]] = {"schedule": "one_cycle"}
    _learned: ClassVar[dict[str, Any]] = {
        "n_features_in_": int,
        "channels_": int,
        "table_": bool,
        "feature_names_in_": np.ndarray | None,
        "input_scaler_": Scaler,
    }
    _step_targets: ClassVar[bool] = False

    @final
    def fit(self, X: Any, y: Any) -> Self:
        """Learn from series X and their targets y.

        X: a list of arrays (time, features), an array (series, time, features), or a table with one univariate
            series a row (array or data frame).
        Raises ValueError or TypeError, before training, for data that cannot be used; DivergenceError when training
        diverges.
        """
        for _ in self.fit_reports(X, y):
            continue
        return self

    @final
    def fit_reports(
        self, X: Any, y: Any, *, checkpoint: str | PathLike[str] | None = None
    ) -> Generator[Report, None, None]:
        """Check the data, then return a generator of reports that trains as it is consumed.

        Stop consuming at any time: the estimator is fitted from the first report on. With a `checkpoint` file the
        run is saved there, and resumed from there when the file exists.
        """
        seed = self._begin()
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        sequences = self._read_training(X)
        target = self._read_target(y, sequences)
        kept, held = self._split(target, seed)
        scaled = self._learn_scale(sequences, kept)
        target = self._fit_target(target, kept)
        validation = self._batches(scaled, target, held, seed) if len(held) else None
        return self._learn(Material(self._batches(scaled, target, kept, seed), validation), seed, checkpoint)

    def _choices(self) -> dict[str, Any]:
        """Both directions, unless the method reads piece by piece, forwards alone."""
        if self.bidirectional is not None or self.method not in METHODS:
            return super()._choices()
        return {**super()._choices(), "bidirectional": not METHODS[self.method].carries}

    @final
    def _learn_more(self, X: Any, y: Any, *, reset: Any = False, classes: Any = None) -> Self:
        """One update on new series (`partial_fit`); the first one sets everything up, unless `fit` did."""
        first = not hasattr(self, "network_")
        try:
            if first:
                self._set_up(X, y, classes)
            elif classes is not None and list(np.unique(classes)) != (before := list(getattr(self, "classes_", ()))):
                raise ValueError(f"classes are {list(classes)}, but they were {before} before")
            self._learn_once(X, y, reset)
        except Exception:
            if first:
                self._forget()
            raise
        return self

    def _set_up(self, X: Any, y: Any, classes: Any) -> None:
        """Take what does not change later from the first series, and begin with an untrained network."""
        seed = self._begin()
        sequences = self._read_training(X)
        self.input_scaler_ = Scaler.of(sequences.values)
        self._expect(y, sequences, classes)
        self.network_, self.history_ = self._new_network(seed).eval(), []

    def _learn_once(self, X: Any, y: Any, reset: Any) -> None:
        sequences = self._read(X)
        target = self._next_target(y, sequences)
        source = SequenceBatches(
            self._scaled(sequences, np.float32),
            target,
            batch_size=len(sequences),
            shuffle=False,
            step_targets=self._step_targets,
        )
        self._going_on().learn(next(source.epoch(0)), reset)

    def _expect(self, y: Any, sequences: Sequences, classes: Any) -> None:
        """Take from the first targets, or the classes, what later targets must keep to."""
        raise NotImplementedError(f"{type(self).__name__} does not learn call by call")

    def _next_target(self, y: Any, sequences: Sequences) -> Any:
        """The checked target of more series, as the network learns it."""
        raise NotImplementedError(f"{type(self).__name__} does not learn call by call")

    def _learn_scale(self, sequences: Sequences, kept: NDArray[np.int64]) -> Sequences:
        """Learn from the kept part how inputs are scaled; all of them, scaled."""
        self.input_scaler_ = self._scaler(sequences.take(kept))
        return self._scaled(sequences, np.float32)

    @abstractmethod
    def _read_target(self, y: Any, sequences: Sequences) -> Any:
        """The checked target: one entry a series."""

    def _scaler(self, kept: Sequences) -> Scaler:
        """How inputs are scaled, from the kept part alone."""
        return Scaler.of(kept.values)

    def _fit_target(self, target: Any, kept: NDArray[np.int64]) -> Any:
        """The target as the network learns it; what scales it is taken from the kept part alone."""
        return target

    def _strata(self, target: Any) -> NDArray[Any] | None:
        """Class of each series, to hold out a like share of each class; None where there are no classes."""
        return None

    def _split(self, target: Any, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions of the series to train on and of those held out, which may be none."""
        total = len(target)
        order = np.random.default_rng(seed).permutation(total)
        strata = self._strata(target)
        groups = [order] if strata is None else [order[strata[order] == stratum] for stratum in np.unique(strata)]
        held = np.concatenate([group[: round(self.validation_fraction * len(group))] for group in groups])
        if len(held) < LEAST_HELD_OUT:
            held = held[:0]
        return np.setdiff1d(order, held), np.sort(held)

    def _batches(self, scaled: Sequences, target: Any, chosen: NDArray[np.int64], seed: int) -> SequenceBatches:
        part = [target[i] for i in chosen] if self._step_targets else target[chosen]
        size = self._items_at_once(len(chosen))
        return SequenceBatches(scaled.take(chosen), part, batch_size=size, seed=seed, step_targets=self._step_targets)

    def _read_training(self, X: Any) -> Sequences:
        sequences = as_sequences(X, dtype=np.float64)
        self.channels_, self.table_ = sequences.n_features, _is_table(X, sequences)
        if self.table_:
            validate_data(self, X, skip_check_array=True)
        else:
            self.n_features_in_ = self.channels_
            if sequences.features is not None:
                self.feature_names_in_ = np.array(sequences.features, dtype=object)
        return sequences

    def _read(self, X: Any) -> Sequences:
        """Series to answer, checked against those of the training."""
        check_is_fitted(self)
        sequences = as_sequences(X, dtype=np.float64)
        if self.table_ and _is_table(X, sequences):
            validate_data(self, X, skip_check_array=True, reset=False)
        elif sequences.n_features != self.channels_:
            raise ValueError(
                f"X has {sequences.n_features} features a step, but {type(self).__name__} was fitted on series of "
                f"{self.channels_}; give (series, time, {self.channels_}) or a list of (time, {self.channels_}) arrays"
            )
        elif not self.table_:
            self._check_names(sequences.features)
        return sequences

    def _check_names(self, names: tuple[str, ...] | None) -> None:
        known = getattr(self, "feature_names_in_", None)
        if names is not None and known is not None and names != tuple(known):
            raise ValueError(
                f"X has the columns {', '.join(names)}, but the columns in training were {', '.join(known)}"
            )

    def _scaled(self, sequences: Sequences, dtype: type[np.floating[Any]]) -> Sequences:
        values = [self.input_scaler_.apply(value).astype(dtype) for value in sequences.values]
        return replace(sequences, values=values)

    @final
    def _outputs(self, sequences: Sequences) -> list[Tensor]:
        """The network's outputs batch by batch, in the order of the series."""
        scaled = self._scaled(sequences, np.float64)
        size = max(1, min(PREDICTION_BATCH, PREDICTION_STEPS // int(scaled.lengths.max())))
        return self._infer(SequenceBatches(scaled, batch_size=size, shuffle=False))

    def _check_learned(self) -> None:
        if self.channels_ < 1 or self.input_scaler_.center.shape != (self.channels_,):
            raise ValueError(f"{self.channels_} features, but a scaler of {len(self.input_scaler_.center)}")
        if self.table_ and self.channels_ != 1:
            raise ValueError(f"a table of univariate series, but {self.channels_} features")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def _is_table(X: Any, sequences: Sequences) -> bool:
    """Whether X was a table with one univariate series a row, so that its columns count; a list of arrays is none."""
    return sequences.width is not None and not (isinstance(X, list | tuple) and isinstance(X[0], np.ndarray))


def check_length(y: Any, series: int) -> None:
    """Raise ValueError unless y has one entry a series."""
    if len(y) != series:
        raise ValueError(
            f"y has {len(y)} entries for {series} series in X; give one each (inconsistent numbers of samples)"
        )
