"""What a Forecaster reads: containers, covariates, missing values, dates; and what it refuses, by name."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from carousel.data import datasets
from carousel.tasks.forecasting.season import guess_context
from tests.tasks.forecasts import days, quick, wave


def long_frame(rows: int = 120) -> pd.DataFrame:
    """Two series as Nixtla writes them, with a covariate of each kind."""
    frames = []
    for seed, name in enumerate(["north", "south"]):
        own = pd.DataFrame({"unique_id": name, "ds": days(rows), "y": wave(rows, seed=seed, level=10 * seed)})
        own["rain"], own["holiday"] = np.cos(np.arange(rows)), np.arange(rows) % 7 == 0
        frames.append(own.assign(region="coast" if seed else "hills", height=100.0 * seed))
    return pd.concat(frames, ignore_index=True)


ROLES: dict[str, Any] = {"past_exog": "rain", "future_exog": ["holiday"], "static": ("region", "height")}
AHEAD = pd.DataFrame(
    {"unique_id": ["north"] * 4 + ["south"] * 4, "ds": [*days(4, "2020-04-30")] * 2, "holiday": [0, 1, 0, 0] * 2}
)


def test_containers_give_the_same_answer() -> None:
    y = np.stack([wave(seed=seed) for seed in range(3)])
    named = {str(position): series for position, series in enumerate(y)}
    long = pd.DataFrame({"unique_id": np.repeat([*named], 120), "ds": np.tile(np.arange(120), 3), "y": y.ravel()})
    answers = [quick().fit(given).predict().median for given in (y, list(y), y[:, :, None], named, long)]
    answers.append(quick().fit(pl.from_pandas(long)).predict().median)
    for answer in answers:
        np.testing.assert_array_equal(np.reshape(answer, (3, 4)), answers[0])


def test_one_series_in_many_forms() -> None:
    y = wave()
    expected = quick().fit(y).predict().median
    frame = pd.DataFrame({"load": y})
    for given in (y.tolist(), pd.Series(y), pd.Series(y, name="load"), pl.Series("load", y), frame):
        np.testing.assert_array_equal(quick().fit(given).predict().median, expected)


def test_dates_name_the_steps_ahead_and_teach_the_calendar() -> None:
    y, dates = wave(), days(120)
    by_index = quick().fit(pd.Series(y, index=dates))
    by_argument = quick().fit(y, dates=dates)
    assert by_index.predict().times == (("2020-04-30", "2020-05-01", "2020-05-02", "2020-05-03"),)
    np.testing.assert_array_equal(by_index.predict().median, by_argument.predict().median)
    assert by_argument.preparation_["calendar"] == ["day_of_week_sin", "day_of_week_cos"]
    assert quick(calendar=False).fit(y, dates=dates).preparation_["calendar"] == []
    with pytest.raises(ValueError, match="the series have no dates"):
        by_argument.predict(y)


def test_a_long_frame_with_every_kind_of_covariate() -> None:
    frame = long_frame()
    fitted = quick(**ROLES).fit(frame)
    assert fitted.context_ == 16
    forecast = fitted.predict(future=AHEAD)
    assert forecast.ids == ("north", "south")
    assert forecast.times is not None
    assert forecast.times[1][0] == "2020-04-30"
    given = fitted.predict(frame, future=AHEAD)
    np.testing.assert_allclose(given.median, forecast.median, rtol=1e-6)
    extended = pd.concat([frame, AHEAD.merge(frame[["unique_id", "region", "height"]].drop_duplicates())])
    extended = extended.sort_values(["unique_id", "ds"])
    np.testing.assert_allclose(quick(**ROLES, nan="mask").fit(frame).predict(extended).median, forecast.median, atol=2)


def test_covariates_as_arrays() -> None:
    y = np.stack([wave(seed=seed) for seed in range(2)])
    known = np.random.default_rng(0).normal(size=(2, 124, 2))
    fitted = quick().fit(y, past=np.cos(y), future=known, static=[["hills", 1], ["coast", 2]])
    forecast = fitted.predict()
    np.testing.assert_array_equal(fitted.predict(future=known[:, 120:]).median, forecast.median)
    other = fitted.predict(future=known[:, 120:] + 3)
    assert not np.array_equal(other.median, forecast.median)


@pytest.mark.parametrize("strategy", ["direct", "recursive", "seq2seq"])
def test_a_future_covariate_is_used(strategy: str) -> None:
    """The series is its covariate, noise that no past tells."""
    known = np.random.default_rng(0).normal(size=904)
    fitted = quick(strategy=strategy, max_epochs=12, windows_per_epoch=512, hidden_size=16, learning_rate=1e-2)
    found = fitted.backtest(known[:900], future=known, step=2).scores
    assert found["model"]["mae"] < 0.5 * found["linear autoregression"]["mae"]


def test_a_static_feature_is_used() -> None:
    """Of two kinds of series, one steps up and the other down at moments that no past tells."""
    rng = np.random.default_rng(0)
    steps = (rng.random((8, 200)) < 0.3) * np.where(np.arange(8) % 2, 1.0, -1.0)[:, None]
    y, kinds = steps + rng.normal(0, 0.05, steps.shape), ["down", "up"] * 4
    fitted = quick(scale_of="all", context=1, max_epochs=8, windows_per_epoch=512, base="none", learning_rate=1e-2)
    fitted.fit(y, static=kinds)
    down, up = (
        fitted.predict_quantiles(y, static=[kind] * 8, levels=[0.5 - side, 0.5 + side])
        for kind, side in (("down", 0.4), ("up", 0.4))
    )
    assert (up[..., 1] - down[..., 1]).min() > 0.3
    assert (up[..., 0] - down[..., 0]).min() > 0.3


@pytest.mark.parametrize("strategy", ["direct", "recursive", "seq2seq"])
@pytest.mark.parametrize("nan", ["mask", "impute"])
def test_missing_values_in_and_a_forecast_out(strategy: str, nan: str) -> None:
    whole = wave(400)
    y = whole.copy()
    y[np.random.default_rng(0).random(400) < 0.2] = np.nan
    y[-3:] = np.nan
    fitted = quick(strategy=strategy, nan=nan, max_epochs=8, windows_per_epoch=256, learning_rate=1e-2).fit(y[:350])
    found = fitted.evaluate(y, start=350)
    assert np.isnan(found.truth).any()
    assert found.scores["model"]["mae"] < 0.5
    assert np.isfinite(fitted.predict(y).quantiles).all()


def test_masked_values_have_flags_and_count_in_no_loss() -> None:
    y = wave()
    y[40:44] = np.nan
    assert quick(nan="mask").fit(y).network_.layout.inputs == 1 + 2 + 1
    y[np.isnan(y)] = 1e6
    outlier = quick().fit(y).predict().median
    assert np.abs(outlier - quick(nan="mask").fit(np.where(y > 1e5, np.nan, y)).predict().median).max() > 1


def test_gaps_between_dates_are_missing_values() -> None:
    frame = pd.DataFrame({"ds": days(120), "y": wave()}).drop(index=[50, 51])
    with pytest.raises(ValueError, match="leaves out 2 of its steps"):
        quick().fit(frame)
    fitted = quick(nan="mask").fit(frame)
    assert fitted.predict().times == (("2020-04-30", "2020-05-01", "2020-05-02", "2020-05-03"),)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([], "y is empty"),
        ({}, "y is empty: it holds no series"),
        ([wave(), []], "series 1 of y is empty"),
        ({"a": wave(), "b": wave(15)}, r"series 'b' has 15 rows, fewer than context \+ horizon = 16 \+ 4; give it 20"),
        ({"a": wave(), "b": [1.0, np.nan] * 30}, r"series 'b' has NaN at row 1, column 'y'; .* pass nan=\"mask\""),
        ({"a": [1.0, np.inf] * 30}, "series 'a' has an infinite value at row 1, column 'y'; drop or fill it$"),
        ([1.0, np.inf] * 30, "y contains infinity .* at row 1"),
        ({"a": []}, r"y\['a'\]"),
        (["1", "two"] * 30, "text '1' at row 0"),
        ({"a": np.full(60, np.nan)}, "series 'a' has NaN at row 0"),
        (np.zeros((2, 2, 2, 2)), "4"),
    ],
)
def test_bad_series_are_refused_by_name(y: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        quick().fit_reports(y)


def test_a_series_without_any_value_is_refused() -> None:
    with pytest.raises(ValueError, match="series 'b' has no value at all in column 'y'"):
        quick(nan="mask").fit({"a": wave(), "b": np.full(60, np.nan)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.assign(y="many"), "column 'y' of the frame has text 'many'"),
        (lambda f: f.drop(columns="rain"), "no column 'rain'"),
        (lambda f: f.iloc[::-1], "is not sorted"),
        (lambda f: pd.concat([f.iloc[:1], f]), "twice"),
        (lambda f: f.assign(holiday=np.nan), "has NaN at row 0, column 'holiday'"),
        (lambda f: f.assign(region=f["ds"].dt.day_name()), "static column 'region' .* has 'Wednesday' and 'Thursday'"),
    ],
)
def test_bad_frames_are_refused_by_name(change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quick(**ROLES).fit_reports(change(long_frame()))


def test_what_is_missing_at_prediction_is_listed() -> None:
    frame = long_frame()
    fitted = quick(**ROLES).fit(frame)
    with pytest.raises(ValueError, match="the future covariates 'holiday' are needed for the 4 steps ahead"):
        fitted.predict()
    with pytest.raises(ValueError, match="lacks the future covariates 'holiday'"):
        fitted.predict(future=AHEAD.drop(columns="holiday"))
    with pytest.raises(ValueError, match="no rows for series 'south'"):
        fitted.predict(future=AHEAD[:4])
    with pytest.raises(ValueError, match="begin at 2020-05-01, but its next step is 2020-04-30"):
        fitted.predict(future=AHEAD.assign(ds=AHEAD["ds"] + pd.Timedelta(days=1)))
    with pytest.raises(ValueError, match="those of series 'north' reach 3"):
        fitted.predict(future=AHEAD[AHEAD["ds"] < "2020-05-03"])
    with pytest.raises(ValueError, match="static feature 'region' of series 'south' is 'moor', .* 'coast', 'hills'"):
        fitted.predict(frame.replace("coast", "moor"), future=AHEAD)
    with pytest.raises(ValueError, match="series 'north' has 10 rows, fewer than the context of 16"):
        short = frame.groupby("unique_id").tail(10)
        fitted.predict(short, future=AHEAD)


def test_covariates_must_fit_the_series() -> None:
    y = wave()
    with pytest.raises(ValueError, match="past covariates of series 'series' have 100 rows, its targets 120"):
        quick().fit_reports(y, past=y[:100])
    with pytest.raises(ValueError, match="future covariates of series 'series' have 100 rows, its targets 120"):
        quick().fit_reports(y, future=y[:100])
    with pytest.raises(ValueError, match="past are given for 2 series, not 1"):
        quick().fit_reports([y], past=[y, y])
    with pytest.raises(ValueError, match="past has nothing for series 'b'"):
        quick().fit_reports({"a": y, "b": y}, past={"a": y})
    with pytest.raises(ValueError, match="static has shape"):
        quick().fit_reports([y, y], static=["one"])
    with pytest.raises(ValueError, match="dates of series 'series' has 3 entries for 120 rows"):
        quick().fit_reports(y, dates=days(3))
    with pytest.raises(ValueError, match="no forecasts of past covariates"):
        quick(strategy="recursive").fit_reports(y, past=y)
    with pytest.raises(TypeError, match="past= goes with arrays"):
        quick().fit_reports(pd.DataFrame({"y": y}), past=y)
    with pytest.raises(TypeError, match="fitted without future covariates"):
        quick().fit(y).predict(future=y)
    with pytest.raises(ValueError, match="past has 'past', which the fit did not have"):
        quick().fit(y).predict(y, past=y)
    with pytest.raises(ValueError, match="past covariates 'past' are missing"):
        quick().fit(y, past=y).predict(y)


def test_the_season_is_guessed_from_dates_or_values() -> None:
    rng = np.random.default_rng(0)
    hourly = np.tile(rng.normal(size=24), 40) + rng.normal(0, 0.1, 960)
    assert quick(season=None, context=None).fit(hourly).season_ == 24
    assert quick(season=None).fit(wave(), dates=days(120)).season_ in (1, 7)
    assert quick(season=None).fit(rng.normal(size=200).cumsum()).season_ == 1
    table = datasets.load("co2")
    weekly = quick(horizon=26, season=None, context=None, nan="impute", max_epochs=1).fit(table)
    assert (weekly.season_, weekly.context_) == (52, 104)


@pytest.mark.parametrize(("weekend", "season", "context"), [(0.0, 24, 168), (0.12, 168, 168), (9.0, 168, 168)])
def test_a_context_covers_the_week_where_it_is_as_good_as_the_day(weekend: float, season: int, context: int) -> None:
    rng = np.random.default_rng(0)
    hours = np.datetime64("2020-01-06", "us") + np.arange(24 * 70) * np.timedelta64(1, "h")
    rest = weekend * ((np.arange(24 * 70) // 24) % 7 >= 5)
    y = np.tile(rng.normal(size=24), 70) + rest + rng.normal(0, 0.1, 24 * 70)
    fitted = quick(horizon=24, season=None, context=None, max_epochs=1).fit(y, dates=hours)
    assert (fitted.season_, fitted.context_) == (season, context)


@pytest.mark.parametrize(
    ("season", "horizon", "shortest", "context"),
    [(52, 26, 1800, 104), (336, 48, 3000, 336), (24, 24, 5000, 96), (12, 12, 130, 36), (1, 4, 30, 8), (1, 1, 2, 1)],
)
def test_the_context_is_whole_seasons_that_the_series_has_room_for(
    season: int, horizon: int, shortest: int, context: int
) -> None:
    assert guess_context(season, horizon, shortest) == context
