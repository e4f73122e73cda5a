"""One number, or several, for each series."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import Tags, check_array

from carousel.data import Sequences
from carousel.tasks.network import POOLS, SequenceNetwork
from carousel.tasks.objectives import REGRESSION
from carousel.tasks.parameters import parameter
from carousel.tasks.scaler import Scaler
from carousel.tasks.scores import regression_scores
from carousel.tasks.supervised import SupervisedEstimator, check_length


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceRegressor(RegressorMixin, SupervisedEstimator):
    """Estimate one number or several from each series with an LSTM, in scikit-learn's manner."""

    pool: str = parameter("mean", "how a series' outputs become one vector", choices=POOLS)
    loss: str = parameter("squared_error", "what training lowers, on the scaled target", choices=tuple(REGRESSION))

    _learned: ClassVar[dict[str, Any]] = {
        **SupervisedEstimator._learned,
        "target_scaler_": Scaler,
        "single_output_": bool,
    }

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The estimates: (series,), or (series, outputs) when y had two dimensions in training."""
        outputs = torch.cat(self._outputs(self._read(X))).double().numpy()
        estimates = self.target_scaler_.undo(outputs)
        return estimates[:, 0] if self.single_output_ else estimates

    def partial_fit(self, X: Any, y: Any) -> Self:
        """Improve the network once on these series, in memory that does not grow from call to call.

        The first call sets everything up, unless `fit` did: inputs and targets are then scaled as its own are. Later
        calls go on with the same optimizer, at a constant rate.
        """
        return self._learn_more(X, y)

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """Mean absolute error, root mean squared error and R2 on series X with the numbers y."""
        predicted = self.predict(X)
        truth = _numbers(y)
        check_length(truth, len(predicted))
        return regression_scores(truth.reshape(predicted.shape), predicted)

    def _read_target(self, y: Any, sequences: Sequences) -> NDArray[np.float64]:
        numbers = _numbers(y)
        check_length(numbers, len(sequences))
        self.single_output_ = numbers.ndim == 1
        return numbers.reshape(len(numbers), -1)

    def _fit_target(self, target: NDArray[np.float64], kept: NDArray[np.int64]) -> NDArray[np.float32]:
        self.target_scaler_ = Scaler.of([target[kept]])
        return self.target_scaler_.apply(target).astype(np.float32)

    def _expect(self, y: Any, sequences: Sequences, classes: Any) -> None:
        self.target_scaler_ = Scaler.of([self._read_target(y, sequences)])

    def _next_target(self, y: Any, sequences: Sequences) -> NDArray[np.float32]:
        numbers = _numbers(y)
        check_length(numbers, len(sequences))
        rows = numbers.reshape(len(numbers), -1)
        if rows.shape[1] != len(self.target_scaler_.center):
            raise ValueError(f"y has {rows.shape[1]} numbers a series, but it had {len(self.target_scaler_.center)}")
        return self.target_scaler_.apply(rows).astype(np.float32)

    def _network(self) -> SequenceNetwork:
        outputs = len(self.target_scaler_.center)
        lstm = self._lstm(self.channels_)
        return SequenceNetwork(lstm, outputs, REGRESSION[self.loss], pool=self.pool, dropout=self.dropout)

    def _check_learned(self) -> None:
        super()._check_learned()
        if self.single_output_ and len(self.target_scaler_.center) != 1:
            raise ValueError(f"a single output, but a scaler of {len(self.target_scaler_.center)}")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _numbers(y: Any) -> NDArray[np.float64]:
    kind: Any = np.float64  # scikit-learn annotates the default's type alone
    return check_array(y, ensure_2d=False, dtype=kind, input_name="y")
