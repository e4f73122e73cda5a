"""What differs from writer to writer and says nothing: skew, slant, size, the speed of the pen.

After Graves, Liwicki, Bunke, Schmidhuber and Fernandez 2008, and Jaeger, Manke, Reichert and Waibel 2001.
"""

from typing import Literal

import numpy as np

from carousel.data.ink.strokes import Ink, Points

Size = Literal["corpus", "box"]
WIDE = 2.0
"""A line this many times as wide as high has a skew; a single letter has none that could be told from its form."""
STEEPEST, BINS = 50.0, 51
LEAST = 1e-9


def deskewed(ink: Ink) -> Ink:
    """A line turned so that its points' long axis is level; what is not wide stays as it is."""
    lower, upper = ink.box
    if upper[0] - lower[0] < WIDE * max(upper[1] - lower[1], LEAST):
        return ink
    points = ink.points
    x, y = (points - points.mean(0)).T
    angle = np.arctan2(2 * np.dot(x, y), np.dot(x, x) - np.dot(y, y)) / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = points.mean(0)
    return ink.changed(lambda stroke: (stroke - centre) @ turn + centre)


def deslanted(ink: Ink) -> Ink:
    """Sheared so that the commonest steep direction is upright."""
    shear = np.tan(np.radians(slant(ink)))
    return ink.changed(lambda stroke: stroke - np.outer(stroke[:, 1], (shear, 0)))


def slant(ink: Ink) -> float:
    """Degrees by which steep pieces lean to the right: the peak of a smoothed histogram of directions, by length.

    0 where nothing is steep.
    """
    pieces = np.concatenate([np.diff(stroke, axis=0) for stroke in ink.strokes])
    pieces = pieces[np.abs(pieces[:, 1]) > LEAST]
    lean = np.degrees(np.arctan(pieces[:, 0] / pieces[:, 1])) if len(pieces) else np.empty(0)
    steep = np.abs(lean) < STEEPEST
    if not steep.any():
        return 0.0
    counts, edges = np.histogram(lean[steep], BINS, (-STEEPEST, STEEPEST), weights=np.hypot(*pieces[steep].T))
    smooth = np.convolve(counts, np.hanning(11)[1:-1], mode="same")
    middles = (edges[:-1] + edges[1:]) / 2
    near = np.abs(middles - middles[smooth.argmax()]) <= 10
    return float(np.average(middles[near], weights=smooth[near]))


def resized(ink: Ink, size: Size = "corpus") -> Ink:
    """Moved and scaled: the lower line at height 0, the upper at 1, the left end at 0.

    size: "corpus" takes the line under the small letters and the one over them, "box" lowest and highest points. Ink
        without height is scaled by its width.
    """
    lower, upper = ink.box
    bottom, top = _corpus(ink) if size == "corpus" else (lower[1], upper[1])
    if top - bottom <= 0.05 * (upper[1] - lower[1]):
        bottom, top = lower[1], upper[1]
    scale = top - bottom if top - bottom > LEAST else max(upper[0] - lower[0], LEAST)
    return ink.changed(lambda stroke: (stroke - (lower[0], bottom)) / scale)


def _corpus(ink: Ink) -> tuple[float, float]:
    """The median of all lower turning points of the strokes, and that of the upper ones."""
    turns = [_turning_points(stroke[:, 1]) for stroke in ink.strokes]
    low, high = (np.concatenate(side) for side in zip(*turns, strict=True))
    return (float(np.median(low)), float(np.median(high))) if len(low) and len(high) else (0.0, 0.0)


def _turning_points(y: Points) -> tuple[Points, Points]:
    """Heights at which a stroke begins to rise or ends falling, and the other way round; none of a level one."""
    moving = y[np.insert(np.diff(y) != 0, 0, True)]
    if len(moving) < 2:
        return moving[:0], moving[:0]
    rises = np.diff(moving) > 0
    arrives, leaves = np.insert(rises, 0, not rises[0]), np.append(rises, not rises[-1])
    return moving[~arrives & leaves], moving[arrives & ~leaves]


def unlifted(ink: Ink) -> Ink:
    """One stroke of all, in their order: the pen's way through the air is drawn like ink."""
    return Ink((ink.points,))


def resampled(ink: Ink, spacing: float, of: Ink | None = None) -> Ink:
    """Points `spacing` apart along each stroke, its first and last point kept; the speed of the pen is gone.

    A stroke that is a mere dot stays one point. of: the same ink elsewhere, point for point: its points at the same
    places on the way are given.
    """
    pairs = zip(ink.strokes, (of or ink).strokes, strict=True)
    return Ink(tuple(_evenly(stroke, spacing, other) for stroke, other in pairs))


def _evenly(stroke: Points, spacing: float, other: Points) -> Points:
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(stroke, axis=0).T))])
    if way[-1] <= LEAST:
        return other[:1]
    places = np.linspace(0, way[-1], max(2, round(way[-1] / spacing) + 1))
    return np.column_stack([np.interp(places, way, column) for column in other.T])
