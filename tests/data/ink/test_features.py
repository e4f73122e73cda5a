"""Features of ink: by hand on a small drawing, and the same for different hands."""

import numpy as np
import pytest

from carousel.data import DataError
from carousel.data.ink import Ink, InkFrontend, InkVariation, joined

PLAIN = {"skew": False, "slant": False, "size": None, "spacing": None}


def test_by_hand() -> None:
    frontend = InkFrontend(groups=("offset", "lift", "position", "direction", "curvature"), **PLAIN)
    found = frontend.features([[[0, 0], [2, 0], [2, 3]], [[5, 7]]])
    expected = [
        [0, 0, 0, 0, 0, 1, 0, 1, 0],
        [2, 0, 0, 2, 0, 1, 0, 1, 0],
        [0, 3, 1, 2, 3, 0, 1, 0, 1],
        [3, 4, 1, 5, 7, 0.6, 0.8, 0.8, -0.6],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_offsets_add_up_to_places() -> None:
    strokes = [np.random.default_rng(seed).normal(size=(9, 2)) for seed in range(3)]
    found = InkFrontend(groups=("offset", "position"), **PLAIN).features(strokes)
    np.testing.assert_allclose(found[:, :2].cumsum(0) + found[0, 2:], found[:, 2:], atol=1e-5)


def test_size_and_place_do_not_matter() -> None:
    strokes = [np.random.default_rng(seed).normal(size=(20, 2)).cumsum(0) for seed in range(3)]
    one = InkFrontend().features(strokes)
    two = InkFrontend().features([50 * stroke - 9 for stroke in strokes])
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_places_are_those_of_the_features() -> None:
    """On ink that is not moved the features' own places; on other ink the same share of the way."""
    strokes = [np.random.default_rng(seed).normal(size=(20, 2)).cumsum(0) for seed in range(3)]
    still = InkFrontend(groups=("position",), skew=False, slant=False, size=None, spacing=0.7)
    np.testing.assert_allclose(still.places(strokes), still.features(strokes), atol=1e-5)
    for lifts in (True, False):
        frontend = InkFrontend(lifts=lifts, spacing=0.1)
        places = frontend.places(strokes)
        assert len(places) == len(frontend.features(strokes))
        moved = [3 * stroke + 100 for stroke in strokes]
        np.testing.assert_allclose(frontend.places(moved), 3 * places + 100)
        corners = np.concatenate(strokes)
        assert np.abs(places[:, None] - corners[[0, -1]]).sum(-1).min(0).max() < 1e-9
    frames = InkFrontend(spacing=None)
    np.testing.assert_array_equal(frames.places(strokes), np.concatenate(strokes))


def test_the_way_through_the_air_is_ink_where_lifts_are_not_known() -> None:
    frontend = InkFrontend(groups=("offset", "lift"), skew=False, slant=False, size=None, spacing=1, lifts=False)
    found = frontend.features([[[0, 0], [1, 0]], [[1, 3], [2, 3]]])
    expected = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0], [1, 0, 1]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"groups": ("smell",)}, "give some of offset"),
        ({"groups": ()}, "give some of offset"),
        ({"groups": ("height", "position")}, "a feature twice"),
        ({"size": "big"}, "'corpus', 'box' or None"),
        ({"spacing": 0.0}, "a length above 0"),
    ],
)
def test_options_that_are_refused(options: dict, said: str) -> None:
    with pytest.raises(DataError, match=said):
        InkFrontend(**options)


@pytest.mark.parametrize("far", [1e308, -1e100])
def test_points_too_far_away_are_refused(far: float) -> None:
    with pytest.raises(DataError, match=r"stroke 1 of the ink reaches out to .*; points lie within 1e\+50"):
        InkFrontend().features([[[0, 0], [1, 1]], [[0, 0], [far, 1]]])


def test_variation_is_another_hand() -> None:
    square = Ink((np.array([[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]], dtype=float),))
    drawn = np.stack([InkVariation()(square, np.random.default_rng(seed)).points for seed in range(300)])
    lean = (drawn[:, 1, 0] - drawn[:, 0, 0]) / (drawn[:, 1, 1] - drawn[:, 0, 1])
    assert lean.std() == pytest.approx(0.2, rel=0.3)
    np.testing.assert_allclose(drawn.mean(0), square.points, atol=0.05)
    np.testing.assert_array_equal(drawn[3], InkVariation()(square, np.random.default_rng(3)).points)
    still = InkVariation(slant=0, turn=0, stretch=0, waver=0)
    np.testing.assert_allclose(still(square, np.random.default_rng(0)).points, square.points)
    with pytest.raises(DataError, match="waver is -1"):
        InkVariation(waver=-1)


def test_signs_stand_one_after_another() -> None:
    signs = [Ink((np.random.default_rng(seed).uniform(size=(8, 2)),)) for seed in range(5)]
    line = joined(signs, np.random.default_rng(0), gap=(0.2, 0.4), lift=0)
    assert len(line.strokes) == 5
    height = np.ptp(signs[0].points[:, 1])
    for before, after, sign in zip(line.strokes, line.strokes[1:], signs[1:], strict=False):
        assert 0.2 <= (after[:, 0].min() - before[:, 0].max()) / height <= 0.4
        np.testing.assert_allclose(np.diff(after, axis=0), np.diff(sign.points, axis=0), atol=1e-12)
        assert after[:, 1].min() == pytest.approx(0)
    with pytest.raises(DataError, match="without signs"):
        joined([], np.random.default_rng(0))
