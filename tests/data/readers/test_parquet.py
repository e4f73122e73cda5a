"""Parquet: whole files are read by either library, broken ones are named."""

import importlib.util
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from carousel.data import DataError, read, read_table


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pl.DataFrame({"t": ["2020-01-01", "2020-01-02"], "v": [1, None]}).write_parquet(tmp_path / "x.parquet")
    return tmp_path / "x.parquet"


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    found = importlib.util.find_spec
    replacement: Any = lambda name: None if name in missing else found(name)  # noqa: E731
    monkeypatch.setattr("importlib.util.find_spec", replacement)


@pytest.mark.parametrize("missing", ["", "pyarrow"])
def test_is_read_by_either_library(path: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, missing)
    table = read_table(path)
    assert [table.kind(name) for name in table.names] == ["time", "number"]


@pytest.mark.parametrize("missing", ["", "pyarrow"])
def test_truncated(path: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, missing)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="x.parquet is truncated or damaged: .*; write or copy it again"):
        read(path)


def test_not_parquet(path: Path) -> None:
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="is not a Parquet file: it does not begin with PAR1"):
        read(path)


def test_no_rows(path: Path) -> None:
    pl.DataFrame({"v": []}).write_parquet(path)
    with pytest.raises(DataError, match="x.parquet is empty: it has 0 rows"):
        read(path)


def test_without_the_extra(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "pyarrow", "polars")
    with pytest.raises(
        ImportError, match=r"Parquet files need the extra `frames`: pip install carousel-lstm\[frames\]"
    ):
        read(path)
