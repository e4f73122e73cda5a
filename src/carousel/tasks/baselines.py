"""What a network must beat: simple rules and shallow learners, scored by the same figures on the same data."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from carousel.data import Sequences, as_sequences
from carousel.tasks.classification import SequenceClassifier
from carousel.tasks.labelling import SequenceLabeler
from carousel.tasks.regression import SequenceRegressor
from carousel.tasks.scaler import Scaler
from carousel.tasks.scores import class_scores, regression_scores
from carousel.tasks.supervised import SupervisedEstimator

Scores = dict[str, float]


def baseline_scores(estimator: SupervisedEstimator, X: Any, y: Any, X_test: Any, y_test: Any) -> dict[str, Scores]:
    """Scores of each baseline, fitted on X and y, on the test series; the same figures as `estimator.evaluate`.

    For one class or number a series: the majority class or the mean; the nearest neighbour among the training series,
    scaled and padded with zeros to one length; for numbers also ridge regression on the same flat vectors. For one
    class a step: the majority class, and logistic regression on that step alone, which remembers nothing.
    """
    train, test = as_sequences(X, dtype=np.float64), as_sequences(X_test, dtype=np.float64)
    if isinstance(estimator, SequenceLabeler):
        rows, test_rows = np.concatenate(train.values), np.concatenate(test.values)
        y, y_test = np.concatenate([*map(np.asarray, y)]), np.concatenate([*map(np.asarray, y_test)])
    else:
        rows, test_rows = padded_rows(train, test)
    scores = regression_scores if isinstance(estimator, SequenceRegressor) else class_scores
    found = {}
    for name, baseline in _baselines(estimator).items():
        found[name] = scores(np.asarray(y_test), baseline.fit(rows, np.asarray(y)).predict(test_rows))
    return found


def padded_rows(train: Sequences, test: Sequences) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Each series as one flat row, scaled like the training series, padded or cut to the longest of these."""
    scaler = Scaler.of(train.values)
    longest = int(train.lengths.max())
    return _flat(train, scaler, longest), _flat(test, scaler, longest)


def _flat(sequences: Sequences, scaler: Scaler, longest: int) -> NDArray[np.float64]:
    rows = np.zeros((len(sequences), longest, sequences.n_features))
    for row, values in zip(rows, sequences.values, strict=True):
        row[: len(values)] = scaler.apply(values[:longest])
    return rows.reshape(len(rows), -1)


def _baselines(estimator: SupervisedEstimator) -> dict[str, Any]:
    if isinstance(estimator, SequenceClassifier):
        return {"majority class": DummyClassifier(), "1-nearest neighbour": KNeighborsClassifier(1)}
    if isinstance(estimator, SequenceRegressor):
        return {"mean": DummyRegressor(), "1-nearest neighbour": KNeighborsRegressor(1), "ridge regression": Ridge()}
    memoryless = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return {"majority class": DummyClassifier(), "one step alone (logistic regression)": memoryless}
