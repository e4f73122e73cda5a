"""The step of a time index: a fixed span, or months, or business days."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MICROSECONDS = {"second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000}
MICROSECONDS["week"] = 7 * MICROSECONDS["day"]
MONTHS = {"month": 1, "quarter": 3, "year": 12}
Unit = Literal["microsecond", "month", "business day", "step"]
Times = NDArray[Any]


@dataclass(frozen=True)
class Frequency:
    """The step between neighbouring rows: `count` units.

    unit: "microsecond" for fixed spans, "month" for calendar months, "business day" for Monday to Friday, and "step"
        where the index is plain numbers.
    at_month_end: months are counted from month end to month end.
    """

    unit: Unit
    count: float
    at_month_end: bool = False

    def __str__(self) -> str:
        if self.unit == "microsecond":
            return _spelled(int(self.count), MICROSECONDS) or f"{self.count / 1e6:g} seconds"
        if self.unit == "month":
            return _spelled(int(self.count), MONTHS) or f"{self.count:g} months"
        return self.unit if self.count == 1 else f"{self.count:g} {self.unit}s"

    def seasons(self) -> tuple[int, ...]:
        """Return the usual seasonal periods in steps, shortest first: a day, a week and a year, where they fit.

        A business week has 5 steps. Plain steps have none.
        """
        if self.unit == "step":
            return ()
        if self.unit == "business day":
            return (5,)
        if self.unit == "month":
            return (int(12 / self.count),) if 12 % self.count == 0 and self.count < 12 else ()
        spans = [MICROSECONDS["day"], MICROSECONDS["week"], 365.25 * MICROSECONDS["day"]]
        steps = [span / self.count for span in spans]
        whole = [step for step in steps[:2] if step == int(step)]
        return tuple(round(step) for step in [*whole, steps[2]] if step >= 2)

    def positions(self, times: Times) -> NDArray[np.float64]:
        """Return how many steps each time is after the first; a fraction is off the grid."""
        if self.unit == "business day":
            days = times.astype("M8[D]")
            return np.busday_count(days[0], days).astype(np.float64) / self.count
        if self.unit == "month":
            months = times.astype("M8[M]")
            return (months - months[0]).astype(np.float64) / self.count
        return (times - times[0]).astype(np.float64) / self.count

    def after(self, time: Any, steps: NDArray[np.int64]) -> Times:
        """Return the times that are so many steps after a time, (steps,)."""
        if self.unit == "step":
            return time + steps * self.count
        if self.unit == "microsecond":
            return time + (steps * int(self.count)).astype("m8[us]")
        clock = time - time.astype("M8[D]")
        if self.unit == "business day":
            return np.busday_offset(time.astype("M8[D]"), steps * int(self.count)).astype("M8[us]") + clock
        months = time.astype("M8[M]") + (steps * int(self.count)).astype("m8[M]")
        return self._day_in(months, time) + clock

    def _day_in(self, months: Times, time: Any) -> Times:
        """Return the day of the month that `time` has, or the month's last, in each month."""
        last = (months + np.timedelta64(1, "M")).astype("M8[D]") - np.timedelta64(1, "D")
        if self.at_month_end:
            return last.astype("M8[us]")
        day = months.astype("M8[D]") + (time.astype("M8[D]") - time.astype("M8[M]").astype("M8[D]"))
        return np.minimum(day, last).astype("M8[us]")


def _spelled(count: int, units: dict[str, int]) -> str:
    """Spell a span in the largest unit that divides it."""
    for name, size in reversed(units.items()):
        if count % size == 0:
            return name if count == size else f"{count // size} {name}s"
    return ""


def infer_frequency(times: Times) -> Frequency | None:
    """Return the frequency of sorted, distinct times, from their most common step; None for fewer than two."""
    if len(times) < 2:
        return None
    if times.dtype.kind == "f":
        return Frequency("step", _most_common(np.diff(times)))
    return (
        _monthly(times) or _business(times) or Frequency("microsecond", _most_common(np.diff(times).astype(np.int64)))
    )


def _most_common(steps: NDArray[np.generic]) -> float:
    values, counts = np.unique(steps, return_counts=True)
    return values[counts.argmax()].item()


def _monthly(times: Times) -> Frequency | None:
    """Recognise months: every time on the same day and hour, or on the last day, and at least 28 days apart."""
    days, months = times.astype("M8[D]"), times.astype("M8[M]")
    if (np.diff(days).astype(np.int64) < 28).any() or len({*(times - days)}) > 1:
        return None
    at_end = bool(((days + 1).astype("M8[M]") != months).all())
    if not at_end and len({*(days - months)}) > 1:
        return None
    return Frequency("month", _most_common(np.diff(months).astype(np.int64)), at_end)


def _business(times: Times) -> Frequency | None:
    """Recognise daily times that leave out most weekends and nothing else."""
    days = times.astype("M8[D]")
    if _most_common(np.diff(times).astype(np.int64)) != MICROSECONDS["day"] or not np.is_busday(days).all():
        return None
    spans_weekend = (days[-1] - days[0]).astype(int) >= 7 or np.diff(days).max().astype(int) == 3
    return Frequency("business day", 1) if spans_weekend else None
