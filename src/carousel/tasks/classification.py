"""One class for each series."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from carousel.data import Sequences
from carousel.tasks.labels import check_classes, check_labels, check_sorted, class_weights, encode, expected_classes
from carousel.tasks.network import POOLS, SequenceNetwork
from carousel.tasks.objectives import CrossEntropy
from carousel.tasks.parameters import parameter, redefault
from carousel.tasks.scores import class_scores
from carousel.tasks.supervised import SupervisedEstimator, check_length


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceClassifier(ClassifierMixin, SupervisedEstimator):
    """Assign a class to each series with an LSTM, in scikit-learn's manner.

    After fitting, `classes_` are the sorted labels and `history_` is a list of one dictionary an epoch.
    """

    dropout: float = redefault(SupervisedEstimator, "dropout", 0.5)
    pool: str = parameter("max", "how a series' outputs become one vector", choices=POOLS)
    class_weight: dict[Any, float] | str | None = parameter(
        None, "weight of each class, or 'balanced'", choices=("balanced",)
    )

    _method_defaults: ClassVar[dict[str, Any]] = {"schedule": "one_cycle", "optimizer": "adamw", "weight_decay": 0.3}
    _learned: ClassVar[dict[str, Any]] = {**SupervisedEstimator._learned, "classes_": np.ndarray}

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each series, (series,)."""
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_.take(codes)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The probability of each class, (series, classes), in the order of `classes_`."""
        outputs = torch.cat(self._outputs(self._read(X)))
        return outputs.double().softmax(-1).numpy()

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Improve the network once on these series, in memory that does not grow from call to call.

        The first call sets everything up, unless `fit` did: `classes` must then be all labels that will ever come, and
        inputs are scaled as its own series are. Later calls go on with the same optimizer, at a constant rate.
        """
        return self._learn_more(X, y, classes=classes)

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """Accuracy, balanced accuracy and macro F1 on series X of the classes y.

        Raises ValueError for a class that was not seen in training.
        """
        predicted = self.predict(X)
        labels = check_labels(y)
        check_length(labels, len(predicted))
        encode(labels, self.classes_)
        return class_scores(labels, predicted)

    def _read_target(self, y: Any, sequences: Sequences) -> NDArray[np.int64]:
        labels = check_labels(y)
        check_length(labels, len(sequences))
        self.classes_ = np.unique(labels)
        check_classes(self.classes_)
        self._class_weights = class_weights(self.class_weight, self.classes_, labels)
        return encode(labels, self.classes_)

    def _expect(self, y: Any, sequences: Sequences, classes: Any) -> None:
        self.classes_ = expected_classes(classes, self.class_weight)

    def _next_target(self, y: Any, sequences: Sequences) -> NDArray[np.int64]:
        labels = check_labels(y)
        check_length(labels, len(sequences))
        return encode(labels, self.classes_)

    def _strata(self, target: NDArray[np.int64]) -> NDArray[np.int64]:
        return target

    def _network(self) -> SequenceNetwork:
        objective = CrossEntropy(getattr(self, "_class_weights", None))
        lstm = self._lstm(self.channels_)
        return SequenceNetwork(lstm, len(self.classes_), objective, pool=self.pool, dropout=self.dropout)

    def _check_learned(self) -> None:
        super()._check_learned()
        check_sorted(self.classes_)
