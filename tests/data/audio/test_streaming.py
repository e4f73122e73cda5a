"""Features of a stream are those of the whole."""

import numpy as np
import pytest

from carousel.data import DataError
from carousel.data.audio import FeatureStream, SpeechFrontend
from tests.data.audio.write_golden import signal

FRONTENDS = [
    SpeechFrontend(),
    SpeechFrontend(deltas=0, cepstra=5),
    SpeechFrontend(deltas=1, step=0.03),
    SpeechFrontend(deltas=3),
    SpeechFrontend(deltas=1, stack=3),
]


@pytest.mark.parametrize("frontend", FRONTENDS)
@pytest.mark.parametrize("piece", [1, 37, 160, 401, 4000])
def test_a_stream_gives_what_the_whole_gives(frontend: SpeechFrontend, piece: int) -> None:
    sound, stream = signal(), FeatureStream(frontend)
    if piece == 1:
        sound = sound[:1000]
    parts = [stream.push(sound[at : at + piece]) for at in range(0, len(sound), piece)]
    found = np.concatenate([*parts, stream.finish()])
    whole = frontend.features(sound)
    assert found.shape == whole.shape
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_frames_come_as_soon_as_they_can() -> None:
    frontend = SpeechFrontend()
    stream = FeatureStream(frontend)
    counts = [len(stream.push(piece)) for piece in np.split(signal(), 25)]
    assert np.cumsum(counts).tolist() == [
        max(0, frontend.frames_of(160 * (push + 1)) - frontend.lookahead) for push in range(25)
    ]


def test_it_begins_anew_after_the_end() -> None:
    frontend, sound = SpeechFrontend(), signal()
    stream = FeatureStream(frontend)
    for _ in range(2):
        found = np.concatenate([stream.push(sound), stream.finish()])
        np.testing.assert_allclose(found, frontend.features(sound), atol=1e-5)


def test_nothing_comes_of_nothing() -> None:
    stream = FeatureStream(SpeechFrontend())
    assert stream.push(np.zeros(10)).shape == (0, 123)
    assert stream.finish().shape == (0, 123)
    with pytest.raises(DataError, match="finite floats"):
        stream.push(np.array([np.nan]))
