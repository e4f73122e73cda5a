"""The season and the context of series, guessed from their times and values."""

import numpy as np
from numpy.typing import NDArray

from carousel.tasks.forecasting.history import History

LEAST_CONTEXT = 96
"""Steps of a context where the series are long enough."""
LONGEST_SEASON = 1000
SEASONS_SEEN = 3
"""A season is only believed when the training part holds it so many times."""
MOST_READ = 96
GAIN = 0.9
"""A season must lower the error of the last value to this part of it."""
ALIKE = 1.01
"""Of seasons whose errors differ by less than this factor, the shortest is taken: twice a season is one too."""
GOOD = 1.25
"""A context covers the longest season whose error is at most this multiple of the least: a week beside a day."""


def guess_season(history: History, horizon: int) -> tuple[int, int]:
    """The period whose seasonal naive forecast of the horizon is best on these series, and the longest that is good.

    Both are 1 where none helps. Candidates are the usual seasons of the times' frequency, or else the peaks of the
    autocorrelation.
    """
    longest = min(int(history.lengths.min()) // SEASONS_SEEN, LONGEST_SEASON)
    candidates = [season for season in _candidates(history, longest) if 1 < season <= longest]
    errors = {season: _naive_error(history, season, horizon) for season in [1, *candidates]}
    least = min(errors.values())
    if least >= GAIN * errors[1]:
        return 1, 1
    best = min(season for season, error in errors.items() if error <= ALIKE * least)
    return best, max(season for season, error in errors.items() if error <= GOOD * least)


def _candidates(history: History, longest: int) -> list[int]:
    usual = history.times[0].frequency if history.times else None
    if usual is not None and (seasons := usual.seasons()):
        return list(seasons)
    longest_series = history.targets[int(history.lengths.argmax())]
    return _peaks(longest_series[:, 0], longest)


def _peaks(values: NDArray[np.float64], longest: int, most: int = 5) -> list[int]:
    """The lags of the highest local maxima of the autocorrelation of the changes."""
    changes = np.nan_to_num(np.diff(values) - np.nanmean(np.diff(values)))
    if len(changes) < 3 or not changes.any():
        return []
    spectrum = np.abs(np.fft.rfft(changes, 2 * len(changes))) ** 2
    correlation = np.fft.irfft(spectrum)[: min(longest, len(changes) - 1) + 1]
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:]) & (inner > 0)) + 1
    return peaks[np.argsort(-correlation[peaks], kind="stable")][:most].tolist()


def _naive_error(history: History, season: int, horizon: int) -> float:
    """The mean absolute error of the seasonal naive forecast, each series in its own units of change."""
    errors = []
    for values in history.targets:
        scale = np.nanmean(np.abs(np.diff(values, axis=0))) if np.isfinite(np.diff(values, axis=0)).any() else 1.0
        lags = np.array([-(-step // season) * season for step in range(1, horizon + 1)])
        lags = np.unique(lags[lags < len(values)])
        gaps = [np.abs(values[lag:] - values[:-lag]) for lag in lags]
        errors += [np.nanmean(gap) / max(scale, 1e-12) for gap in gaps if np.isfinite(gap).any()]
    return float(np.mean(errors)) if errors else np.inf


def guess_context(season: int, horizon: int, shortest: int) -> int:
    """Steps of context: whole seasons, two horizons and 96 steps or more; at most a third of the shortest series."""
    room = max((shortest - horizon) // 3, 1)
    wanted = max(2 * horizon, LEAST_CONTEXT)
    whole = -(-wanted // season) * season
    if whole <= room:
        return whole
    return max(room // season * season, min(season, shortest - 2 * horizon), min(horizon, room), 1)
