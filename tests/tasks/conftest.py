"""Estimators fitted on small samples."""

import pytest

from carousel.tasks import SequenceClassifier, SequenceLabeler, SequenceRegressor
from tests.tasks.samples import SMALL, ragged, step_labels


@pytest.fixture
def classifier() -> SequenceClassifier:
    return SequenceClassifier(**SMALL).fit(*ragged())


@pytest.fixture
def regressor() -> SequenceRegressor:
    X, _ = ragged()
    return SequenceRegressor(**SMALL).fit(X, [series[:, 0].mean() for series in X])


@pytest.fixture
def labeler() -> SequenceLabeler:
    X, _ = ragged()
    return SequenceLabeler(**SMALL).fit(X, step_labels(X))
