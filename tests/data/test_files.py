"""Files are chosen by their endings, and written whole or not at all."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carousel.data import DataError, atomic_path, read, read_table, write_csv


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file or folder .*x\.csv"):
        read(tmp_path / "x.csv")
    (tmp_path / "x.xlsx").write_text("x")
    with pytest.raises(DataError, match="ends in '.xlsx'; files that are read end in .csv, .tsv, .parquet, .npz, .ts"):
        read(tmp_path / "x.xlsx")
    np.savez(tmp_path / "x.npz", X=np.ones((2, 3)))
    with pytest.raises(DataError, match="holds 2 sequences where one table is needed"):
        read_table(tmp_path / "x.npz")


def test_written_columns(tmp_path: Path) -> None:
    times = np.array(["2020-01-01T06", "2020-01-01T07"], dtype="M8[h]")
    write_csv(tmp_path / "x.csv", {"t": times, "a,b": [1.5, np.nan], "n": [1, 2]}, zones={"t": "+01:00"})
    assert (tmp_path / "x.csv").read_text() == ('t,"a,b",n\n2020-01-01T06:00+01:00,1.5,1\n2020-01-01T07:00+01:00,,2\n')


def test_float32_is_written_at_its_own_precision(tmp_path: Path) -> None:
    write_csv(tmp_path / "x.csv", {"v": np.array([0.1], dtype=np.float32)})
    assert (tmp_path / "x.csv").read_text() == "v\n0.1\n"


def test_unequal_columns(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unequal lengths: a 1, b 2"):
        write_csv(tmp_path / "x.csv", {"a": [1], "b": [1, 2]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("old")

    def fail(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(fault)):
        write_csv(path, {"a": [1]})
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with atomic_path(tmp_path / "x") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "plain").stat().st_mode
