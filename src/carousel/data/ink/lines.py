"""Lines of ink from single signs: the ink is real, its neighbours are drawn."""

from collections.abc import Sequence

import numpy as np

from carousel.data.errors import DataError
from carousel.data.ink.strokes import Ink


def joined(
    signs: Sequence[Ink], rng: np.random.Generator, *, gap: tuple[float, float] = (0.1, 0.5), lift: float = 0.05
) -> Ink:
    """One line of these signs from left to right, each with its own strokes.

    gap: the least and the largest distance between neighbours, as a share of the first sign's height. lift: standard
        deviation of each sign's height over the line, as a share of the same.

    Raises DataError for no signs.
    """
    if not signs:
        raise DataError("a line without signs")
    lower, upper = signs[0].box
    height, right, strokes = max(upper[1] - lower[1], 1e-9), 0.0, []
    for sign in signs:
        left, _ = sign.box
        place = np.array([right - left[0], rng.normal(0, lift * height) - left[1]])
        moved = sign.changed(lambda stroke, place=place: stroke + place)
        strokes += moved.strokes
        right = moved.box[1][0] + height * rng.uniform(*gap)
    return Ink(tuple(strokes))
