"""Files read by their endings, and tables written whole or not at all."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from carousel.data.atomic import atomic_path
from carousel.data.dates import times_as_text
from carousel.data.errors import DataError
from carousel.data.readers.archive import read_ts
from carousel.data.readers.folder import TABLES, read_folder
from carousel.data.readers.labelled import Labelled
from carousel.data.readers.npz import read_npz
from carousel.data.table import Table

READERS = {**TABLES, ".npz": read_npz, ".ts": read_ts}


def read(path: str | os.PathLike[str]) -> Table | Labelled:
    """Return what a file or folder holds: a table (.csv, .tsv, .parquet, .npz of columns) or labelled sequences.

    Raises FileNotFoundError, and DataError (a ValueError) for content that cannot be used; ImportError for a Parquet
    file without the extra `frames`.
    """
    found = Path(path)
    if found.is_dir():
        return read_folder(found)
    if not found.exists():
        raise FileNotFoundError(f"there is no file or folder {found}")
    reader = READERS.get(found.suffix.lower())
    if reader is None:
        raise DataError(f"{found} ends in {found.suffix!r}; files that are read end in {', '.join(READERS)}")
    if found.stat().st_size == 0:
        raise DataError(f"{found} is empty: it has 0 bytes")
    return reader(found)


def read_table(path: str | os.PathLike[str]) -> Table:
    """Return a table file. Raises DataError for a file that holds sequences instead."""
    found = read(path)
    if isinstance(found, Labelled):
        raise DataError(f"{path} holds {len(found.sequences)} sequences where one table is needed")
    return found


def write_csv(
    path: str | os.PathLike[str], columns: Mapping[str, ArrayLike], zones: Mapping[str, str] | None = None
) -> None:
    """Write columns of one length as UTF-8 CSV, atomically: NaN as an empty cell, times in ISO 8601.

    zones: the offset from UTC to write after the times of a column.

    Raises ValueError for columns of unequal length.
    """
    cells = [_cells(values, (zones or {}).get(name, "")) for name, values in columns.items()]
    if len({len(column) for column in cells}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in zip(columns, cells, strict=True))
        raise ValueError(f"the columns have unequal lengths: {lengths}")
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*cells, strict=True))


def _cells(values: ArrayLike, zone: str) -> list[Any]:
    array = np.asarray(values)
    if array.dtype.kind == "M":
        return times_as_text(array, zone)
    if array.dtype.kind == "f":
        return ["" if np.isnan(number) else str(number) for number in array]
    return array.tolist()
