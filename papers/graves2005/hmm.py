"""A hidden Markov model of phones (hmmlearn): some states a phone, normal densities, a bigram of phones."""

from typing import Any

import numpy as np
from hmmlearn.hmm import GMMHMM
from numpy.typing import NDArray

LEAST = 1e-10
Frames = list[NDArray[np.float32]]
Labels = list[NDArray[np.str_]]


class PhoneModel:
    """One model of all phones: each learned on its own segments by expectation maximisation, then joined.

    A frame's phone is that of its state on the best path (Viterbi) through the whole utterance. bigram_weight: how
    often the probability of a phone after another counts.
    """

    def __init__(self, states: int, mixtures: int, seed: int) -> None:
        self.states, self.mixtures, self.seed = states, mixtures, seed

    def fit(self, frames: Frames, labels: Labels) -> "PhoneModel":
        """Learn from utterances and the phone of each frame."""
        every = np.concatenate(frames)
        self.center, self.spread = every.mean(0), every.std(0)
        segments = [(one, *piece) for one, own in enumerate(labels) for piece in pieces(own)]
        self.phones = sorted({phone for _, phone, _, _ in segments})
        scaled = [self._scaled(own) for own in frames]
        self.models, self.moves = [], []
        for phone in self.phones:
            own = [scaled[one][begin:end] for one, name, begin, end in segments if name == phone]
            model, moves = self._phone(own)
            self.models.append(model)
            self.moves.append(moves)
        self.bigram, self.first = self._bigram(segments)
        return self

    def score(self, frames: Frames, labels: Labels, bigram_weight: float) -> float:
        """The share of frames whose phone is right."""
        joined = self._joined(bigram_weight)
        found = [np.array(self.phones)[joined.predict(self._scaled(own)) // self.states] for own in frames]
        return float((np.concatenate(found) == np.concatenate(labels)).mean())

    def _scaled(self, frames: NDArray[np.float32]) -> NDArray[np.float64]:
        return ((frames - self.center) / self.spread).astype(np.float64)

    def _phone(self, pieces: list[NDArray[np.float64]]) -> tuple[GMMHMM, NDArray[np.float64]]:
        """A phone's model from left to right, and the probabilities of its moves."""
        together, lengths = np.concatenate(pieces), [len(piece) for piece in pieces]
        model = self._empty(self.states, 1 if len(together) < 20 * self.mixtures * self.states else self.mixtures)
        model.startprob_ = np.eye(self.states)[0]
        model.transmat_ = np.triu(np.tril(np.full((self.states, self.states), 0.5), 1))
        model.transmat_[-1, -1] = 1.0
        place = np.concatenate([np.arange(length) * self.states // length for length in lengths])
        self._begin(
            model, [together[place == state] if (place == state).any() else together for state in range(self.states)]
        )
        model.fit(together, lengths)
        paths = np.split(model.predict(together, lengths), np.cumsum(lengths)[:-1])
        return model, self._moves(paths)

    def _moves(self, paths: list[NDArray[np.int64]]) -> NDArray[np.float64]:
        """The probability of each state after each, (states, states + 1); the last column leaves the phone."""
        counts = np.eye(self.states, self.states + 1) * 0.2 + np.eye(self.states, self.states + 1, 1) * 0.2
        for path in paths:
            np.add.at(counts, (path, np.append(path[1:], self.states)), 1)
        return counts / counts.sum(1, keepdims=True)

    def _empty(self, states: int, mixtures: int) -> GMMHMM:
        options: dict[str, Any] = {"covariance_type": "diag", "n_iter": 6, "init_params": "", "params": "mcw"}
        return GMMHMM(states, mixtures, random_state=self.seed, **options)

    def _begin(self, model: GMMHMM, parts: list[NDArray[np.float64]]) -> None:
        """Each state's densities begin at drawn frames of its third, as wide as these are spread."""
        rng, count = np.random.default_rng(self.seed), model.n_mix
        model.weights_ = np.full((self.states, count), 1 / count)
        model.means_ = np.stack([part[rng.choice(len(part), count, replace=len(part) < count)] for part in parts])
        if count == 1:
            model.means_ = np.stack([part.mean(0, keepdims=True) for part in parts])
        wide = np.stack([part.var(0) + 0.05 for part in parts])
        model.covars_ = np.repeat(wide[:, None, :], count, axis=1)

    def _bigram(self, segments: list[tuple[int, str, int, int]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The probability of each phone after each (smoothed), and at the beginning."""
        code = {phone: place for place, phone in enumerate(self.phones)}
        pairs, first = np.full((len(code), len(code)), 0.1), np.full(len(code), 0.1)
        for before, after in zip([None, *segments], segments, strict=False):
            if before is None or before[0] != after[0]:
                first[code[after[1]]] += 1
            else:
                pairs[code[before[1]], code[after[1]]] += 1
        return pairs / pairs.sum(1, keepdims=True), first / first.sum()

    def _joined(self, weight: float) -> GMMHMM:
        """All phones' states in one model."""
        count, states = len(self.phones), self.states
        joined = self._empty(count * states, self.mixtures)
        inside = np.zeros((count * states, count * states))
        next_phone = self.bigram**weight
        next_phone /= next_phone.sum(1, keepdims=True)
        for one, moves in enumerate(self.moves):
            rows = slice(one * states, (one + 1) * states)
            inside[rows, rows] = moves[:, :-1]
            inside[rows, ::states] += moves[:, -1:] * next_phone[one]
        joined.transmat_ = inside
        joined.startprob_ = np.kron(self.first, np.eye(states)[0])
        joined.weights_ = np.concatenate([_padded(model.weights_, self.mixtures, LEAST) for model in self.models])
        joined.weights_ /= joined.weights_.sum(1, keepdims=True)
        joined.means_ = np.concatenate([_padded(model.means_, self.mixtures, 0.0) for model in self.models])
        joined.covars_ = np.concatenate([_padded(model.covars_, self.mixtures, 1.0) for model in self.models])
        return joined


def _padded(values: NDArray[np.float64], mixtures: int, fill: float) -> NDArray[np.float64]:
    """Values (states, densities, ...) of a phone with few densities, filled up with ones that do not count."""
    missing = mixtures - values.shape[1]
    return np.pad(values, [(0, 0), (0, missing), *[(0, 0)] * (values.ndim - 2)], constant_values=fill)


def pieces(labels: NDArray[np.str_]) -> list[tuple[str, int, int]]:
    """Runs of one phone: its name, first frame and the frame after its last."""
    cuts = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1), len(labels)]
    return [(str(labels[begin]), int(begin), int(end)) for begin, end in zip(cuts, cuts[1:], strict=False)]
