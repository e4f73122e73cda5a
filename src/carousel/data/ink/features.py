"""Features of pen strokes, a frame a point."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data.errors import DataError
from carousel.data.frontend import Features, Frontend
from carousel.data.ink.shape import LEAST, Size, deskewed, deslanted, resampled, resized, unlifted
from carousel.data.ink.strokes import Ink, Points, as_ink

GROUPS = {
    "offset": ("dx", "dy"),
    "lift": ("lift",),
    "height": ("y",),
    "position": ("x", "y"),
    "direction": ("cosine", "sine"),
    "curvature": ("turn cosine", "turn sine"),
}


@dataclass(frozen=True, kw_only=True)
class InkFrontend(Frontend, kind="ink"):
    """Pen strokes as a sequence of points.

    groups: features of a point, in order: "offset" (from the point before, through the air where the pen was lifted),
        "lift" (1 at a stroke's last point, else 0), "height" (over the lower line), "position" (x and y, for single
        letters), "direction" (cosine and sine of the way from the point before), "curvature" (of the turn there).
    skew, slant, size: what is made alike before (see `ink.shape`); size None leaves place and scale.
    spacing: points so far apart, in units of the size; None keeps the pen's own points.
    lifts: whether it is known where the pen was lifted; False joins all strokes to one, through the air.

    Source: Graves et al. 2008: the four raw inputs (offsets, lift) and the first of the preprocessed ones.
    """

    groups: tuple[str, ...] = ("offset", "lift", "height", "direction", "curvature")
    skew: bool = True
    slant: bool = True
    size: Size | None = "corpus"
    spacing: float | None = 0.15
    lifts: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(self.groups))
        if not self.groups or not {*self.groups} <= {*GROUPS}:
            raise DataError(f"groups are {self.groups}; give some of {', '.join(GROUPS)}")
        if len(set(self.names)) < len(self.names):
            raise DataError(f"groups are {self.groups}, which gives a feature twice")
        if self.size not in (None, "corpus", "box"):
            raise DataError(f"size is {self.size!r}; it can be 'corpus', 'box' or None")
        if self.spacing is not None and not self.spacing > 0:
            raise DataError(f"spacing is {self.spacing}; give a length above 0, or None")

    @property
    def names(self) -> tuple[str, ...]:
        """The features of a point, group by group."""
        return tuple(name for group in self.groups for name in GROUPS[group])

    def alike(self, signal: Any) -> Ink:
        """The ink after skew, slant, size and spacing."""
        ink = self._moved(self._read(signal))
        return resampled(ink, self.spacing) if self.spacing else ink

    def places(self, signal: Any) -> Points:
        """Where on the ink as it was given each point of the features lies, (points, 2)."""
        ink = self._read(signal)
        return (resampled(self._moved(ink), self.spacing, of=ink) if self.spacing else ink).points

    def _read(self, signal: Any) -> Ink:
        ink = as_ink(signal)
        return ink if self.lifts else unlifted(ink)

    def _moved(self, ink: Ink) -> Ink:
        """The ink without what is made alike."""
        ink = deskewed(ink) if self.skew else ink
        ink = deslanted(ink) if self.slant else ink
        return resized(ink, self.size) if self.size else ink

    def features(self, signal: Any) -> Features:
        """Features (points, features) of Ink or of a list of strokes (points, 2), y upwards.

        Raises DataError for what is no ink.
        """
        ink = self.alike(signal)
        points = ink.points
        offset = np.diff(points, axis=0, prepend=points[:1])
        direction = _unit(offset)
        before = np.concatenate([direction[:1], direction[:-1]])
        turn = np.column_stack(
            [(direction * before).sum(1), before[:, 0] * direction[:, 1] - before[:, 1] * direction[:, 0]]
        )
        columns = {"dx": offset[:, 0], "dy": offset[:, 1], "lift": _lifts(ink), "x": points[:, 0], "y": points[:, 1]}
        columns |= {
            "cosine": direction[:, 0],
            "sine": direction[:, 1],
            "turn cosine": turn[:, 0],
            "turn sine": turn[:, 1],
        }
        return np.column_stack([columns[name] for name in self.names]).astype(np.float32)


def _lifts(ink: Ink) -> NDArray[np.float64]:
    lengths = [len(stroke) for stroke in ink.strokes]
    found = np.zeros(sum(lengths))
    found[np.cumsum(lengths) - 1] = 1
    return found


def _unit(offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Offsets of length 1; those without length keep the direction to the right."""
    length = np.hypot(*offset.T)[:, None]
    return np.where(length > LEAST, offset / np.maximum(length, LEAST), (1.0, 0.0))
