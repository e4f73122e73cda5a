"""Measures of predictions, as plain functions of arrays; every one is a float, or an array that says what of.

`truth` and `prediction` have the same shape; a mean runs over all their values. Lower is better for errors and losses.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sk

Floats = NDArray[np.float64]


def _pair(truth: ArrayLike, prediction: ArrayLike) -> tuple[Floats, Floats]:
    """Return both as float arrays of one shape with finite values."""
    true, predicted = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if true.shape != predicted.shape:
        raise ValueError(f"truth has shape {true.shape}, prediction {predicted.shape}; give the same shape")
    for name, values in (("truth", true), ("prediction", predicted)):
        _check_values(name, values)
    return true, predicted


def _check_values(name: str, values: Floats) -> None:
    if values.size == 0:
        raise ValueError(f"{name} is empty; give at least one value")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        place = tuple(int(index) for index in bad[0])
        raise ValueError(f"{name} has {values[place]} at {list(place)}; leave out what is missing before measuring")


def _labels(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    true, predicted = np.asarray(truth), np.asarray(prediction)
    if true.ndim != 1 or true.shape != predicted.shape:
        raise ValueError(f"truth has shape {true.shape}, prediction {predicted.shape}; give one label a sample in both")
    if len(true) == 0:
        raise ValueError("truth is empty; give at least one label")
    return true, predicted


def accuracy(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return the share of labels that are right, from 0 to 1; truth and prediction are (samples,)."""
    return float(sk.accuracy_score(*_labels(truth, prediction)))


def balanced_accuracy(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return the mean over the classes of the truth of the share that is right."""
    true, predicted = _labels(truth, prediction)
    return float(sk.recall_score(true, predicted, labels=np.unique(true), average="macro"))


def macro_f1(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return the mean of F1 over all classes of truth and prediction; a class that is never right counts 0."""
    silent: Any = 0.0
    return float(sk.f1_score(*_labels(truth, prediction), average="macro", zero_division=silent))


def confusion(
    truth: ArrayLike, prediction: ArrayLike, labels: Sequence[Any] | NDArray[Any] | None = None
) -> NDArray[np.int64]:
    """Return counts (true class, predicted class), in the order of `labels` or else sorted."""
    return sk.confusion_matrix(*_labels(truth, prediction), labels=labels)


def mae(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return the mean absolute error, in the units of the truth."""
    true, predicted = _pair(truth, prediction)
    return float(sk.mean_absolute_error(true.ravel(), predicted.ravel()))


def rmse(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return the root of the mean squared error, in the units of the truth."""
    true, predicted = _pair(truth, prediction)
    return float(sk.root_mean_squared_error(true.ravel(), predicted.ravel()))


def r2(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return the share of the variance that is explained: 1 is perfect, 0 as good as the mean. Higher is better."""
    true, predicted = _pair(truth, prediction)
    return float(sk.r2_score(true.ravel(), predicted.ravel()))


def smape(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return the symmetric mean absolute percentage error, from 0 to 200; 0 forecast as 0 is no error.

    200 |y - f| / (|y| + |f|), the definition of the M4 competition (Makridakis et al. 2020).
    """
    true, predicted = _pair(truth, prediction)
    size = np.abs(true) + np.abs(predicted)
    return float(np.mean(200 * np.abs(true - predicted) / np.where(size == 0, 1, size)))


def mase(truth: ArrayLike, prediction: ArrayLike, history: ArrayLike, season: int = 1) -> float:
    """Return the mean absolute error relative to that of the seasonal naive forecast within the history.

    history: what came before the truth, (time,) or (time, columns) with the columns of the truth; NaN is left out.
    season: the seasonal period in steps.

    Hyndman and Koehler (2006), "Another look at measures of forecast accuracy".

    Raises ValueError for a history that is not longer than the season or that never changes over one.
    """
    true, predicted = _pair(truth, prediction)
    scale = seasonal_scale(history, season)
    return float(np.mean(np.abs(true - predicted) / scale))


def seasonal_scale(history: ArrayLike, season: int = 1) -> Floats:
    """Return the mean absolute change over a season in a history (time,) or (time, columns); (), or (columns,)."""
    past = np.asarray(history, dtype=np.float64)
    if season < 1 or past.ndim not in (1, 2) or len(past) <= season:
        raise ValueError(f"history has shape {past.shape} and season is {season}; give more rows than the season")
    changes = np.abs(past[season:] - past[:-season])
    counts = np.sum(~np.isnan(changes), axis=0)
    scale = np.nansum(changes, axis=0) / np.maximum(counts, 1)
    if not np.all((scale > 0) & np.isfinite(scale)):
        raise ValueError(f"history never changes over a season of {season}; mase has no scale, use mae")
    return np.asarray(scale)


def _quantiles(truth: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Check a truth (...), its forecast quantiles (..., levels) and their levels."""
    true, forecast = np.asarray(truth, dtype=np.float64), np.asarray(quantiles, dtype=np.float64)
    level = np.asarray(levels, dtype=np.float64)
    if level.ndim != 1 or forecast.shape != (*true.shape, len(level)):
        raise ValueError(
            f"truth has shape {true.shape}, quantiles {forecast.shape}, levels {level.shape}; "
            "quantiles have the shape of the truth and a last axis of levels"
        )
    if len(level) == 0 or (level <= 0).any() or (level >= 1).any() or (np.diff(level) <= 0).any():
        raise ValueError(f"levels are {level.tolist()}; give increasing levels between 0 and 1")
    _check_values("truth", true)
    _check_values("quantiles", forecast)
    return true, forecast, level


def pinball(truth: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> float:
    """Return the pinball loss, the mean over all values and levels; truth (...), quantiles (..., levels).

    Koenker and Bassett (1978), "Regression quantiles".
    """
    true, forecast, level = _quantiles(truth, quantiles, levels)
    flat = forecast.reshape(-1, len(level))
    losses = [sk.mean_pinball_loss(true.ravel(), flat[:, at], alpha=alpha) for at, alpha in enumerate(level)]
    return float(np.mean(losses))


def crps_from_quantiles(truth: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> float:
    """Return the continuous ranked probability score that the quantiles stand for, in the units of the truth.

    The integral over levels of twice the pinball loss (Laio and Tamea 2007), by the midpoint rule: each level stands
    for the levels nearer to it than to its neighbours. With the median alone it is the mean absolute error.
    """
    true, forecast, level = _quantiles(truth, quantiles, levels)
    error = true[..., None] - forecast
    losses = np.maximum(level * error, (level - 1) * error)
    edges = np.concatenate([[0.0], (level[1:] + level[:-1]) / 2, [1.0]])
    return float(np.mean(np.sum(2 * losses * np.diff(edges), axis=-1)))


def coverage(truth: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> float:
    """Return the share of the truth that lies in [lower, upper], from 0 to 1.

    Raises ValueError for a lower bound above its upper one.
    """
    true, low = _pair(truth, lower)
    _, high = _pair(truth, upper)
    crossed = np.argwhere(low > high)
    if len(crossed):
        raise ValueError(f"lower is above upper at {crossed[0].tolist()}; order the bounds")
    return float(np.mean((low <= true) & (true <= high)))


def interval_width(lower: ArrayLike, upper: ArrayLike) -> float:
    """Return the mean width of intervals, in the units of the truth."""
    low, high = _pair(lower, upper)
    return float(np.mean(high - low))


def mae_by_step(truth: ArrayLike, prediction: ArrayLike) -> Floats:
    """Return the mean absolute error at each step ahead, (horizon,), of values (windows, horizon, ...)."""
    true, predicted = _pair(truth, prediction)
    return _by_step(np.abs(true - predicted))


def coverage_by_step(truth: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> Floats:
    """Return the share of the truth in [lower, upper] at each step ahead, (horizon,), of (windows, horizon, ...)."""
    true, low = _pair(truth, lower)
    _, high = _pair(truth, upper)
    return _by_step(((low <= true) & (true <= high)).astype(np.float64))


def _by_step(values: Floats) -> Floats:
    if values.ndim < 2:
        raise ValueError(f"truth has shape {values.shape}; give (windows, horizon) or (windows, horizon, targets)")
    return values.mean(axis=(0, *range(2, values.ndim)))
