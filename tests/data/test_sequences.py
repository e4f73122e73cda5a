"""Sequences: every container gives the same arrays, every fault is named."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse

from carousel.data import DataError, Sequences, as_sequences

TABLE = np.arange(12.0).reshape(3, 4)
CUBE = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_list_keeps_lengths_and_takes_the_dtype(dtype: type) -> None:
    found = as_sequences([TABLE, TABLE[:2]], dtype=dtype)
    assert found.lengths.tolist() == [3, 2]
    assert found.n_features == 4
    assert {value.dtype for value in found.values} == {np.dtype(dtype)}
    np.testing.assert_array_equal(found.values[1], TABLE[:2])


@pytest.mark.parametrize(
    "X", [TABLE, TABLE.tolist(), list(TABLE), torch.tensor(TABLE), pd.DataFrame(TABLE), pl.DataFrame(TABLE)]
)
def test_a_table_has_one_univariate_series_a_row(X: object) -> None:
    found = as_sequences(X)
    assert found.width == 4
    assert len(found) == 3
    np.testing.assert_array_equal(np.stack(found.values), TABLE[:, :, None].astype(np.float32))


@pytest.mark.parametrize("X", [CUBE, CUBE.astype(object), list(CUBE), torch.tensor(CUBE), np.int64(CUBE)])
def test_three_dimensions_are_series_time_features(X: object) -> None:
    found = as_sequences(X)
    assert found.width is None
    np.testing.assert_array_equal(np.stack(found.values), CUBE.astype(np.float32))


def test_object_array_of_sequences() -> None:
    X = np.empty(2, dtype=object)
    X[0], X[1] = TABLE, TABLE[:1]
    assert as_sequences(X).lengths.tolist() == [3, 1]


def test_one_dimensional_items_are_univariate() -> None:
    found = as_sequences([[1.0, 2.0, 3.0], [4.0]])
    assert [value.shape for value in found.values] == [(3, 1), (1, 1)]
    assert found.width is None


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_list_of_frames_has_named_features(frame: type) -> None:
    found = as_sequences([frame({"a": [1, 2], "b": [True, False]}), frame({"a": [3], "b": [True]})])
    assert found.features == ("a", "b")
    np.testing.assert_array_equal(found.values[0], [[1, 1], [2, 0]])


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frame_nulls_are_nan(frame: type) -> None:
    found = as_sequences([frame({"a": [1.0, None]})], nan="keep")
    assert np.isnan(found.values[0][1, 0])


def test_sequences_pass_and_take() -> None:
    found = as_sequences([TABLE, TABLE[:2]])
    again = as_sequences(found, dtype=np.float64)
    assert again.values[0].dtype == np.float64
    assert again.take([1]).ids == ("1",)
    assert again.take(np.array([1, 0])).lengths.tolist() == [2, 3]


def nan_at(row: int, column: int, value: float = np.nan) -> np.ndarray:
    array = TABLE.copy()
    array[row, column] = value
    return array


FAULTS = {
    "empty list": ([], "X is empty: found 0 sample"),
    "no rows": (np.empty((0, 3)), "0 sample"),
    "no columns": (np.empty((12, 0)), r"0 feature\(s\) \(shape=\(12, 0\)\) while a minimum of 1 is required"),
    "one dimension": (np.arange(3.0), "Expected 2D array, got 1D array"),
    "list of numbers": ([1.0, 2.0], "Expected 2D array, got 1D array"),
    "four dimensions": (np.zeros((2, 2, 2, 2)), "expected <= 2|dim 4"),
    "no steps": (np.empty((2, 0, 3)), r"shape \(2, 0, 3\) \(series, time, features\)"),
    "empty series": ([TABLE, TABLE[:0]], "series 1 of X is empty"),
    "no features": ([TABLE[:, :0]], r"series 0 of X has 0 feature\(s\)"),
    "other features": ([TABLE, TABLE[:, :3]], "series 1 of X has 3 features, series 0 has 4"),
    "deep series": ([CUBE], "series 0 of X has 3 dimensions"),
    "ragged rows": ([[[1.0, 2.0], [3.0]]], "series 0 of X has rows of unequal length"),
    "NaN in list": ([TABLE, nan_at(2, 1)], "series '1' of X contains NaN at row 2, column 1"),
    "infinity in list": ([nan_at(0, 3, -np.inf)], "series '0' of X contains infinity .* at row 0, column 3"),
    "NaN in table": (nan_at(1, 2), "Input X contains NaN at row 1, column 2"),
    "infinity in table": (nan_at(1, 2, np.inf), "Input X contains infinity"),
    "overflow": (nan_at(1, 2, 1e300), "too large for float32"),
    "complex": (TABLE + 1j, "Complex data not supported"),
    "complex in list": ([TABLE + 1j], "Complex data not supported: series 0"),
    "text table": (np.array([["1", "b"]]), "X has text '1' at row 0, column 0"),
    "text in object": (np.array([[1, "b"]], dtype=object), "X has text 'b' at row 0, column 1"),
    "text in list": ([TABLE, np.array([["u", "v"]])], "series 1 of X has text 'u'"),
    "dates": ([np.array(["2020-01-01"], dtype="M8[D]")], "series 0 of X has dtype datetime64"),
    "frame text": (pd.DataFrame({"a": [1.0], "b": ["x"]}), "X has text 'x' at row 0, column 'b'"),
    "frame dates": (pl.DataFrame({"d": [datetime.date(2020, 1, 1)]}), "X has column 'd' of type Date"),
    "frame columns": ([pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})], "series 1 of X has the columns"),
    "frame names": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "2 columns named 'a'"),
    "frame NaN": ([pl.DataFrame({"load": [1.0, None]})], "series '0' of X contains NaN at row 1, column 'load'"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named(name: str) -> None:
    X, message = FAULTS[name]
    with pytest.raises(ValueError, match=message):
        as_sequences(X)


def test_objects_and_sparse_matrices_are_type_errors() -> None:
    with pytest.raises(TypeError, match="argument must be .* string.* number"):
        as_sequences(np.array([[1.0, {"a": 1}]], dtype=object))
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        as_sequences(sparse.csr_matrix(TABLE))


def test_keep_lets_nan_pass_but_not_infinity() -> None:
    assert np.isnan(as_sequences([nan_at(0, 0)], nan="keep").values[0][0, 0])
    with pytest.raises(DataError, match="infinity"):
        as_sequences([nan_at(0, 0, np.inf)], nan="keep")


def test_messages_name_what_was_given() -> None:
    with pytest.raises(DataError, match="series '0' of past contains NaN"):
        as_sequences([nan_at(0, 0)], what="past")
    named = Sequences([nan_at(3 - 1, 0)], ("load", "x", "y", "z"), ("B",))
    with pytest.raises(DataError, match="series 'B' of X contains NaN at row 2, column 'load'"):
        as_sequences(named)
