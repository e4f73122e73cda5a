"""Every task learns by every method that it takes, and what is left open is settled when fitting begins."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carousel.tasks import TASKS, Forecaster, SequenceClassifier, SequenceEstimator, Transcriber, load
from tests.tasks.forecasts import days, quick, wave
from tests.tasks.samples import SMALL, begun, ragged

METHODS_OF = {task: kind._methods() for task, kind in TASKS.items()}  # pyright: ignore[reportPrivateUsage]
PAIRS = [(task, method) for task, methods in METHODS_OF.items() for method in methods]


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_a_task_learns_by_the_name_of_a_method_alone(task: str, method: str, tmp_path: Path) -> None:
    estimator = begun(task, method=method)
    assert hasattr(estimator, "network_")
    estimator.save(tmp_path / "run")
    assert load(tmp_path / "run").method == method


def test_tasks_differ_in_their_methods() -> None:
    assert ("classify", "dekf") in PAIRS and ("transcribe", "rtrl") in PAIRS and ("control", "ppo") in PAIRS
    assert not {("classify", "ppo"), ("transcribe", "dekf"), ("control", "bptt")} & set(PAIRS)


@pytest.mark.parametrize(("method", "both"), [("bptt", True), ("evolution", True), ("tbptt", False), ("rtrl", False)])
def test_both_directions_are_read_where_the_method_can(method: str, both: bool, tmp_path: Path) -> None:
    X, y = ragged()
    fitted = SequenceClassifier(**SMALL, method=method).fit(X, y)
    assert fitted.get_params()["bidirectional"] is None
    assert fitted.network_.lstm.bidirectional is both
    fitted.save(tmp_path / "run")
    assert load(tmp_path / "run").bidirectional is both
    again = pickle.loads(pickle.dumps(fitted.set_params(method="bptt" if method == "tbptt" else "tbptt")))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_what_is_left_open_is_what_was_the_default() -> None:
    X, y = ragged()
    told, left = (SequenceClassifier(**SMALL, bidirectional=both).fit(X, y) for both in (True, None))
    np.testing.assert_array_equal(told.predict_proba(X), left.predict_proba(X))
    series = wave()
    first, other = (quick(**more).fit(series).predict_quantiles() for more in ({"quantiles": (0.1, 0.5, 0.9)}, {}))
    np.testing.assert_array_equal(first, other)


@pytest.mark.parametrize(
    ("options", "learned"),
    [({}, True), ({"method": "evolino"}, False), ({"method": "evolino", "strategy": "recursive"}, True)],
)
def test_the_calendar_is_learned_where_the_method_can(options: dict[str, Any], learned: bool, tmp_path: Path) -> None:
    small: dict[str, Any] = {"max_epochs": 1, "windows_per_epoch": 16, **options}
    fitted = quick(**small).fit(wave(), dates=days(120))
    assert fitted.calendar is None
    assert bool(fitted.preparation_["calendar"]) is learned
    fitted.save(tmp_path / "run")
    assert load(tmp_path / "run").calendar is learned
    if not learned:
        with pytest.raises(ValueError, match="the calendar .*take strategy='recursive', .* or leave .*calendar=False"):
            quick(**small, calendar=True).fit(wave(), dates=days(120))


def test_a_method_chosen_later_is_asked_anew() -> None:
    X, y = ragged()
    fitted = SequenceClassifier(**SMALL).fit(X, y)
    assert not fitted.set_params(method="tbptt").fit(X, y).network_.lstm.bidirectional


@pytest.mark.parametrize("method", ["tbptt", "rtrl", "rule1997"])
@pytest.mark.parametrize("kind", [SequenceClassifier, Transcriber])
def test_who_asks_for_both_directions_is_refused(kind: type[SequenceEstimator], method: str) -> None:
    message = "cuts sequences into pieces" if (kind, method) == (Transcriber, "tbptt") else "bidirectional=False"
    X, y = ragged()
    estimator: Any = kind(bidirectional=True, method=method, max_epochs=1)
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y.tolist())


@pytest.mark.parametrize(("method", "levels"), [("bptt", (0.1, 0.5, 0.9)), ("dekf", (0.5,)), ("evolino", (0.5,))])
def test_a_forecaster_learns_the_quantiles_that_its_method_can(
    method: str, levels: tuple[float, ...], tmp_path: Path
) -> None:
    fitted = quick(method=method, max_epochs=1, batch_size=4, windows_per_epoch=8).fit(wave())
    assert fitted.quantiles is None
    assert fitted.predict_quantiles().shape == (4, len(levels))
    low, high = fitted.predict_interval()
    assert (low < high).all()
    fitted.save(tmp_path / "run")
    assert tuple(load(tmp_path / "run").quantiles) == levels
    if method != "bptt":
        with pytest.raises(ValueError, match=r"take quantiles=\(0.5,\)"):
            Forecaster(**{**fitted.get_params(), "quantiles": (0.1, 0.9)}).fit(wave())
