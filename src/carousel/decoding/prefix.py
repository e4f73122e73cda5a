"""Prefix beam search with a language model, a dictionary, and streams."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from carousel.decoding import extension, reference
from carousel.decoding.automaton import Automaton
from carousel.decoding.hypothesis import (
    NOTHING,
    DecodingError,
    Hypothesis,
    Partial,
    Reals,
    Symbols,
    Written,
    check_weights,
    check_whole,
    piece,
    reported,
    sequences,
)
from carousel.decoding.ngram import NGram
from carousel.decoding.spelling import join, separator_of, spell

REMEMBERED = 1 << 16
"""How many prefixes a search remembers at least, before it forgets those that no longer matter."""


@dataclass(frozen=True, eq=False)
class PrefixBeam:
    """The likeliest label sequences of a CTC network, each summed over the alignments that the beam holds.

    A hypothesis y is ranked by log p(y | x) + weight log p_model(y) + bonus |y| (Graves & Jaitly 2014; Hannun et al.
    2014). Without pruning, that is with a beam as wide as there are prefixes, the sums are exact.

    Args:
        alphabet: what the network's outputs mean.
        beam: how many label sequences are held after each frame.
        language_model: over symbols; or over words, where `words` is given.
        weight: of the language model; 0 or more.
        bonus: for each symbol, or each word; a language model alone prefers short texts.
        words: what stands between two symbols " " is a word, and the language model judges words: "any" allows all of
            them, "known" only those of the dictionary.
        dictionary: words that can be known; those of the language model if None.
    """

    alphabet: Symbols
    beam: int = 100
    language_model: NGram | None = None
    weight: float = 1.0
    bonus: float = 0.0
    words: str | None = None
    dictionary: Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_whole("beam", self.beam, "label sequences")
        check_weights(self.weight, self.bonus)
        if self.words not in (None, "any", "known"):
            raise DecodingError(f"words is {self.words!r}; it can be None, 'any' or 'known'")
        if self.words is None and self.dictionary is not None:
            raise DecodingError("a dictionary is of words; pass words='known' to allow only those, or 'any'")
        if self.words and self.dictionary is None and self.language_model is None:
            raise DecodingError("words need a dictionary or a language model to be known by")
        _ = self.plan

    def __call__(self, log_probs: Any, lengths: Any = None) -> list[Hypothesis]:
        """The best reading of each sequence, of log-probabilities (time, batch, labels); an empty one if none is
        allowed."""
        return [found[0] if found else NOTHING for found in self.n_best(log_probs, lengths, 1)]

    def n_best(self, log_probs: Any, lengths: Any = None, count: int = 10) -> list[list[Hypothesis]]:
        """The best readings of each sequence, `count` at most, the best first."""
        frames = sequences(log_probs, lengths, self.alphabet)
        searches = [self._search() for _ in frames]
        _push(searches, frames)
        return [_hypotheses(self, search.best(count, True)) for search in searches]

    def stream(self) -> "PrefixStream":
        """A reader of one sequence that comes piece by piece."""
        return PrefixStream(self)

    @cached_property
    def plan(self) -> "Plan":
        """What the search is told of symbols, words and the language model, as numbers."""
        return _plan(self)

    @cached_property
    def _settings(self) -> Any:
        plan, module = self.plan, extension.module
        model = plan.automaton
        dictionary = None if plan.spellings is None else module.Dictionary(*_joined(plan.spellings))
        sizes = (len(self.alphabet), self.alphabet.blank, int(self.beam))
        weights = (float(self.weight), float(self.bonus))
        numbers = (
            *((-1, -1, -1) if model is None else (model.begin, model.end, model.number("<unk>"))),
            plan.separator,
        )
        compiled = None if model is None else model.compiled
        return module.settings(sizes, weights, compiled, dictionary, plan.numbers, numbers, self.words == "known")

    def _search(self) -> Any:
        if extension.module is None:
            return reference.PrefixSearch(self)
        return extension.module.PrefixSearch(self._settings, REMEMBERED)


class Plan(NamedTuple):
    """A `PrefixBeam` as numbers."""

    automaton: Automaton | None
    numbers: list[int]
    """the language model's number of each label, or of each word"""
    spellings: list[list[int]] | None
    """the labels of each known word"""
    words: list[str]
    separator: int
    """the label between words, or -1"""


class PrefixStream:
    """One sequence that comes piece by piece: at its end the same hypotheses as of the whole."""

    def __init__(self, decoder: PrefixBeam) -> None:
        self._decoder, self._search, self._frames = decoder, decoder._search(), 0

    def push(self, log_probs: Any) -> Partial:
        """Hear the next frames, (frames, labels), and say what is best so far. Raises DecodingError for other
        shapes."""
        frames = piece(log_probs, self._decoder.alphabet, self._frames)
        _push([self._search], [frames])
        self._frames += len(frames)
        found = _hypotheses(self._decoder, self._search.best(1, False))
        return Partial(found[0] if found else NOTHING, self._search.stable() if found else 0)

    def finish(self, count: int = 1) -> list[Hypothesis]:
        """The best readings of all that was heard, as if it ended here; more may still be pushed."""
        return _hypotheses(self._decoder, self._search.best(count, True))


def _push(searches: list[Any], frames: list[Reals]) -> None:
    """Give each search its frames, in as many threads as there are cores."""
    if extension.module is not None:
        return extension.module.push(searches, frames, torch.get_num_threads())
    for search, each in zip(searches, frames, strict=True):
        search.push(each)
    return None


def _hypotheses(decoder: PrefixBeam, reports: Iterable[tuple[Any, ...]]) -> list[Hypothesis]:
    found = [reported(decoder.alphabet, *report) for report in reports]
    return [replace(own, words=_words(own.symbols)) for own in found] if decoder.words else found


def _words(symbols: tuple[Written, ...]) -> tuple[Written, ...]:
    """Words out of symbols, of which " " stands between words."""
    words: list[list[Written]] = [[]]
    for each in symbols:
        if each.symbol == " ":
            words.append([])
        else:
            words[-1].append(each)
    return tuple(join(word) for word in words if word)


def _plan(decoder: PrefixBeam) -> Plan:
    alphabet, model = decoder.alphabet, decoder.language_model
    automaton = None if model is None else Automaton(model)
    if decoder.words is None:
        symbols = ["" if label == alphabet.blank else alphabet.symbol(label) for label in range(len(alphabet))]
        return Plan(automaton, [-1 if automaton is None else automaton.number(each) for each in symbols], None, [], -1)
    known = list(decoder.dictionary) if decoder.dictionary is not None else _spoken(model)
    spellings = spell(alphabet, known)
    numbers = [-1 if automaton is None else automaton.number(word) for word in known]
    return Plan(automaton, numbers, spellings, known, separator_of(alphabet))


def _spoken(model: NGram | None) -> list[str]:
    """A language model's words, without its own marks."""
    assert model is not None
    return [word for word in model.words if word not in ("<s>", "</s>", "<unk>")]


def _joined(spellings: list[list[int]]) -> tuple[list[int], list[int]]:
    """Where each begins, and all labels one behind the other."""
    begin = np.concatenate([[0], np.cumsum([len(labels) for labels in spellings])])
    return begin.tolist(), [label for labels in spellings for label in labels]
