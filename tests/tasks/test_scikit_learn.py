"""The classifier and the regressor pass scikit-learn's whole suite with their defaults; the others follow its rules."""

import warnings
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from carousel.tasks import SequenceClassifier, SequenceLabeler, SequenceRegressor
from carousel.tasks.registry import TASKS
from tests.tasks.samples import SMALL, ragged, step_labels

EXPECTED_FAILURES: dict[str, str] = {}


@pytest.mark.slow
@parametrize_with_checks(
    [SequenceClassifier(), SequenceRegressor()], expected_failed_checks=lambda estimator: EXPECTED_FAILURES
)
def test_the_whole_suite(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        check(estimator)


@pytest.mark.parametrize("name", TASKS)
def test_parameters_survive_clone_and_repr(name: str) -> None:
    estimator = TASKS[name](hidden_size=5, cell="peephole")
    copy: Any = clone(estimator)
    assert copy is not estimator and copy.get_params() == estimator.get_params()
    assert "hidden_size=5" in repr(copy)


def test_grid_search_over_ragged_series() -> None:
    X, y = ragged()
    search = GridSearchCV(SequenceClassifier(**SMALL), {"pool": ["last", "max"]}, cv=2).fit(X, y)
    assert search.predict(X).shape == (len(X),)


def test_cross_validation_of_all_three() -> None:
    X, y = ragged()
    Z = np.stack([series[:4] for series in X])
    assert len(cross_val_score(SequenceClassifier(**SMALL), Z, y, cv=2)) == 2
    assert len(cross_val_score(SequenceRegressor(**SMALL), Z, Z[:, :, 0].mean(1), cv=2)) == 2
    assert len(cross_val_score(SequenceLabeler(**SMALL), Z, np.sign(Z[:, :, 0]), cv=2)) == 2


def test_in_a_pipeline() -> None:
    X, y = ragged()
    doubled = FunctionTransformer(lambda series: [2 * one for one in series])
    pipeline = make_pipeline(doubled, SequenceClassifier(**SMALL)).fit(X, y)
    assert set(pipeline.predict(X)) <= {"up", "down"}


def test_a_pickled_classifier_predicts_the_same(classifier: SequenceClassifier, tmp_path: Any) -> None:
    X, _ = ragged()
    joblib.dump(classifier, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    assert loaded.fit(X, ragged()[1]).score(X, ragged()[1]) >= 0


@pytest.mark.parametrize("name", ["classify", "regress", "label"])
@pytest.mark.parametrize("question", ["predict", "evaluate", "score"])
def test_an_unfitted_estimator_says_so(name: str, question: str) -> None:
    X, y = ragged()
    arguments = (X,) if question == "predict" else (X, step_labels(X) if name == "label" else y)
    with pytest.raises(NotFittedError):
        getattr(TASKS[name](), question)(*arguments)
