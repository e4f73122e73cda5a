"""The labeler: a label for each step, scored over all steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carousel.data import as_sequences
from carousel.tasks import SequenceLabeler, load
from carousel.tasks.labelling import _parts
from tests.tasks.samples import SMALL, ragged, step_labels


def test_it_learns() -> None:
    X, _ = ragged(60)
    fitted = SequenceLabeler(hidden_size=16, max_epochs=60, random_state=0).fit(X, step_labels(X))
    Z, _ = ragged(30, seed=1)
    assert fitted.score(Z, step_labels(Z)) > 0.9


def test_a_list_gives_a_list_and_an_array_an_array(labeler: SequenceLabeler) -> None:
    X, _ = ragged()
    assert [len(labels) for labels in labeler.predict(X)] == [len(one) for one in X]
    assert [p.shape for p in labeler.predict_proba(X)] == [(len(one), 2) for one in X]
    Z = np.stack([one[:4] for one in X])
    assert labeler.predict(Z).shape == (24, 4)
    assert labeler.predict_proba(Z).shape == (24, 4, 2)


def test_labels_as_an_array() -> None:
    Z = np.random.default_rng(0).normal(size=(20, 6))
    fitted = SequenceLabeler(**SMALL).fit(Z, (Z > 0).astype(int))
    assert fitted.predict(Z).shape == (20, 6)
    assert fitted.predict(Z).dtype.kind == "i"


def test_a_series_does_not_depend_on_its_batch(labeler: SequenceLabeler) -> None:
    X, _ = ragged()
    for one, together in zip(X, labeler.predict_proba(X), strict=True):
        np.testing.assert_allclose(labeler.predict_proba([one])[0], together, rtol=1e-12)


def test_score_counts_steps_not_series(labeler: SequenceLabeler) -> None:
    X, _ = ragged()
    truth, predicted = np.concatenate(step_labels(X)), np.concatenate(labeler.predict(X))
    assert labeler.score(X, step_labels(X)) == pytest.approx((truth == predicted).mean())
    assert labeler.evaluate(X, step_labels(X))["accuracy"] == labeler.score(X, step_labels(X))


def test_class_weight() -> None:
    X, _ = ragged()
    SequenceLabeler(**SMALL, class_weight="balanced").fit(X, step_labels(X))


def late_labels(X: list[np.ndarray], by: int) -> list[np.ndarray]:
    """Whether the first feature so many steps later is positive; "end" where there is none."""
    return [np.array([*np.where(one[by:, 0] > 0, "high", "low"), *["end"] * by])[: len(one)] for one in X]


def test_a_delay_shows_what_comes() -> None:
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(int(rng.integers(6, 14)), 1)) for _ in range(120)]
    y = late_labels(X, 2)
    options = {"hidden_size": 16, "max_epochs": 40, "bidirectional": False, "dropout": 0.0, "random_state": 0}
    blind, seeing = (SequenceLabeler(**options, delay=delay).fit(X[:90], y[:90]) for delay in (0, 2))
    assert blind.score(X[90:], y[90:]) < 0.8
    assert seeing.score(X[90:], y[90:]) > 0.93
    assert [len(own) for own in seeing.predict(X[90:])] == [len(own) for own in X[90:]]


def test_with_a_delay_the_first_answers_wait(tmp_path: Path) -> None:
    X, _ = ragged()
    fitted = SequenceLabeler(**SMALL, bidirectional=False, delay=2).fit(X, step_labels(X))
    before = fitted.predict_proba(X[:1])[0]
    changed = X[0].copy()
    changed[3:] += 5
    after = fitted.predict_proba([changed])[0]
    np.testing.assert_allclose(after[:1], before[:1], rtol=1e-12)
    assert np.abs(after[1] - before[1]).max() > 1e-6, "step 1 is answered after step 3"
    fitted.save(tmp_path / "run")
    np.testing.assert_array_equal(load(tmp_path / "run").predict_proba(X[:1])[0], before)


def test_a_delay_ends_where_pieces_begin() -> None:
    X, _ = ragged()
    with pytest.raises(ValueError, match="delay is 1; use delay=0"):
        SequenceLabeler(bidirectional=False, method="tbptt", delay=1).partial_fit(X, step_labels(X), ["high", "low"])


@pytest.mark.parametrize("steps", [1, 10, 37])
def test_answers_do_not_depend_on_how_many_come_at_once(
    labeler: SequenceLabeler, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, _ = ragged()
    together = labeler.predict_proba(X)
    for module in ("labelling", "supervised"):
        monkeypatch.setattr(f"carousel.tasks.{module}.PREDICTION_STEPS", steps)
    for one, other in zip(labeler.predict_proba(X), together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_few_answers_are_held_at_once(labeler: SequenceLabeler, monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = ragged(40)
    for module in ("labelling", "supervised"):
        monkeypatch.setattr(f"carousel.tasks.{module}.PREDICTION_STEPS", 20)
    sizes: list[int] = []
    forward = type(labeler.network_).forward

    def counted(network: Any, batch: Any) -> Any:
        sizes.append(batch.inputs.shape[0] * batch.inputs.shape[1])
        return forward(network, batch)

    monkeypatch.setattr(type(labeler.network_), "forward", counted)
    labeler.predict(X)
    assert max(sizes) <= 20


def test_buckets_pad_less() -> None:
    X, _ = ragged(40)
    fitted = SequenceLabeler(**SMALL, batch_size=4, buckets=10)
    padded = {}
    for buckets in (None, 10):
        fitted.buckets = buckets
        fitted.classes_ = np.array(["high", "low"])
        batches = fitted._batches(as_sequences(X), [np.zeros(len(one), int) for one in X], np.arange(40), 0)
        padded[buckets] = sum(batch.inputs.shape[0] * batch.inputs.shape[1] for batch in batches.epoch(0))
    assert sum(map(len, X)) <= padded[10] < padded[None]
    assert fitted.fit(X, step_labels(X)).score(X, step_labels(X)) > 0.5


def test_series_are_answered_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carousel.tasks.labelling.PREDICTION_STEPS", 20)
    assert [part.tolist() for part in _parts(np.array([8, 8, 8, 30, 8]))] == [[0, 1], [2], [3], [4]]
