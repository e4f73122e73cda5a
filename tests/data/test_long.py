"""Long tables fall into their series, and faults are named by the rows of the source."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from carousel.data import DataError, as_table, from_long, label_of_series, split_series

LONG = {
    "id": ["B", "A", "B", "A", "B"],
    "t": ["2020-01-01", "2020-01-01", "2020-01-02", "2020-01-02", "2020-01-03"],
    "x": [1.0, 10.0, 2.0, 20.0, 3.0],
    "y": [0.0, 0.0, 1.0, 1.0, 2.0],
}


@pytest.mark.parametrize("make", [dict, pd.DataFrame, pl.DataFrame, as_table])
def test_series_come_in_order_of_appearance(make: type) -> None:
    found = from_long(make(LONG), series="id", time="t", dtype=np.float64)
    assert found.ids == ("B", "A") and found.features == ("x", "y")
    np.testing.assert_array_equal(found.values[0], [[1, 0], [2, 1], [3, 2]])
    np.testing.assert_array_equal(found.values[1], [[10, 0], [20, 1]])


def test_one_series_and_chosen_columns() -> None:
    found = from_long(LONG, columns=["y"])
    assert found.ids == ("series",) and found.values[0].shape == (5, 1)


def test_whole_numbers_name_series_without_a_point() -> None:
    assert from_long({"id": [1, 2, 1], "x": [1, 2, 3]}, series="id").ids == ("1", "2")


def test_split_keeps_row_numbers() -> None:
    parts = split_series(as_table(LONG), "id")
    assert list(parts) == ["B", "A"] and parts["A"].names == ("t", "x", "y") and parts["A"].place(1) == "row 3"
    assert list(split_series(as_table(LONG), None)) == ["series"]


def test_label_of_series() -> None:
    table = as_table({"id": ["a", "a", "b"], "label": ["up", "up", "down"]})
    assert label_of_series(table, "id", "label") == {"a": "up", "b": "down"}


def changed(column: str, row: int, value: object) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {name: list(values) for name, values in LONG.items()}
    columns[column][row] = value
    return columns


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (changed("x", 2, None), {}, "column 'x' of the frame contains NaN at row 2"),
        (changed("x", 2, np.inf), {"nan": "keep"}, "column 'x' of the frame contains infinity at row 2"),
        (changed("x", 3, "much"), {}, "column 'x' of the frame has text 'much' at row 3"),
        (changed("id", 4, None), {}, "column 'id' of the frame is empty at row 4"),
        (changed("t", 4, "2020-01-02"), {}, "has 2020-01-02 twice, at row 2 and row 4"),
        (changed("t", 2, "2019-01-02"), {}, "not sorted: 2020-01-01 at row 0 comes before 2019-01-02 at row 2"),
        (LONG, {"columns": ["z"]}, "has no column 'z'"),
        (LONG, {"columns": []}, "no column of values"),
    ],
)
def test_faults_are_named(frame: dict[str, list[object]], options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_long(frame, series="id", time="t", **options)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("labels", [["up", "down"], ["", ""]])
def test_a_series_has_one_label(labels: list[str]) -> None:
    with pytest.raises(DataError, match="series 'a' of the frame has the labels .* in 'label'; give it one"):
        label_of_series(as_table({"id": ["a", "a"], "label": labels}), "id", "label")


def test_rows_keep_their_order_within_a_series() -> None:
    names = np.random.default_rng(0).integers(0, 3, 500)
    found = from_long({"id": names.tolist(), "x": list(range(500))}, series="id")
    assert all((np.diff(values[:, 0]) > 0).all() for values in found.values)
