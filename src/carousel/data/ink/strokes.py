"""Pen strokes: what the pen drew between touching the paper and leaving it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data.errors import DataError

Points = NDArray[np.float64]
FARTHEST = 1e50
"""From 0, so that squares and their sums stay finite."""


@dataclass(frozen=True, eq=False)
class Ink:
    """Strokes in the order in which they were drawn, each (points, 2): x to the right, y upwards."""

    strokes: tuple[Points, ...]

    @property
    def points(self) -> Points:
        """All points, (points, 2)."""
        return np.concatenate(self.strokes)

    @property
    def box(self) -> tuple[Points, Points]:
        """The lower left and the upper right corner, (2,) each."""
        points = self.points
        return points.min(0), points.max(0)

    def changed(self, change: Callable[[Points], Points]) -> "Ink":
        """The ink with each stroke's points changed."""
        return Ink(tuple(change(stroke) for stroke in self.strokes))


def as_ink(strokes: Any, *, down: bool = False, what: str = "the ink") -> Ink:
    """Ink from a list of strokes, each (points, 2), or wider, of which the first two columns are x and y; or from Ink.

    down: y grows downwards, as on screens; it is turned round.

    Raises DataError for no stroke, a stroke without points, and NaN or points too far away, naming the stroke.
    """
    if isinstance(strokes, Ink):
        return strokes
    if len(strokes) == 0:
        raise DataError(f"{what} has no stroke")
    found = tuple(_stroke(points, f"stroke {number} of {what}") for number, points in enumerate(strokes))
    return Ink(found).changed(lambda points: points * (1, -1)) if down else Ink(found)


def _stroke(points: Any, what: str) -> Points:
    try:
        array = np.array(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{what} holds no numbers: {error}") from None
    if array.ndim != 2 or array.shape[1] < 2 or len(array) == 0:
        raise DataError(f"{what} has shape {array.shape}; give (points, 2), x and y, and 1 point at least")
    array = array[:, :2]
    if not np.isfinite(array).all():
        raise DataError(f"{what} holds NaN or infinity at point {int((~np.isfinite(array)).any(1).argmax())}; drop it")
    if (farthest := np.abs(array).max()) > FARTHEST:
        raise DataError(f"{what} reaches out to {farthest:g}; points lie within {FARTHEST:g} of 0: make it smaller")
    return array
