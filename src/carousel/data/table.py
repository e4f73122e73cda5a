"""A table of named, typed columns that remembers where its rows came from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from carousel.data.dates import parse_times
from carousel.data.errors import DataError
from carousel.data.frames import as_narwhals, check_names

Kind = Literal["number", "text", "time"]
MISSING = frozenset({"", "?", "NA", "N/A", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "none", "NaT"})


@dataclass(frozen=True, eq=False)
class Table:
    """A table.

    columns: one array (rows,) a name: float64 with NaN, datetime64[us] with NaT, or text (object) with "".
    source: what the table is called in messages.
    rows: the number of each row in its source.
    unit: what a row of the source is called, "line" for a text file.
    zones: the offset from UTC of time columns that state one, such as "+01:00"; their values are local time.
    """

    columns: dict[str, NDArray[Any]]
    source: str = "the table"
    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    unit: str = "row"
    zones: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {len(column) for column in self.columns.values()}
        if len(lengths) != 1:
            raise DataError(f"{self.source} has columns of {sorted(lengths)} rows; give columns of one length")
        if len(self.rows) == 0:
            object.__setattr__(self, "rows", np.arange(lengths.pop()))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in their order."""
        return tuple(self.columns)

    def kind(self, name: str) -> Kind:
        """Return what a column holds."""
        kinds: dict[str, Kind] = {"f": "number", "M": "time"}
        return kinds.get(self.column(name).dtype.kind, "text")

    def of_kind(self, kind: Kind) -> tuple[str, ...]:
        """Return the names of the columns that hold numbers, text or times."""
        return tuple(name for name in self.columns if self.kind(name) == kind)

    def place(self, row: Any) -> str:
        """Name a row as its source counts it."""
        return f"{self.unit} {self.rows[int(row)]}"

    def column(self, name: str) -> NDArray[Any]:
        """Return a column. Raises DataError, with the nearest names, where there is none."""
        if name in self.columns:
            return self.columns[name]
        near = difflib.get_close_matches(name, self.columns, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, self.columns))}"
        raise DataError(f"{self.source} has no column {name!r}; {hint}")

    def numbers(self, names: Iterable[str]) -> NDArray[np.float64]:
        """Return columns as (rows, columns). Raises DataError for the first text or time among them."""
        columns = [self._number(name) for name in names]
        return np.column_stack(columns) if columns else np.empty((len(self), 0))

    def _number(self, name: str) -> NDArray[np.float64]:
        column = self.column(name)
        if self.kind(name) == "time":
            raise DataError(
                f"column {name!r} of {self.source} holds dates, not numbers; leave it out, or name it as time"
            )
        if self.kind(name) == "text":
            row = next((at for at, cell in enumerate(column) if not is_number(cell)), 0)
            raise DataError(
                f"column {name!r} of {self.source} has text {column[row]!r} at {self.place(row)} where a number "
                "belongs; correct it, empty the cell, or leave the column out"
            )
        return column

    def take(self, rows: Any) -> Table:
        """Return the table of these rows."""
        return replace(self, columns={name: value[rows] for name, value in self.columns.items()}, rows=self.rows[rows])

    def drop(self, names: Iterable[str]) -> Table:
        """Return the table without these columns."""
        gone = set(names)
        return replace(self, columns={name: value for name, value in self.columns.items() if name not in gone})


def as_table(frame: Any, source: str = "the frame") -> Table:
    """Return a pandas, polars or pyarrow frame, or a mapping of columns, as a table. A named or time index is a column.

    Raises DataError for a column named twice and for an empty frame; ImportError without the extra `frames`.
    """
    if isinstance(frame, Table):
        return frame
    if isinstance(frame, dict):
        return typed_table({str(name): list(values) for name, values in frame.items()}, source)
    index = getattr(frame, "index", None)
    if hasattr(frame, "reset_index") and (_named(index) or getattr(index, "dtype", np.dtype(int)).kind == "M"):
        frame = frame.reset_index()
    wide = as_narwhals(frame)
    if 0 in wide.shape:
        raise DataError(f"{source} is empty: it has {wide.shape[0]} rows and {wide.shape[1]} columns")
    columns, zones = {}, {}
    for column in wide.iter_columns():
        columns[str(column.name)], zone = _frame_column(column)
        zones |= {str(column.name): zone} if zone else {}
    return Table(columns, source, zones=zones)


def _named(index: Any) -> bool:
    return any(name is not None for name in getattr(index, "names", ()))


def _frame_column(column: Any) -> tuple[NDArray[Any], str]:
    import narwhals as nw

    if column.dtype.is_numeric() or column.dtype == nw.Boolean:
        return column.cast(nw.Float64).fill_null(float("nan")).to_numpy(), ""
    if column.dtype in (nw.Datetime, nw.Date):
        zone = getattr(column.dtype, "time_zone", None)
        local = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else column
        return local.cast(nw.Datetime("us")).to_numpy().astype("M8[us]"), "+00:00" if zone else ""
    return typed_column(["" if value is None else value for value in column.to_list()])


def typed_table(cells: dict[str, list[Any]], source: str, **more: Any) -> Table:
    """Return columns of cells as a table, each with the narrowest type that holds all its cells."""
    check_names(list(cells), source)
    typed = {name: typed_column(column) for name, column in cells.items()}
    zones = {name: zone for name, (_, zone) in typed.items() if zone}
    return Table({name: column for name, (column, _) in typed.items()}, source, zones=zones, **more)


def typed_column(cells: Sequence[Any], decimal_comma: bool = False) -> tuple[NDArray[Any], str]:
    """Return cells as numbers, times or text, whichever holds them all, and the times' offset from UTC."""
    texts = ["" if str(cell) in MISSING else str(cell) for cell in cells]
    numbers = as_numbers(texts, decimal_comma)
    if numbers is not None:
        return numbers, ""
    try:
        return parse_times(texts)
    except DataError:
        return np.array(texts, dtype=object), ""


def as_numbers(texts: Sequence[str], decimal_comma: bool = False) -> NDArray[np.float64] | None:
    """Return texts as numbers, "" as NaN, or None where one is no number."""
    if decimal_comma and not any("." in text for text in texts):
        texts = [text.replace(",", ".") for text in texts]
    try:
        numbers = np.array([text or "nan" for text in texts], dtype=np.float64)
    except ValueError:
        return None
    return None if any("_" in text for text in texts) else numbers


def is_number(cell: Any) -> bool:
    """Say whether a cell is empty or a number."""
    return as_numbers([str(cell)]) is not None
