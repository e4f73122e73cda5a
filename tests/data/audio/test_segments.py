"""Segments, and the label of each frame."""

import numpy as np
import pytest

from carousel.data import DataError
from carousel.data.audio import Segments, SpeechFrontend, frame_labels


def test_a_frame_has_the_label_of_its_middle() -> None:
    segments = Segments(("a", "b", "c"), np.array([0.0225, 0.05, 0.06]))
    found = frame_labels(segments, SpeechFrontend(), 7)
    assert found.tolist() == ["a", "b", "b", "b", "c", "c", "c"]


@pytest.mark.parametrize(
    ("names", "ends", "said"),
    [
        (("a",), [1.0, 2.0], "1 names and 2 ends"),
        ((), [], "1 at least"),
        (("a", "b"), [2.0, 1.0], "segment 1 ends before"),
    ],
)
def test_segments_that_are_refused(names: tuple[str, ...], ends: list[float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Segments(names, np.array(ends))
