"""Forecasts that are linear in the context: the last value, the last season, and ridge regression.

Each is a matrix (targets, horizon, context), applied by `apply_map`. The network corrects one of them, and the
baselines are the same matrices.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from torch import Tensor

Map = NDArray[np.float64]


def apply_map(weights: Tensor, values: Tensor) -> Tensor:
    """Forecasts (horizon, batch, targets) from weights (targets, horizon, context) and values (context, batch, targets)."""
    return torch.einsum("thc,cbt->hbt", weights, values)


def last_value(targets: int, horizon: int, context: int) -> Map:
    """The last value again at every step."""
    weights = np.zeros((targets, horizon, context))
    weights[:, :, -1] = 1
    return weights


def last_season(targets: int, horizon: int, context: int, season: int) -> Map:
    """The value one season before, or as many seasons as it takes to have been seen.

    Raises ValueError for a season longer than the context.
    """
    if season > context:
        raise ValueError(
            f"season is {season}, longer than the context of {context}; give a context of {season} or more"
        )
    weights = np.zeros((targets, horizon, context))
    steps = np.arange(horizon)
    weights[:, steps, context - season + steps % season] = 1
    return weights


def ridge(contexts: NDArray[Any], truths: NDArray[Any], observed: NDArray[np.bool_], penalty: float) -> Map:
    """Ridge regression of each step ahead on the context, both taken from the context's last value.

    contexts: (context, windows, targets); truths, observed: (horizon, windows, targets). Windows with a truth that is
    missing are left out for that target; a target with fewer than two whole windows keeps its last value.

    A direct linear autoregression; taking the last value off is the NLinear of Zeng et al. (2023), "Are transformers
    effective for time series forecasting?".
    """
    weights = last_value(contexts.shape[2], len(truths), len(contexts))
    for target, own in enumerate(weights):
        whole = observed[:, :, target].all(0)
        if whole.sum() > 1:
            own += _ridge_change(contexts[:, whole, target].T, truths[:, whole, target].T, penalty)
    return weights


def _ridge_change(contexts: NDArray[Any], truths: NDArray[Any], penalty: float) -> NDArray[np.float64]:
    """Weights (horizon, context) of the change from the last value; each row adds up to 0."""
    last = contexts[:, -1:]
    spread = max(float((contexts - last).std()), 1e-12)
    fitted = Ridge(penalty, fit_intercept=False).fit((contexts - last) / spread, (truths - last) / spread)
    change = np.atleast_2d(fitted.coef_)
    change[:, -1] -= change.sum(1)
    return change
