"""Frames of pandas and polars, read through narwhals (the extra `frames`)."""

import importlib.util
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data.errors import DataError

FRAME_LIBRARIES = ("pandas", "polars", "pyarrow", "modin", "cudf")


def is_frame(X: Any) -> bool:
    """Say whether X is a data frame of a known library, without importing any."""
    library = type(X).__module__.partition(".")[0]
    return library in FRAME_LIBRARIES and hasattr(X, "columns") and hasattr(X, "shape")


def as_narwhals(X: Any) -> Any:
    """Return a frame as a narwhals DataFrame.

    Raises ImportError, naming the extra, when narwhals is not installed; DataError for a column named twice.
    """
    check_names([str(name) for name in getattr(X, "column_names", X.columns)], "the frame")
    if importlib.util.find_spec("narwhals") is None:
        raise ImportError("data frames need the extra `frames`: pip install carousel-lstm[frames]")
    import narwhals as nw

    return nw.from_native(X, eager_only=True)


def check_names(names: Sequence[str], what: str) -> None:
    """Raise DataError when two columns have the same name."""
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        raise DataError(f"{what} has {names.count(twice[0])} columns named {twice[0]!r}; give each its own name")


def frame_numbers(X: Any, what: str) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return a frame's numbers (rows, columns), with nulls as NaN, and its columns' names.

    Raises DataError for a column that is not numeric or is named twice.
    """
    frame = as_narwhals(X)
    names = tuple(str(name) for name in frame.columns)
    columns = [_numeric(column, what) for column in frame.iter_columns()]
    stacked = np.column_stack(columns) if columns else np.empty((len(frame), 0))
    return stacked, names


def _numeric(column: Any, what: str) -> NDArray[np.float64]:
    import narwhals as nw

    if column.dtype.is_numeric() or column.dtype == nw.Boolean:
        return column.cast(nw.Float64).fill_null(float("nan")).to_numpy()
    if column.dtype in (nw.Object, nw.String):
        return _loose_numbers(column, what)
    raise DataError(f"{what} has column {column.name!r} of type {column.dtype}; give numbers, or leave the column out")


def _loose_numbers(column: Any, what: str) -> NDArray[np.float64]:
    """Convert a column of Python objects, refusing text by row."""
    values = column.to_list()
    for row, value in enumerate(values):
        if isinstance(value, (str, bytes)):
            raise DataError(
                f"{what} has text {value!r} at row {row}, column {column.name!r} where a number belongs; "
                "convert it, or leave the column out"
            )
    return np.array(values, dtype=np.float64)
