"""A hidden Markov model of keywords and filler: chains of phones beside a loop of all phones, one best path."""

import numpy as np
from numpy.typing import NDArray

from papers.graves2005.hmm import Frames, Labels, PhoneModel
from papers.graves2005.hybrid import Given

FLOOR = -1e4
"""The least logarithm of a density."""


class KeywordFiller:
    """Keywords as rows of phone models, and a loop of the same models for everything else (Rose and Paul 1990).

    Phones are learned from frames whose phones are known; `spellings` are keywords as rows of phones.
    """

    def __init__(self, spellings: dict[str, list[str]], states: int, mixtures: int, seed: int) -> None:
        self.spellings, self.phones = spellings, PhoneModel(states, mixtures, seed)

    def fit(self, frames: Frames, labels: Labels) -> "KeywordFiller":
        """Learn the phones from recordings and the phone of each frame; a keyword's unknown phone is left out."""
        self.phones.fit(frames, labels)
        known = set(self.phones.phones)
        self.spellings = {word: [phone for phone in own if phone in known] for word, own in self.spellings.items()}
        return self

    def spot(self, frames: Frames, entrance: float) -> list[list[str]]:
        """The keywords on the best path of each recording; `entrance` is the probability of beginning each after any
        phone."""
        network, source, word = self._network(entrance)
        loop = self.phones._joined(1.0)
        found = []
        for own in frames:
            densities = np.maximum(loop._compute_log_likelihood(self.phones._scaled(own)), FLOOR)
            path = word[network.predict(densities[:, source])]
            begins = np.flatnonzero(np.diff(path, prepend=-1) != 0)
            found.append([[*self.spellings][path[at]] for at in begins if path[at] >= 0])
        return found

    def _network(self, entrance: float) -> tuple[Given, NDArray[np.int64], NDArray[np.int64]]:
        """The model of loop and chains; of each state whose density it has, and its keyword or -1."""
        states, chains = self.phones.states, [self._chain(own) for own in self.spellings.values()]
        loop = np.arange(len(self.phones.phones) * states)
        source = np.concatenate([loop, *chains])
        word = np.concatenate([np.full(len(loop), -1), *(np.full(len(own), at) for at, own in enumerate(chains))])
        inside = np.concatenate(self.phones.moves)
        stay, leave = inside[source, source % states], inside[source, source % states + 1]
        is_end = (source % states == states - 1) & ((word < 0) | np.append(word[1:] != word[:-1], True))
        moves, within, ends = np.diag(stay), np.flatnonzero(~is_end), np.flatnonzero(is_end)
        moves[within, within + 1] = leave[within]
        first = np.array([np.flatnonzero(word == at)[0] for at in range(len(chains))])
        rest = 1 - entrance * len(chains)
        following = leave[ends, None] * self.phones.bigram[source[ends] // states]
        moves[np.ix_(ends, loop[::states])] += rest * following
        moves[np.ix_(ends, first)] += entrance * leave[ends, None]
        starts = np.zeros(len(source))
        starts[loop[::states]], starts[first] = rest * self.phones.first, entrance
        model = Given(len(source))
        model.startprob_, model.transmat_ = starts, moves / moves.sum(1, keepdims=True)
        return model, source, word

    def _chain(self, spelling: list[str]) -> NDArray[np.int64]:
        states, code = self.phones.states, {phone: place for place, phone in enumerate(self.phones.phones)}
        return np.concatenate([code[phone] * states + np.arange(states) for phone in spelling])
