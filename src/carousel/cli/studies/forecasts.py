"""What a report shows of forecasts: examples, errors and coverage by horizon, the worst windows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.report import (
    Coverage,
    ForecastExample,
    ForecastFindings,
    HorizonError,
    Interval,
    Line,
    WorstCase,
)
from carousel.tasks.forecasting import Backtest
from carousel.tasks.forecasting.backtest import MODEL
from carousel.tasks.forecasting.conformal import at_levels

EXAMPLES, WORST, PAST_STEPS = 4, 4, 96
INTERVALS = (0.5, 0.8, 0.95)


def examples(found: Backtest) -> tuple[ForecastExample, ...]:
    """Forecasts evenly spaced among all windows."""
    count = min(EXAMPLES, len(found))
    return tuple(_example(found, window) for window in np.linspace(0, len(found) - 1, count).astype(int).tolist())


def horizons(found: Backtest, shown: tuple[ForecastExample, ...], model: str) -> ForecastFindings:
    """The examples, and errors and coverage by steps ahead."""
    errors = [
        HorizonError(model if name == MODEL else name, found.errors_by_step(name), name == MODEL)
        for name in found.forecasts
    ]
    coverage = [
        Coverage(level, found.coverage_by_step(level), found.width_by_step(level)) for level in _intervals(found)
    ]
    return ForecastFindings(shown, tuple(errors), coverage=tuple(coverage))


def worst(found: Backtest) -> tuple[WorstCase, ...]:
    """The windows with the largest mean absolute error that do not overlap, worst first."""
    median = found.forecasts[MODEL]
    missing = np.isnan(found.truth).all(axis=(1, 2))
    error = np.where(missing, -1.0, np.nan_to_num(np.abs(found.truth - median)).sum(axis=(1, 2)))
    error /= np.maximum((~np.isnan(found.truth)).sum(axis=(1, 2)), 1)
    chosen: list[int] = []
    for window in np.argsort(-error, kind="stable").tolist():
        if error[window] >= 0 and not any(_overlap(found, window, other) for other in chosen):
            chosen.append(window)
        if len(chosen) == WORST:
            break
    return tuple(_worst(found, window, float(error[window])) for window in chosen)


def _overlap(found: Backtest, one: int, other: int) -> bool:
    apart = abs(int(found.origins[one] - found.origins[other]))
    return bool(found.series[one] == found.series[other]) and apart < found.truth.shape[1]


def _intervals(found: Backtest) -> tuple[float, ...]:
    """The usual intervals that the levels reach, or the one between the outermost."""
    low, high = found.levels[0], found.levels[-1]
    reached = tuple(level for level in INTERVALS if (1 - level) / 2 >= low and (1 + level) / 2 <= high)
    return reached or ((found.nominal,) if found.nominal else ())


def _example(found: Backtest, window: int) -> ForecastExample:
    past, time = _before(found, window)
    quantiles = found.quantiles[window, :, 0]
    intervals = [
        Interval(level, *at_levels(quantiles, found.levels, [(1 - level) / 2, (1 + level) / 2]).T)
        for level in _intervals(found)
    ]
    median = found.forecasts[MODEL]
    return ForecastExample(
        _name(found, window, time), past, found.truth[window, :, 0], median[window, :, 0], tuple(intervals), time
    )


def _worst(found: Backtest, window: int, error: float) -> WorstCase:
    past, time = _before(found, window)
    median = found.forecasts[MODEL][window, :, 0]
    lines = (
        Line("past", past, "past"),
        Line("what came", found.truth[window, :, 0], "truth", len(past)),
        Line("forecast", median, "model", len(past)),
    )
    return WorstCase(_name(found, window, time), lines, error, time=time)


def _before(found: Backtest, window: int) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """The first target's values before a window, and the times of these and of the window."""
    series, origin = int(found.series[window]), int(found.origins[window])
    first = max(0, origin - max(PAST_STEPS, 2 * found.truth.shape[1]))
    past = found.history.targets[series][first:origin, 0]
    if found.history.times is None:
        return past, None
    return past, tuple(found.history.times[series].texts()[first : origin + found.truth.shape[1]])


def _name(found: Backtest, window: int, time: tuple[str, ...] | None) -> str:
    series, origin = found.names[window], int(found.origins[window])
    start = f"from {time[-found.truth.shape[1]]}" if time else f"from row {origin}"
    return start if found.history.single else f"{series}, {start}"
