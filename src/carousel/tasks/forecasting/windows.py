"""A training part and a held-out part of series, and what the training windows say of a linear forecast."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from carousel.data import DataError, Panel, Windows
from carousel.tasks.forecasting.history import History
from carousel.tasks.forecasting.linear import Map, apply_map, last_season, last_value, no_value, ridge
from carousel.tasks.forecasting.network import Layout, Start
from carousel.tasks.forecasting.window import filled, window_scale

BASES = ("linear", "seasonal", "last", "none")
FITTED_WINDOWS = 4096
"""The most windows that a linear map is fitted on, evenly spaced."""


@dataclass(frozen=True)
class Split:
    """Where the held-out rows of each series begin; a series too short for any has none."""

    stops: NDArray[np.int64]
    held: NDArray[np.int64]

    @classmethod
    def of(cls, lengths: NDArray[np.int64], fraction: float, context: int, horizon: int) -> "Split":
        """Hold out the last rows: that part of each series, or one horizon where this is less."""
        rows = np.maximum(np.round(fraction * lengths).astype(np.int64), horizon)
        rows = np.where((lengths - rows >= context + horizon) & (fraction > 0), rows, 0)
        return cls(lengths - rows, np.flatnonzero(rows))


def check_long_enough(history: History, context: int, horizon: int) -> None:
    """Raise DataError, by name, for a series without room for one context and horizon."""
    for series, length in zip(history.ids, history.lengths, strict=True):
        if length < context + horizon:
            raise DataError(
                f"series {series!r} has {length} rows, fewer than context + horizon = {context} + {horizon}; give it "
                f"{context + horizon} or more, or name a shorter context or horizon"
            )


@dataclass(frozen=True)
class WindowValues:
    """Windows as plain arrays (steps, windows, targets): contexts without gaps, truths, which of these are known."""

    contexts: NDArray[np.float64]
    truths: NDArray[np.float64]
    observed: NDArray[np.bool_]


def window_values(panel: Panel, layout: Layout) -> WindowValues:
    """Up to 4096 evenly spaced windows of a panel, each in its own scale where the layout says so."""
    windows = Windows(panel, layout.context, layout.horizon, shuffle=False, limit=FITTED_WINDOWS)
    batch = windows.gather(windows.order(0)).to(dtype=torch.float64)
    assert batch.target is not None and batch.mask is not None
    contexts = filled(batch.inputs, layout)
    level, scale = window_scale(contexts, layout.window_scaled)
    truths = (batch.target - level) / scale
    return WindowValues(((contexts - level) / scale).numpy(), truths.numpy(), batch.mask.numpy())


def start_of(values: WindowValues, base: str, season: int, one_step: bool) -> Start:
    """The base forecast, its usual error at each step ahead, and the usual size of a change.

    base: "linear", "seasonal", "last" or "none". one_step: the base goes one step ahead, and is corrected each time.
    """
    steps = 1 if one_step else len(values.truths)
    truths, observed = values.truths[:steps], values.observed[:steps]
    weights = base_map(base, WindowValues(values.contexts, truths, observed), season)
    errors = truths - apply_map(torch.from_numpy(weights), torch.from_numpy(values.contexts)).numpy()
    spread = _deviation(errors, observed)
    spread = np.repeat(spread, len(values.truths), axis=0) if one_step else spread
    change = np.sqrt(np.square(np.diff(values.contexts, axis=0)).mean((0, 1))) if len(values.contexts) > 1 else 1.0
    return Start(weights, spread, np.where(np.asarray(change) > 1e-9, change, 1.0))


def base_map(base: str, values: WindowValues, season: int) -> Map:
    """The matrix (targets, horizon, context + 1) of a linear forecast by name."""
    shape = values.contexts.shape[2], len(values.truths), len(values.contexts)
    if base == "linear":
        return ridge(values.contexts, values.truths, values.observed)
    if base == "seasonal":
        return last_season(*shape, season)
    return last_value(*shape) if base == "last" else no_value(*shape)


def _deviation(errors: NDArray[np.float64], observed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Root mean square of the observed errors (horizon, windows, targets) at each step; 1 where there are none."""
    count = observed.sum(1)
    square = np.where(observed, np.square(errors), 0).sum(1) / np.maximum(count, 1)
    return np.where(square > 1e-18, np.sqrt(square), 1.0)
