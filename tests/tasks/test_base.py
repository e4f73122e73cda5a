"""The ceremony: seeds, early stopping, interruption, resuming, and what the scaler may see."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from carousel.tasks import SequenceClassifier, SequenceRegressor
from carousel.training import CheckpointError, DivergenceError
from tests.tasks.samples import SMALL, ragged


def test_the_same_seed_gives_the_same_model() -> None:
    X, y = ragged()
    first, again = (SequenceClassifier(**SMALL, dropout=0.3).fit(X, y).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = SequenceClassifier(**{**SMALL, "random_state": 1}, dropout=0.3).fit(X, y).predict_proba(X)
    assert (first != other).any()


def test_the_seed_decides_the_initial_weights() -> None:
    X, y = ragged()
    barely: dict[str, Any] = {"max_epochs": 1, "learning_rate": 1e-12, "hidden_size": 8}
    first, other = (SequenceClassifier(**barely, random_state=seed).fit(X, y).predict_proba(X) for seed in (0, 1))
    assert np.abs(first - other).max() > 1e-3


def test_the_callers_random_numbers_are_left_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()
    SequenceClassifier(**SMALL, dropout=0.3).fit(*ragged())
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], before[1])


def test_nothing_is_printed_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    SequenceClassifier(**SMALL).fit(*ragged())
    assert capsys.readouterr() == ("", "")
    SequenceClassifier(**SMALL, verbose=1).fit(*ragged())
    assert len(capsys.readouterr().out.splitlines()) == SMALL["max_epochs"]


def test_reports_end_with_the_reason_and_history_has_a_row_an_epoch() -> None:
    estimator = SequenceClassifier(**SMALL)
    reports = list(estimator.fit_reports(*ragged()))
    assert reports[-1].stopped == "all epochs are done"
    assert [row["epoch"] for row in estimator.history_] == [1, 2, 3]


def test_what_was_learned_stays_after_an_interruption() -> None:
    X, y = ragged()
    steady = {"schedule": "constant"}
    estimator = SequenceClassifier(hidden_size=8, max_epochs=1000, random_state=0, method_options=steady)
    with pytest.raises(KeyboardInterrupt):
        for report in estimator.fit_reports(X, y):
            if report.epoch == 40:
                raise KeyboardInterrupt
    assert estimator.score(X, y) > 0.9
    assert len(estimator.history_) == 40


def test_a_new_fit_forgets_the_old_one_when_the_data_are_refused(classifier: SequenceClassifier) -> None:
    with pytest.raises(ValueError, match="one class only"):
        classifier.fit(ragged()[0], ["up"] * 24)
    assert not hasattr(classifier, "network_")


def test_diverging_training_is_said_and_leaves_what_was_learned() -> None:
    X, _ = ragged()
    y = [one[:, 0].mean() for one in X]
    wild = SequenceRegressor(**SMALL, learning_rate=1e30, method_options={"optimizer": "sgd", "schedule": "constant"})
    with pytest.raises(DivergenceError, match="lower the learning rate"):
        wild.fit(X, y)


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    X, y = ragged()
    expected = SequenceClassifier(**SMALL, dropout=0.3).fit(X, y).predict_proba(X)
    checkpoint = tmp_path / "checkpoint.safetensors"
    reports = SequenceClassifier(**SMALL, dropout=0.3).fit_reports(X, y, checkpoint=checkpoint)
    next(reports)
    reports.close()
    resumed = SequenceClassifier(**SMALL, dropout=0.3)
    assert [report.epoch for report in resumed.fit_reports(X, y, checkpoint=checkpoint)] == [2, 3]
    np.testing.assert_array_equal(resumed.predict_proba(X), expected)
    assert [row["epoch"] for row in resumed.history_] == [1, 2, 3]


@pytest.mark.parametrize(
    ("kind", "began", "goes_on", "told"),
    [
        (SequenceRegressor, {}, {"loss": "absolute_error"}, "absolute_error.*there.*squared_error"),
        (SequenceRegressor, {"pool": "last"}, {"pool": "mean"}, "mean.*there.*last"),
        (SequenceRegressor, {"pool": "mean"}, {"pool": "max"}, "max.*there.*mean"),
        (SequenceRegressor, {}, {"lstm_options": {"zoneout": 0.3}}, r"zoneout=\(0.3, 0.3\)"),
        (SequenceRegressor, {}, {"lstm_options": {"input_dropout": 0.2}}, "input_dropout=.*0.2"),
        (SequenceClassifier, {}, {"class_weight": "balanced"}, "cross_entropy, weights=.*there"),
        (SequenceClassifier, {"class_weight": {"up": 2.0}}, {"class_weight": {"up": 3.0}}, "weights"),
    ],
)
def test_a_run_does_not_go_on_with_another_parameter(
    kind: Any, began: dict[str, Any], goes_on: dict[str, Any], told: str, tmp_path: Path
) -> None:
    X, labels = ragged()
    y = labels if kind is SequenceClassifier else np.arange(len(X), dtype=float)
    checkpoint = tmp_path / "checkpoint.safetensors"
    reports = kind(**SMALL, **began).fit_reports(X, y, checkpoint=checkpoint)
    next(reports)
    reports.close()
    with pytest.raises(CheckpointError, match=f"is the checkpoint of another run: .*{told}"):
        next(kind(**SMALL, **goes_on).fit_reports(X, y, checkpoint=checkpoint))
    again = kind(**SMALL, **began, verbose=1)
    assert list(again.fit_reports(X, y, checkpoint=checkpoint))


def noise(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 5)), rng.normal(size=count)


def test_training_stops_when_the_held_out_part_gets_worse() -> None:
    early = {"hidden_size": 16, "max_epochs": 200, "patience": 3, "validation_fraction": 0.3, "random_state": 0}
    estimator = SequenceRegressor(**early, method_options={"schedule": "constant"}).fit(*noise(200))
    losses = [row["validation"] for row in estimator.history_]
    assert len(losses) < 100
    assert len(losses) - 1 - int(np.argmin(losses)) == 3


def test_few_series_are_all_trained_on() -> None:
    estimator = SequenceRegressor(**SMALL, validation_fraction=0.1, patience=1).fit(*noise(30))
    assert [row["validation"] for row in estimator.history_] == [None] * 3


def test_held_out_series_do_not_touch_the_scaling() -> None:
    X, y = noise(400)
    estimator = SequenceRegressor(**SMALL, validation_fraction=0.25)
    kept, held = estimator._split(np.asarray(y), seed=int(np.random.RandomState(0).randint(2**31 - 1)))
    changed, targets = X.copy(), y.copy()
    changed[held] = 1e6
    targets[held] = -1e6
    before, after = estimator.fit(X, y), SequenceRegressor(**estimator.get_params()).fit(changed, targets)
    assert len(held) == 100
    for scaler in ("input_scaler_", "target_scaler_"):
        np.testing.assert_array_equal(getattr(before, scaler).center, getattr(after, scaler).center)
        np.testing.assert_array_equal(getattr(before, scaler).spread, getattr(after, scaler).spread)


def test_scale_of_the_input_does_not_matter() -> None:
    X, y = ragged()
    scaled = [one * [1e6, 1e-6] + [5e8, 3e-5] for one in X]
    first, second = (SequenceClassifier(**SMALL).fit(data, y).predict_proba(data) for data in (X, scaled))
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_weight_decay_belongs_to_the_usual_optimizer() -> None:
    assert SequenceClassifier()._method().options()["weight_decay"] > 0
    assert SequenceClassifier(method_options={"optimizer": "sgd"})._method().options()["weight_decay"] == 0


def test_options_of_the_method_win_over_the_usual_ones() -> None:
    estimator = SequenceClassifier(**SMALL, learning_rate=0.5, method_options={"learning_rate": 0.25})
    assert estimator._method().options()["learning_rate"] == 0.25
