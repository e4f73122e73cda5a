"""What is said when: segments of a recording, and the label of each frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carousel.data.audio.speech import SpeechFrontend
from carousel.data.errors import DataError


@dataclass(frozen=True, eq=False)
class Segments:
    """Names one after another, and the second at which each ends; the first begins at 0.

    Raises DataError for unequal numbers, no segment, or ends that go back.
    """

    names: tuple[str, ...]
    ends: NDArray[np.float64]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.ends) or not self.names:
            raise DataError(f"{len(self.names)} names and {len(self.ends)} ends; give one end a name, and 1 at least")
        if (np.diff(self.ends, prepend=0.0) < 0).any():
            raise DataError(f"segment {int((np.diff(self.ends, prepend=0.0) < 0).argmax())} ends before it begins")


def frame_labels(segments: Segments, frontend: SpeechFrontend, frames: int) -> NDArray[np.str_]:
    """The segment that holds the middle of each frame, (frames,); the last one where the frames outlast them."""
    middles = np.array([frontend.seconds(frame) for frame in range(frames)])
    places = np.searchsorted(segments.ends, middles, side="right")
    return np.array(segments.names)[np.minimum(places, len(segments.names) - 1)]
