"""The time index of a table: checked, named, extended, and as features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data.dates import TimeError, parse_times, times_as_text
from carousel.data.errors import DataError
from carousel.data.frequency import MICROSECONDS, Frequency, Times, infer_frequency
from carousel.data.table import Table


@dataclass(frozen=True, eq=False)
class TimeIndex:
    """A regular, increasing time index.

    times: datetime64[us] in local time, or float64 for plain steps, (rows,).
    frequency: the step, or None for a single row.
    zone: the offset from UTC that the source states, such as "+01:00", or "".
    """

    times: Times
    frequency: Frequency | None
    zone: str = ""

    def __len__(self) -> int:
        return len(self.times)

    def extend(self, steps: int) -> TimeIndex:
        """Return the index of the next steps. Raises DataError when one row gives no step."""
        if self.frequency is None:
            raise DataError("a single row has no frequency; give at least two rows of the time column")
        future = self.frequency.after(self.times[-1], np.arange(1, steps + 1))
        return TimeIndex(future, self.frequency, self.zone)

    def season(self, longest: int | None = None) -> int:
        """Return the likely seasonal period in steps: the shortest usual one of at most `longest` steps, or 1."""
        seasons = self.frequency.seasons() if self.frequency else ()
        return next((period for period in seasons if longest is None or period <= longest), 1)

    def texts(self) -> list[str]:
        """Return the times as text: ISO 8601, or plain numbers."""
        if self.times.dtype.kind == "f":
            return [f"{step:g}" for step in self.times]
        return times_as_text(self.times, self.zone)


def find_time(table: Table) -> str | None:
    """Return the name of the table's time column: its only one that holds times, else its first text that starts so.

    Raises DataError when several columns hold times.
    """
    times = table.of_kind("time")
    if len(times) > 1:
        raise DataError(
            f"{table.source} has several columns of times: {', '.join(map(repr, times))}; name the one to use"
        )
    return times[0] if times else next((name for name in table.of_kind("text") if _starts_as_time(table, name)), None)


def _starts_as_time(table: Table, name: str) -> bool:
    first = [cell for cell in table.columns[name] if cell][:1]
    try:
        parse_times(first)
    except TimeError as error:
        return "may mean" in str(error)
    return bool(first)


def time_index(table: Table, column: str) -> TimeIndex:
    """Return a column as a checked time index.

    Raises DataError, naming the rows, for an empty or unreadable time, mixed zones, times that are unsorted, duplicated
    or off the grid of the most common step, and gaps.
    """
    index = _sorted_index(table, column)
    _check_regular(table, column, index)
    return index


def fill_gaps(table: Table, column: str) -> Table:
    """Return the table with a row for every missing time: NaN, NaT or "" in all other columns.

    Raises as `time_index` does, gaps apart.
    """
    index = _sorted_index(table, column)
    if index.frequency is None:
        return table
    positions = index.frequency.positions(index.times)
    _check_grid(table, column, index, positions)
    steps = np.round(positions).astype(np.int64)
    if len(steps) == steps[-1] + 1:
        return table
    whole = np.arange(steps[-1] + 1)
    source = np.full(len(whole), -1)
    source[steps] = np.arange(len(steps))
    columns = {name: _spread(values, source) for name, values in table.columns.items()}
    columns[column] = index.frequency.after(index.times[0], whole)
    rows = table.rows[np.maximum.accumulate(source)]
    return Table(columns, table.source, rows, table.unit, table.zones | ({column: index.zone} if index.zone else {}))


def _spread(values: NDArray[Any], source: NDArray[np.int64]) -> NDArray[Any]:
    empty = {"f": np.nan, "M": np.datetime64("NaT")}.get(values.dtype.kind, "")
    spread = values[source]
    spread[source < 0] = empty
    return spread


def _sorted_index(table: Table, column: str) -> TimeIndex:
    """Return the index with its frequency, once it is known to be readable, increasing and without duplicates."""
    times, zone = _times(table, column)
    name = f"time column {column!r} of {table.source}"
    empty = np.flatnonzero(np.isnan(times) if times.dtype.kind == "f" else np.isnat(times))
    if len(empty):
        raise DataError(f"{name} is empty at {table.place(empty[0])}; give every row a time")
    steps = np.diff(times).astype(np.float64)
    texts = TimeIndex(times, None, zone).texts()
    back = np.flatnonzero(steps < 0)
    if len(back):
        _refuse_order(table, name, times, texts, int(back[0]))
    same = np.flatnonzero(steps == 0)
    if len(same):
        raise DataError(
            f"{name} has {texts[same[0]]} twice, at {table.place(same[0])} and {table.place(same[0] + 1)}; "
            "keep one row a time, or name the column that tells the series apart"
        )
    return TimeIndex(times, infer_frequency(times), zone)


def _refuse_order(table: Table, name: str, times: Times, texts: list[str], row: int) -> None:
    seen = np.flatnonzero(times[: row + 1] == times[row + 1])
    if len(seen):
        raise DataError(
            f"{name} has {texts[row + 1]} twice, at {table.place(seen[0])} and {table.place(row + 1)}; "
            "keep one row a time, or name the column that tells the series apart"
        )
    raise DataError(
        f"{name} is not sorted: {texts[row]} at {table.place(row)} comes before {texts[row + 1]} at "
        f"{table.place(row + 1)}; sort the rows by time"
    )


def _times(table: Table, column: str) -> tuple[Times, str]:
    values = table.column(column)
    kind = table.kind(column)
    if kind == "time":
        return values, table.zones.get(column, "")
    if kind == "number":
        return _compact_dates(values), ""
    try:
        return parse_times(values.tolist())
    except TimeError as error:
        place = table.place(error.row)
        raise DataError(f"time column {column!r} of {table.source}, {place}: {error}") from None


def _compact_dates(values: NDArray[np.float64]) -> Times:
    """Read numbers such as 20200131 as dates where all of them are dates; leave others as plain steps."""
    if np.isnan(values).any() or (values < 1e7).any() or (values >= 1e8).any() or (values % 1 != 0).any():
        return values
    texts = [f"{text[:4]}-{text[4:6]}-{text[6:]}" for text in values.astype(np.int64).astype(str)]
    try:
        return parse_times(texts)[0]
    except TimeError:
        return values


def _check_regular(table: Table, column: str, index: TimeIndex) -> None:
    if index.frequency is None:
        return
    positions = index.frequency.positions(index.times)
    _check_grid(table, column, index, positions)
    missing = np.round(np.diff(positions)).astype(np.int64) - 1
    gaps = np.flatnonzero(missing > 0)
    if len(gaps):
        row, texts = int(gaps[0]), index.texts()
        raise DataError(
            f"time column {column!r} of {table.source} leaves out {missing.sum()} of its steps "
            f"({index.frequency}), first between {texts[row]} at {table.place(row)} and {texts[row + 1]} at "
            f"{table.place(row + 1)}; add the rows, or fill the gaps and let missing values be masked or imputed"
        )


def _check_grid(table: Table, column: str, index: TimeIndex, positions: NDArray[np.float64]) -> None:
    off = np.flatnonzero(np.abs(positions - np.round(positions)) > 1e-6)
    if len(off):
        row = int(off[0])
        raise DataError(
            f"time column {column!r} of {table.source} is irregular: {index.texts()[row]} at "
            f"{table.place(row)} is off the grid of its usual step ({index.frequency}); "
            "resample the rows to equal steps"
        )


def calendar_features(index: TimeIndex) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the sine and cosine of the place in the day, week and year, (rows, features), and the features' names.

    Only cycles longer than a step are given; a plain step index has none.
    """
    if index.times.dtype.kind == "f":
        return np.empty((len(index), 0)), ()
    turns = {name: turn for name, turn in _turns(index.times).items() if _cycles(index.frequency, name)}
    angles = {name: 2 * np.pi * turn for name, turn in turns.items()}
    columns = [part(angle) for angle in angles.values() for part in (np.sin, np.cos)]
    names = tuple(f"{name}_{part}" for name in angles for part in ("sin", "cos"))
    return (np.column_stack(columns) if columns else np.empty((len(index), 0))), names


def _turns(times: Times) -> dict[str, NDArray[np.float64]]:
    """Return how far each time is through its day, its week (from Monday) and its year, from 0 to 1."""
    day, year = times.astype("M8[D]"), times.astype("M8[Y]")
    days = (times - day) / np.timedelta64(1, "D")
    weekday = (day.astype(np.int64) + 3) % 7
    length = ((year + 1).astype("M8[D]") - year.astype("M8[D]")) / np.timedelta64(1, "D")
    day_of_year = (day - year.astype("M8[D]")) / np.timedelta64(1, "D")
    return {"hour_of_day": days, "day_of_week": (weekday + days) / 7, "day_of_year": (day_of_year + days) / length}


def _cycles(frequency: Frequency | None, name: str) -> bool:
    if frequency is None:
        return True
    day = MICROSECONDS["day"]
    step = {"month": 30 * day, "business day": day}.get(frequency.unit, 1) * frequency.count
    return step < {"hour_of_day": day, "day_of_week": 7 * day, "day_of_year": 365 * day}[name]
