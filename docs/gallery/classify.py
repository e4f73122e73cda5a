"""Classify sequences of different lengths with scikit-learn's tools: a pipeline, a grid search, held-out accuracy.

The made-up task: did the pen go around clockwise or counter-clockwise? Each stroke has its own length, size and
place, and the two classes visit the same points: only the order tells them apart.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import carousel

Strokes = list[NDArray[np.float64]]


def strokes(count: int, seed: int) -> tuple[Strokes, NDArray[np.str_]]:
    """Noisy circles (time, 2) of 12 to 24 points, and which way around each goes."""
    rng = np.random.default_rng(seed)
    X, y = [], rng.choice(["clockwise", "counter-clockwise"], count)
    for way in y:
        turn = np.linspace(0, 2 * np.pi, rng.integers(12, 25)) * (-1 if way == "clockwise" else 1)
        angle = turn + rng.uniform(0, 2 * np.pi)
        circle = rng.uniform(0.5, 2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        X.append(circle + rng.normal(size=2) + 0.08 * rng.normal(size=circle.shape))
    return X, y


def velocities(X: Strokes) -> Strokes:
    """Differences from step to step: where the pen goes, not where it is."""
    return [np.diff(stroke, axis=0) for stroke in X]


def main() -> None:
    X, y = strokes(160, seed=0)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=60, random_state=0)
    classifier = carousel.SequenceClassifier(
        hidden_size=8, bidirectional=False, max_epochs=15, batch_size=8, validation_fraction=0, random_state=0
    )
    pipeline = make_pipeline(FunctionTransformer(velocities), classifier)
    choices = {"sequenceclassifier__pool": ["last", "max"]}
    search = GridSearchCV(pipeline, choices, cv=2).fit(X_train, y_train)

    for setting, accuracy in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        print(f"{accuracy:.0%} in cross-validation from the outputs' {setting['sequenceclassifier__pool']}")
    print(f"{search.score(X_test, y_test):.0%} right on strokes that were never seen")
    sure = search.predict_proba(X_test).max(axis=1)
    doubtful = int(np.argmin(sure))
    print(f"least sure ({sure[doubtful]:.0%}) of stroke {doubtful}, which went {y_test[doubtful]}")


if __name__ == "__main__":
    main()
