"""Sequences of any common container as one list of (time, features) arrays, checked by name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.utils.validation import check_array

from carousel.data.errors import DataError
from carousel.data.frames import frame_numbers, is_frame

NanPolicy = Literal["error", "keep"]


@dataclass(frozen=True)
class Sequences:
    """Sequences of unequal length with the same features.

    values: one array (time, features) a sequence, all float32 or all float64.
    features: the features' names, or None.
    ids: one name a sequence, for messages and results.
    width: the number of columns when the source was a two-dimensional table with one univariate series a row
        (what scikit-learn calls n_features_in_), else None.
    speakers: who spoke or wrote each, None where that is unknown; None where nobody asks.
    """

    values: list[NDArray[Any]]
    features: tuple[str, ...] | None
    ids: tuple[str, ...]
    width: int | None = None
    speakers: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def n_features(self) -> int:
        """The number of features of each sequence."""
        return self.values[0].shape[1]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of time steps of each sequence, (sequences,)."""
        return np.array([len(value) for value in self.values], dtype=np.int64)

    def take(self, indices: Any) -> "Sequences":
        """Return the sequences at these positions, in that order."""
        chosen = [int(index) for index in np.asarray(indices)]
        who = None if self.speakers is None else tuple(self.speakers[i] for i in chosen)
        ids = tuple(self.ids[i] for i in chosen)
        return replace(self, values=[self.values[i] for i in chosen], ids=ids, speakers=who)


def as_sequences(X: Any, *, what: str = "X", nan: NanPolicy = "error", dtype: DTypeLike = np.float32) -> Sequences:
    """Return X as checked sequences.

    X: a list of arrays (time, features) or (time,), a three-dimensional array (series, time, features), a
        two-dimensional array or frame with one univariate series a row, a list of frames, or Sequences.
    what: the name of X in messages.
    nan: "error" refuses NaN by series, row and column; "keep" lets NaN pass. Infinity is always refused.
    dtype: float32 or float64.

    Raises DataError (a ValueError) for values that cannot be used, TypeError for objects that are no numbers.
    """
    if isinstance(X, Sequences):
        found = replace(X, values=[value.astype(dtype, copy=False) for value in X.values])
    elif is_frame(X):
        found = _from_table(frame_numbers(X, what)[0], what, dtype)
    elif isinstance(X, (list, tuple)) or (isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1):
        found = _from_list(X, what, dtype)
    else:
        found = _from_array(X, what, dtype)
    _check_finite(found, what, nan)
    return found


def _from_array(X: Any, what: str, dtype: DTypeLike) -> Sequences:
    array = X if hasattr(X, "tocsr") else np.asarray(X)
    if getattr(array, "ndim", 2) != 3:
        return _from_table(array, what, dtype)
    values = _numbers(array, what, dtype)
    if 0 in values.shape:
        raise DataError(f"{what} has shape {values.shape} (series, time, features); each must be at least 1")
    return Sequences(list(values), None, _count(len(values)))


def _from_table(X: Any, what: str, dtype: DTypeLike) -> Sequences:
    """Read a two-dimensional table, one univariate series a row, with scikit-learn's checks and wording."""
    if isinstance(X, np.ndarray) and X.ndim == 2:
        _refuse_text(X, what)
    with np.errstate(over="ignore"):
        table = check_array(
            X,
            dtype=np.dtype(dtype),  # pyright: ignore[reportArgumentType]
            input_name=what,
            ensure_all_finite=False,
        )
    return Sequences(list(table[:, :, None]), None, _count(len(table)), width=table.shape[1])


def _from_list(X: Sequence[Any] | NDArray[Any], what: str, dtype: DTypeLike) -> Sequences:
    if len(X) == 0:
        raise DataError(f"{what} is empty: found 0 sample(s) while a minimum of 1 is required")
    if all(_dimensions(item) == 0 for item in X):
        return _from_table(X, what, dtype)
    parts = [_one(item, f"series {position} of {what}", dtype) for position, item in enumerate(X)]
    values = [value for value, _ in parts]
    _check_shapes(values, what)
    flat = all(_dimensions(item) == 1 for item in X) and len({len(value) for value in values}) == 1
    width = len(values[0]) if flat else None
    return Sequences(values, _common_names([names for _, names in parts], what), _count(len(values)), width)


def _dimensions(item: Any) -> int:
    try:
        return 2 if is_frame(item) else np.ndim(item)
    except ValueError:
        return 2


def _one(item: Any, name: str, dtype: DTypeLike) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """Return one sequence as (time, features) and its features' names."""
    names = None
    if is_frame(item):
        item, names = frame_numbers(item, name)
    try:
        array = np.asarray(item)
    except ValueError:
        raise DataError(f"{name} has rows of unequal length; give one value a feature in every row") from None
    if array.ndim not in (1, 2):
        raise DataError(f"{name} has {array.ndim} dimensions; give (time, features), or (time,) for one feature")
    values = _numbers(array, name, dtype)
    return (values[:, None] if values.ndim == 1 else values), names


def _numbers(array: NDArray[Any], name: str, dtype: DTypeLike) -> NDArray[Any]:
    if array.dtype.kind == "c":
        raise DataError(f"Complex data not supported: {name} has dtype {array.dtype}; give real numbers")
    _refuse_text(array, name)
    if array.dtype.kind not in "biufO":
        raise DataError(f"{name} has dtype {array.dtype}; give numbers")
    with np.errstate(over="ignore"):
        return array.astype(dtype, copy=False)


def _refuse_text(array: NDArray[Any], name: str) -> None:
    """Raise for the first text in an array of one, two or three dimensions."""
    if array.dtype.kind not in "USO":
        return
    for place, value in np.ndenumerate(array):
        if isinstance(value, (str, bytes)):
            raise DataError(
                f"{name} has text {str(value)!r} at {_place(place)} where a number belongs; convert it first"
            )


def _place(place: tuple[int, ...]) -> str:
    names = ("series", "row", "column") if len(place) == 3 else ("row", "column")
    return ", ".join(f"{name} {index}" for name, index in zip(names, place, strict=False))


def _check_shapes(values: list[NDArray[Any]], what: str) -> None:
    widths = [value.shape[1] for value in values]
    for position, value in enumerate(values):
        if len(value) == 0:
            raise DataError(f"series {position} of {what} is empty; drop it, or give it at least 1 time step")
        if widths[position] == 0:
            shape = f"shape={value.shape}"
            raise DataError(f"series {position} of {what} has 0 feature(s) ({shape}) while a minimum of 1 is required")
        if widths[position] != widths[0]:
            raise DataError(
                f"series {position} of {what} has {widths[position]} features, series 0 has {widths[0]}; "
                "give every series the same features"
            )


def _common_names(names: list[tuple[str, ...] | None], what: str) -> tuple[str, ...] | None:
    for position, own in enumerate(names):
        if own != names[0]:
            raise DataError(
                f"series {position} of {what} has the columns {own}, series 0 has {names[0]}; "
                "give every series the same columns in the same order"
            )
    return names[0]


def _count(number: int) -> tuple[str, ...]:
    return tuple(str(position) for position in range(number))


def _check_finite(found: Sequences, what: str, nan: NanPolicy) -> None:
    for position, value in enumerate(found.values):
        bad = ~np.isfinite(value) if nan == "error" else np.isinf(value)
        if bad.any():
            _refuse_value(found, what, position, bad)


def _refuse_value(found: Sequences, what: str, position: int, bad: NDArray[np.bool_]) -> None:
    """Raise for the first NaN or infinity of a sequence, by series, row and column."""
    row, column = (int(index) for index in np.argwhere(bad)[0])
    value = found.values[position][row, column]
    kind = "NaN" if np.isnan(value) else f"infinity or a value too large for {value.dtype}"
    if found.width is not None:
        raise DataError(f"Input {what} contains {kind} at row {position}, column {row}; drop or fill it")
    name = repr(found.features[column]) if found.features else str(column)
    series = f"series {found.ids[position]!r} of {what}"
    raise DataError(f"{series} contains {kind} at row {row}, column {name}; drop or fill it")
