"""Series to forecast as the user gave them, checked and named: targets, covariates, static features, times."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray

from carousel.data import DataError, Frequency, TimeIndex
from carousel.data.frequency import Unit
from carousel.data.sequences import Sequences

Values = NDArray[Any]
Columns = tuple[str, ...]
ROWS = ("targets", "past", "future")
PARTS = ("target", "past", "future", "static")


@dataclass(frozen=True, eq=False)
class History:
    """Series with what else is known about them, in the units of the data; missing values are NaN.

    targets, past: one array (time, columns) a series. future: likewise, with as many rows or more; those beyond the
    targets are ahead of the series' end. static: (series, columns) of numbers and texts. times: one index a series.
    single: there is one series and results leave out its axis. flat: the target has no axis of its own.
    named: the series have names of their own, not just positions.
    """

    ids: Columns
    targets: list[Values]
    target_names: Columns
    past: list[Values] | None = None
    past_names: Columns = ()
    future: list[Values] | None = None
    future_names: Columns = ()
    static: Values | None = None
    static_names: Columns = ()
    times: list[TimeIndex] | None = None
    single: bool = False
    flat: bool = False
    named: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The rows of each series, (series,)."""
        return np.array([len(target) for target in self.targets], dtype=np.int64)

    def take(self, positions: Any) -> Self:
        """The series at these positions."""
        chosen = [int(position) for position in positions]
        return replace(
            self,
            ids=tuple(self.ids[i] for i in chosen),
            static=None if self.static is None else self.static[chosen],
            **{name: [values[i] for i in chosen] for name, values in self._by_row()},
        )

    def head(self, rows: Any, ahead: int = 0) -> Self:
        """Each series' first rows, with future covariates for at most `ahead` more."""
        stops = np.broadcast_to(rows, len(self))
        return self._cut([(0, int(stop)) for stop in stops], ahead)

    def tail(self, rows: int) -> Self:
        """Each series' last rows, with the future covariates known ahead."""
        ahead = max((len(own) for own in self.future), default=0) if self.future else 0
        return self._cut([(max(int(length) - rows, 0), int(length)) for length in self.lengths], ahead)

    def _cut(self, spans: list[tuple[int, int]], ahead: int) -> Self:
        cut: dict[str, Any] = {}
        for name, values in self._by_row():
            more = ahead if name == "future" else 0
            cut[name] = [_rows(own, first, stop + more) for own, (first, stop) in zip(values, spans, strict=True)]
        return replace(self, **cut)

    def _by_row(self) -> Iterator[tuple[str, list[Any]]]:
        for name in ("targets", "past", "future", "times"):
            values = getattr(self, name)
            if values is not None:
                yield name, values

    def sequences(self, name: str) -> Sequences | None:
        """The targets, past or future covariates as named sequences."""
        values = getattr(self, name)
        names = {"targets": self.target_names, "past": self.past_names, "future": self.future_names}[name]
        return None if values is None else Sequences(values, names, self.ids)

    def times_ahead(self, steps: int) -> tuple[tuple[str, ...], ...] | None:
        """The times of the next steps of each series, as text; None without dates."""
        if self.times is None or any(index.frequency is None for index in self.times):
            return None
        return tuple(tuple(index.extend(steps).texts()) for index in self.times)

    def plain(self) -> dict[str, Any]:
        """The history as lists, texts and numbers that JSON can hold."""
        found: dict[str, Any] = {
            name: [own.tolist() for own in values] for name, values in self._by_row() if name != "times"
        }
        found |= {"ids": list(self.ids), "single": self.single, "flat": self.flat, "named": self.named}
        found |= {f"{part}_names": list(getattr(self, f"{part}_names")) for part in PARTS}
        found["static"] = None if self.static is None else self.static.tolist()
        found["times"] = None if self.times is None else [_plain_index(index) for index in self.times]
        return found

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> Self:
        """The history that `plain` wrote. Raises ValueError or TypeError for one that it never writes."""
        try:
            rows: dict[str, Any] = {name: _arrays(plain[name]) for name in ROWS if plain.get(name) is not None}
            more: dict[str, Any] = {f"{part}_names": tuple(map(str, plain[f"{part}_names"])) for part in PARTS}
            static = None if plain["static"] is None else np.array(plain["static"], dtype=object)
            times = (
                None if plain["times"] is None else list(map(_read_index, plain["times"], map(len, rows["targets"])))
            )
            more |= {name: bool(plain[name]) for name in ("single", "flat", "named")}
            made = cls(ids=tuple(map(str, plain["ids"])), static=static, times=times, **rows, **more)
        except (KeyError, AttributeError, OverflowError) as error:
            raise ValueError(f"it holds no series: {error}") from None
        made.check_shapes()
        return made

    def check_shapes(self) -> None:
        """Raise ValueError unless all parts fit each other."""
        widths = {"targets": self.target_names, "past": self.past_names, "future": self.future_names}
        for name, values in self._by_row():
            if len(values) != len(self):
                raise DataError(f"{name} are given for {len(values)} series, not {len(self)}; give one a series")
            for series, own in zip(self.ids, values, strict=True):
                if name != "times" and own.shape[1] != len(widths[name]):
                    raise DataError(
                        f"{name} of series {series!r} have {own.shape[1]} columns; there should be {len(widths[name])}"
                    )
        if self.static is not None and self.static.shape != (len(self), len(self.static_names)):
            raise DataError(f"static has shape {self.static.shape} for {len(self)} series; give one row a series")


def _rows(values: Any, first: int, stop: int) -> Any:
    if isinstance(values, TimeIndex):
        return TimeIndex(values.times[first:stop], values.frequency, values.zone)
    return values[first:stop]


def _arrays(values: Any) -> list[Values]:
    arrays = [np.array(own, dtype=np.float64) for own in values]
    if any(array.ndim != 2 for array in arrays):
        raise ValueError("it holds a series that is no table of numbers")
    return arrays


def _plain_index(index: TimeIndex) -> dict[str, Any]:
    step, first = index.frequency, index.times[0]
    return {
        "first": float(first) if index.times.dtype.kind == "f" else str(first),
        "zone": index.zone,
        "frequency": None if step is None else [step.unit, step.count, step.at_month_end],
    }


def _read_index(plain: dict[str, Any], rows: int) -> TimeIndex:
    first = plain["first"]
    start = np.float64(first) if isinstance(first, float | int) else np.datetime64(first, "us")
    if plain["frequency"] is None:
        return TimeIndex(np.array([start]), None, str(plain["zone"]))
    unit, count, at_month_end = plain["frequency"]
    if unit not in get_args(Unit) or not isinstance(count, float | int) or not count > 0:
        raise ValueError(f"its times have no step of {count!r} {unit!r}")
    step = Frequency(unit, count, bool(at_month_end))
    return TimeIndex(step.after(start, np.arange(rows)), step, str(plain["zone"]))
