"""Class labels of series or steps: checks, codes and weights."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_array, column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor


def check_labels(y: Any, what: str = "y") -> NDArray[Any]:
    """The labels as a 1-D array of one kind.

    Raises ValueError for continuous values, NaN, infinities and missing labels, naming `what`.
    """
    if y is not None and str(getattr(y, "dtype", "")) == "object":
        _refuse_missing(y, what)
    labels = np.asarray(column_or_1d(y, warn=True))
    if labels.dtype.kind in "fc":
        check_array(labels, ensure_2d=False, input_name=what, ensure_min_samples=0)
    kinds = sorted({type(label).__name__ for label in labels}) if labels.dtype.kind == "O" else []
    if len(kinds) > 1:
        raise ValueError(f"{what} mixes labels of types {', '.join(kinds)}; make them all of one type")
    check_classification_targets(labels)
    return labels


def check_classes(classes: NDArray[Any]) -> None:
    """Raise ValueError unless there are at least two classes."""
    if len(classes) < 2:
        raise ValueError(f"y has one class only ({classes[0]!s}); a classifier needs series of at least 2 classes")


def check_sorted(classes: NDArray[Any]) -> None:
    """Raise ValueError unless these are at least two labels, sorted and all different."""
    if classes.ndim != 1 or len(classes) < 2 or not np.array_equal(np.unique(classes), classes):
        raise ValueError("classes_ must be at least two different labels in order")


def expected_classes(classes: Any, weight: Any) -> NDArray[Any]:
    """The sorted classes of a classifier that learns call by call.

    Raises ValueError where they are not given, and for weights, which need all labels at once.
    """
    if classes is None:
        raise ValueError("classes must be passed on the first call to partial_fit: all labels that will ever come")
    if weight is not None:
        raise ValueError(f"class_weight is {weight!r}; partial_fit sees no label in advance, so it takes None")
    found = np.unique(check_labels(classes, "classes"))
    check_classes(found)
    return found


def encode(labels: NDArray[Any], classes: NDArray[Any], what: str = "y") -> NDArray[np.int64]:
    """The position of each label among the sorted classes; ValueError names a label that is not among them."""
    unseen = ~np.isin(labels, classes)
    if unseen.any():
        place = int(np.flatnonzero(unseen)[0])
        known = ", ".join(map(str, classes[:20])) + (", ..." if len(classes) > 20 else "")
        raise ValueError(
            f"{what} has class {labels[place]!s} at position {place}, unseen in training; known are {known}"
        )
    return np.searchsorted(classes, labels).astype(np.int64)


def class_weights(option: Any, classes: NDArray[Any], labels: NDArray[Any]) -> Tensor | None:
    """Weight of each class in the loss, 1 on average over the labels; None where all weigh the same.

    `option` is scikit-learn's class_weight: None, "balanced", or a dictionary from class to weight.
    """
    if option is None:
        return None
    weights = compute_class_weight(option, classes=classes, y=labels)
    shares = np.bincount(encode(labels, classes), minlength=len(classes)) / len(labels)
    return torch.tensor(weights / (weights * shares).sum(), dtype=torch.float32)


def _refuse_missing(y: Any, what: str) -> None:
    for position, label in enumerate(np.ravel(y)):
        if label is None or label != label:
            raise ValueError(f"{what} has a missing label ({label}) at position {position}; drop it or give it a class")
