"""What a forecast must beat: the last value, the last season, the mean, and a linear autoregression."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from carousel.data import Panel, Sequences
from carousel.tasks.forecasting.history import History
from carousel.tasks.forecasting.linear import apply_map, ridge
from carousel.tasks.forecasting.preparation import scaler_of
from carousel.tasks.forecasting.windows import FITTED_WINDOWS
from carousel.tasks.scaler import Scaler

Floats = NDArray[np.float64]
SEASONAL = "seasonal naive"


def baseline_forecasts(
    history: History, first: NDArray[np.int64], windows: tuple[Any, Any], shape: tuple[int, int, int]
) -> dict[str, Floats]:
    """Simple forecasts (windows, horizon, targets) of the same windows as the model's.

    first: the row of each series before which the baselines may learn. windows: series and first row of each window.
    shape: context, horizon and season. Missing values are filled with the last one before them.

    "seasonal naive" repeats the last season, "last value" the last value, "mean" the mean of all rows before `first`.
    "linear autoregression" is ridge regression of each step ahead on the context, fitted to all series together, each
    scaled; it is left out where no series has a whole window before `first`.
    """
    context, horizon, season = shape
    series, origins = windows
    scalers = [scaler_of([own[:stop]], "standard") for own, stop in zip(history.targets, first, strict=True)]
    values = _scaled(history, scalers)
    season = season if (origins >= season).all() else 1
    steps = np.arange(horizon)
    found = {SEASONAL: _rows(values, series, origins, steps % season - season)}
    if season > 1:
        found["last value"] = _rows(values, series, origins, np.full(horizon, -1))
    found["mean"] = np.zeros_like(found[SEASONAL])
    weights = _autoregression(values, history, first, (context, horizon))
    if weights is not None:
        contexts = _rows(values, series, origins, np.arange(-context, 0)).swapaxes(0, 1)
        forecast = apply_map(torch.from_numpy(weights), torch.from_numpy(contexts))
        found["linear autoregression"] = forecast.transpose(0, 1).numpy()
    center, spread = (np.stack([getattr(own, part) for own in scalers])[series] for part in ("center", "spread"))
    return {name: forecast * spread[:, None] + center[:, None] for name, forecast in found.items()}


def _scaled(history: History, scalers: list[Scaler]) -> list[Floats]:
    """Scaled targets without gaps."""
    scaled = [scaler.apply(own) for scaler, own in zip(scalers, history.targets, strict=True)]
    panel = Panel(Sequences(scaled, history.target_names, history.ids), missing="impute", dtype=np.float64)
    return panel.inputs


def _rows(values: list[Floats], series: NDArray[Any], origins: NDArray[Any], offsets: NDArray[Any]) -> Floats:
    """Rows at these offsets from each origin, (windows, offsets, targets)."""
    starts = np.cumsum([0, *map(len, values)])[series]
    return np.concatenate(values)[(starts + origins)[:, None] + offsets]


def _autoregression(
    values: list[Floats], history: History, first: NDArray[np.int64], shape: tuple[int, int]
) -> Floats | None:
    """Weights (targets, horizon, context) fitted to evenly spaced windows before `first`; None where there is none."""
    context, horizon = shape
    origins = [np.arange(context, stop - horizon + 1) for stop in first]
    series = np.repeat(np.arange(len(origins)), [len(own) for own in origins])
    if len(series) < 2:
        return None
    chosen = np.arange(min(len(series), FITTED_WINDOWS)) * len(series) // min(len(series), FITTED_WINDOWS)
    series, rows = series[chosen], np.concatenate(origins)[chosen]
    contexts = _rows(values, series, rows, np.arange(-context, 0)).swapaxes(0, 1)
    ahead = np.arange(horizon)
    truths = _rows(values, series, rows, ahead).swapaxes(0, 1)
    observed = ~np.isnan(_rows(history.targets, series, rows, ahead)).swapaxes(0, 1)
    return ridge(contexts, truths, observed)
