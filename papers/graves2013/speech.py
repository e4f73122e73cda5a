"""The recordings: features, and what is to be written, phones or letters."""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from carousel.data import corpora
from carousel.data.audio import SpeechFrontend
from carousel.data.corpora.festvox import Utterance

PAUSE = "pau"
SPACE = "_"
"""Between words: a language model's symbols are no spaces."""
PARTS = ("training", "validation", "test")


@dataclass
class Part:
    """A part of the set: features of each utterance, its phones and its letters."""

    features: list[NDArray[np.float32]]
    phones: list[list[str]]
    letters: list[str]

    def truths(self, written: str) -> Any:
        """What is to be written: "phones" or "letters"."""
        return getattr(self, written)


@lru_cache(maxsize=2)
def material(sample: bool, bands: int, deltas: int, stack: int, speeds: tuple[tuple[int, int], ...]) -> dict[str, Part]:
    """The three parts; training utterances once at each speed, a quotient, and begun as many frames later.

    The sample that the package ships is so small that all of it is in every part: a net learns it by heart.
    """
    frontend = SpeechFrontend(bands=bands, deltas=deltas, stack=stack)
    if not sample:
        corpora.fetch("festvox-ru")
    found = {name: Part([], [], []) for name in PARTS}
    for utterance in corpora.festvox_sample() if sample else corpora.festvox_ru():
        for name in PARTS if sample else (utterance.part,):
            _add(found[name], utterance, frontend, speeds if name == "training" else ((1, 1),))
    return found


def _add(part: Part, utterance: Utterance, frontend: SpeechFrontend, speeds: tuple[tuple[int, int], ...]) -> None:
    """Put an utterance into a part, once at each speed."""
    samples = utterance.recording().samples
    for later, (up, down) in enumerate(speeds):
        played = samples if up == down else resample_poly(samples, up, down).astype(np.float32)
        part.features.append(frontend.features(played[later * frontend.shift :]))
        part.phones.append([phone for phone, _ in groupby(utterance.phones.names)])
        part.letters.append(letters(utterance.text))


def letters(text: str) -> str:
    """A text as it is heard: small letters, and one sign between words."""
    return SPACE.join(re.findall(r"\w+", text.lower()))
