"""Honest measurement: no future in the past, baselines by hand, calibrated intervals."""

import numpy as np
import pytest
from numpy.typing import NDArray

from carousel.tasks.forecasting.batches import DrawnWindows
from carousel.tasks.forecasting.conformal import Conformal, at_levels
from carousel.tasks.forecasting.linear import last_season, ridge
from carousel.tasks.forecasting.windows import Split
from tests.tasks.forecasts import SEASON, quick, wave


def test_future_values_change_neither_scaling_nor_weights() -> None:
    y = wave(200)
    spoiled = np.where(np.arange(200) < 180, y, 1e3)
    one, other = quick(scale_of="series").fit(y), quick(scale_of="series").fit(spoiled)
    assert one.preparation_["targets"]["series"].center == other.preparation_["targets"]["series"].center
    for name, value in one.network_.state_dict().items():
        assert name == "base" or bool((value == other.network_.state_dict()[name]).all()), name


@pytest.mark.parametrize("refit", [False, True])
def test_a_forecast_does_not_know_what_comes_after_its_origin(refit: bool) -> None:
    y = wave(160)
    spoiled = np.where(np.arange(160) < 152, y, 1e3)
    clean, other = (quick().backtest(own, windows=3, step=2, refit=refit) for own in (y, spoiled))
    assert clean.origins.tolist() == [152, 154, 156]
    for name, forecast in clean.forecasts.items():
        np.testing.assert_array_equal(forecast[0], other.forecasts[name][0])
    np.testing.assert_array_equal(clean.quantiles[0], other.quantiles[0])
    assert other.scores["model"]["mae"] > 100


def test_origins_roll_through_the_last_tenth() -> None:
    found = quick().backtest([wave(200), wave(100)], step=3)
    assert found.origins[found.series == 0].tolist() == [180, 183, 186, 189, 192, 195]
    assert found.origins[found.series == 1].tolist() == [90, 93, 96]
    assert found.names[0] == "0"
    with pytest.raises(ValueError, match="series '1' has 10 rows before its first forecast"):
        quick().fit(wave()).evaluate([wave(200), wave(100)], start=10 * np.arange(2, 0, -1))
    with pytest.raises(ValueError, match="windows is 0"):
        quick().backtest(wave(), windows=0)
    with pytest.raises(ValueError, match="step is 0"):
        quick().backtest(wave(), step=0)


def test_refitting_learns_from_what_came_meanwhile() -> None:
    level = np.where(np.arange(200) < 150, 0.0, 20.0)
    y = wave(200) + level
    once, anew = (quick(scale_of="all").backtest(y, windows=3, step=16, refit=refit) for refit in (False, True))
    assert once.origins.tolist() == anew.origins.tolist() == [164, 180, 196]
    np.testing.assert_array_equal(once.quantiles[0], anew.quantiles[0])
    assert not np.array_equal(once.quantiles[2], anew.quantiles[2])


def test_evaluating_leaves_the_forecaster_as_it_is() -> None:
    y = wave(200)
    fitted = quick().fit(y[:150])
    before = fitted.predict().median
    found = fitted.evaluate(y, start=150)
    fitted.backtest(y)
    np.testing.assert_array_equal(fitted.predict().median, before)
    np.testing.assert_allclose(found.forecasts["model"][0, :, 0], before, rtol=1e-6)
    np.testing.assert_array_equal(found.truth[0, :, 0], y[150:154])


def test_baselines_by_hand() -> None:
    y = np.stack([wave(100), wave(100, level=7, seed=1)])
    found = quick().backtest(y, windows=2, step=5)
    for at, (series, origin) in enumerate(zip(found.series, found.origins, strict=True)):
        own = y[series]
        expected = {
            "seasonal naive": own[origin - SEASON : origin - SEASON + 4],
            "last value": np.full(4, own[origin - 1]),
            "mean": np.full(4, own[:91].mean()),
        }
        for name, forecast in expected.items():
            np.testing.assert_allclose(found.forecasts[name][at, :, 0], forecast, rtol=1e-9)
    errors = np.abs(found.truth - found.forecasts["seasonal naive"])
    assert found.scores["seasonal naive"]["mae"] == pytest.approx(errors.mean())
    scale = np.abs(y[:, SEASON:91] - y[:, : 91 - SEASON]).mean(1)[found.series]
    assert found.scores["seasonal naive"]["mase"] == pytest.approx((errors.mean((1, 2)) / scale).mean())
    assert found.scores["seasonal naive"]["crps"] == pytest.approx(errors.mean())


def test_the_linear_autoregression_finds_a_linear_rule() -> None:
    rng = np.random.default_rng(0)
    y = np.zeros(600)
    for step in range(2, 600):
        y[step] = 1.6 * y[step - 1] - 0.8 * y[step - 2] + rng.normal(0, 0.01)
    found = quick(horizon=1).backtest(y).scores
    assert found["linear autoregression"]["mae"] < 0.012
    assert found["model"]["mae"] < 0.02


def test_ridge_follows_a_trend_and_leaves_out_what_is_missing() -> None:
    line = 3.0 * np.arange(60)
    contexts = np.stack([line[at : at + 5] for at in range(50)], axis=1)[:, :, None]
    truths = np.stack([line[at + 5 : at + 7] for at in range(50)], axis=1)[:, :, None]
    observed = np.ones_like(truths, dtype=bool)
    truths[0, 7], observed[0, 7] = 1e9, False
    weights = ridge(contexts, truths, observed)
    now = np.append(line[50:55], 1.0)
    np.testing.assert_allclose(weights[0] @ now, line[55:57], atol=1e-6)


def test_the_last_season_goes_on_past_its_end() -> None:
    values = np.arange(10.0)
    weights = last_season(1, 7, 10, 3)[0]
    np.testing.assert_array_equal(weights @ np.append(values, 1.0), [7, 8, 9, 7, 8, 9, 7])


def skewed(rows: int, seed: int) -> NDArray[np.float64]:
    """Truths of two steps ahead, exponential, wider at the second."""
    return np.random.default_rng(seed).exponential(size=(rows, 2, 1)) * np.array([1.0, 5.0])[:, None]


@pytest.mark.parametrize("trained", [(0.5,), (0.1, 0.5, 0.9)])
def test_conformal_quantiles_reach_their_levels_at_each_step(trained: tuple[float, ...]) -> None:
    """Forecasts far too narrow, of a skewed truth."""
    truth, new = skewed(4000, 0), skewed(4000, 1)
    quantiles = np.broadcast_to(0.7 + 0.01 * np.array(trained), (4000, 2, 1, len(trained)))
    found = Conformal.of(trained, quantiles, truth)
    calibrated = found.apply(quantiles)
    assert (np.diff(calibrated, axis=-1) >= 0).all()
    for level in (0.1, 0.9, 0.95, 0.99):
        below = (new <= at_levels(calibrated, found.levels, level)[..., 0]).mean((0, 2))
        np.testing.assert_allclose(below, level, atol=0.02)
    median = at_levels(calibrated, found.levels, 0.5)[..., 0]
    np.testing.assert_allclose(median, at_levels(quantiles, trained, 0.5)[..., 0])


def test_few_windows_give_the_widest_interval_seen_and_missing_truths_none() -> None:
    truth = np.array([1.0, -2.0, np.nan])[:, None, None]
    quantiles = np.zeros((3, 1, 1, 1))
    found = Conformal.of((0.5,), quantiles, truth)
    assert at_levels(found.apply(quantiles), found.levels, [0.005, 0.995])[0, 0, 0].tolist() == [-2.0, 1.0]
    assert not Conformal.of((0.5,), quantiles, np.full((3, 1, 1), np.nan)).shifts.any()


def test_windows_that_overlap_count_less() -> None:
    """The 91st of 100 for level 0.9, the 95th where only 20 are independent, the last for 5; mirrored below."""
    truth = np.repeat(np.arange(1.0, 101)[:, None, None], 3, axis=1)
    quantiles = np.zeros((100, 3, 1, 1))
    found = Conformal.of((0.5,), quantiles, truth, np.array([100, 20, 5]))
    assert found.shifts[found.levels.index(0.9), :, 0].tolist() == [91, 95, 100]
    assert found.shifts[found.levels.index(0.1), :, 0].tolist() == [10, 6, 1]


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_intervals_hold_the_truth_as_often_as_they_say(strategy: str) -> None:
    """Of heavy-tailed noise, by a network that hardly learned its width."""
    y = np.random.default_rng(0).standard_t(4, size=8000)
    fitted = quick(strategy=strategy, validation_fraction=0.3, context=4, season=1).fit(y[:4000])
    found = fitted.evaluate(y, start=4000)
    for coverage in (0.8, 0.95):
        np.testing.assert_allclose(found.coverage_by_step(coverage), coverage, atol=0.035)
    assert found.scores["model"]["coverage"] == pytest.approx(0.8, abs=0.035)
    assert found.nominal == pytest.approx(0.8)
    assert (found.width_by_step(0.95) > found.width_by_step(0.8)).all()
    raw = quick(strategy=strategy, validation_fraction=0.0, context=4, season=1, max_epochs=1).fit(y[:4000])
    assert abs(raw.evaluate(y, start=4000).coverage_by_step(0.8) - 0.8).max() > 0.05


def test_a_backtest_without_truths_says_so() -> None:
    y = np.append(wave(100), np.full(8, np.nan))
    found = quick(nan="mask").fit(wave(100)).evaluate(y, start=102)
    with pytest.raises(ValueError, match="nothing to measure"):
        _ = found.scores


def test_an_epoch_draws_every_window_before_any_again() -> None:
    windows = DrawnWindows(wave(20)[None, :, None], 4, 2, batch_size=8, limit=40, seed=3)
    assert (windows.total, len(windows)) == (15, 5)
    first = np.concatenate([batch.indices for batch in windows.epoch(0)])
    assert sorted(first[:15]) == sorted(first[15:30]) == list(range(15))
    assert len(set(first[30:])) == 10
    again = np.concatenate([batch.indices for batch in windows.epoch(0, start=2)])
    np.testing.assert_array_equal(again, first[16:])
    assert not np.array_equal(first, np.concatenate([batch.indices for batch in windows.epoch(1)]))


def test_the_held_out_part_has_room_for_a_horizon_or_is_none() -> None:
    split = Split.of(np.array([200, 40, 23]), 0.1, 16, 4)
    assert split.stops.tolist() == [180, 36, 23]
    assert split.held.tolist() == [0, 1]
    assert len(Split.of(np.array([200]), 0.0, 16, 4).held) == 0
    assert np.isfinite(quick().fit([wave(200), wave(20)]).predict()).all()
