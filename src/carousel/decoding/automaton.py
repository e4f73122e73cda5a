"""A language model as an automaton: numbers that the compiled decoders read."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from carousel.decoding import extension
from carousel.decoding.kneser_ney import BEGIN, END, NEVER, UNKNOWN, in_model
from carousel.decoding.ngram import NGram

Words = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Automaton:
    """States are contexts, the empty one first and shorter ones before longer ones; arcs are the words seen after
    them."""

    model: NGram

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.model.words)}

    def number(self, word: str) -> int:
        """The number of a word, of <unk> for those that are not known; -1 where there is none."""
        return self.numbers.get(in_model(word), self.numbers.get(UNKNOWN, -1))

    @property
    def begin(self) -> int:
        """The number of <s>, or -1."""
        return self.numbers.get(BEGIN, -1)

    @property
    def end(self) -> int:
        """The number of </s>, or -1."""
        return self.numbers.get(END, -1)

    @cached_property
    def compiled(self) -> Any:
        """The same in the extension, which must be there."""
        states = self._states()
        arcs = self._arcs(states)
        begin, word, cost, following = [0], [], [], []
        for context in states:
            for number, price, target in sorted(arcs[context]):
                word.append(number)
                cost.append(price)
                following.append(target)
            begin.append(len(word))
        weights = [self._weight(context) for context in states]
        shorter = [self._longest(context[1:], states) for context in states]
        return extension.module.Automaton(begin, word, cost, following, weights, shorter, NEVER)

    def _states(self) -> dict[Words, int]:
        """Every context that an entry has or may be, and its place."""
        contexts: set[Words] = {()}
        for entries in self.model.entries[:-1]:
            contexts.update(entries)
        for entries in self.model.entries[1:]:
            contexts.update(words[:-1] for words in entries)
        return {context: state for state, context in enumerate(sorted(contexts, key=lambda words: (len(words), words)))}

    def _arcs(self, states: dict[Words, int]) -> dict[Words, list[tuple[int, float, int]]]:
        arcs: dict[Words, list[tuple[int, float, int]]] = {context: [] for context in states}
        for entries in self.model.entries:
            for words, (cost, _) in entries.items():
                if words[-1] in self.numbers:  # else no word that is asked for
                    arcs[words[:-1]].append((self.numbers[words[-1]], cost, self._longest(words, states)))
        return arcs

    def _weight(self, context: Words) -> float:
        return self.model.entries[len(context) - 1].get(context, (0.0, 0.0))[1] if context else 0.0

    @staticmethod
    def _longest(words: Words, states: dict[Words, int]) -> int:
        """The place of the longest end of these words that is a context."""
        while words not in states:
            words = words[1:]
        return states[words]
