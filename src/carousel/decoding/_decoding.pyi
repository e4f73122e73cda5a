"""The compiled decoders, as module.cpp shows them. What is out of range raises ValueError.

Log-probabilities are dense float64 arrays (time, symbols).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

class Automaton:
    """A language model: where each state's arcs begin (states + 1), of each arc word, cost and next state, of each
    state its
    weight of backing off and its shorter context, and the cost of a word that nobody knows."""

    def __init__(
        self, begin: Sequence[int], word: Sequence[int], cost: Sequence[float], next: Sequence[int],
        weight: Sequence[float], shorter: Sequence[int], unseen: float, /,
    ) -> None: ...  # fmt: skip
    def after(self, state: int, word: int, /) -> tuple[float, int]:
        """What a word costs after a context, and the context after it."""

class Dictionary:
    """Spellings as a tree: where each begins (words + 1), and all labels."""

    def __init__(self, begin: Sequence[int], labels: Sequence[int], /) -> None: ...

class Settings:
    """What many prefix searches share."""

class Vocabulary:
    """What many token passings share."""

class PrefixSearch:
    """One prefix beam search, frame by frame; what no longer matters is forgotten when there is more than `least` of
    it."""

    def __init__(self, settings: Settings, least: int, /) -> None: ...
    def best(
        self, count: int, whole: bool, /
    ) -> list[tuple[list[int], list[int], list[int], list[float], float, float]]:
        """Labels, starts, ends, peaks, acoustic and full score of the best, as if all ended here if `whole`."""
    def stable(self, /) -> int:
        """How many first labels will not change any more."""

def settings(
    sizes: tuple[int, int, int], weights: tuple[float, float], language: Automaton | None,
    dictionary: Dictionary | None, word: Sequence[int], numbers: tuple[int, int, int, int], closed: bool, /,
) -> Settings:  # fmt: skip
    """Sizes: symbols, blank, beam. Weights: of the language model, for each unit. Numbers: begin, end, unknown,
    separator."""

def vocabulary(
    begin: Sequence[int], labels: Sequence[int], numbers: tuple[int, int, int, int], language: Automaton | None,
    word: Sequence[int], weight: float, bonus: float, /,
) -> Vocabulary:  # fmt: skip
    """Spellings as for Dictionary. Numbers: blank, separator, sentence begin, sentence end; -1 for none."""

def push(searches: Sequence[PrefixSearch], frames: Sequence[Reals], threads: int, /) -> None:
    """Give each search its next frames."""

def align(frames: Reals, labels: Sequence[int], blank: int, /) -> tuple[float, list[int], list[int], list[float]]:
    """The best alignment: its score, and start, end and peak of each label; -inf and nothing where there is none."""

def pass_tokens(frames: Reals, vocabulary: Vocabulary, /) -> tuple[float, list[int], list[int], list[int]]:
    """The best sentence: its score, and number, start and end of each word."""

class TransducerSettings:
    """What many beam searches of transducers share."""

class TransducerSearch:
    """One sequence read by a transducer, frame by frame."""

    def best(self, count: int, /) -> list[tuple[list[int], list[int], list[int], list[float], float, float]]:
        """Labels, starts, ends, peaks, log-probability and score of the best."""
    def stable(self, /) -> int:
        """How many first labels will not change any more."""

def transducer_settings(
    sizes: tuple[int, int, int, int], weights: tuple[float, float], normalized: bool, language: Automaton | None,
    word: Sequence[int], begin: int, /,
) -> TransducerSettings:  # fmt: skip
    """Sizes: symbols, blank, beam, labels a frame at most. Weights: of the language model, for each label."""

def transducer_beam(settings: TransducerSettings, networks: Any, least: int, /) -> TransducerSearch:
    """A beam search that asks networks, a capsule with `carousel::Networks`; it forgets what no longer matters when
    there is more than `least` of it."""

def transducer_greedy(networks: Any, most: int, /) -> TransducerSearch:
    """A search for the likeliest label at each step, `most` at most in a frame."""

def push_transducers(searches: Sequence[TransducerSearch], frames: Sequence[NDArray[Any]], threads: int, /) -> None:
    """Give each search its next frames (frames, width), in the networks' own dtype."""
