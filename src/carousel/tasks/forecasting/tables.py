"""Read frames and tables, long or wide, into a History: which column is what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data import DataError, Table, TimeIndex, as_table, fill_gaps, find_time, split_series, time_index
from carousel.tasks.forecasting.history import Columns, History


@dataclass(frozen=True)
class Roles:
    """Which column of a frame is what; () and None where the user did not say."""

    target: Columns = ()
    series: str | None = None
    time: str | None = None
    past: Columns = ()
    future: Columns = ()
    static: Columns = ()

    @property
    def covariates(self) -> Columns:
        """All columns that are no targets."""
        return (*self.past, *self.future, *self.static)

    def refuse_names(self, came: str) -> None:
        """Raise TypeError when columns are named, but y is no frame."""
        if named := (*self.target, *self.covariates):
            raise TypeError(
                f"the columns {', '.join(map(repr, named))} are named, but y is a {came} without names; give a frame, "
                "or name no columns and pass past=, future= and static="
            )


def columns_of(names: str | Iterable[str] | None) -> Columns:
    """One name, several or none, as a tuple."""
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)


def history_of_table(frame: Any, future: Any, roles: Roles, missing: str) -> History:
    """Read a frame: long with a column that names the series, or wide with one series whose columns are its targets.

    The columns unique_id, ds and y are found by these names. Other numbers are targets where none is named. Rows at the
    end without any target are the time ahead, where there are future covariates.
    """
    table = as_table(frame)
    roles = completed(table, roles)
    parts = {
        name: _Part.of(own if missing == "error" or roles.time is None else fill_gaps(own, roles.time), roles)
        for name, own in split_series(table, roles.series).items()
    }
    if future is not None:
        _append(parts, as_table(future, "the frame of future covariates"), roles)
    single = roles.series is None
    return History(
        ids=("series",) if single else tuple(parts),
        targets=[part.targets for part in parts.values()],
        target_names=roles.target,
        past=[part.past for part in parts.values()] if roles.past else None,
        past_names=roles.past,
        future=[part.future for part in parts.values()] if roles.future else None,
        future_names=roles.future,
        static=np.array([part.static for part in parts.values()], dtype=object) if roles.static else None,
        static_names=roles.static,
        times=None if roles.time is None else [part.time for part in parts.values() if part.time is not None],
        single=single,
        flat=len(roles.target) == 1,
        named=not single,
    )


def completed(table: Table, roles: Roles) -> Roles:
    """The roles with what the names and kinds of the columns tell."""
    series, time = index_columns(table, roles)
    others = {series, time, *roles.covariates}
    target = roles.target or (("y",) if "y" in table.names else ())
    target = target or tuple(name for name in table.of_kind("number") if name not in others)
    if not target:
        raise DataError(f"{table.source} has no column of numbers to forecast; name it in target=")
    for name in (*target, *roles.covariates, *(name for name in (series, time) if name)):
        table.column(name)
    if both := set(target) & set(roles.covariates):
        raise DataError(f"column {sorted(both)[0]!r} is named as a target and as a covariate; it can be one")
    return Roles(target, series, time, roles.past, roles.future, roles.static)


def index_columns(table: Table, roles: Roles) -> tuple[str | None, str | None]:
    """The column that names the series and the column of times."""
    series = roles.series or ("unique_id" if "unique_id" in table.names else None)
    return series, roles.time or ("ds" if "ds" in table.names else find_time(table.drop([series] if series else [])))


@dataclass
class _Part:
    """One series of a table."""

    targets: NDArray[np.float64]
    past: NDArray[np.float64]
    future: NDArray[np.float64]
    static: list[Any]
    time: TimeIndex | None

    @classmethod
    def of(cls, table: Table, roles: Roles) -> "_Part":
        targets, past = table.numbers(roles.target), table.numbers(roles.past)
        rows = _rows_before_the_time_ahead(targets) if roles.future else len(targets)
        time = None if roles.time is None else time_index(table, roles.time)
        if time is not None:
            time = TimeIndex(time.times[:rows], time.frequency, time.zone)
        static = [_constant(table, name) for name in roles.static]
        return cls(targets[:rows], past[:rows], table.numbers(roles.future), static, time)


def _rows_before_the_time_ahead(targets: NDArray[np.float64]) -> int:
    known = np.flatnonzero(~np.isnan(targets).all(axis=1))
    return int(known[-1]) + 1 if len(known) else len(targets)


def _constant(table: Table, name: str) -> Any:
    """The one value of a static column."""
    values = table.column(name)
    present = [value for value in dict.fromkeys(values.tolist()) if value not in ("", None) and value == value]
    if len(present) != 1:
        what = "is empty" if not present else f"has {present[0]!r} and {present[1]!r}"
        raise DataError(
            f"static column {name!r} of {table.source} {what} in the series of {table.place(0)}; give it one value"
        )
    return present[0]


def _append(parts: dict[str, _Part], future: Table, roles: Roles) -> None:
    """Add the rows of a frame of future covariates to the series they belong to."""
    ahead = rows_ahead(future, tuple(parts), roles, [part.time for part in parts.values()])
    for part, own in zip(parts.values(), ahead, strict=True):
        part.future = np.concatenate([part.future[: len(part.targets)], own])


def rows_ahead(
    future: Table, ids: Columns, roles: Roles, times: Sequence[TimeIndex | None]
) -> list[NDArray[np.float64]]:
    """The rows (steps, columns) of future covariates of each series, which must follow its end."""
    if absent := [name for name in roles.future if name not in future.names]:
        raise DataError(f"{future.source} lacks the future covariates {', '.join(map(repr, absent))}; add the columns")
    rows = split_series(future, roles.series)
    if absent := [name for name in ids if name not in rows]:
        raise DataError(f"{future.source} has no rows for series {', '.join(map(repr, absent[:5]))}; add them")
    for name, time in zip(ids, times, strict=True):
        if time is not None and roles.time in rows[name].names:
            _check_follows(time, time_index(rows[name], str(roles.time)), name)
    return [rows[name].numbers(roles.future) for name in ids]


def _check_follows(time: TimeIndex, ahead: TimeIndex, name: str) -> None:
    """Raise DataError unless the covariates begin one step after the series ends."""
    if time.frequency is None:
        return
    expected = time.extend(1)
    if ahead.times[0] != expected.times[0]:
        came, wanted = ahead.texts()[0], expected.texts()[0]
        raise DataError(
            f"future covariates of series {name!r} begin at {came}, but its next step is {wanted}; give the rows that "
            "follow the series"
        )
