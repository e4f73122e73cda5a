"""Estimators whose recurrent part evolves, with a last layer by least squares or support vectors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carousel.tasks import Forecaster, SequenceClassifier, SequenceLabeler, SequenceRegressor
from tests.tasks.samples import ragged, step_labels

OPTIONS: dict[str, Any] = {"method": "evolino", "hidden_size": 6, "max_epochs": 4, "random_state": 0}
SMALL = {"population": 8, "sigma": 0.5}


def options(**more: Any) -> dict[str, Any]:
    return {**OPTIONS, "method_options": {**SMALL, **more}}


@pytest.mark.parametrize("readout", ["pinv", "svr"])
def test_a_regressor(readout: str, tmp_path: Path) -> None:
    X, _ = ragged()
    y = np.array([[series[:, 0].mean(), 100 * series[:, 1].mean()] for series in X])
    machine = {"machine_options": {"C": 10.0, "epsilon": 0.01}} if readout == "svr" else {}
    fitted = SequenceRegressor(**options(readout=readout, **machine)).fit(X, y)
    assert fitted.score(X, y) > 0.8
    fitted.save(tmp_path / "model")
    np.testing.assert_array_equal(SequenceRegressor.load(tmp_path / "model").predict(X), fitted.predict(X))


@pytest.mark.parametrize("readout", ["pinv", "svc", "linear_svc"])
def test_a_labeler(readout: str, tmp_path: Path) -> None:
    X, _ = ragged()
    y = step_labels(X)
    fitted = SequenceLabeler(**options(readout=readout), bidirectional=False, class_weight="balanced").fit(X, y)
    assert fitted.score(X, y) > 0.9
    fitted.save(tmp_path / "model")
    again = SequenceLabeler.load(tmp_path / "model").predict_proba(X)
    np.testing.assert_array_equal(again[0], fitted.predict_proba(X)[0])


@pytest.mark.parametrize("readout", ["pinv", "svc"])
def test_a_classifier_whose_probabilities_mean_something(readout: str) -> None:
    X, y = ragged()
    fitted = SequenceClassifier(**options(readout=readout)).fit(X, y)
    assert fitted.score(X, y) > 0.9
    sure = fitted.predict_proba(X).max(1).mean()
    assert sure > 0.8


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
@pytest.mark.parametrize("readout", ["pinv", "svr"])
def test_a_forecaster(strategy: str, readout: str, tmp_path: Path) -> None:
    time = np.arange(300)
    y = 10 + np.sin(0.2 * time) * np.sin(0.311 * time)
    y[50:53] = np.nan
    made = Forecaster(
        **options(readout=readout), strategy=strategy, horizon=5, context=10, quantiles=(0.5,), nan="mask",
        windows_per_epoch=64,
    )  # fmt: skip
    fitted = made.fit(y)
    assert [epoch["batched"] for epoch in fitted.history_] == [1.0] * 4
    assert fitted.score(y) > 0.3
    fitted.save(tmp_path / "model")
    np.testing.assert_array_equal(Forecaster.load(tmp_path / "model").predict(y), fitted.predict(y))


def test_what_a_forecaster_refuses() -> None:
    y = np.sin(np.arange(90.0))
    short: dict[str, Any] = {"horizon": 3, "context": 6, "windows_per_epoch": 16}
    with pytest.raises(ValueError, match=r"take quantiles=\(0.5,\)"):
        Forecaster(**options(), **short, quantiles=(0.1, 0.9)).fit(y)
    with pytest.raises(ValueError, match="strategy='direct' or 'recursive'"):
        Forecaster(**options(), **short, quantiles=(0.5,), strategy="seq2seq").fit(y)
    with pytest.raises(ValueError, match="take strategy='recursive'"):
        Forecaster(**options(), **short, quantiles=(0.5,)).fit(y, future=np.cos(np.arange(93.0))[:, None])


def test_learning_call_by_call_is_refused() -> None:
    X, _ = ragged()
    model = SequenceRegressor(**options())
    with pytest.raises(ValueError, match="partial_fit sees a part of the data, but method='evolino' learns from all"):
        model.partial_fit(X, np.arange(len(X), dtype=float))
    assert not hasattr(model, "network_")


def test_support_vectors_for_numbers_that_take_two_values_only() -> None:
    X, _ = ragged()
    with pytest.raises(ValueError, match="take 'svr' or 'pinv'"):
        SequenceRegressor(**options(readout="svc")).fit(X, np.arange(len(X), dtype=float))
