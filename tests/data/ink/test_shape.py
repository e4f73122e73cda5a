"""Ink made alike: what differs between writers goes, what is written stays."""

import numpy as np
import pytest

from carousel.data import DataError
from carousel.data.ink import Ink, as_ink, deskewed, deslanted, resampled, resized


def line_of_n(count: int = 6) -> Ink:
    """Letters like n: up, over and down; the corpus is 1 high."""
    n = np.array([[0, 0], [0, 1], [0.4, 1], [0.4, 0]], dtype=float)
    return Ink(tuple(n + (0.7 * place, 0) for place in range(count)))


def turned(ink: Ink, degrees: float) -> Ink:
    angle = np.radians(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return ink.changed(lambda stroke: stroke @ matrix)


def sheared(ink: Ink, shear: float) -> Ink:
    return ink.changed(lambda stroke: stroke + np.outer(stroke[:, 1], (shear, 0)))


@pytest.mark.parametrize("degrees", [-12, 5, 12])
def test_skew_goes(degrees: float) -> None:
    level = deskewed(turned(line_of_n(12), degrees))
    heights = [stroke[:, 1].min() for stroke in level.strokes]
    assert np.ptp(heights) < 0.06
    reached = level.box[1] - level.box[0]
    np.testing.assert_allclose(reached, [8.1, 1], atol=0.1)


def test_a_single_letter_keeps_its_form() -> None:
    slash = as_ink([[[0, 0], [1, 2]]])
    np.testing.assert_array_equal(deskewed(slash).points, slash.points)


@pytest.mark.parametrize("shear", [-0.5, 0.2, 0.6])
def test_slant_goes(shear: float) -> None:
    upright = deslanted(sheared(resampled(line_of_n(), 0.1), shear))
    first = upright.strokes[0]
    assert abs(first[:9, 0] - first[0, 0]).max() < 0.05


def test_nothing_steep_has_no_slant() -> None:
    dash = as_ink([[[0, 0], [1, 0]], [[3, 3]]])
    np.testing.assert_array_equal(deslanted(dash).points, dash.points)


@pytest.mark.parametrize("scale", [0.01, 1, 300])
def test_size_goes(scale: float) -> None:
    line = line_of_n()
    tall = Ink((*line.strokes[:2], np.array([[1.3, 0], [1.3, 2.5]]), *line.strokes[2:]))
    found = resized(tall.changed(lambda stroke: scale * stroke + (7, -9)))
    np.testing.assert_allclose(found.points, tall.points, atol=1e-6)


def test_ends_count_as_turning_points() -> None:
    found = resized(as_ink([[[0, 0], [1, 1], [2, 0.5]]]))
    np.testing.assert_allclose(found.points[:, 1], [-1 / 3, 1, 1 / 3])


def test_size_by_the_box() -> None:
    found = resized(as_ink([[[2, 3], [4, 13]]]), "box")
    np.testing.assert_allclose(found.box, [[0, 0], [0.2, 1]])
    np.testing.assert_allclose(resized(as_ink([[[2, 3], [4, 3]]])).box, [[0, 0], [1, 0]])
    np.testing.assert_allclose(resized(as_ink([[[2, 3]]])).points, [[0, 0]])


def test_points_are_evenly_apart() -> None:
    found = resampled(as_ink([[[0, 0], [3, 0], [3, 4]], [[9, 9], [9, 9]]]), 0.5)
    assert len(found.strokes[0]) == 15
    np.testing.assert_allclose(np.hypot(*np.diff(found.strokes[0], axis=0).T), 0.5)
    np.testing.assert_array_equal(found.strokes[0][[0, -1]], [[0, 0], [3, 4]])
    np.testing.assert_array_equal(found.strokes[1], [[9, 9]])


def test_screens_count_downwards() -> None:
    np.testing.assert_array_equal(as_ink([[[1, 2, 0.5]]], down=True).points, [[1, -2]])


@pytest.mark.parametrize(
    ("strokes", "said"),
    [
        ([], "has no stroke"),
        ([[[0, 1]], []], "stroke 1 of the ink has shape"),
        ([[[0, 1], [np.nan, 0]]], "NaN or infinity at point 1"),
        ([[["a", "b"]]], "holds no numbers"),
        ([[[10**400, 1]]], "holds no numbers"),
        ([[1, 2]], "has shape"),
    ],
)
def test_ink_that_is_refused(strokes: list, said: str) -> None:
    with pytest.raises(DataError, match=said):
        as_ink(strokes)
