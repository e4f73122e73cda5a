"""A net's probabilities in place of normal densities: the best path through phones that last and follow one another."""

from typing import Any

import numpy as np
from hmmlearn.base import BaseHMM
from numpy.typing import NDArray

from carousel import SequenceLabeler
from papers.graves2005.hmm import Frames, Labels, pieces

LEAST = 1e-8


class Given(BaseHMM):
    """A hidden Markov model that is handed the logarithm of each state's density: X is (time, states)."""

    def _compute_log_likelihood(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return X


class Hybrid:
    """One state a phone; its density is the net's probability of the phone over how common the phone is.

    Source: Bourlard and Morgan 1994; Graves, Fernandez and Schmidhuber 2005 for BLSTM.
    """

    def __init__(self, net: SequenceLabeler, labels: Labels) -> None:
        self.net, count = net, len(net.classes_)
        runs = [pieces(own) for own in labels]
        code = {phone: place for place, phone in enumerate(net.classes_)}
        shares = np.array([sum((own == phone).sum() for own in labels) for phone in net.classes_])
        self.prior = np.log(shares / shares.sum())
        self.pairs, self.first = np.full((count, count), 0.1), np.full(count, 0.1)
        for run in runs:
            self.first[code[run[0][0]]] += 1
            for before, after in zip(run, run[1:], strict=False):
                self.pairs[code[before[0]], code[after[0]]] += 1
        segments = np.array([sum(name == phone for run in runs for name, _, _ in run) for phone in net.classes_])
        self.leaving = segments / shares

    def score(self, frames: Frames, labels: Labels, bigram_weight: float) -> float:
        """The share of frames whose phone is right."""
        model, given = self._model(bigram_weight), self.net.predict_proba(frames)
        found = [self.net.classes_[model.predict(np.log(own + LEAST) - self.prior)] for own in given]
        return float((np.concatenate(found) == np.concatenate(labels)).mean())

    def _model(self, weight: float) -> Any:
        after = (self.pairs / self.pairs.sum(1, keepdims=True)) ** weight
        after /= after.sum(1, keepdims=True)
        model = Given(len(self.prior))
        model.startprob_ = self.first / self.first.sum()
        model.transmat_ = np.diag(1 - self.leaving) + self.leaving[:, None] * after
        return model
