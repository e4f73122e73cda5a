"""The Forecaster: strategies, shapes, the ceremony of scikit-learn, saving and resuming."""

import json
import pickle
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from carousel.tasks import TASKS, Forecaster, ModelFileError, load
from carousel.tasks.forecasting.network import NETWORKS
from carousel.training import METHODS, CheckpointError
from tests.tasks.forecasts import days, quick, wave

STRATEGIES = list(NETWORKS)


def same(one: Any, other: Any) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_it_learns_what_a_line_cannot_say(strategy: str) -> None:
    """A logistic map: the next value is a parabola of the last one, and without correlation to it."""
    y = np.empty(700)
    y[0] = 0.3
    for step in range(1, len(y)):
        y[step] = 3.8 * y[step - 1] * (1 - y[step - 1])
    options: dict[str, Any] = {"horizon": 2, "context": 4, "hidden_size": 16, "max_epochs": 12, "learning_rate": 2e-2}
    found = quick(**options, season=1, strategy=strategy, windows_per_epoch=512).backtest(y, step=3).scores
    assert found["model"]["mae"] < 0.5 * found["linear autoregression"]["mae"]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("scale_of", ["series", "all", "window"])
def test_saved_pickled_and_continued_forecasts_are_the_same(strategy: str, scale_of: str, tmp_path: Path) -> None:
    y = wave()
    fitted = quick(strategy=strategy, scale_of=scale_of).fit(y)
    expected = fitted.predict()
    fitted.save(tmp_path / "run")
    assert same(load(tmp_path / "run").predict(), expected)
    assert same(pickle.loads(pickle.dumps(fitted)).predict(), expected)
    np.testing.assert_allclose(fitted.predict(y), expected, rtol=1e-6)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_quantiles_never_cross(strategy: str) -> None:
    fitted = quick(strategy=strategy, quantiles=(0.05, 0.3, 0.7, 0.95)).fit(wave(noise=1.0))
    with torch.no_grad():
        for parameter in fitted.network_.parameters():
            parameter.mul_(30)
    far = 1e3 * np.random.default_rng(1).normal(size=(20, 30))
    quantiles = fitted.predict(far).quantiles
    assert (np.diff(quantiles, axis=-1) >= 0).all()
    asked = fitted.predict_quantiles(far, levels=[0.01, 0.2, 0.5, 0.51, 0.99])
    assert asked.shape == (20, 4, 5)
    assert (np.diff(asked, axis=-1) >= 0).all()


def test_the_answer_has_the_shape_of_the_question() -> None:
    one, many = wave(), np.stack([wave(seed=seed) for seed in range(3)])
    single, several = quick().fit(one), quick().fit(many)
    assert np.asarray(single.predict()).shape == (4,)
    assert np.asarray(several.predict()).shape == (3, 4)
    assert np.asarray(single.predict(many)).shape == (3, 4)
    assert np.asarray(several.predict(one)).shape == (4,)
    assert single.predict_quantiles().shape == (4, 3)
    low, high = several.predict_interval(coverage=0.9)
    assert low.shape == high.shape == (3, 4)
    assert (low <= np.asarray(several.predict())).all()
    assert (np.asarray(several.predict()) <= high).all()


def test_several_targets() -> None:
    y = [np.column_stack([wave(seed=seed), 50 + 9 * wave(seed=seed + 9)]) for seed in range(2)]
    fitted = quick().fit(y)
    forecast = fitted.predict()
    assert forecast.targets == ("y0", "y1")
    assert np.asarray(forecast).shape == (2, 4, 2)
    assert abs(forecast.median[..., 1] - 50).max() < 15
    assert same(quick().fit(np.stack(y)).predict(), forecast)


def test_a_forecast_is_a_table() -> None:
    columns = quick().fit({"north": wave(), "south": wave(level=9)}).predict().columns((0.1, 0.9))
    assert list(columns) == ["unique_id", "ds", "y", "y-q0.1", "y-q0.9"]
    assert columns["unique_id"] == ["north"] * 4 + ["south"] * 4
    assert columns["ds"] == [1, 2, 3, 4] * 2
    assert np.mean(columns["y"][4:]) > 7


def test_new_series_and_new_contexts_need_no_fit() -> None:
    fitted = quick().fit({"a": wave(), "b": wave(level=100)})
    alone = fitted.predict({"b": wave(level=100)[:60]})
    assert abs(alone.median - 100).max() < 3
    assert abs(fitted.predict({"new": wave(level=-500)}).median + 500).max() < 3


def test_series_are_scaled_by_their_name_not_by_their_place() -> None:
    a, b = wave(), 1000 * wave(level=5)
    fitted = quick().fit({"a": a, "b": b})
    both, swapped = fitted.predict({"a": a, "b": b}), fitted.predict({"b": b, "a": a})
    np.testing.assert_allclose(both.median, swapped.median[::-1], rtol=1e-9)


ACTING = ("ppo", "reinforce")


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ACTING])
def test_every_method_trains_it(method: str) -> None:
    median = {"hidden_size": 2, "windows_per_epoch": 32, "quantiles": (0.5,)}
    options: dict[str, Any] = median if method in ("dekf", "evolino") else {}
    assert np.isfinite(quick(**{"method": method, "max_epochs": 1, **options}).fit(wave()).predict()).all()


@pytest.mark.parametrize("method", ACTING)
def test_a_method_that_acts_is_refused(method: str) -> None:
    with pytest.raises(
        ValueError, match=f"method '{method}' learns to act, and a Forecaster learns from data; take 'bptt'"
    ):
        quick(method=method).fit(wave())


def test_the_same_seed_gives_the_same_bits() -> None:
    options: dict[str, Any] = {"dropout": 0.2, "strategy": "seq2seq"}
    assert same(quick(**options).fit(wave()).predict(), quick(**options).fit(wave()).predict())
    assert not same(quick(random_state=1).fit(wave()).predict(), quick().fit(wave()).predict())


@pytest.mark.parametrize("cell", ["peephole", "full_gate_recurrence", "coupled"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_any_cell_and_any_option(cell: str, strategy: str) -> None:
    options = {"norm": True, "zoneout": 0.1}
    forecaster = quick(cell=cell, strategy=strategy, lstm_options=options, num_layers=2, max_epochs=1)
    assert np.isfinite(forecaster.fit(wave()).predict()).all()


@pytest.mark.parametrize("strategy", ["direct", "seq2seq"])
def test_it_may_read_in_both_directions(strategy: str) -> None:
    assert np.isfinite(quick(strategy=strategy, bidirectional=True).fit(wave()).predict()).all()


@pytest.mark.parametrize("base", ["linear", "seasonal", "last", "none"])
def test_every_base(base: str) -> None:
    assert np.isfinite(quick(base=base).fit(wave()).predict()).all()


def test_an_untrained_correction_leaves_the_base() -> None:
    """A hardly trained network on a seasonal base stays near the last season, on "none" near the mean."""
    y = wave(noise=0.0)
    slow: dict[str, Any] = {"learning_rate": 1e-9, "validation_fraction": 0.0}
    seasonal = quick(base="seasonal", **slow).fit(y).predict().median
    assert abs(seasonal - y[-8:-4]).max() < 0.7
    assert abs(seasonal - y[-8:-4]).max() < abs(quick(base="none", **slow).fit(y).predict().median - y[-8:-4]).max()


def test_it_resumes_exactly(tmp_path: Path) -> None:
    y, path = wave(), tmp_path / "checkpoint.safetensors"
    whole = quick(max_epochs=4, dropout=0.1).fit(y)
    stopped = quick(max_epochs=4, dropout=0.1)
    reports = stopped.fit_reports(y, checkpoint=path)
    assert len(list(islice(reports, 3))) == 3
    reports.close()  # type: ignore[attr-defined]
    assert np.isfinite(stopped.predict()).all()
    resumed = quick(max_epochs=4, dropout=0.1)
    assert next(iter(resumed.fit_reports(y, checkpoint=path))).update == 4
    for _ in resumed.fit_reports(y, checkpoint=path):
        continue
    assert same(resumed.predict(), whole.predict())
    assert same(resumed.predict().quantiles, whole.predict().quantiles)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"quantiles": (0.2, 0.5, 0.8)}, r"levels=\(0.2, 0.5, 0.8\)"),
        ({"lstm_context": 9}, "read=9"),
        ({"static": [[1.0], [0.0]]}, "training data first epoch"),
    ],
)
def test_it_does_not_go_on_as_another(changed: dict[str, Any], told: str, tmp_path: Path) -> None:
    y, path = [wave(), wave(seed=1)], tmp_path / "checkpoint.safetensors"
    other = dict(changed)
    static = other.pop("static", [[0.0], [1.0]])
    list(islice(quick().fit_reports(y, checkpoint=path, static=[[0.0], [1.0]]), 2))
    with pytest.raises(CheckpointError, match=told):
        next(iter(quick(**other).fit_reports(y, checkpoint=path, static=static)))


@pytest.mark.parametrize(
    "change",
    [
        lambda learned: learned["preparation_"].pop("targets"),
        lambda learned: learned["preparation_"].update(target_names=["y", "z"]),
        lambda learned: learned["preparation_"].update(missing="guess"),
        lambda learned: learned["preparation_"].update(calendar=["phase_of_moon"]),
        lambda learned: learned["preparation_"].update(static=[{"name": "region", "categories": [], "scaler": None}]),
        lambda learned: learned["conformal_"].update(levels=[0.1, 0.5, 0.9]),
        lambda learned: learned["conformal_"].update(trained=[0.2, 0.5, 0.8]),
        lambda learned: learned["conformal_"].pop("shifts"),
        lambda learned: learned["tail_"].update(targets=[[["text"]]]),
        lambda learned: learned["tail_"].update(targets=[[[1.0]] * 3]),
        lambda learned: learned["tail_"].update(target_names=["z"]),
        lambda learned: learned["tail_"]["times"][0].update(frequency=["eon", 1, False]),
        lambda learned: learned["tail_"]["times"][0].update(first="yesterday"),
        lambda learned: learned["tail_"].pop("ids"),
        lambda learned: learned.update(context_=10**12),
        lambda learned: learned.update(lstm_context_=0),
    ],
)
def test_a_tampered_file_is_refused(change: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    quick(max_epochs=1).fit(wave(), dates=days(120)).save(run)
    assert load(run).predict().times
    file = run / "preprocessing.json"
    learned = json.loads(file.read_text())
    change(learned)
    file.write_text(json.dumps(learned))
    with pytest.raises(ModelFileError):
        load(run)


def test_it_follows_the_rules_of_scikit_learn() -> None:
    copy: Any = clone(quick(cell="peephole"))
    assert copy.get_params() == quick(cell="peephole").get_params()
    assert TASKS["forecast"] is Forecaster
    with pytest.raises(NotFittedError):
        quick().predict()
    table = np.stack([wave(seed=seed) for seed in range(4)])
    assert np.asarray(Pipeline([("forecast", quick())]).fit(table).predict(table)).shape == (4, 4)
    search = GridSearchCV(quick(max_epochs=1), {"hidden_size": [2, 4]}, cv=2).fit(table)
    assert search.best_score_ > -1
    with pytest.raises(TypeError, match="X is not used"):
        quick().fit(wave(), wave())


def test_the_score_is_the_part_of_the_seasonal_naive_error_that_is_saved() -> None:
    y = wave(400)
    assert quick(max_epochs=10).fit(y[:300]).score(y) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantiles": (0.1, 1.0)}, "quantiles has 1.0"),
        ({"quantiles": 0.5}, "quantiles is 0.5; it takes a tuple or a list"),
        ({"strategy": "oracle"}, "strategy is 'oracle'; it can be 'direct', 'recursive', 'seq2seq'"),
        ({"strategy": "recursive", "bidirectional": True}, "reads forward"),
        ({"horizon": 0}, "horizon is 0; it must be 1 or more"),
        ({"base": "seasonal", "season": 20}, "season is 20, longer than the context of 16"),
        ({"target": "load"}, "'load' are named, but y is a ndarray without names"),
    ],
)
def test_wrong_parameters_are_named_before_training(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        quick(**options).fit_reports(wave())


def test_wrong_questions_are_answered_in_words() -> None:
    fitted = quick(quantiles=(0.2, 0.8), validation_fraction=0.0).fit(wave())
    with pytest.raises(ValueError, match=r"quantile 0.05 is outside 0.2 to 0.8"):
        fitted.predict_interval(coverage=0.9)
    with pytest.raises(ValueError, match="coverage is 2"):
        fitted.predict_interval(coverage=2)
    with pytest.raises(TypeError, match="dates= goes with y="):
        fitted.predict(dates=["2020-01-01"])
