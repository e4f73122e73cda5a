"""Read what the user gave, in any container, into a History."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data import DataError, Sequences, Table, TimeIndex, as_sequences, as_table, time_index
from carousel.data.frames import is_frame
from carousel.tasks.forecasting.history import Columns, History
from carousel.tasks.forecasting.tables import Roles, history_of_table, index_columns, rows_ahead


@dataclass(frozen=True)
class Given:
    """What was passed beside the series themselves."""

    past: Any = None
    future: Any = None
    static: Any = None
    dates: Any = None


def read_history(y: Any, given: Given, roles: Roles, missing: str) -> History:
    """The series as a History; missing values stay NaN.

    y: one series (time,), a table (series, time) of univariate series, (series, time, targets), a list of (time,) or
        (time, targets) arrays, a mapping from names to such arrays, a frame, wide or long, or a History as it is.

    Raises DataError or TypeError, by series, row and column, for what cannot be used.
    """
    if isinstance(y, History):
        return y
    if hasattr(y, "to_frame") and np.ndim(y) == 1:
        y = _frame_of(y)
    if is_frame(y) or isinstance(y, Table):
        _refuse_arrays(given)
        history = history_of_table(y, given.future, roles, missing)
    else:
        roles.refuse_names(type(y).__name__)
        history = _of_arrays(y, given)
    history.check_shapes()
    check_missing(history, missing)
    return history


def _frame_of(series: Any) -> Any:
    """A pandas or polars Series as a frame, whose column has a name."""
    return series.to_frame(series.name or "y")


def _refuse_arrays(given: Given) -> None:
    for name, hint in (("past", "past_exog"), ("static", "static"), ("dates", "time")):
        if getattr(given, name) is not None:
            raise TypeError(f"{name}= goes with arrays; y is a frame, so name its columns in {hint}= of the Forecaster")


def _of_arrays(y: Any, given: Given) -> History:
    names, parts = _named_parts(y)
    single = _is_one_series(parts)
    if names:
        targets = Sequences([part.reshape(len(part), -1) for part in parts], None, names)
    else:
        series = [np.asarray(parts)[:, None]] if single else parts
        targets = as_sequences(series, what="y", nan="keep", dtype=np.float64)
    ids = ("series",) if single else targets.ids
    flat = _is_flat(parts, single)
    covariates = {name: _covariates(getattr(given, name), name, names, single) for name in ("past", "future")}
    static, static_names = _static(given.static, ids, bool(names))
    past, future = covariates["past"], covariates["future"]
    return History(
        ids=ids,
        targets=targets.values,
        target_names=_column_names(targets, "y"),
        past=None if past is None else past.values,
        past_names=() if past is None else _column_names(past, "past"),
        future=None if future is None else future.values,
        future_names=() if future is None else _column_names(future, "future"),
        static=static,
        static_names=static_names,
        times=_dates(given.dates, names, ids, targets.lengths),
        single=single,
        flat=flat,
        named=bool(names),
    )


def _named_parts(y: Any) -> tuple[Columns, Any]:
    """The names of a mapping's series, () for other containers, and the series."""
    if not isinstance(y, Mapping):
        return (), y
    if not y:
        raise DataError("y is empty: it holds no series; give at least one")
    return tuple(map(str, y)), [_own(name, value) for name, value in y.items()]


def _own(name: Any, value: Any) -> NDArray[Any]:
    """One series of a mapping as numbers; its values are checked later, by its name."""
    array = np.asarray(value)
    if array.dtype.kind in "biuf" and array.ndim in (1, 2) and array.size:
        return array.astype(np.float64)
    return as_sequences([value], what=f"y[{name!r}]", nan="keep", dtype=np.float64).values[0]


def _is_one_series(parts: Any) -> bool:
    if isinstance(parts, Sequences) or np.shape(parts[:1]) == (0,):
        return False
    return np.ndim(parts[0]) == 0


def _is_flat(parts: Any, single: bool) -> bool:
    """Whether the series came without an axis of targets."""
    if single or isinstance(parts, Sequences):
        return single
    return all(np.ndim(part) == 1 for part in parts)


def _column_names(found: Sequences, stem: str) -> Columns:
    if found.features is not None:
        return found.features
    return (stem,) if found.n_features == 1 else tuple(f"{stem}{at}" for at in range(found.n_features))


def _covariates(values: Any, name: str, names: Columns, single: bool) -> Sequences | None:
    """Covariates in the container of the series: an array for one series, else one a series."""
    if values is None:
        return None
    if isinstance(values, Mapping):
        values = _by_name(values, names, name)
    elif single:
        values = [values]
    return as_sequences(values, what=f"{name} covariates", nan="keep", dtype=np.float64)


def _by_name(values: Mapping[Any, Any], names: Columns, what: str) -> list[Any]:
    """A mapping's values in the order of the series."""
    own = {str(name): value for name, value in values.items()}
    if absent := [name for name in names if name not in own]:
        raise DataError(f"{what} has nothing for series {', '.join(map(repr, absent[:5]))}; give one entry a series")
    return [own[name] for name in names] if names else list(own.values())


def _static(values: Any, ids: Columns, named: bool) -> tuple[NDArray[Any] | None, Columns]:
    """Static features (series, columns) as objects: numbers and texts."""
    if values is None:
        return None, ()
    if isinstance(values, Mapping) and named:
        values = _by_name(values, ids, "static")
    names = tuple(map(str, getattr(values, "columns", ()))) if is_frame(values) else ()
    table = np.asarray(values, dtype=object)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or len(table) != len(ids):
        raise DataError(f"static has shape {table.shape} for {len(ids)} series; give one row a series")
    return table, names or tuple(f"static{at}" for at in range(table.shape[1]))


def _dates(dates: Any, names: Columns, ids: Columns, lengths: NDArray[np.int64]) -> list[TimeIndex] | None:
    if dates is None:
        return None
    if isinstance(dates, Mapping):
        each = _by_name(dates, names, "dates")
    elif len(dates) == 0 or isinstance(dates[0], str) or np.ndim(dates[0]) == 0:
        each = [dates] * len(ids)
    else:
        each = list(dates)
    if len(each) != len(ids):
        raise DataError(f"dates are given for {len(each)} series, and there are {len(ids)}; give one array a series")
    return [_index(own, series, int(rows)) for own, series, rows in zip(each, ids, lengths, strict=True)]


def _index(dates: Sequence[Any], series: str, rows: int) -> TimeIndex:
    if len(dates) != rows:
        raise DataError(f"dates of series {series!r} has {len(dates)} entries for {rows} rows; give one a row")
    times = np.asarray(dates)
    column = (
        times.astype("M8[us]") if times.dtype.kind == "M" else np.array([str(date) for date in dates], dtype=object)
    )
    return time_index(Table({"dates": column}, f"series {series!r}"), "dates")


def with_future(history: History, future: Any, roles: Roles) -> History:
    """The history with the covariates of the steps ahead: arrays of these steps alone, or a frame of them."""
    if history.future is None:
        raise TypeError("future= is given, but the forecaster was fitted without future covariates")
    if is_frame(future) or isinstance(future, Table):
        table = as_table(future, "the frame of future covariates")
        series, time = index_columns(table, roles)
        roles = replace(roles, series=None if history.single else series, time=time, future=history.future_names)
        ahead = rows_ahead(table, history.ids, roles, history.times or [None] * len(history))
    else:
        found = _covariates(future, "future", history.ids if history.named else (), history.single)
        ahead = [] if found is None else found.values
    known = [own[:length] for own, length in zip(history.future, history.lengths, strict=True)]
    if len(ahead) != len(known):
        raise DataError(f"future is given for {len(ahead)} series, and there are {len(known)}; give one array a series")
    made = replace(history, future=[np.concatenate(pair) for pair in zip(known, ahead, strict=True)])
    made.check_shapes()
    check_missing(made, "mask")
    return made


def check_missing(history: History, missing: str) -> None:
    """Raise DataError, by series, row and column, for NaN that the policy does not allow, and for infinities."""
    for part in ("targets", "past", "future"):
        found = history.sequences(part)
        for series, values in zip(history.ids, [] if found is None else found.values, strict=False):
            assert found is not None and found.features is not None
            refused = ~np.isfinite(values) if missing == "error" or part == "future" else np.isinf(values)
            if refused.any():
                row, column = (int(place) for place in np.argwhere(refused)[0])
                _refuse(series, row, found.features[column], values[row, column], part)
    for series, values in zip(history.ids, history.targets, strict=True):
        if np.isnan(values).all(axis=0).any():
            column = history.target_names[int(np.isnan(values).all(axis=0).argmax())]
            raise DataError(f"series {series!r} has no value at all in column {column!r}; drop the series")


def _refuse(series: str, row: int, column: str, value: float, part: str) -> None:
    kind = "NaN" if np.isnan(value) else "an infinite value"
    choice = ', or pass nan="mask" or nan="impute"' if np.isnan(value) and part != "future" else ""
    raise DataError(f"series {series!r} has {kind} at row {row}, column {column!r}; drop or fill it{choice}")
