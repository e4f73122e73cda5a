"""Long tables: one row a time step, a column that says which series it belongs to."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from carousel.data.calendar import time_index
from carousel.data.errors import DataError
from carousel.data.sequences import NanPolicy, Sequences, as_sequences
from carousel.data.table import Table, as_table


def from_long(
    frame: Any,
    *,
    series: str | None = None,
    time: str | None = None,
    columns: Iterable[str] | None = None,
    nan: NanPolicy = "error",
    dtype: DTypeLike = np.float32,
) -> Sequences:
    """Return the sequences of a long frame or table, in the order in which their names first appear.

    series: the column that names the series; without it all rows are one series, called "series".
    time: the column of times, checked within each series by `time_index`.
    columns: the features; all other columns by default.

    Raises DataError for columns that are missing or no numbers, rows without a series, and faults of the times.
    """
    table = as_table(frame)
    others = [name for name in table.names if name not in (series, time)]
    features = tuple(others if columns is None else columns)
    if not features:
        raise DataError(f"{table.source} has no column of values besides {series!r} and {time!r}")
    values = table.numbers(features)
    groups = group_rows(table, series)
    if time is not None:
        for rows in groups.values():
            time_index(table.take(rows), time)
    _check_values(table, features, values, nan)
    found = Sequences([values[rows] for rows in groups.values()], features, tuple(groups))
    return as_sequences(found, what=table.source, nan=nan, dtype=dtype)


def _check_values(table: Table, features: tuple[str, ...], values: NDArray[np.float64], nan: NanPolicy) -> None:
    """Refuse NaN and infinity by the row of the source."""
    bad = np.argwhere(np.isinf(values) if nan == "keep" else ~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        kind = "NaN" if np.isnan(values[row, column]) else "infinity"
        raise DataError(
            f"column {features[column]!r} of {table.source} contains {kind} at {table.place(row)}; drop or fill it"
        )


def group_rows(table: Table, series: str | None) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each series of a long table, by the series' names in order of first appearance."""
    if series is None:
        return {"series": np.arange(len(table))}
    names = names_of(table, series)
    empty = [row for row, name in enumerate(names) if not name]
    if empty:
        raise DataError(f"column {series!r} of {table.source} is empty at {table.place(empty[0])}; name its series")
    order = {name: position for position, name in enumerate(dict.fromkeys(names))}
    codes = np.array([order[name] for name in names])
    by_code = np.argsort(codes, kind="stable")
    parts = np.split(by_code, np.cumsum(np.bincount(codes))[:-1])
    return dict(zip(order, parts, strict=True))


def split_series(table: Table, series: str | None) -> dict[str, Table]:
    """Return one table a series of a long table, by the series' names; the column of names is left out."""
    kept = table if series is None else table.drop([series])
    return {name: kept.take(rows) for name, rows in group_rows(table, series).items()}


def names_of(table: Table, column: str) -> list[str]:
    """Return a column's cells as names: text as it is, whole numbers without a point, "" where missing."""
    if table.kind(column) != "number":
        return [str(cell) for cell in table.column(column)]
    return ["" if np.isnan(cell) else f"{cell:.15g}" for cell in table.column(column)]


def label_of_series(table: Table, series: str, label: str) -> dict[str, str]:
    """Return the one label of each series of a long table.

    Raises DataError for a series whose rows carry several labels, or none.
    """
    labels = names_of(table, label)
    found: dict[str, str] = {}
    for name, rows in group_rows(table, series).items():
        own = list(dict.fromkeys(labels[row] for row in rows))
        if len(own) != 1 or not own[0]:
            several = " and ".join(map(repr, own[:2]))
            raise DataError(f"series {name!r} of {table.source} has the labels {several} in {label!r}; give it one")
        found[name] = own[0]
    return found
