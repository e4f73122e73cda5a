"""The recordings: features, and what is to be written, phones or letters."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from carousel.data import corpora
from carousel.data.audio import SpeechFrontend
from carousel.data.corpora.festvox import Utterance

Frames = list[NDArray[np.float32]]
Speeds = tuple[tuple[int, int], ...]
PAUSE = "pau"
SPACE = "_"
"""Between words: a language model's symbols are no spaces."""
PARTS = ("training", "validation", "test")


@dataclass
class Part:
    """A part of the set: features of each utterance, its phones and its letters.

    `later` are features of the same, begun one frame later, two, and so on, before frames are stacked; that of training
    has none.
    """

    features: Frames = field(default_factory=list)
    phones: list[list[str]] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    later: list[Frames] = field(default_factory=list)

    def truths(self, written: str) -> Any:
        """What is to be written: "phones" or "letters"."""
        return getattr(self, written)


@lru_cache(maxsize=2)
def material(sample: bool, frontend: SpeechFrontend, speeds: Speeds) -> dict[str, Part]:
    """The three parts; training utterances once at each speed, a quotient, and begun as many frames later.

    The sample that the package ships is so small that all of it is in every part: a net learns it by heart.
    """
    if not sample:
        corpora.fetch("festvox-ru")
    found = {name: Part() for name in PARTS}
    for utterance in corpora.festvox_sample() if sample else corpora.festvox_ru():
        for name in PARTS if sample else (utterance.part,):
            if name == "training":
                _add_training(found[name], utterance, frontend, speeds)
            else:
                _add(found[name], utterance, frontend)
    return found


def _add_training(part: Part, utterance: Utterance, frontend: SpeechFrontend, speeds: Speeds) -> None:
    """Put an utterance into the training part, once at each speed."""
    samples = utterance.recording().samples
    for later, (up, down) in enumerate(speeds):
        played = samples if up == down else resample_poly(samples, up, down).astype(np.float32)
        part.features.append(frontend.features(played[later * frontend.shift :]))
        _add_truths(part, utterance)


def _add(part: Part, utterance: Utterance, frontend: SpeechFrontend) -> None:
    """Put an utterance into a part, and how it sounds when it begins later."""
    samples = utterance.recording().samples
    part.features.append(frontend.features(samples))
    part.later = part.later or [[] for _ in range(frontend.stack - 1)]
    for later, frames in enumerate(part.later, start=1):
        frames.append(frontend.features(samples[later * frontend.shift :]))
    _add_truths(part, utterance)


def _add_truths(part: Part, utterance: Utterance) -> None:
    part.phones.append([phone for phone, _ in groupby(utterance.phones.names)])
    part.letters.append(letters(utterance.text))


def letters(text: str) -> str:
    """A text as it is heard: small letters, and one sign between words."""
    return SPACE.join(re.findall(r"\w+", text.lower()))
