"""Tables from delimited text: UTF-8, a header line, any common delimiter."""

import csv
import io
from pathlib import Path

import numpy as np

from carousel.data.errors import DataError
from carousel.data.frames import check_names
from carousel.data.table import Table, is_number, typed_column

DELIMITERS = ",;\t|"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_csv(path: Path) -> Table:
    """Return a delimited text file as a table; when the first line is all values, the columns are called "0", "1", ...

    The delimiter is the one of comma, semicolon, tab and bar that the first line has most of. With another than the
    comma, 1,5 is a number.

    Raises DataError, naming the line, for text that is not UTF-8, lines of unequal length, columns named twice, and
    files without rows.
    """
    text = decode(path.read_bytes(), path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    lines, rows = _rows(text, delimiter, path)
    if not rows:
        raise DataError(f"{path} is empty; give a header line and at least one row")
    header = None if all(map(_is_value, rows[0])) else _names(rows[0])
    if header is not None:
        lines, rows = lines[1:], rows[1:]
        check_names(header, str(path))
        if not rows:
            raise DataError(f"{path} has a header but no rows")
    return _table(header, lines, rows, path, decimal_comma=delimiter != ",")


def _is_value(cell: str) -> bool:
    return is_number(cell.strip()) or typed_column([cell.strip()])[0].dtype.kind == "M"


def _names(cells: list[str]) -> list[str]:
    return [cell.strip() or f"column {number}" for number, cell in enumerate(cells, 1)]


def decode(raw: bytes, path: Path) -> str:
    """Return bytes as UTF-8 text, or raise DataError that names the byte and its line."""
    if raw.startswith(_UTF16) or b"\0" in raw:
        kind = "UTF-16 text" if raw.startswith(_UTF16) else "binary data"
        raise DataError(f"{path} holds {kind}, not UTF-8 text; save it as CSV in UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start}, line {line}; "
            "save it as UTF-8 (it may be Latin-1 or Windows-1252)"
        ) from None


def _rows(text: str, delimiter: str, path: Path) -> tuple[list[int], list[list[str]]]:
    """Return the lines that hold something, and the numbers at which they end."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    lines, rows = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                lines.append(reader.line_num)
                rows.append(row)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}; check the quotes") from None
    return lines, rows


def _table(header: list[str] | None, lines: list[int], rows: list[list[str]], path: Path, decimal_comma: bool) -> Table:
    width = len(rows[0]) if header is None else len(header)
    for line, row in zip(lines, rows, strict=True):
        if len(row) != width:
            raise DataError(
                f"{path}, line {line} has {len(row)} cells, the first line has {width}; give every line as many"
            )
    names = [str(number) for number in range(width)] if header is None else header
    cells = zip(*rows, strict=True)
    typed = {
        name: typed_column([c.strip() for c in column], decimal_comma)
        for name, column in zip(names, cells, strict=True)
    }
    columns = {name: column for name, (column, _) in typed.items()}
    zones = {name: zone for name, (_, zone) in typed.items() if zone}
    return Table(columns, str(path), np.array(lines), "line", zones)
