"""Speech features agree with Kaldi's and HTK's, and say what cannot be."""

from itertools import pairwise

import numpy as np
import pytest

from carousel.data import DataError
from carousel.data.audio import Recording, SpeechFrontend
from tests.data.audio.write_golden import GOLDEN, RATE, signal

CASES = {
    "log_mel": SpeechFrontend(deltas=0),
    "log_mel_deltas": SpeechFrontend(),
    "mfcc": SpeechFrontend(bands=26, cepstra=12, deltas=0),
}


@pytest.mark.parametrize("name", CASES)
def test_features_are_those_of_other_programs(name: str) -> None:
    """Kaldi computes in float32, so that small energies carry its rounding."""
    with np.load(GOLDEN) as golden:
        expected = golden[name]
    found = CASES[name].features(signal())
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-3, rtol=1e-4)


def test_the_inputs_of_the_papers() -> None:
    assert SpeechFrontend().n_features == 123
    assert SpeechFrontend(bands=26, cepstra=12, deltas=1).n_features == 26
    assert SpeechFrontend(bands=26, cepstra=12).n_features == 39
    small = SpeechFrontend(bands=20, cepstra=2, deltas=1)
    assert small.names == ("energy", "c1", "c2", "d energy", "d c1", "d c2")


def test_deltas_are_slopes() -> None:
    ramp = np.exp(np.arange(RATE) / RATE * 4).astype(np.float32) * np.sin(np.arange(RATE)).astype(np.float32) / 100
    found = SpeechFrontend(deltas=1, bands=10).features(ramp)
    energy, slope = found[:, 0], found[:, 11]
    np.testing.assert_allclose(slope[5:-5], np.gradient(energy)[5:-5], atol=2e-3)
    assert slope[5:-5].mean() == pytest.approx(0.08, rel=0.02)


@pytest.mark.parametrize("samples", [399, 400, 559, 560, 16_000])
def test_frames_are_counted(samples: int) -> None:
    frontend, noise = SpeechFrontend(), np.random.default_rng(0).normal(size=samples) / 10
    count = frontend.frames_of(samples)
    assert count == frontend.frames(samples / RATE)
    if count:
        assert len(frontend.features(noise)) == count
    assert frontend.hop == 0.01
    assert frontend.seconds(0) == 0.0125


def test_frames_are_stacked() -> None:
    sound = np.random.default_rng(0).normal(size=RATE) / 10
    plain, stacked = SpeechFrontend(bands=4, deltas=1), SpeechFrontend(bands=4, deltas=1, stack=3)
    alone, found = plain.features(sound), stacked.features(sound)
    assert len(alone) == 98 and found.shape == (32, 30) == (stacked.frames(1.0), stacked.n_features)
    np.testing.assert_array_equal(found[7], np.concatenate(alone[21:24]))
    assert stacked.names[9:11] == ("d mel4", "energy +1") and len(set(stacked.names)) == 30
    assert stacked.hop == 0.03 and stacked.seconds(7) == plain.seconds(22)
    with pytest.raises(DataError, match=r"lasts 0\.0449 s, shorter than one window of 0\.045 s"):
        stacked.features(sound[:719])


def test_other_rates() -> None:
    frontend = SpeechFrontend(rate=8000, bands=20)
    tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    mel = frontend.features(tone)[:, 1:21].mean(0)
    edges = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(4000 / 700), 22)
    inside = [low <= 1127 * np.log1p(1000 / 700) <= high for (low, _), (_, high) in pairwise(pairwise(edges))]
    assert inside[int(mel.argmax())]


def test_silence_is_finite() -> None:
    assert np.isfinite(SpeechFrontend().features(np.zeros(RATE))).all()


def test_long_sound_goes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SpeechFrontend().features(signal())
    monkeypatch.setattr("carousel.data.audio.speech.FRAMES_AT_ONCE", 7)
    np.testing.assert_allclose(SpeechFrontend().features(signal()), whole, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros(100), "shorter than one window"),
        (np.full(RATE, np.nan), "holds NaN"),
        (np.zeros((RATE, 2)), "shape \\(16000, 2\\)"),
        (np.zeros(RATE, np.int16), "dtype int16"),
        (Recording(np.zeros(8000, np.float32), 8000, "a.wav"), "a.wav has 8000 samples a second.*rate=16000"),
    ],
)
def test_signals_that_are_refused(given: object, said: str) -> None:
    with pytest.raises(DataError, match=said):
        SpeechFrontend().features(given)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"high": 9000}, "at 16000 samples a second give 0 to 8000"),
        ({"cepstra": 40}, "fewer cepstra than bands"),
        ({"step": 0}, "a step of 1"),
        ({"deltas": -1}, "0 deltas and"),
        ({"stack": 0}, "a stack of 1 at least"),
        ({"bands": 200}, "see no frequency"),
    ],
)
def test_options_that_are_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        SpeechFrontend(**options)  # pyright: ignore[reportArgumentType]
