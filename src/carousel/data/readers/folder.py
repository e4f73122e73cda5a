"""Sequences from a folder with one file a sequence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data.errors import DataError
from carousel.data.long import names_of
from carousel.data.readers.csv_text import read_csv
from carousel.data.readers.labelled import Labelled
from carousel.data.readers.npz import load_arrays
from carousel.data.readers.parquet import read_parquet
from carousel.data.sequences import Sequences
from carousel.data.table import Table

TABLES: dict[str, Callable[[Path], Table]] = {".csv": read_csv, ".tsv": read_csv, ".parquet": read_parquet}
ENDINGS = (*TABLES, ".npz")
INDEX = "labels.csv"


def read_folder(folder: Path, *, step_label: str | None = None, drop: tuple[str, ...] = ()) -> Labelled:
    """Return a folder of sequence files in the order of their names.

    Labels come from the names of sub-folders (`<label>/<file>.csv`), or from a file `labels.csv` with the columns
    `file` and `label`, or, with `step_label`, from that column of each file, one a row. A folder with none of these has
    no labels. A file is a table of numbers, a row a time step, or a .npz with one array (time, features).

    drop: columns that are no features, such as times.

    Raises DataError, naming the file, for files that cannot be read, differ in their columns, or lie elsewhere.
    """
    files, labels = _listed(folder) if (folder / INDEX).is_file() else _found(folder)
    parts = [_read(file, step_label, drop) for file in files]
    _check_columns(files, parts)
    ids = tuple(str(file.relative_to(folder)) for file in files)
    sequences = Sequences([values for values, _, _ in parts], parts[0][1], ids)
    if step_label is not None:
        return Labelled(sequences, [np.array(steps) for _, _, steps in parts], str(folder))
    return Labelled(sequences, labels, str(folder))


def _found(folder: Path) -> tuple[list[Path], NDArray[Any] | None]:
    """Find the sequence files of a folder and of its sub-folders, whose names are the labels."""
    own = _files(folder)
    subfolders = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if own and subfolders:
        raise DataError(
            f"{folder} has both files ({own[0].name}) and sub-folders ({subfolders[0].name}); "
            f"put every file into the folder of its label, or add {INDEX}"
        )
    nested = [(file, sub.name) for sub in subfolders for file in _some_files(sub)]
    if not own and not nested:
        raise DataError(f"{folder} is empty: it has no file that ends in {', '.join(ENDINGS)}")
    return own or [file for file, _ in nested], None if own else np.array([label for _, label in nested])


def _some_files(folder: Path) -> list[Path]:
    files = _files(folder)
    if not files:
        raise DataError(f"{folder} is empty: it has no file that ends in {', '.join(ENDINGS)}; fill or remove it")
    return files


def _files(folder: Path) -> list[Path]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return [entry for entry in entries if entry.is_file() and entry.suffix.lower() in ENDINGS]


def _listed(folder: Path) -> tuple[list[Path], NDArray[Any]]:
    """Read the index file; every file it lists must lie in the folder."""
    index = read_csv(folder / INDEX)
    names, labels = names_of(index, "file"), index.column("label")
    root = folder.resolve()
    for row, name in enumerate(names):
        file = (root / name).resolve()
        if not name or not file.is_relative_to(root):
            raise DataError(
                f"{index.source}, {index.place(row)}: {name!r} is not in {folder}; list files of this folder"
            )
        if not file.is_file():
            raise DataError(f"{index.source}, {index.place(row)}: there is no file {name!r} in {folder}")
    numeric = index.kind("label") == "number" and (labels % 1 != 0).any()
    return [folder / name for name in names], labels if numeric else np.array(names_of(index, "label"))


def _read(
    file: Path, step_label: str | None, drop: tuple[str, ...]
) -> tuple[NDArray[Any], tuple[str, ...] | None, list[str]]:
    """Return one file as (time, features), its features' names, and its labels where each step has one."""
    if file.suffix.lower() == ".npz" and step_label is None:
        return _array(file), None, []
    reader = TABLES.get(file.suffix.lower())
    if reader is None:
        endings = ENDINGS if step_label is None else TABLES
        raise DataError(f"{file} is not a sequence file of this kind; those end in {', '.join(endings)}")
    table = reader(file).drop(drop)
    steps = [] if step_label is None else names_of(table, step_label)
    if "" in steps:
        raise DataError(f"{file} has no {step_label!r} at {table.place(steps.index(''))}; give every step a label")
    features = tuple(name for name in table.names if name != step_label)
    return table.numbers(features), features, steps


def _array(file: Path) -> NDArray[np.float64]:
    arrays = load_arrays(file)
    array = next(iter(arrays.values()))
    if len(arrays) != 1 or array.ndim not in (1, 2) or array.dtype.kind not in "biuf":
        shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in arrays.items())
        raise DataError(f"{file} holds {shapes}; give one array of numbers (time, features)")
    values = array.astype(np.float64)
    return values[:, None] if values.ndim == 1 else values


def _check_columns(files: list[Path], parts: list[tuple[NDArray[Any], tuple[str, ...] | None, list[str]]]) -> None:
    for file, (values, names, _) in zip(files, parts, strict=True):
        if names != parts[0][1] or values.shape[1] != parts[0][0].shape[1]:
            found, first = names or values.shape[1], parts[0][1] or parts[0][0].shape[1]
            raise DataError(f"{file} has the columns {found}, {files[0]} has {first}; give every file the same")
        if 0 in values.shape:
            raise DataError(f"{file} is empty: it has {values.shape[0]} steps and {values.shape[1]} features")
