"""Arrays from .npz files, without pickle and within a size that is checked before anything is read."""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data.errors import DataError
from carousel.data.readers.labelled import Labelled
from carousel.data.sequences import as_sequences
from carousel.data.table import Table, typed_column

MAX_BYTES = 4 * 2**30
MAX_RATIO = 1100


def read_npz(path: Path) -> Table | Labelled:
    """Return a .npz file as labelled sequences, when it has an array X, or as a table of its columns.

    X: (series, time, features), (series, time), or (all steps, features) with `lengths`.
    y: one label a series.
    lengths: the true number of steps of each series of a padded or concatenated X.

    Raises DataError for pickled objects, damaged files, sizes beyond reason, and arrays that do not fit each other.
    """
    arrays = load_arrays(path)
    if "X" in arrays:
        return _labelled(arrays, path)
    if any(array.ndim != 1 for array in arrays.values()):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise DataError(f"{path} holds {shapes}; give X (and y), or one-dimensional columns of a table")
    typed = {name: _column(array) for name, array in arrays.items()}
    return Table(typed, str(path))


def load_arrays(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, NDArray[Any]]:
    """Return the arrays of a .npz file by name.

    max_bytes: the most that all arrays may take in memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_sizes(members, path, max_bytes)
            return {member.filename.removesuffix(".npy"): _read(archive, member, path) for member in members}
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError) as error:
        raise DataError(f"{path} is truncated or not a .npz file: {error}; write or copy it again") from None


def _check_sizes(members: list[zipfile.ZipInfo], path: Path, max_bytes: int) -> None:
    if not members:
        raise DataError(f"{path} is empty: it holds no arrays")
    declared, actual = sum(member.file_size for member in members), path.stat().st_size
    if declared > max_bytes:
        raise DataError(f"{path} would take {declared} bytes in memory, more than the limit of {max_bytes}; split it")
    if declared > MAX_RATIO * actual:
        raise DataError(
            f"{path} declares {declared} bytes in a file of {actual}, which no compression gives; it is damaged"
        )


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> NDArray[Any]:
    """Read one array once its header promises exactly the bytes that are there."""
    name = f"array {member.filename.removesuffix('.npy')!r} of {path}"
    with archive.open(member) as stream:
        shape, dtype = _header(stream, name)
        if dtype.hasobject:
            raise DataError(f"{name} holds pickled objects, which are never loaded; save numbers or text")
        size = int(np.prod([int(axis) for axis in shape], dtype=object)) * dtype.itemsize
        if min(shape, default=0) < 0 or size != member.file_size - stream.tell():
            raise DataError(f"{name} is damaged: its header promises {size} bytes, {member.file_size} are there")
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _header(stream: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except (ValueError, SyntaxError, TypeError) as error:
        raise DataError(f"{name} has no readable header: {str(error).splitlines()[0]}") from None
    return shape, dtype


def _labelled(arrays: dict[str, NDArray[Any]], path: Path) -> Labelled:
    unknown = sorted(arrays.keys() - {"X", "y", "lengths"})
    if unknown:
        raise DataError(f"{path} holds {', '.join(map(repr, unknown))} besides X; it can hold X, y and lengths")
    X: Any = arrays["X"]
    if "lengths" in arrays:
        X = _cut(X, arrays["lengths"], path)
    sequences = as_sequences(X, what=f"X of {path}", nan="keep", dtype=np.float64)
    y = arrays.get("y")
    if y is not None and y.shape != (len(sequences),):
        raise DataError(f"{path} has y of shape {y.shape} for {len(sequences)} series in X; give one label a series")
    return Labelled(sequences, None if y is None else _labels(y), str(path))


def _labels(y: NDArray[Any]) -> NDArray[Any]:
    return y.astype(np.float64) if y.dtype.kind == "f" else y.astype(str)


def _cut(X: NDArray[Any], lengths: NDArray[Any], path: Path) -> list[NDArray[Any]]:
    """Cut a padded or concatenated X into its series."""
    fits = lengths.ndim == 1 and len(lengths) > 0 and lengths.dtype.kind in "iu" and (lengths > 0).all()
    if fits and X.ndim == 3 and len(lengths) == len(X) and lengths.max() <= X.shape[1]:
        return [series[:length] for series, length in zip(X, lengths, strict=True)]
    if fits and X.ndim == 2 and lengths.sum() == len(X):
        return np.split(X, np.cumsum(lengths)[:-1])
    raise DataError(f"{path} has lengths {lengths.shape} that do not fit X {X.shape}; give whole numbers, one a series")


def _column(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind == "M":
        return array.astype("M8[us]")
    return array.astype(np.float64) if array.dtype.kind in "biuf" else typed_column(array.astype(str).tolist())[0]
