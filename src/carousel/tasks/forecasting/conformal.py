"""Conformal calibration: quantiles moved until held-out truths fall below them as often as they should."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from carousel.tasks.forecasting.quantiles import MEDIAN

GRID = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.15,
    0.2,
    0.25,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.75,
    0.8,
    0.85,
    0.9,
    0.95,
    0.975,
    0.99,
    0.995,
)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Conformal:
    """What to add to which quantile, for a grid of levels, at each step ahead.

    trained: the levels of the network. levels: those after calibration, among them the trained ones. shifts
    (levels, horizon, targets), in units of the forecast's own width. Each level starts from the nearest trained one.
    The median stays where it is.

    Split conformal prediction (Papadopoulos et al. 2002), one-sided for each quantile as in Romano, Patterson and
    Candes (2019), "Conformalized quantile regression".
    """

    trained: tuple[float, ...]
    levels: tuple[float, ...]
    shifts: Floats

    def __post_init__(self) -> None:
        if self.shifts.ndim != 3 or len(self.shifts) != len(self.levels) or not np.isfinite(self.shifts).all():
            raise ValueError(f"shifts have shape {self.shifts.shape} for {len(self.levels)} levels, or are not finite")

    @classmethod
    def none(cls, trained: tuple[float, ...], horizon: int, targets: int) -> Self:
        """No calibration: the trained levels as they are."""
        return cls(trained, trained, np.zeros((len(trained), horizon, targets)))

    @classmethod
    def of(cls, trained: tuple[float, ...], quantiles: Floats, truth: Floats, independent: Any = None) -> Self:
        """Calibrate on held-out windows: quantiles (windows, horizon, targets, levels), truth with NaN where missing.

        independent: how many of the windows' errors are independent of each other, for each step ahead (horizon,); all
        by default. A level needs more than 1 / min(level, 1 - level) of these to be calibrated exactly; with fewer,
        the shift is the largest seen.
        """
        levels = tuple(sorted({*GRID, *trained}))
        widths = spread(quantiles)
        counted = np.clip(len(truth) if independent is None else independent, 1, len(truth))
        shifts = np.zeros((len(levels), *truth.shape[1:]))
        for at, level in enumerate(levels):
            if level != MEDIAN:
                score = (truth - quantiles[..., nearest(trained, level)]) / widths
                shifts[at] = _conformal_quantile(score, level, counted)
        return cls(trained, levels, shifts)

    def plain(self) -> dict[str, Any]:
        """The calibration as a dictionary of lists and an array."""
        return {"trained": list(self.trained), "levels": list(self.levels), "shifts": self.shifts}

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> Self:
        """The calibration that `plain` wrote. Raises ValueError or TypeError for one that it never writes."""
        try:
            trained, levels = (tuple(float(level) for level in plain[name]) for name in ("trained", "levels"))
            return cls(trained, levels, plain["shifts"])
        except (KeyError, AttributeError) as error:
            raise ValueError(f"the calibration is incomplete: {error}") from None

    def apply(self, quantiles: Floats) -> Floats:
        """Quantiles (windows, horizon, targets, trained) to (windows, horizon, targets, levels), never crossing."""
        chosen = [nearest(self.trained, level) for level in self.levels]
        moved = quantiles[..., chosen] + np.moveaxis(self.shifts, 0, -1) * spread(quantiles)[..., None]
        return _ordered(moved, self.levels.index(MEDIAN))


def nearest(trained: tuple[float, ...], level: float) -> int:
    """The position of the trained level closest to a level."""
    return int(np.argmin(np.abs(np.array(trained) - level)))


def spread(quantiles: Floats) -> Floats:
    """The width from the lowest to the highest quantile, or 1 where the median is alone."""
    if quantiles.shape[-1] == 1:
        return np.ones(quantiles.shape[:-1])
    width = quantiles[..., -1] - quantiles[..., 0]
    return np.maximum(width, np.finfo(np.float64).tiny)


def _conformal_quantile(scores: Floats, level: float, independent: Any) -> Floats:
    """The quantile of scores (windows, horizon, targets) that a new score stays below with probability `level`.

    The ceil(n (1 + 1 / m) level)-th smallest of n, of which m are independent, counted from the other end for levels
    below the median; NaN is left out, and a step without any score is not moved. For m = n this is the usual rank.
    Forecasts k steps ahead share what happens between origins less than k apart, so that m = n / k, as in the blocks
    of Chernozhukov, Wuthrich and Zhu (2018), "Exact and robust conformal inference methods for predictive machine
    learning with dependent data".
    """
    ordered = np.sort(scores, axis=0)
    count = (~np.isnan(scores)).sum(0)
    more = count / np.reshape(independent, (-1, 1))
    upper = np.ceil((count + more) * level) - 1
    lower = np.floor((count + more) * level - more)
    rank = np.clip(upper if level > MEDIAN else lower, 0, np.maximum(count - 1, 0)).astype(np.int64)
    return np.nan_to_num(np.take_along_axis(ordered, rank[None], axis=0)[0], nan=0.0)


def _ordered(quantiles: Floats, median: int) -> Floats:
    """Quantiles pushed outwards from the median until none crosses its neighbour."""
    up = np.maximum.accumulate(quantiles[..., median:], axis=-1)
    down = np.minimum.accumulate(quantiles[..., median::-1], axis=-1)[..., ::-1]
    return np.concatenate([down, up[..., 1:]], axis=-1)


def at_levels(quantiles: Floats, levels: tuple[float, ...], wanted: Any) -> Floats:
    """Quantiles (..., levels) at other levels, by linear interpolation between neighbouring levels.

    Raises ValueError for a level outside those that there are.
    """
    asked = np.round(np.atleast_1d(np.asarray(wanted, dtype=np.float64)), 9)
    outside = asked[(asked < levels[0]) | (asked > levels[-1])]
    if len(outside):
        raise ValueError(
            f"quantile {outside[0]:g} is outside {levels[0]:g} to {levels[-1]:g}; name it in quantiles= before fitting"
        )
    above = np.clip(np.searchsorted(levels, asked), 1, max(len(levels) - 1, 1))
    if len(levels) == 1:
        return np.repeat(quantiles, len(asked), axis=-1)
    low, high = np.array(levels)[above - 1], np.array(levels)[above]
    part = (asked - low) / (high - low)
    return quantiles[..., above - 1] * (1 - part) + quantiles[..., above] * part
