"""Token passing over a dictionary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from carousel.decoding import extension, reference
from carousel.decoding.automaton import Automaton
from carousel.decoding.best_path import align
from carousel.decoding.hypothesis import (
    NOTHING,
    DecodingError,
    Hypothesis,
    Reals,
    Symbols,
    Written,
    check_weights,
    sequences,
)
from carousel.decoding.ngram import NGram
from carousel.decoding.spelling import separator_of, spell


@dataclass(frozen=True, eq=False)
class TokenPassing:
    """The sentence of known words whose best alignment, with the language model, is the best of all (Graves 2008,
    2009).

    The search is exact for language models of words and pairs. A hypothesis's `score` is log p of its best alignment +
    weight log p_model + bonus for each word, its `log_probability` that of the alignment.

    Args:
        alphabet: what the network's outputs mean.
        dictionary: words, spelt by the alphabet; or words with their spellings, such as {"two": "t uw"}; several
            words may be spelt alike.
        language_model: over words, of order 1 or 2; None for all alike.
        weight: of the language model; 0 or more.
        bonus: for each word.
        spaced: whether the symbol " " stands between words.

    Raises DecodingError for a dictionary that the alphabet cannot spell or a language model of a higher order.
    """

    alphabet: Symbols
    dictionary: Sequence[str] | Mapping[str, str]
    language_model: NGram | None = None
    weight: float = 1.0
    bonus: float = 0.0
    spaced: bool = False

    def __post_init__(self) -> None:
        if self.language_model is not None and self.language_model.order > 2:
            raise DecodingError(
                f"the language model has order {self.language_model.order}; token passing knows the word before and no "
                "more: estimate one of order 2, or use PrefixBeam"
            )
        check_weights(self.weight, self.bonus)
        _ = self.spellings, self.separator

    def __call__(self, log_probs: Any, lengths: Any = None) -> list[Hypothesis]:
        """The best sentence of each sequence, of log-probabilities (time, batch, labels)."""
        return [self._decode(frames) for frames in sequences(log_probs, lengths, self.alphabet)]

    @cached_property
    def dictionary_words(self) -> tuple[str, ...]:
        """The words in their order."""
        return tuple(self.dictionary)

    @cached_property
    def spellings(self) -> list[list[int]]:
        """The labels of each word."""
        return spell(self.alphabet, self.dictionary)

    @cached_property
    def separator(self) -> int:
        """The label between words, or -1."""
        return separator_of(self.alphabet) if self.spaced else -1

    @cached_property
    def _vocabulary(self) -> Any:
        begin = np.concatenate([[0], np.cumsum([len(labels) for labels in self.spellings])]).tolist()
        labels = [label for spelling in self.spellings for label in spelling]
        model = None if self.language_model is None else Automaton(self.language_model)
        compiled, words, first, last = None, [], -1, -1
        if model is not None:
            compiled, words = model.compiled, [model.number(word) for word in self.dictionary_words]
            first, last = model.begin, model.end
        numbers = (self.alphabet.blank, self.separator, first, last)
        return extension.module.vocabulary(
            begin, labels, numbers, compiled, words, float(self.weight), float(self.bonus)
        )

    def _decode(self, frames: Reals) -> Hypothesis:
        if extension.module is None:
            score, words, starts, ends = reference.pass_tokens(frames, self)
        else:
            score, words, starts, ends = extension.module.pass_tokens(frames, self._vocabulary)
        if score == -np.inf:
            return NOTHING
        labels = self._labels(words)
        aligned = align(frames, labels, self.alphabet)
        text = " ".join(self.dictionary_words[word] for word in words)
        spoken = []
        for word, start, end, least in zip(words, starts, ends, self._confidences(words, aligned.symbols), strict=True):
            spoken.append(Written(self.dictionary_words[word], start, end, least))
        return Hypothesis(text, tuple(labels), aligned.symbols, aligned.log_probability, score, tuple(spoken))

    def _labels(self, words: Sequence[int]) -> list[int]:
        labels: list[int] = []
        for word in words:
            labels += [self.separator] if labels and self.spaced else []
            labels += self.spellings[word]
        return labels

    def _confidences(self, words: Sequence[int], symbols: Sequence[Written]) -> list[float]:
        """Of each word that of its least sure symbol."""
        found, at = [], 0
        for word in words:
            size = len(self.spellings[word])
            found.append(min(each.confidence for each in symbols[at : at + size]))
            at += size + self.spaced
        return found
