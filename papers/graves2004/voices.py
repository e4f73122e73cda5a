"""Spoken digits: synthetic ones to learn from, real ones to be tested on."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data import corpora
from carousel.data.audio import AddNoise, JitterFeatures, SpeechFrontend, read_audio
from carousel.data.audio.recording import Recording, resample
from carousel.data.corpora import Voice, spoken
from carousel.data.errors import DataError

VOICES = {"en": "en-us", "es": "es-419", "fr": "fr", "it": "it", "ru": "ru"}
"""eSpeak's voices, as near to the speakers' own countries as it has them."""
HEARD = ("m1", "m2", "m3", "m4", "m5", "f1", "f2", "f3", "f4")
UNHEARD = ("m6", "m7", "f5")
MANY = (
    "Alex", "Alicia", "Andrea", "Andy", "Annie", "AnxiousAndy", "Demonic", "Denis", "Diogo", "Gene", "Gene2",
    "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike", "Nguyen", "Reed", "RicishayMax",
    "RicishayMax2", "RicishayMax3", "Storm", "Tweaky", "adam", "anika", "announcer", "antonio", "aunty", "belinda",
    "benjamin", "boris", "caleb", "croak", "david", "ed", "edward", "edward2", "f1", "f2", "f3", "f4", "grandma",
    "grandpa", "gustave", "ian", "iven", "iven2", "iven3", "iven4", "john", "kaukovalta", "linda", "m1", "m2", "m3",
    "m4", "m5", "m8", "marcelo", "max", "michel", "miguel", "mike2", "norbert", "pablo", "paul", "pedro", "quincy",
    "rob", "robert", "sandro", "shelby", "steph", "steph2", "steph3", "travis", "victor", "whisper", "zac",
)  # fmt: skip
"""All that eSpeak has, but for robots, those that are tested, and"""
OTHER = ("klatt", "klatt2", "klatt3", "klatt4", "klatt5", "klatt6")
"""voices of another kind of synthesis (Klatt 1980), by which settings were chosen."""
PADDING, KNOTS, LOUD = 2000, 6, 6.0
"""Samples of silence at most, points of the curve, and nats of energy (26 dB) below the loudest frame."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Features of spoken digits, and which they are."""

    features: list[NDArray[np.float64]]
    digits: list[int]

    def normalised(self) -> "Digits":
        """Each feature with mean 0 and deviation 1 over its recording: what is left does not know the channel."""
        own = [(one - one.mean(0)) / (one.std(0) + 1e-3) for one in self.features]
        return Digits(own, self.digits)

    def trimmed(self) -> "Digits":
        """Without what lies before the first and after the last loud frame; the first feature is the log energy."""
        loud = [np.flatnonzero(one[:, 0] > one[:, 0].max() - LOUD) for one in self.features]
        own = [one[frames[0] : frames[-1] + 1] for one, frames in zip(self.features, loud, strict=True)]
        return Digits(own, self.digits)

    def jittered(self, deviation: float, seed: int) -> "Digits":
        """With normal noise on all features."""
        rng, jitter = np.random.default_rng(seed), JitterFeatures(deviation=deviation)
        return Digits([jitter(one, rng) for one in self.features], self.digits)


@lru_cache(maxsize=32)
def synthetic(language: str, variants: tuple[str, ...], each: int, varied: bool, frontend: SpeechFrontend) -> Digits:
    """Digits by these voices, so many of each; varied: in speed, pitch and noise, drawn anew for every recording."""
    rng, noise = (
        np.random.default_rng([sorted(VOICES).index(language), len(variants), each]),
        AddNoise(lowest=5, highest=30),
    )
    found: tuple[list[Any], list[int]] = ([], [])
    for variant in variants:
        for digit in [*range(10)] * each:
            name = f"{VOICES[language]}+{variant}"
            recording = said(digit, drawn(name, rng) if varied else Voice(name))
            samples = resample(recording.samples, recording.rate, frontend.rate)
            samples = noise(altered(samples, rng), rng) if varied else samples
            found[0].append(frontend.features(samples).astype(np.float64))
            found[1].append(digit)
    return Digits(*found)


def said(digit: int, voice: Voice) -> Recording:
    """The digit by that voice; where eSpeak breaks down for it, with its pitch in a narrower range."""
    try:
        return spoken(str(digit), voice)[0]
    except DataError:
        return spoken(str(digit), replace(voice, range=Voice.range))[0]


def altered(samples: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """As if from another throat, through another line, with silence around: drawn anew each time.

    Time and frequency are stretched together by up to a fifth, frequencies are weighted by a smooth curve within 12 dB.
    """
    stretch = rng.uniform(0.83, 1.2)
    samples = np.interp(np.arange(0, len(samples) - 1, stretch), np.arange(len(samples)), samples)
    before, after = rng.integers(0, PADDING, 2)
    samples = np.pad(samples, (int(before), int(after)))
    spectrum = np.fft.rfft(samples)
    decibels = np.interp(np.linspace(0, 1, len(spectrum)), np.linspace(0, 1, KNOTS), rng.uniform(-12, 12, KNOTS))
    return np.fft.irfft(spectrum * 10 ** (decibels / 20), len(samples))


def drawn(name: str, rng: np.random.Generator) -> Voice:
    """A voice with drawn speed, pitch and range."""
    speed, pitch, wide = rng.integers(80, 200), rng.integers(20, 81), rng.integers(20, 81)
    return Voice(name, int(speed), int(pitch), int(wide))


@lru_cache(maxsize=8)
def real(language: str, frontend: SpeechFrontend) -> Digits:
    """The ten digits of the language's speaker."""
    corpora.fetch(f"asterisk-{language}")
    files = corpora.spoken_digits(language)
    recordings = [read_audio(path, rate=frontend.rate, quiet=True) for path in files.values()]
    return Digits([frontend.features(own).astype(np.float64) for own in recordings], list(files))
