"""The classifier: what it learns, answers, weighs and refuses."""

from typing import Any

import numpy as np
import pytest

from carousel.tasks import SequenceClassifier
from tests.tasks.samples import SMALL, ragged

LEARNS: dict[str, Any] = {"hidden_size": 8, "max_epochs": 40, "random_state": 0}


@pytest.mark.parametrize("pool", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_it_learns_with_every_pool(pool: str, bidirectional: bool) -> None:
    X, y = ragged(40)
    fitted = SequenceClassifier(**LEARNS, pool=pool, bidirectional=bidirectional).fit(X, y)
    assert fitted.score(*ragged(40, seed=1)) >= 0.9


@pytest.mark.parametrize("cell", ["lstm1997", "peephole", "coupled", "full_gate_recurrence"])
def test_it_learns_with_other_cells(cell: str) -> None:
    assert SequenceClassifier(**LEARNS, cell=cell).fit(*ragged(40)).score(*ragged(40, seed=1)) >= 0.9


def test_the_last_layer_of_unequal_layers_is_read() -> None:
    fitted = SequenceClassifier(**SMALL, num_layers=2, lstm_options={"proj_size": 3}).fit(*ragged())
    head: Any = fitted.network_.head
    assert head.in_features == 3 * 2


def test_probabilities_belong_to_the_sorted_classes(classifier: SequenceClassifier) -> None:
    X, _ = ragged()
    probabilities = classifier.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert list(classifier.classes_) == ["down", "up"]
    np.testing.assert_array_equal(classifier.predict(X) == "up", probabilities[:, 1] > 0.5)


@pytest.mark.parametrize("pool", ["last", "mean", "max", "attention"])
def test_a_row_does_not_depend_on_its_batch(pool: str) -> None:
    X, y = ragged()
    fitted = SequenceClassifier(**SMALL, pool=pool).fit(X, y)
    alone = np.concatenate([fitted.predict_proba([one]) for one in X])
    np.testing.assert_allclose(alone, fitted.predict_proba(X), rtol=1e-12)


def test_containers_of_the_same_numbers_give_the_same_answer() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    table = np.random.default_rng(0).normal(size=(30, 6))
    y = table.sum(1) > 0
    expected = SequenceClassifier(**SMALL).fit(table, y).predict_proba(table)
    columns = [f"t{i}" for i in range(6)]
    frames = [pandas.DataFrame(table, columns=columns), polars.DataFrame(table, schema=columns)]
    for same in (table[:, :, None], list(table), list(table[:, :, None]), table.tolist(), *frames):
        np.testing.assert_array_equal(SequenceClassifier(**SMALL).fit(same, y).predict_proba(same), expected)


def test_channels_of_frames() -> None:
    polars = pytest.importorskip("polars")
    X, y = ragged()
    frames = [polars.DataFrame(one, schema=["load", "heat"]) for one in X]
    fitted = SequenceClassifier(**SMALL).fit(frames, y)
    np.testing.assert_array_equal(fitted.predict(frames), SequenceClassifier(**SMALL).fit(X, y).predict(X))


def test_class_weight_shifts_the_answers() -> None:
    X, y = ragged(40)
    X = [one * 0.05 + np.random.default_rng(1).normal(size=one.shape) for one in X]
    up = {}
    for weight in (0.02, 50):
        fitted = SequenceClassifier(**LEARNS, class_weight={"up": weight, "down": 1}).fit(X, y)
        up[weight] = (fitted.predict(X) == "up").mean()
    assert up[0.02] < 0.3 and up[50] > 0.7
    SequenceClassifier(**SMALL, class_weight="balanced").fit(X, y)


def test_evaluate(classifier: SequenceClassifier) -> None:
    X, y = ragged()
    figures = classifier.evaluate(X, y)
    assert figures["accuracy"] == classifier.score(X, y)
    assert set(figures) == {"accuracy", "balanced_accuracy", "macro_f1"}


def test_held_out_series_keep_the_shares_of_the_classes() -> None:
    y = np.array([0] * 100 + [1] * 300 + [2])
    estimator = SequenceClassifier(validation_fraction=0.2)
    kept, held = estimator._split(y, seed=0)
    assert np.bincount(y[held]).tolist() == [20, 60]
    assert sorted([*kept, *held]) == list(range(401))
