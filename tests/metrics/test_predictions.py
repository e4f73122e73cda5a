"""Metrics: known values, agreement with other definitions, and faults named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from carousel import metrics

TRUTH = np.array([1.0, 2.0, 4.0])
FORECAST = np.array([1.0, 3.0, 2.0])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (metrics.accuracy(["a", "b", "b", "b"], ["a", "b", "a", "b"]), 0.75),
        (metrics.balanced_accuracy([0, 1, 1, 1], [0, 1, 0, 2]), (1 + 1 / 3) / 2),
        (metrics.macro_f1([0, 0, 1], [0, 0, 2]), 1 / 3),
        (metrics.mae(TRUTH, FORECAST), 1.0),
        (metrics.rmse(TRUTH, FORECAST), np.sqrt(5 / 3)),
        (metrics.r2(TRUTH, TRUTH), 1.0),
        (metrics.smape(TRUTH, FORECAST), 200 * (0 + 1 / 5 + 2 / 6) / 3),
        (metrics.smape([0.0], [0.0]), 0.0),
        (metrics.mase(TRUTH, FORECAST, [0.0, 2.0, 4.0]), 0.5),
        (metrics.mase(TRUTH, FORECAST, [0.0, 9.0, 4.0, 9.0, np.nan], season=2), 0.5),
        (metrics.pinball([1.0], [[0.0, 3.0]], [0.1, 0.9]), (0.1 + 0.2) / 2),
        (metrics.interval_width([0.0, 1.0], [1.0, 4.0]), 2.0),
    ],
)
def test_known_values(value: float, expected: float) -> None:
    assert isinstance(value, float) and value == pytest.approx(expected)


def test_coverage_counts_both_ends() -> None:
    assert metrics.coverage([1.0, 2.0, 3.0], [1.0, 0.0, 0.0], [5.0, 2.0, 2.5]) == pytest.approx(2 / 3)


def test_confusion_has_true_classes_in_rows() -> None:
    assert metrics.confusion(["a", "a", "b"], ["a", "b", "b"]).tolist() == [[1, 1], [0, 1]]
    assert metrics.confusion(["a", "a", "b"], ["a", "b", "b"], labels=["b", "a", "c"])[1].tolist() == [1, 1, 0]


def test_columns_are_scaled_by_their_own_history() -> None:
    history = np.array([[0.0, 0.0], [1.0, 10.0], [2.0, 20.0]])
    assert metrics.mase([[1.0, 1.0]], [[2.0, 11.0]], history) == pytest.approx(1.0)


def test_by_step() -> None:
    truth = np.arange(12.0).reshape(2, 3, 2)
    wrong = truth + np.array([0.0, 1.0, 3.0])[None, :, None]
    np.testing.assert_allclose(metrics.mae_by_step(truth, wrong), [0, 1, 3])
    np.testing.assert_allclose(metrics.coverage_by_step(truth, wrong - 1, wrong + 1), [1, 1, 0])


@given(st.floats(-3, 3), st.floats(0.1, 3))
def test_crps_of_many_quantiles_is_that_of_the_distribution(truth: float, scale: float) -> None:
    levels = (np.arange(2000) + 0.5) / 2000
    z = truth / scale
    exact = scale * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    found = metrics.crps_from_quantiles([truth], [scale * stats.norm.ppf(levels)], levels)
    assert found == pytest.approx(exact, abs=2e-3 * scale)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_crps_of_the_median_alone_is_the_absolute_error(forecast: list[float]) -> None:
    truth = np.zeros(len(forecast))
    found = metrics.crps_from_quantiles(truth, np.array(forecast)[:, None], [0.5])
    assert found == pytest.approx(metrics.mae(truth, forecast))


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda: metrics.mae(TRUTH, FORECAST[:2]), r"truth has shape \(3,\), prediction \(2,\)"),
        (lambda: metrics.rmse([], []), "truth is empty"),
        (lambda: metrics.mae(TRUTH, [1.0, np.nan, 2.0]), r"prediction has nan at \[1\]; leave out what is missing"),
        (lambda: metrics.smape([np.inf], [1.0]), r"truth has inf at \[0\]"),
        (lambda: metrics.accuracy([1, 2], [1]), r"truth has shape \(2,\), prediction \(1,\)"),
        (lambda: metrics.accuracy([], []), "truth is empty"),
        (lambda: metrics.confusion([[1]], [[1]]), "one label a sample"),
        (lambda: metrics.mase(TRUTH, FORECAST, [1.0, 1.0]), "never changes over a season of 1"),
        (lambda: metrics.mase(TRUTH, FORECAST, [1.0, 2.0], season=2), r"shape \(2,\) and season is 2"),
        (lambda: metrics.mase(TRUTH, FORECAST, [1.0, 2.0], season=0), "season is 0"),
        (lambda: metrics.pinball(TRUTH, TRUTH, [0.5]), "a last axis of levels"),
        (lambda: metrics.pinball(TRUTH, np.zeros((3, 2)), [0.9, 0.1]), "increasing levels between 0 and 1"),
        (lambda: metrics.pinball(TRUTH, np.zeros((3, 1)), [1.0]), "increasing levels between 0 and 1"),
        (lambda: metrics.crps_from_quantiles([1.0], [[np.nan]], [0.5]), r"quantiles has nan at \[0, 0\]"),
        (lambda: metrics.coverage(TRUTH, TRUTH + 1, TRUTH), r"lower is above upper at \[0\]"),
        (lambda: metrics.mae_by_step(TRUTH, TRUTH), r"give \(windows, horizon\)"),
    ],
)
def test_faults_are_named(action: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        action()  # pyright: ignore[reportCallIssue]
