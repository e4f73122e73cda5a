"""Windows: every cut is where it says, nothing looks ahead, resuming is exact."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from carousel.data import DataError, Panel, Windows, last_windows


def ramp(rows: int, start: float, columns: int = 1) -> np.ndarray:
    return (start + np.arange(rows)[:, None] + 0.1 * np.arange(columns)).astype(np.float32)


def panel(rows: tuple[int, ...] = (9, 7), **more: object) -> Panel:
    return Panel([ramp(length, 100.0 * series) for series, length in enumerate(rows)], **more)  # pyright: ignore[reportArgumentType]


@given(
    st.lists(st.integers(5, 15), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 4),
    st.booleans(),
)
def test_every_window_is_where_it_says(rows: list[int], context: int, horizon: int, stride: int, shuffle: bool) -> None:
    windows = Windows(panel(tuple(rows)), context, horizon, stride=stride, shuffle=shuffle, batch_size=3)
    expected = {
        (series, origin)
        for series, length in enumerate(rows)
        for origin in range(context, length - horizon + 1, stride)
    }
    found = set()
    for batch in windows.epoch(1):
        assert batch.target is not None
        for at, (series, origin) in enumerate(zip(*windows.origins(batch.indices), strict=True)):
            whole = np.concatenate([batch.inputs[:, at, 0], batch.target[:, at, 0]])
            np.testing.assert_array_equal(whole, 100 * series + np.arange(origin - context, origin + horizon))
            found.add((int(series), int(origin)))
    assert found == expected and windows.total == len(expected)


@given(st.integers(0, 3), st.integers(0, 6), st.sampled_from([None, 7]), st.booleans())
def test_resume_is_exact(epoch: int, start: int, limit: int | None, shuffle: bool) -> None:
    make = lambda: Windows(panel(), 3, 1, batch_size=2, seed=5, limit=limit, shuffle=shuffle)  # noqa: E731
    whole, rest = list(make().epoch(epoch)), list(make().epoch(epoch, start))
    assert len(whole) == len(make())
    for one, other in zip(whole[start:], rest, strict=True):
        assert torch.equal(one.inputs, other.inputs) and torch.equal(one.indices, other.indices)


def test_covariates_come_with_their_window() -> None:
    known = [ramp(12, 1000.0, 2), ramp(7, 2000.0, 2)]
    source = panel(past=[ramp(9, 500.0), ramp(7, 600.0)], future=known, static=[[1.0, 2.0], [3.0, 4.0]])
    windows = Windows(source, 3, 2, batch_size=50)
    batch = next(windows.epoch(0))
    assert batch.inputs.shape == (3, windows.total, source.n_inputs) and source.n_inputs == 4
    assert batch.future is not None and batch.static is not None
    series, origin = windows.origins(batch.indices)
    for at in range(windows.total):
        np.testing.assert_array_equal(batch.future[:, at], known[series[at]][origin[at] : origin[at] + 2])
        np.testing.assert_array_equal(batch.inputs[:, at, 2:], known[series[at]][origin[at] - 3 : origin[at]])
        np.testing.assert_array_equal(batch.static[at], [[1, 2], [3, 4]][series[at]])


def test_first_target_lets_the_context_reach_before_it() -> None:
    windows = Windows(panel(), 3, 2, first_target=[7, 5], shuffle=False)
    assert [origin.tolist() for origin in windows.origins(np.arange(windows.total))] == [[0, 1], [7, 5]]


def test_limit_spaces_evenly_or_draws_anew() -> None:
    even = Windows(panel(), 3, 1, limit=5, shuffle=False, batch_size=9)
    assert next(even.epoch(0)).indices.tolist() == [0, 2, 4, 6, 8] and even.total == 10
    drawn = Windows(panel(), 3, 1, limit=5, batch_size=9)
    assert drawn.items() == 5 and len(set(next(drawn.epoch(0)).indices.tolist())) == 5
    assert set(next(drawn.epoch(0)).indices.tolist()) != set(next(drawn.epoch(1)).indices.tolist())


def holes() -> np.ndarray:
    return np.array([np.nan, 1, 2, np.nan, np.nan, 5, np.nan], dtype=np.float32)[:, None]


def test_missing_targets_are_masked_in_the_loss() -> None:
    batch = next(Windows(Panel([holes()], missing="impute"), 2, 2, shuffle=False).epoch(0))
    assert batch.mask is not None and batch.target is not None
    assert batch.mask[:, :, 0].T.tolist() == [[True, False], [False, False], [False, True], [True, False]]
    assert batch.target[0, 1, 0] == 0


def test_impute_repeats_the_last_value() -> None:
    assert Panel([holes()], missing="impute").inputs[0][:, 0].tolist() == [0, 1, 2, 2, 2, 5, 5]


def test_mask_adds_flags_and_time_since() -> None:
    inputs = Panel([holes()], missing="mask").inputs[0]
    assert inputs[:, 0].tolist() == [0, 1, 2, 0, 0, 5, 0]
    assert inputs[:, 1].tolist() == [0, 1, 1, 0, 0, 1, 0]
    np.testing.assert_allclose(np.expm1(inputs[:, 2]), [0, 0, 0, 1, 2, 0, 1], atol=1e-6)


@given(st.integers(1, 6), st.sampled_from(["mask", "impute"]))
def test_no_policy_looks_ahead(cut: int, missing: str) -> None:
    source = Panel([holes()], missing=missing)  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(source.head(cut).inputs[0], source.inputs[0][:cut])


def test_last_windows_end_with_each_series() -> None:
    source = panel(future=[ramp(11, 0.0), ramp(9, 50.0)])
    batch = last_windows(source, 3, 2)
    assert batch.inputs[:, :, 0].T.tolist() == [[6, 7, 8], [104, 105, 106]]
    assert batch.future is not None and batch.future[:, :, 0].T.tolist() == [[9, 10], [57, 58]]
    assert last_windows(panel(), 3, 2).target is None


def test_head_can_keep_what_is_known_ahead() -> None:
    source = panel(future=[ramp(11, 0.0), ramp(9, 50.0)]).head([5, 4], ahead=2)
    assert source.lengths.tolist() == [5, 4] and source.future.lengths.tolist() == [7, 6]
    assert next(iter(last_windows(source, 3, 2).inputs[0, :, 0].tolist())) == 2


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: Windows(panel((9, 4)), 3, 2), r"series '1' has 4 rows, fewer than context \+ horizon = 3 \+ 2"),
        (lambda: Windows(panel(), 3, 2, first_target=8), "series '0' has 4 usable rows"),
        (lambda: Windows(panel(), 0, 2), "context is 0, .* at least 1"),
        (lambda: Panel([holes()]), "series '0' of targets contains NaN at row 0"),
        (lambda: Panel([holes()], future=[holes()], missing="mask"), "future covariates contains NaN"),
        (lambda: panel(past=[ramp(9, 0.0)]), "past covariates have 1 series, the targets 2"),
        (lambda: panel(past=[ramp(9, 0.0), ramp(8, 0.0)]), "past covariates of series '1' have 8 rows, its targets 7"),
        (lambda: panel(future=[ramp(8, 0.0), ramp(8, 0.0)]), "series '0' have 8 rows, its targets 9; give at least"),
        (lambda: panel(static=[[1.0]]), "static covariates are for 1 series"),
        (lambda: panel(missing="drop"), "missing is 'drop'"),
        (lambda: last_windows(panel(), 8, 1), "series '1' has 7 rows, fewer than the context of 8"),
        (lambda: last_windows(panel(future=[ramp(9, 0.0), ramp(8, 0.0)]), 3, 2), "series '0' reach 0 steps past"),
    ],
)
def test_faults_are_named(action: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        action()  # pyright: ignore[reportCallIssue]


def test_data_errors() -> None:
    with pytest.raises(DataError):
        Windows(panel((2,)), 3, 2)
