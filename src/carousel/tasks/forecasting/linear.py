"""Forecasts that are linear in the context: the last value, the last season, and ridge regression.

Each is a matrix (targets, horizon, context + 1), whose last column is a constant, applied by `apply_map`. The network
corrects one of them, and the baselines are the same matrices.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from torch import Tensor

Map = NDArray[np.float64]
PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10000.0)


def apply_map(weights: Tensor, values: Tensor) -> Tensor:
    """Forecasts (horizon, batch, targets) from a matrix and values (context, batch, targets)."""
    return torch.einsum("thc,cbt->hbt", weights[..., :-1], values) + weights[..., -1].T.unsqueeze(1)


def no_value(targets: int, horizon: int, context: int) -> Map:
    """Zero at every step."""
    return np.zeros((targets, horizon, context + 1))


def last_value(targets: int, horizon: int, context: int) -> Map:
    """The last value again at every step."""
    weights = no_value(targets, horizon, context)
    weights[:, :, -2] = 1
    return weights


def last_season(targets: int, horizon: int, context: int, season: int) -> Map:
    """The value one season before, or as many seasons as it takes to have been seen.

    Raises ValueError for a season longer than the context.
    """
    if season > context:
        raise ValueError(
            f"season is {season}, longer than the context of {context}; give a context of {season} or more"
        )
    weights = no_value(targets, horizon, context)
    steps = np.arange(horizon)
    weights[:, steps, context - season + steps % season] = 1
    return weights


def ridge(contexts: NDArray[Any], truths: NDArray[Any], observed: NDArray[np.bool_]) -> Map:
    """Ridge regression of each step ahead on the context, both taken from the context's last value.

    contexts: (context, windows, targets); truths, observed: (horizon, windows, targets), in the order of time. Windows
    with a truth that is missing are left out for that target; a target with fewer than two whole windows keeps its last
    value. The penalty is the one that does best on the last fifth of the windows when fitted to those before.

    A direct linear autoregression; taking the last value off is the NLinear of Zeng et al. (2023), "Are transformers
    effective for time series forecasting?".
    """
    weights = last_value(contexts.shape[2], len(truths), len(contexts))
    for target in range(contexts.shape[2]):
        whole = observed[:, :, target].all(0)
        if whole.sum() > 1:
            weights[target] += _ridge_change(contexts[:, whole, target].T, truths[:, whole, target].T)
    return weights


def _ridge_change(contexts: NDArray[Any], truths: NDArray[Any]) -> NDArray[np.float64]:
    """Weights (horizon, context + 1) of the change from the last value; a row's for the context add up to 0."""
    last = contexts[:, -1:]
    spread = max(float((contexts - last).std()), 1e-12)
    inputs, outputs = (contexts - last) / spread, (truths - last) / spread
    fitted = Ridge(_penalty(inputs, outputs)).fit(inputs, outputs)
    change = np.atleast_2d(fitted.coef_)
    change[:, -1] -= change.sum(1)
    return np.column_stack([change, fitted.intercept_ * spread])


def _penalty(inputs: NDArray[Any], outputs: NDArray[Any]) -> float:
    """The penalty with the lowest absolute error on the last windows, which do not overlap those it is fitted to."""
    begin = len(inputs) - len(inputs) // 5
    stop = begin - outputs.shape[1]
    if stop < 2 or begin == len(inputs):
        return PENALTIES[0]
    fits = {penalty: Ridge(penalty).fit(inputs[:stop], outputs[:stop]) for penalty in PENALTIES}
    truth = outputs[begin:]
    errors = {own: np.abs(fit.predict(inputs[begin:]).reshape(truth.shape) - truth).mean() for own, fit in fits.items()}
    return min(PENALTIES, key=lambda penalty: errors[penalty])
