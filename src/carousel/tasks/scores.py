"""The figures that `evaluate` returns, by name."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    r2_score,
    recall_score,
    root_mean_squared_error,
)


def class_scores(truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    """Accuracy, balanced accuracy (mean recall of the classes that occur) and macro F1 over the same classes."""
    present = np.unique(truth)
    average: Any = {"labels": present, "average": "macro", "zero_division": 0}
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "balanced_accuracy": float(recall_score(truth, predicted, **average)),
        "macro_f1": float(f1_score(truth, predicted, **average)),
    }


def regression_scores(truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    """Mean absolute error, root mean squared error and R2 (nan for fewer than two values), averaged over outputs."""
    enough = len(truth) > 1
    return {
        "mae": float(mean_absolute_error(truth, predicted)),
        "rmse": float(root_mean_squared_error(truth, predicted)),
        "r2": float(r2_score(truth, predicted)) if enough else float("nan"),
    }
