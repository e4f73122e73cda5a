"""Arrays from .npz: nothing is unpickled, no size is believed, nothing damaged passes."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carousel.data import DataError, Labelled, Table, read
from carousel.data.readers.npz import load_arrays

X = np.arange(24.0).reshape(2, 4, 3)


def saved(folder: Path, **arrays: Any) -> Path:
    np.savez_compressed(folder / "x.npz", **arrays)
    return folder / "x.npz"


def labelled(path: Path) -> Labelled:
    found = read(path)
    assert isinstance(found, Labelled)
    return found


@pytest.mark.parametrize(("y", "labels"), [([1, 0], ["1", "0"]), (["a", "b"], ["a", "b"]), ([0.5, 1.5], [0.5, 1.5])])
def test_series_and_labels(tmp_path: Path, y: list[Any], labels: list[Any]) -> None:
    found = labelled(saved(tmp_path, X=X, y=y))
    np.testing.assert_array_equal(np.stack(found.sequences.values), X)
    assert found.labels is not None and list(found.labels) == labels


def test_unequal_lengths_padded_or_concatenated(tmp_path: Path) -> None:
    assert labelled(saved(tmp_path, X=X, lengths=[4, 2])).sequences.lengths.tolist() == [4, 2]
    found = labelled(saved(tmp_path, X=X.reshape(8, 3), lengths=[6, 2]))
    np.testing.assert_array_equal(found.sequences.values[1], X.reshape(8, 3)[6:])
    assert found.labels is None


def test_columns_of_a_table(tmp_path: Path) -> None:
    found = read(saved(tmp_path, t=np.array(["2020-01-01"], dtype="M8[D]"), v=[1], w=["x"]))
    assert isinstance(found, Table)
    assert [found.kind(name) for name in found.names] == ["time", "number", "text"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.array([{}, None])}, "array 'X' of .*x.npz holds pickled objects, which are never loaded"),
        ({"X": X, "z": X}, "holds 'z' besides X; it can hold X, y and lengths"),
        ({"X": X, "y": [1]}, r"has y of shape \(1,\) for 2 series"),
        ({"X": X, "lengths": [5, 1]}, "has lengths .* that do not fit X"),
        ({"X": X, "lengths": [-1, 1]}, "has lengths"),
        ({"X": X, "lengths": [1.0, 2.0]}, "has lengths"),
        ({"X": np.array([["a"]])}, "has text 'a' at row 0"),
        ({"A": X, "b": [1]}, r"holds A \(2, 4, 3\), b \(1,\); give X"),
        ({"a": [1, 2], "b": [1]}, "has columns of"),
        ({}, "is empty: it holds no arrays"),
    ],
)
def test_faults_are_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(saved(tmp_path, **arrays))


@pytest.mark.parametrize("keep", [1, 30, 200, -1, -30])
def test_truncated(tmp_path: Path, keep: int) -> None:
    path = saved(tmp_path, X=X)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="x.npz is truncated or not a .npz file"):
        read(path)


def test_damaged_contents(tmp_path: Path) -> None:
    path = saved(tmp_path, X=np.random.default_rng(0).random((50, 20)))
    raw = bytearray(path.read_bytes())
    raw[2000:2040] = bytes(40)
    path.write_bytes(raw)
    with pytest.raises(DataError, match="truncated or not"):
        read(path)


def test_more_than_fits_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = saved(tmp_path, X=np.zeros((1000, 1000)))
    with pytest.raises(DataError, match="would take 8000128 bytes in memory, more than the limit of 1000000"):
        load_arrays(path, max_bytes=1_000_000)


def archive(path: Path, content: bytes, declared: int | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("X.npy", content)
    if declared is not None:
        raw = path.read_bytes()
        size = len(content).to_bytes(4, "little")
        path.write_bytes(raw.replace(size, declared.to_bytes(4, "little")))
    return path


def npy(shape: tuple[int, ...], data: bytes) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


def test_sizes_that_no_compression_gives(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="which no compression gives; it is damaged"):
        read(archive(tmp_path / "x.npz", bytes(300), declared=500_000_000))


@pytest.mark.parametrize("shape", [(2**40,), (2**62, 2**62), (-1,), (1,)])
def test_headers_that_promise_what_is_not_there(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="array 'X' of .* is damaged: its header promises"):
        read(archive(tmp_path / "x.npz", npy(shape, bytes(16))))


def test_headers_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="array 'X' of .* has no readable header"):
        read(archive(tmp_path / "x.npz", b"\x93NUMPY\x01\x00\x10\x00__import__('os')"))
    with pytest.raises(DataError, match="has no readable header"):
        read(archive(tmp_path / "x.npz", b"hello"))


def test_a_bare_array_is_no_npz(tmp_path: Path) -> None:
    with (tmp_path / "x.npz").open("wb") as stream:
        np.save(stream, X)
    with pytest.raises(DataError, match="truncated or not a .npz file"):
        read(tmp_path / "x.npz")
