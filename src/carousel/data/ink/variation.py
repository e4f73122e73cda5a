"""Drawn variation of ink: other writers, for training."""

from dataclasses import dataclass, fields

import numpy as np

from carousel.data.errors import DataError
from carousel.data.ink.strokes import Ink, Points

WAVES = 3


@dataclass(frozen=True, kw_only=True)
class InkVariation:
    """One more writer of the same ink: a slant, a turn, a stretch and a slow waver, drawn for each call.

    All are standard deviations of normal draws. slant: the shear (0.2 is 11 degrees). turn: radians. stretch: the
    logarithm of the width over the height. waver: how far points are carried, by a few slow waves along the writing, as
    a share of the height. jitter: of each point alone.
    """

    slant: float = 0.2
    turn: float = 0.05
    stretch: float = 0.1
    waver: float = 0.03
    jitter: float = 0.0

    def __post_init__(self) -> None:
        if odd := [field.name for field in fields(self) if getattr(self, field.name) < 0]:
            raise DataError(f"{odd[0]} is {getattr(self, odd[0])}; give a deviation of 0 or more")

    def __call__(self, ink: Ink, rng: np.random.Generator) -> Ink:
        """The ink as another hand would write it."""
        lower, upper = ink.box
        centre, height = (lower + upper) / 2, max(upper[1] - lower[1], (upper[0] - lower[0]) / 10, 1e-9)
        matrix = self._matrix(rng)
        waves = rng.normal(0, self.waver * height / np.sqrt(WAVES), (2, WAVES))
        speeds, phases = rng.uniform(0.5, 2.5, (2, WAVES)), rng.uniform(0, 2 * np.pi, (2, WAVES))

        def changed(stroke: Points) -> Points:
            moved = (stroke - centre) @ matrix
            angle = (moved / height)[:, ::-1, None] * speeds * np.pi + phases
            return moved + (waves * np.sin(angle)).sum(-1) + rng.normal(0, self.jitter * height, moved.shape) + centre

        return ink.changed(changed)

    def _matrix(self, rng: np.random.Generator) -> Points:
        """Shear, stretch and turn, for points as rows."""
        shear, angle, stretch = rng.normal(0, (self.slant, self.turn, self.stretch))
        width, height = np.exp(stretch / 2), np.exp(-stretch / 2)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return np.array([[width, 0], [0, height]]) @ np.array([[1, 0], [shear, 1]]) @ turn
