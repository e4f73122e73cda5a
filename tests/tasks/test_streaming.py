"""Transcribing what is still coming in: what the whole gives, in pieces of any size and memory that does not grow."""

import tracemalloc
from itertools import product
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from carousel.data import DataError, InkFrontend
from carousel.tasks import Transcriber, Transcription, streaming
from tests.tasks.test_transcription import LEARNS, SMALL, clone_fitted, listener, spoken, tones

SOUND = tones(["abba"])[0]
DECODERS: dict[str, dict[str, Any]] = {"greedy": {}, "beam": {"decoder": "prefix_beam", "beam": 8}}
__all__ = ["listener"]


def streamed(model: Transcriber, signal: np.ndarray, size: int) -> Transcription:
    """The signal in pieces; each partial result keeps what the one before called stable, and so does the end."""
    stream, stable = model.stream(), ""
    for start in range(0, len(signal), size):
        heard = stream.push(signal[start : start + size])
        assert heard.text.startswith(stable) and heard.stable.startswith(stable)
        stable = heard.stable
    found = stream.finish()
    assert found.text.startswith(stable)
    return found


def check_same(one: Transcription, other: Transcription) -> None:
    """Texts and places to the bit, confidences to float32's last digits: a product's rounding depends on its rows."""
    assert one.text == other.text and one.unit == other.unit
    assert [(own.symbol, own.start, own.end) for own in one.symbols] == [
        (own.symbol, own.start, own.end) for own in other.symbols
    ]
    confidences = [[own.confidence for own in found.symbols] for found in (one, other)]
    np.testing.assert_allclose(*confidences, rtol=1e-6)
    assert one.log_probability == pytest.approx(other.log_probability, abs=1e-5)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("size", [7, 80, 1000, 5000, 10**6])
def test_a_stream_of_sound_ends_with_what_the_whole_gives(size: int, decoder: str, listener: Transcriber) -> None:
    model = clone_fitted(listener, **DECODERS[decoder])
    (whole,) = model.transcribe([SOUND])
    assert whole.text == "abba"
    check_same(streamed(model, SOUND, size), whole)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_sample_at_a_time(decoder: str, listener: Transcriber) -> None:
    model, sound = clone_fitted(listener, **DECODERS[decoder]), SOUND[:9000]
    (whole,) = model.transcribe([sound])
    assert whole.text == "ab"
    check_same(streamed(model, sound, 1), whole)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", ["lstm", "peephole", "full_gate_recurrence"])
def test_features_a_frame_at_a_time(cell: str, layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a long piece, which the network reads in parts."""
    X, y = spoken()
    model = Transcriber(**SMALL, bidirectional=False, cell=cell, num_layers=layers).fit(X, y)
    monkeypatch.setattr(streaming, "FRAMES_AT_ONCE", 4)
    for size in (1, 3, 100):
        check_same(streamed(model, X[0], size), model.transcribe(X[:1])[0])


@pytest.fixture(scope="module", params=[None, 8])
def emitter(request: pytest.FixtureRequest) -> Transcriber:
    """A transducer of two layers that has learned to emit several labels a sample."""
    options = {**LEARNS, "max_epochs": 30, "batch_size": 8, "learning_rate": 1e-2, "bidirectional": False}
    head = {"head": "transducer", "head_options": {"joint": request.param}}
    return Transcriber(**options, **head, num_layers=2).fit(*spoken(150))


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_transducer_streams(decoder: str, emitter: Transcriber) -> None:
    X, _ = spoken()
    model = clone_fitted(emitter, **DECODERS[decoder])
    for sample, size in product(X[:3], (1, 3, 100)):
        (whole,) = model.transcribe([sample])
        check_same(streamed(model, sample, size), whole)
    assert len(model.predict(X[:1])[0]) > 1, "what was emitted before a border is heard behind it"


def test_derivatives_are_waited_for() -> None:
    texts = ["a", "ab", "ba", "b"]
    options = {"rate": 8000, "bands": 8, "deltas": 2}
    model = Transcriber(**SMALL, bidirectional=False, frontend="speech", frontend_options=options)
    model.fit(tones(texts), texts)
    check_same(streamed(model, SOUND, 333), model.transcribe([SOUND])[0])


def test_partial_results_are_said_while_it_is_spoken(listener: Transcriber) -> None:
    stream, said = listener.stream(), []
    for start in range(0, len(SOUND), 800):
        heard = stream.push(SOUND[start : start + 800])
        said.append(heard.text)
        assert heard.heard == pytest.approx(min(len(SOUND), start + 800) / 8000) and heard.unit == "seconds"
        assert all(own.end <= heard.heard for own in heard.symbols)
    assert sorted(set(said), key=len) == ["", "a", "ab", "abb", "abba"], "a letter at a time"
    assert said.index("a") * 0.1 < 0.75, "the first tone ends at half a second"


def test_what_will_not_change_is_told_apart(listener: Transcriber) -> None:
    stream = clone_fitted(listener, decoder="prefix_beam", beam=8).stream()
    heard = [stream.push(piece) for piece in np.array_split(SOUND, 60)]
    assert any(0 < len(own.stable) < len(own.text) for own in heard)


def test_memory_does_not_grow(listener: Transcriber) -> None:
    silence = 0.002 * np.random.default_rng(1).normal(size=4000)
    for decoder in DECODERS.values():
        stream = clone_fitted(listener, **decoder).stream()
        sizes = []
        tracemalloc.start()
        for number in range(60):
            stream.push(silence)
            if number in (9, 59):
                sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        held = sum(part.numel() for part in stream._state)
        assert held == 2 * listener.hidden_size
        assert sizes[1] - sizes[0] < 4 * 2500, "not one number of each of 2500 frames"


def test_nothing_or_too_little_is_an_error_as_for_the_whole(listener: Transcriber) -> None:
    for sound in (SOUND[:0], SOUND[:100]):
        stream = listener.stream()
        stream.push(sound)
        with pytest.raises(DataError, match=f"the stream ended after {len(sound)} samples, before one frame"):
            stream.finish()


def test_a_stream_that_is_over_takes_no_more(listener: Transcriber) -> None:
    stream = listener.stream()
    stream.push(SOUND)
    stream.finish()
    for ask in (lambda: stream.push(SOUND), stream.finish):
        with pytest.raises(ValueError, match="this stream was finished; ask for another"):
            ask()


@pytest.mark.parametrize("piece", [np.array([0.1, np.nan]), np.zeros((4, 2)), np.zeros(4, np.int16)])
def test_pieces_that_are_no_sound(piece: np.ndarray, listener: Transcriber) -> None:
    with pytest.raises(DataError, match="give finite floats"):
        listener.stream().push(piece)


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (np.zeros(4), r"give numbers \(time, 4\)"),
        (np.array([["a"]]), r"give numbers \(time, 4\)"),
        (np.full((2, 4), np.inf), "NaN or infinity"),
        (np.zeros((2, 3)), r"give numbers \(time, 4\)"),
    ],
)
def test_pieces_that_are_no_frames(piece: np.ndarray, words: str) -> None:
    stream = Transcriber(**SMALL, bidirectional=False).fit(*spoken()).stream()
    with pytest.raises(DataError, match=words):
        stream.push(piece)


def test_what_must_see_the_whole_is_refused() -> None:
    X, y = spoken()
    with pytest.raises(ValueError, match=r"bidirectional=True\), and a stream has no end yet"):
        Transcriber(**SMALL).fit(X, y).stream()
    options = {**SMALL, "bidirectional": False}
    with pytest.raises(ValueError, match="which nobody knows before its end"):
        Transcriber(**options, normalize="sample").fit(X, y).stream()
    strokes = [[np.random.default_rng(0).normal(size=(12, 2)).cumsum(0)] for _ in range(10)]
    with pytest.raises(ValueError, match="'ink' looks at a whole signal"):
        Transcriber(**options, frontend=InkFrontend(spacing=None)).fit(strokes, ["a", "b"] * 5).stream()
    with pytest.raises(NotFittedError):
        Transcriber(**options).stream()
