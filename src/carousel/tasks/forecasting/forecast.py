"""A forecast: quantiles of each series at each step ahead, with names and times."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.tasks.forecasting.conformal import at_levels
from carousel.tasks.forecasting.quantiles import MEDIAN

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Forecast:
    """What a Forecaster predicts. `numpy.asarray(forecast)` is the median, in the shape in which the series came.

    ids: the series' names. targets: the targets' names. levels: the levels of `quantiles`, in order.
    quantiles: (series, horizon, targets, levels), in the units of the data.
    times: one array (horizon,) of ISO 8601 texts a series, or None for series without dates.
    single, flat: whether results leave out the axis of series (there was one) and of targets (one, given flat).
    """

    ids: tuple[str, ...]
    targets: tuple[str, ...]
    levels: tuple[float, ...]
    quantiles: Floats
    times: tuple[tuple[str, ...], ...] | None = None
    single: bool = False
    flat: bool = False

    @property
    def median(self) -> Floats:
        """The point forecast: ([series,] horizon[, targets])."""
        return self._shaped(self.quantiles[..., self.levels.index(MEDIAN)])

    def quantile(self, level: float) -> Floats:
        """The forecast that the truth stays below with probability `level`, in the shape of `median`."""
        return self._shaped(at_levels(self.quantiles, self.levels, level)[..., 0])

    def interval(self, coverage: float = 0.8) -> tuple[Floats, Floats]:
        """Lower and upper end of the central interval that holds the truth with probability `coverage`."""
        if not 0 < coverage < 1:
            raise ValueError(f"coverage is {coverage}; it must lie between 0 and 1, both excluded")
        tail = (1 - coverage) / 2
        return self.quantile(tail), self.quantile(1 - tail)

    def columns(self, levels: tuple[float, ...] | None = None) -> dict[str, list[Any]]:
        """A long table by columns: unique_id, ds (a time or a step ahead), the median of each target, its quantiles.

        Each dataframe library takes it: `pandas.DataFrame(forecast.columns())`.
        """
        count, horizon = self.quantiles.shape[:2]
        steps = [range(1, horizon + 1)] * count if self.times is None else self.times
        table: dict[str, list[Any]] = {
            "unique_id": [name for name in self.ids for _ in range(horizon)],
            "ds": [time for own in steps for time in own],
        }
        for at, name in enumerate(self.targets):
            own = self.quantiles[:, :, at].reshape(count * horizon, -1)
            table[name] = own[:, self.levels.index(MEDIAN)].tolist()
            for level in self.levels if levels is None else levels:
                if level != MEDIAN:
                    table[f"{name}-q{level:g}"] = at_levels(own, self.levels, level)[:, 0].tolist()
        return table

    def _shaped(self, values: Floats) -> Floats:
        values = values[..., 0] if self.flat else values
        return values[0] if self.single else values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.median, dtype=dtype)

    def __len__(self) -> int:
        return len(self.median)
