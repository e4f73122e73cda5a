"""What is written: strings of real digits, and lines of a text in the hands of two pen fonts."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pydoc_data.topics import topics
from string import ascii_lowercase
from typing import Any
from zlib import crc32

import numpy as np

from carousel.data.corpora import digit_strings, written
from carousel.data.ink import Ink, InkVariation

Settings = dict[str, Any]
WORD = re.compile(r"[a-z]{2,}|\b[ai]\b")
TEST_EVERY = 5
LETTERS = f" {ascii_lowercase}"


@dataclass(frozen=True)
class Lines:
    """Ink, and what it says."""

    inks: list[Ink]
    texts: list[str]


def strings(settings: Settings, part: str, rng: np.random.Generator) -> Lines:
    """Strings joined from single digits of PenDigits, each in a slant, size and waver of its own."""
    options = {name: settings[name] for name in ("gap", "scale")} | {"hand": InkVariation(**settings["hand"])}
    longest = settings["longest_tested" if part == "test" else "longest"]
    return Lines(*digit_strings(part, settings[part], rng, longest=longest, **options))


def text_lines(settings: Settings, part: str, rng: np.random.Generator) -> Lines:
    """Lines of the text, as many as the settings say, drawn and written by a font's hand with variation."""
    whole = running_text(part, settings["letters"])
    chosen = rng.choice(len(whole), size=settings[part], replace=False)
    texts = [whole[place] for place in chosen]
    return Lines([in_hand(text, settings, rng) for text in texts], texts)


def in_hand(text: str, settings: Settings, rng: np.random.Generator) -> Ink:
    """A text as one of the fonts would write it on that day."""
    return InkVariation(**settings["hand"])(written(text, str(rng.choice(settings["fonts"]))), rng)


@lru_cache(maxsize=4)
def running_text(part: str, letters: int) -> list[str]:
    """The lines of a part, at most so many letters each: Python's own help texts, a fifth of their paragraphs for the
    test, each paragraph once, in whichever texts it stands.

    Small letters and single spaces are all there is.
    """
    whole = {
        " ".join(WORD.findall(text)): None for name in sorted(topics) for text in topics[name].lower().split("\n\n")
    }
    chosen = [text for text in whole if (crc32(text.encode()) % TEST_EVERY == 0) == (part == "test")]
    return [line for text in chosen for line in _folded(text.split(), letters)]


def _folded(words: list[str], letters: int) -> list[str]:
    """Words in lines of at most so many letters; a longer word is left out."""
    lines: list[str] = []
    for word in words:
        if len(word) > letters:
            continue
        if lines and len(lines[-1]) + 1 + len(word) <= letters:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def new_words(settings: Settings) -> list[str]:
    """Words of the test part that the training part does not have, in a fixed order."""
    seen, tested = ({*vocabulary(part, settings["letters"])} for part in ("training", "test"))
    return sorted(tested - seen)


def vocabulary(part: str, letters: int) -> list[str]:
    """All words of a part's lines."""
    return sorted({word for line in running_text(part, letters) for word in line.split()})
