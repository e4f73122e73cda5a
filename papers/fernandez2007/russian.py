"""Real running speech: twelve words of festvox-ru, and how its phones spell them."""

import re
from collections import Counter
from functools import lru_cache

from carousel.data import corpora
from carousel.data.audio import SpeechFrontend, read_audio
from papers.fernandez2007.talk import Speech, plain

WORDS = (
    "теперь", "когда", "через", "сквозь", "чтобы", "очень", "гусев", "лось", "только", "было", "она", "что",
)  # fmt: skip
"""Frequent words of the transcripts, which hold each 13 to 72 times in the training part."""
SHORTEST, LONGEST = 2, 8


@lru_cache(maxsize=4)
def material(frontend: SpeechFrontend, every: int) -> dict[str, Speech]:
    """The three parts of the set; of the training part each so many-th utterance."""
    corpora.fetch("festvox-ru")
    found = {}
    for part in ("training", "validation", "test"):
        own = [utterance for utterance in corpora.festvox_ru() if utterance.part == part]
        own = own[::every] if part == "training" else own
        recordings = [read_audio(utterance.path, rate=frontend.rate, quiet=True) for utterance in own]
        texts = [" ".join(words(utterance.text)) for utterance in own]
        features = [frontend.features(recording) for recording in recordings]
        seconds = sum(recording.seconds for recording in recordings)
        found[part] = Speech(features, texts, [utterance.phones for utterance in own], seconds)
    return found


def words(text: str) -> list[str]:
    """The words of a transcript."""
    return re.findall(r"\w+", text.lower())


@lru_cache(maxsize=1)
def spellings_of() -> dict[str, str]:
    """Each word as phones: the row of phones that best tells the training utterances with the word from the others."""
    own = [utterance for utterance in corpora.festvox_ru() if utterance.part == "training"]
    phones = [plain(utterance.phones.names) for utterance in own]
    said = [set(words(utterance.text)) for utterance in own]
    rows = [_rows(one) for one in phones]
    total = Counter(row for one in rows for row in one)
    return {word: " ".join(_spelling(word, said, rows, total)) for word in WORDS}


def _rows(phones: list[str]) -> set[tuple[str, ...]]:
    sizes = range(SHORTEST, LONGEST + 1)
    return {tuple(phones[at : at + size]) for size in sizes for at in range(len(phones) - size + 1)}


def _spelling(
    word: str, said: list[set[str]], rows: list[set[tuple[str, ...]]], total: Counter[tuple[str, ...]]
) -> tuple[str, ...]:
    """The row with the best F1, of equals the one nearest to the word in length."""
    inside = Counter(row for own, one in zip(said, rows, strict=True) if word in own for row in one)
    holding = sum(word in own for own in said)
    return max(inside, key=lambda row: (2 * inside[row] / (holding + total[row]), -abs(len(row) - len(word)), row))
