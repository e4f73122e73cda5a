"""Centre and spread of each feature, taken from training data and applied to all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scaler:
    """Subtract the centre, divide by the spread; both (features,) in float64.

    Raises ValueError for arrays of unequal shape, values that are not finite, or a spread that is not positive.
    """

    center: NDArray[np.float64]
    spread: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.center.ndim != 1 or self.center.shape != self.spread.shape:
            raise ValueError(f"center has shape {self.center.shape}, spread {self.spread.shape}; both are (features,)")
        if not (np.isfinite(self.center).all() and np.isfinite(self.spread).all() and (self.spread > 0).all()):
            raise ValueError("center and spread must be finite, and the spread positive")

    @classmethod
    def of(cls, values: Sequence[NDArray[Any]]) -> Self:
        """Mean and standard deviation of each feature over all rows of all arrays; NaN is left out.

        A feature that does not vary keeps its unit: its spread is 1.
        """
        rows = np.concatenate(values).astype(np.float64)
        seen = ~np.isnan(rows)
        count = np.maximum(seen.sum(0), 1)
        center = np.where(seen, rows, 0).sum(0) / count
        spread = np.sqrt(np.square(np.where(seen, rows - center, 0)).sum(0) / count)
        return cls(center, np.where(spread > 1e-12 * np.maximum(1, np.abs(center)), spread, 1.0))

    def apply(self, values: NDArray[Any]) -> NDArray[Any]:
        """The scaled values (..., features)."""
        return (values - self.center) / self.spread

    def undo(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values that `apply` scaled."""
        return values * self.spread + self.center
