"""What a report shows of each supervised task: confusions, residuals, labels along the steps, the worst cases."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from carousel.cli.studies.examples import Examples
from carousel.report import ClassFindings, LabelExample, LabelFindings, Line, RegressionFindings, WorstCase
from carousel.tasks import SequenceClassifier, SequenceLabeler, SequenceRegressor

WORST, DRAWN_STEPS, DRAWN_FEATURES, PARTS, EXAMPLES = 6, 500, 6, 20, 3


def outcome(estimator: Any, test: Examples) -> dict[str, Any]:
    """The fields of Findings for an estimator's kind of answer; none for a kind that has no figures of its own."""
    for kind, describe in _DESCRIBED.items():
        if isinstance(estimator, kind):
            return describe(estimator, test)
    return {}


def _classes(estimator: SequenceClassifier, test: Examples) -> dict[str, Any]:
    chances = estimator.predict_proba(test.sequences)
    predicted = estimator.classes_[chances.argmax(axis=1)]
    truth = np.searchsorted(estimator.classes_, test.targets)
    doubt = 1 - chances[np.arange(len(truth)), truth]
    wrong = [int(i) for i in np.argsort(-doubt, kind="stable")[:WORST] if predicted[i] != test.targets[i]]
    return {
        "classes": _confusion(estimator.classes_, test.targets, predicted),
        "worst": tuple(_case(test, i, doubt[i], str(predicted[i]), str(test.targets[i])) for i in wrong),
    }


def _confusion(classes: NDArray[Any], truth: NDArray[Any], predicted: NDArray[Any]) -> ClassFindings:
    return ClassFindings(tuple(map(str, classes)), confusion_matrix(truth, predicted, labels=classes))


def _numbers(estimator: SequenceRegressor, test: Examples) -> dict[str, Any]:
    predicted = estimator.predict(test.sequences)
    error = np.abs(predicted - test.targets)
    worst = [int(i) for i in np.argsort(-error, kind="stable")[:WORST]]
    return {
        "regression": RegressionFindings(test.targets, predicted),
        "worst": tuple(_case(test, i, error[i], f"{predicted[i]:.4g}", f"{test.targets[i]:.4g}") for i in worst),
    }


def _labels(estimator: SequenceLabeler, test: Examples) -> dict[str, Any]:
    predicted = estimator.predict(test.sequences)
    right = [own == truth for own, truth in zip(predicted, test.targets, strict=True)]
    error = np.array([1 - part.mean() for part in right])
    worst = [int(i) for i in np.argsort(-error, kind="stable")[:WORST] if error[i] > 0]
    rows = zip(test.sequences.ids[:EXAMPLES], test.targets, predicted, strict=False)
    examples = [LabelExample(name, _words(truth), _words(own)) for name, truth, own in rows]
    return {
        "classes": _confusion(estimator.classes_, np.concatenate(test.targets), np.concatenate(predicted)),
        "labels": LabelFindings(_accuracy_along(right), "part", tuple(examples)),
        "worst": tuple(_case(test, i, error[i], f"{1 - error[i]:.0%} of the steps right", None) for i in worst),
    }


def _words(labels: NDArray[Any]) -> tuple[str, ...]:
    return tuple(str(label) for label in labels[:DRAWN_STEPS])


def _accuracy_along(right: list[NDArray[np.bool_]]) -> tuple[float | None, ...]:
    """The share of right labels in each of 20 equal parts of the series."""
    part = np.concatenate([np.arange(len(steps)) * PARTS // len(steps) for steps in right])
    hits = np.bincount(part, weights=np.concatenate(right), minlength=PARTS)
    total = np.bincount(part, minlength=PARTS)
    return tuple(float(hit / count) if count else None for hit, count in zip(hits, total, strict=True))


def _case(test: Examples, place: int, error: float, predicted: str, truth: str | None) -> WorstCase:
    values, names = test.sequences.values[place][:DRAWN_STEPS], test.sequences.features
    shown = names or tuple(f"feature {number + 1}" for number in range(values.shape[1]))
    lines = [Line(name, values[:, column]) for column, name in enumerate(shown[:DRAWN_FEATURES])]
    return WorstCase(test.sequences.ids[place], tuple(lines), float(error), predicted, truth)


_DESCRIBED: dict[type, Callable[[Any, Examples], dict[str, Any]]] = {
    SequenceClassifier: _classes,
    SequenceRegressor: _numbers,
    SequenceLabeler: _labels,
}
