"""Forecasts from origins that roll through held-out rows, and how good they were."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from carousel import metrics
from carousel.data import DataError, Panel, Windows
from carousel.tasks.forecasting.conformal import at_levels
from carousel.tasks.forecasting.history import Columns, History
from carousel.tasks.forecasting.quantiles import MEDIAN

Floats = NDArray[np.float64]
MODEL = "model"
TEST_FRACTION = 0.1
BATCH = 256


@dataclass(frozen=True, eq=False)
class Rolling:
    """Origins: from row `first` of each series on, every `step` rows, as long as the horizon fits before row `stop`."""

    first: NDArray[np.int64]
    stop: NDArray[np.int64]
    step: int

    def __post_init__(self) -> None:
        if self.step < 1:
            raise ValueError(f"step is {self.step}; it must be 1 or more")

    @classmethod
    def before_the_end(cls, lengths: NDArray[np.int64], horizon: int, windows: int | None, step: int) -> Self:
        """The last `windows` origins of each series, or all in its last tenth."""
        if windows is not None and windows < 1:
            raise ValueError(f"windows is {windows}; it must be 1 or more, or None for all in the last tenth")
        if windows is None:
            return cls(lengths - np.maximum((TEST_FRACTION * lengths).astype(np.int64), horizon), lengths, step)
        return cls(lengths - horizon - (windows - 1) * step, lengths, step)

    def each(self, horizon: int) -> Iterator[Self]:
        """One rolling for each origin, with that origin alone; as many as the series with the fewest has."""
        for number in range(int(((self.stop - self.first - horizon) // self.step).min()) + 1):
            first = self.first + number * self.step
            yield type(self)(first, first + horizon, self.step)

    def windows(self, panel: Panel, context: int, horizon: int) -> Windows:
        """The windows whose targets begin at the origins. Raises DataError, by name, where no context lies before."""
        for series, first in zip(panel.targets.ids, self.first, strict=True):
            if first < context:
                raise DataError(
                    f"series {series!r} has {max(int(first), 0)} rows before its first forecast, fewer than the "
                    f"context of {context}; give a longer series, fewer windows or a later start"
                )
        return Windows(
            panel, context, horizon, batch_size=BATCH, stride=self.step, shuffle=False, first_target=self.first
        )


@dataclass(frozen=True, eq=False)
class Backtest:
    """Forecasts of windows that the forecaster had not seen, the truths, and simple forecasts of the same windows.

    series, origins: (windows,), whose window it is and the row of its first target. truth: (windows, horizon, targets),
    NaN where missing. quantiles: (windows, horizon, targets, levels). forecasts: by name, "model" first (its median),
    each shaped as the truth. scale: (windows, targets), the mean absolute change over a season before the first origin.
    trained: the levels that the network learned, from which the scores "pinball" and "coverage" are taken.
    """

    history: History
    series: NDArray[np.int64]
    origins: NDArray[np.int64]
    truth: Floats
    levels: tuple[float, ...]
    trained: tuple[float, ...]
    quantiles: Floats
    forecasts: dict[str, Floats]
    scale: Floats

    @classmethod
    def of(cls, history: History, windows: tuple[Any, Any], found: dict[str, Any]) -> Self:
        """A backtest of a history's windows; `found` are the other fields but the truth."""
        series, origins = windows
        horizon = found["quantiles"].shape[1]
        rows = [
            history.targets[own][first : first + horizon]
            for own, first in zip(series.tolist(), origins.tolist(), strict=True)
        ]
        return cls(history=history, series=series, origins=origins, truth=np.stack(rows), **found)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Several backtests of the same series as one."""
        joined = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("series", "origins", "truth", "quantiles", "scale")
        }
        names = [name for name in parts[0].forecasts if all(name in part.forecasts for part in parts)]
        forecasts = {name: np.concatenate([part.forecasts[name] for part in parts]) for name in names}
        return replace(parts[-1], **joined, forecasts=forecasts)

    def __len__(self) -> int:
        return len(self.series)

    @property
    def names(self) -> Columns:
        """The names of the windows' series."""
        return tuple(self.history.ids[own] for own in self.series)

    @property
    def nominal(self) -> float:
        """The coverage that the interval between the outermost trained levels should have; 0 for the median alone."""
        return self.trained[-1] - self.trained[0]

    @cached_property
    def scores(self) -> dict[str, dict[str, float]]:
        """For the model and each baseline: mae, rmse, smape, mase, pinball and crps; coverage for the model.

        A baseline's quantiles are all its one value, so that its crps is its mae.
        """
        found = {name: self._errors(forecast) for name, forecast in self.forecasts.items()}
        if self.nominal > 0:
            low, high = at_levels(self.quantiles, self.levels, [self.trained[0], self.trained[-1]])[self._known].T
            found[MODEL]["coverage"] = metrics.coverage(self.truth[self._known], low, high)
        return found

    def errors_by_step(self, name: str = MODEL) -> Floats:
        """The mean absolute error at each step ahead, (horizon,); NaN where no truth is known."""
        return _mean_by_step(np.abs(self.truth - self.forecasts[name]), self._known)

    def coverage_by_step(self, coverage: float = 0.8) -> Floats:
        """How often the truth lay in the central interval, at each step ahead, (horizon,)."""
        low, high = self._interval(coverage)
        return _mean_by_step(((low <= self.truth) & (self.truth <= high)).astype(np.float64), self._known)

    def width_by_step(self, coverage: float = 0.8) -> Floats:
        """The mean width of the central interval at each step ahead, (horizon,)."""
        low, high = self._interval(coverage)
        return (high - low).mean((0, 2))

    def _interval(self, coverage: float) -> tuple[Floats, Floats]:
        ends = at_levels(self.quantiles, self.levels, [(1 - coverage) / 2, (1 + coverage) / 2])
        return ends[..., 0], ends[..., 1]

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        known = ~np.isnan(self.truth)
        if not known.any():
            raise DataError("none of the rows that were forecast has a value; there is nothing to measure")
        return known

    def _errors(self, forecast: Floats) -> dict[str, float]:
        known = self._known
        truth, point = self.truth[known], forecast[known]
        scale = np.broadcast_to(self.scale[:, None], self.truth.shape)[known]
        is_model = forecast is self.forecasts[MODEL]
        quantiles = self.quantiles[known] if is_model else np.repeat(point[:, None], len(self.levels), axis=1)
        return {
            "mae": metrics.mae(truth, point),
            "rmse": metrics.rmse(truth, point),
            "smape": metrics.smape(truth, point),
            "mase": float(np.mean(np.abs(truth - point) / scale)),
            "pinball": metrics.pinball(truth, at_levels(quantiles, self.levels, self.trained), self.trained),
            "crps": metrics.crps_from_quantiles(truth, quantiles, self.levels),
        }


def median_of(quantiles: Floats, levels: tuple[float, ...]) -> Floats:
    """The median among quantiles (..., levels)."""
    return quantiles[..., levels.index(MEDIAN)]


def seasonal_scales(history: History, first: NDArray[np.int64], season: int) -> Floats:
    """The mean absolute change over a season before row `first` of each series, (series, targets); 1 where it is 0.

    The scale of the MASE of Hyndman and Koehler (2006).
    """
    return np.stack([_change(own[:stop], season) for own, stop in zip(history.targets, first, strict=True)])


def _change(values: Floats, season: int) -> Floats:
    lag = season if len(values) > season else 1
    changes = np.abs(values[lag:] - values[:-lag])
    count = (~np.isnan(changes)).sum(0)
    scale = np.nansum(changes, axis=0) / np.maximum(count, 1)
    return np.where(scale > 0, scale, 1.0)


def _mean_by_step(values: Floats, known: NDArray[np.bool_]) -> Floats:
    count = known.sum((0, 2))
    total = np.where(known, values, 0).sum((0, 2))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
