"""The data and the baselines of the papers about Evolino, beside what is known of them."""

import numpy as np
import pytest

from papers.mayer2008.paths import END, FAR, Shape, deviation, eight, passed, path
from papers.schmidhuber2007.baselines import Echo, autoregression, best_ahead, echoes, run_on
from papers.schmidhuber2007.series import DIVERGED, mackey_glass, nrmse, sines, word

SHAPE = Shape(rest=3, come=12, round=20, rounds=2, leave=10, stay=2)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_sines_obey_a_linear_recurrence_of_twice_their_number(count: int) -> None:
    series = sines([0.2, 0.311, 0.42][:count], 300)
    weights = autoregression(series[:200], 2 * count, 50)
    assert nrmse(run_on(weights, series[:200], 100), series[200:]) < 1e-8
    short = autoregression(series[:200], 2 * count - 1, 50)
    assert nrmse(run_on(short, series[:200], 100), series[200:]) > 0.1


def test_mackey_glass() -> None:
    series = mackey_glass(2000)
    assert 0.2 < series.min() < 0.5
    assert 1.2 < series.max() < 1.5
    fine = mackey_glass(300, each=40, skipped=0)
    np.testing.assert_allclose(mackey_glass(300, skipped=0), fine, atol=1e-3)
    at = 500
    slope = (series[at + 1] - series[at - 1]) / 2
    delayed = series[at - 17]
    assert slope == pytest.approx(0.2 * delayed / (1 + delayed**10) - 0.1 * series[at], abs=2e-3)


def test_words() -> None:
    inputs, legal = word(2)
    assert ["Sabc"[at] for at in inputs.argmax(1)] == list("Saabbcc")
    assert legal.tolist() == ["a", "ab", "ab", "b", "c", "c", "T"]
    assert word(1)[1].tolist() == ["a", "ab", "c", "T"]


def test_an_echo_state_network_continues_a_sine() -> None:
    series = sines([0.2], 400)
    echo = Echo(units=50, radius=0.9, scale=0.1, ridge=1e-14, seed=0)
    run = echo.dreams(series[:300], 50, [200, 299], 100)
    assert nrmse(run[0], series[201:301]) < 0.01
    assert nrmse(run[1], series[300:]) < 0.01
    assert nrmse(np.full(3, np.nan), series[:3]) == DIVERGED


def test_paths_cross_themselves_and_are_smooth() -> None:
    start = np.array([-1.5, 0.3, -0.2])
    points = path(start, SHAPE)
    assert points.shape == (3 + 12 + 40 + 10 + 2, 3)
    assert np.array_equal(points[:3], np.tile(start, (3, 1)))
    np.testing.assert_allclose(points[[15, 25, 35, 45, 55]], 0, atol=1e-9)
    forth, back = eight(np.array(1e-4)), eight(np.array(0.5 + 1e-4))
    assert np.abs(forth @ back) < 0.8 * np.linalg.norm(forth) * np.linalg.norm(back)
    np.testing.assert_array_equal(points[-1], END)
    assert np.linalg.norm(np.diff(points, n=2, axis=0), axis=1).max() < 0.35


def test_runs_are_judged_by_way_points_in_their_order() -> None:
    wanted = np.stack([path(np.array([-1.5, y, 0.0]), SHAPE) for y in (0.0, 0.5)], axis=1)
    run = wanted.copy()
    run[:, 1] = run[::-1, 1]
    share = passed(run, wanted, 0.1, 5)
    assert share[0] == 1
    assert share[1] < 0.5
    assert deviation(run, wanted)[0] == 0
    assert deviation(wanted + 1e9, wanted).tolist() == [FAR, FAR]


def test_the_network_whose_free_runs_end_best_is_chosen() -> None:
    series = sines([0.2, 0.311], 500)
    tried = echoes(60, 3, radius=[0.8], scale=[0.1], leak=[1.0, 0.5], ridge=[1e2, 1e-12])
    assert [(echo.leak, echo.ridge) for echo in tried] == [(1.0, 1e2), (1.0, 1e-12), (0.5, 1e2), (0.5, 1e-12)]
    chosen = best_ahead(tried, series, 50, 200, (20, 40))
    ends = {}
    for echo in tried:
        runs = [echo.dreams(series[: at + 1], 50, [at], 20) for at in range(299, 480, 40)]
        ends[echo] = max(abs(run[0, -1] - series[at + 20]) for run, at in zip(runs, range(299, 480, 40), strict=True))
    assert chosen.ridge == 1e-12 and ends[chosen] < 0.01 < ends[tried[0]]
