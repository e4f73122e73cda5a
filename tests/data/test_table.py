"""Tables: frames and mappings keep their types, faults are named by column and row."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from carousel.data import DataError, Table, as_table

COLUMNS = {"day": [datetime.date(2020, 1, 1), None], "load": [1.5, None], "on": [True, False], "name": ["a", None]}


@pytest.mark.parametrize("frame", [pl.DataFrame, pd.DataFrame, pa.table])
def test_frames_become_typed_columns(frame: type) -> None:
    table = as_table(frame(COLUMNS))
    assert [table.kind(name) for name in table.names] == ["time", "number", "number", "text"]
    assert table.of_kind("number") == ("load", "on")
    np.testing.assert_array_equal(table.numbers(["load", "on"]), [[1.5, 1], [np.nan, 0]])
    assert table.column("name").tolist() == ["a", ""]
    assert np.isnat(table.column("day")).tolist() == [False, True]
    assert as_table(table) is table


def test_a_time_index_is_a_column() -> None:
    frame = pd.DataFrame({"load": [1.0, 2.0]}, index=pd.date_range("2020", periods=2, name="when"))
    assert as_table(frame).names == ("when", "load")
    assert as_table(frame.reset_index(drop=True)).names == ("load",)


def test_aware_times_become_utc() -> None:
    frame = pl.DataFrame({"t": [datetime.datetime(2020, 1, 1, 6)]}).with_columns(
        pl.col("t").dt.replace_time_zone("Asia/Tokyo")
    )
    table = as_table(frame)
    assert table.zones == {"t": "+00:00"}
    assert str(table.column("t")[0]) == "2019-12-31T21:00:00.000000"


def test_numbers_with_underscores_are_text() -> None:
    assert as_table({"id": ["1_000", "2"]}).kind("id") == "text"


def test_drop_and_take() -> None:
    table = as_table({"a": [1, 2, 3], "b": [4, 5, 6]}).drop(["b", "zz"]).take(np.array([2, 0]))
    assert table.names == ("a",) and table.numbers(["a"])[:, 0].tolist() == [3, 1] and table.place(0) == "row 2"
    assert table.numbers([]).shape == (2, 0)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: as_table({"load": [1], "temp": [2]}).column("laod"), "has no column 'laod'; did you mean 'load'"),
        (lambda: as_table({"load": [1], "temp": [2]}).column("zzz"), "has no column 'zzz'; it has 'load', 'temp'"),
        (lambda: as_table({"v": [1, "n/k", 3]}).numbers(["v"]), "column 'v' .* has text 'n/k' at row 1 where a number"),
        (lambda: as_table({"v": ["2020-01-01"]}).numbers(["v"]), "column 'v' of the frame holds dates, not numbers"),
        (lambda: as_table(pd.DataFrame([[1, 2]], columns=["a", "a"])), "2 columns named 'a'"),
        (lambda: as_table(pl.DataFrame({"a": []})), "the frame is empty: it has 0 rows"),
        (lambda: Table({"a": np.zeros(1), "b": np.zeros(2)}), r"columns of \[1, 2\] rows"),
    ],
)
def test_faults_are_named(action: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        action()  # pyright: ignore[reportCallIssue]


def test_frames_without_the_extra_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"carousel-lstm\[frames\]"):
        as_table(pd.DataFrame({"a": [1]}))
