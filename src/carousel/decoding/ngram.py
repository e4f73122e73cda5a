"""n-gram language models: what a word costs after the words before it."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Self

from carousel.decoding import arpa
from carousel.decoding.kneser_ney import BEGIN, END, NEVER, UNKNOWN, estimate, in_model


@dataclass(frozen=True)
class NGram:
    """An n-gram model with back-off, over words or symbols: natural logarithms throughout.

    entries: for each order from 1 up a table from words to (log-probability of the last given the others, weight of
        backing off from all of them). Where an entry is missing, the weight of its context is paid, and the context
        without its first word asked (Katz 1987).
    """

    entries: tuple[dict[tuple[str, ...], tuple[float, float]], ...]

    @classmethod
    def estimate(cls, sentences: Iterable[Sequence[str]], order: int = 3) -> Self:
        """Count words, or symbols, and smooth by interpolated, modified Kneser-Ney (Chen & Goodman 1998).

        The symbol " " is written <space>, here and wherever a model is asked for it.

        Raises DecodingError if there are no sentences, a word is one of the model's own, or order is not positive.
        """
        return cls(estimate(sentences, order))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read an ARPA file. Raises DecodingError, naming file and line, where it is cut off or something else."""
        return cls(arpa.read(Path(path)))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write an ARPA file, whole or not at all."""
        arpa.write(Path(path), self.entries)

    @property
    def order(self) -> int:
        """How many words an entry has at most."""
        return len(self.entries)

    @property
    def words(self) -> tuple[str, ...]:
        """All words of the model, with its own: <s>, </s>, <unk>."""
        return tuple(word for (word,) in self.entries[0])

    def log_probability(self, word: str, context: Sequence[str] = ()) -> float:
        """Of a word after others, of which the last order - 1 count; unknown ones are <unk>."""
        known = [self._known(each) for each in (*context, word)]
        return self._after(tuple(known[max(0, len(known) - self.order) :]))

    def sentence(self, words: Sequence[str]) -> float:
        """The log-probability of a sentence with its end."""
        line = [BEGIN, *words, END]
        return sum(self.log_probability(line[at], line[:at]) for at in range(1, len(line)))

    def perplexity(self, sentences: Iterable[Sequence[str]]) -> float:
        """exp of the mean cost of a word, the ends of sentences counted as words. Lower is better."""
        listed = [list(words) for words in sentences]
        return exp(-sum(map(self.sentence, listed)) / sum(len(words) + 1 for words in listed))

    def _known(self, word: str) -> str:
        written = in_model(word)
        return written if (written,) in self.entries[0] else UNKNOWN

    def _after(self, words: tuple[str, ...]) -> float:
        entry = self.entries[len(words) - 1].get(words)
        if entry is not None:
            return entry[0]
        if len(words) == 1:
            return NEVER
        weight = self.entries[len(words) - 2].get(words[:-1], (0.0, 0.0))[1]
        return weight + self._after(words[1:])
