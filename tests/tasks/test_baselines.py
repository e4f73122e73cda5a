"""The simple answers that estimators are measured against."""

import numpy as np

from carousel.tasks import SequenceClassifier, SequenceLabeler, SequenceRegressor, baseline_scores
from tests.tasks.samples import ragged, step_labels


def test_classes() -> None:
    X, y = ragged(40)
    scores = baseline_scores(SequenceClassifier(), X, y, *ragged(20, seed=1))
    assert scores["majority class"]["accuracy"] == 0.5
    assert scores["1-nearest neighbour"]["accuracy"] > 0.8


def test_longer_test_series_are_cut_and_labels_of_any_container() -> None:
    X, y = ragged(40)
    Z, z = ragged(20, seed=1)
    longer = [np.concatenate([one, np.zeros((50, 2))]) for one in Z]
    scores = baseline_scores(SequenceClassifier(), X, list(y), longer, list(z))
    assert scores["1-nearest neighbour"]["accuracy"] > 0.8


def test_numbers() -> None:
    X, _ = ragged(40)
    y = [one[:4, 0].sum() for one in X]
    Z, _ = ragged(20, seed=1)
    scores = baseline_scores(SequenceRegressor(), X, y, Z, [one[:4, 0].sum() for one in Z])
    assert scores["mean"]["r2"] < 0.1
    assert scores["ridge regression"]["r2"] > 0.9


def test_a_label_a_step() -> None:
    X, _ = ragged(40)
    Z, _ = ragged(20, seed=1)
    scores = baseline_scores(SequenceLabeler(), X, step_labels(X), Z, step_labels(Z))
    memoryless = scores["one step alone (logistic regression)"]
    assert scores["majority class"]["accuracy"] < memoryless["accuracy"] < 1
