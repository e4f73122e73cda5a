"""Small series that an LSTM learns in a second."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.tasks import TASKS

SMALL: dict[str, Any] = {"hidden_size": 8, "max_epochs": 3, "random_state": 0}
Series = list[NDArray[np.float64]]


def ragged(count: int = 24, features: int = 2, seed: int = 0) -> tuple[Series, NDArray[np.str_]]:
    """Series of unequal length whose first feature drifts up or down, and the direction."""
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(count) % 2 == 0, "down", "up")
    X = [rng.normal(size=(rng.integers(4, 9), features)) for _ in range(count)]
    for series, label in zip(X, y, strict=True):
        series[:, 0] += 2.0 if label == "up" else -2.0
    return X, y


def step_labels(X: Series) -> Series:
    """A label for each step: whether the first feature has been mostly positive so far."""
    return [np.where(np.cumsum(series[:, 0]) > 0, "high", "low") for series in X]


def begun(task: str, **options: Any) -> Any:
    """An estimator of a task after its first update on tiny data, all but its sizes as it is by default."""
    X, _ = ragged(6)
    small: dict[str, Any] = {"hidden_size": 6, "random_state": 0}
    data: dict[str, tuple[Any, ...]] = {
        "classify": (X, ["down", "up"] * 3),
        "regress": (X, np.arange(6.0)),
        "label": (X, step_labels(X)),
        "transcribe": (X, ["a", "b"] * 3),
        "spot": (X, [["a"], ["b"]] * 3),
        "forecast": (np.sin(np.arange(120.0)).reshape(2, 60),),
        "control": ("CartPole-v1",),
    }
    if task == "forecast":
        small |= {"horizon": 2, "context": 4}
    if task == "control":
        small |= {"rollout": 4, "updates_per_epoch": 1, "validation_episodes": 0, "batch_size": 2}
    estimator: Any = TASKS[task](**small, **options)
    reports = estimator.fit_reports(*data[task])
    next(iter(reports))
    reports.close()
    return estimator
