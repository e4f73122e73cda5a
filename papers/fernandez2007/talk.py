"""Running speech with keywords in it: German dialogues about a date, spoken by eSpeak's voices."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data.audio import AddNoise, Segments, SpeechFrontend
from carousel.data.audio.recording import resample
from carousel.data.corpora import Voice, spoken

KEYWORDS = (
    "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Termin",
    "Januar", "Februar", "Hannover", "Hamburg", "Frankfurt", "Uhr",
)  # fmt: skip
STRESS, PAUSES = "ˈˌ", ("_", "pau")
DAYS, MONTHS, PLACES = KEYWORDS[:5], KEYWORDS[6:8], KEYWORDS[8:11]
OPENERS = ("ja", "also", "gut", "nein", "vielleicht", "dann", "hallo", "genau", "leider", "natürlich")
PATTERNS = (
    "{o} wie wäre es am {d} um {n} {u}",
    "{o} ich fahre am {d} mit der Bahn nach {p}",
    "{o} im {m} geht es bei mir gar nicht",
    "{o} machen wir den {t} doch lieber im {m}",
    "{o} das passt mir {q} und ich komme gerne",
    "{o} von {p} nach {p} sind es {n} Stunden",
    "{o} der {d} wäre mir {q} oder der {d}",
    "{o} wir treffen uns um {n} {u} in {p}",
    "{o} einen {t} am {d} habe ich {q} schon",
    "{o} danach muss ich noch eine Woche arbeiten",
)
"""As appointments are made in Verbmobil; o opens, q fills, n is a number, the others are keywords."""
FILLERS = ("leider", "eigentlich", "ganz gut", "besonders", "auch", "überhaupt nicht", "am liebsten")
NUMBERS = ("drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf")
VARIANTS = {
    "training": ("m1", "m2", "m3", "m4", "f1", "f2", "f3"),
    "validation": ("m5", "f4"),
    "test": ("m6", "m7", "f5"),
}
"""Voices of each part; nobody speaks in two of them."""


@dataclass(frozen=True, eq=False)
class Speech:
    """Recordings: their features, their words, and their phones with times."""

    features: list[NDArray[np.float32]]
    texts: list[str]
    segments: list[Segments]
    seconds: float

    @property
    def phones(self) -> list[list[str]]:
        """The phones of each, without stress and pauses."""
        return [plain(own.names) for own in self.segments]

    def keywords(self, wanted: Sequence[str]) -> list[list[str]]:
        """The wanted words of each, in order."""
        return [[word for word in text.split() if word in wanted] for text in self.texts]

    def __len__(self) -> int:
        return len(self.texts)


def sentence(rng: np.random.Generator) -> str:
    """One drawn sentence."""
    kinds = {
        "o": OPENERS,
        "d": DAYS,
        "m": MONTHS,
        "p": PLACES,
        "t": ("Termin",),
        "u": ("Uhr",),
        "q": FILLERS,
        "n": NUMBERS,
    }
    words = str(rng.choice(PATTERNS)).split()
    return " ".join(str(rng.choice(kinds[word[1]])) if word[0] == "{" else word for word in words)


@lru_cache(maxsize=8)
def speech(part: str, count: int, seed: int, frontend: SpeechFrontend) -> Speech:
    """So many recordings of a part, drawn by the seed: voices of that part, at any speed and pitch, in noise."""
    rng = np.random.default_rng([seed, sorted(VARIANTS).index(part)])
    noise = AddNoise(lowest=10, highest=30)
    features, texts, segments, seconds = [], [], [], 0.0
    for _ in range(count):
        text = sentence(rng)
        recording, said = spoken(text, voice(rng, VARIANTS[part]))
        samples = noise(resample(recording.samples, recording.rate, frontend.rate), rng)
        features.append(frontend.features(samples))
        texts.append(text)
        segments.append(said)
        seconds += len(samples) / frontend.rate
    return Speech(features, texts, segments, seconds)


def voice(rng: np.random.Generator, variants: Any) -> Voice:
    """A drawn voice."""
    speed, pitch, wide = rng.integers(140, 221), rng.integers(30, 71), rng.integers(30, 71)
    return Voice(f"de+{rng.choice(variants)}", int(speed), int(pitch), int(wide))


def plain(phones: Sequence[str], *, pause: bool = False) -> list[str]:
    """Phones without marks of stress; pauses are left out, or kept as "_"."""
    found = [phone.translate(str.maketrans("", "", STRESS)) or "_" for phone in phones]
    return ["_" if phone in PAUSES else phone for phone in found if pause or phone not in PAUSES]
