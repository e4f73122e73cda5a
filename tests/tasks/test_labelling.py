"""The labeler: a label for each step, scored over all steps."""

import numpy as np
import pytest

from carousel.tasks import SequenceLabeler
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
