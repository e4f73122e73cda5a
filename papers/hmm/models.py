"""Hidden Markov models of symbols: learned by hmmlearn's Baum-Welch or wired by hand, and what they foretell."""

import logging
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Symbols = NDArray[np.int64]


@dataclass(frozen=True)
class Model:
    """Probabilities of the first state (states,), the next one (states, states), and symbols (states, symbols)."""

    start: Numbers
    move: Numbers
    emit: Numbers

    def foretold(self, symbols: Symbols) -> Numbers:
        """The probability of each symbol at each step, given those before: (strings, time, symbols)."""
        return self._foretold(symbols, symbols.shape[1])

    def told_freely(self, symbols: Symbols, steps: int) -> Numbers:
        """The same, where nothing is seen in the last so many steps: as if it said them itself, by chance."""
        return self._foretold(symbols, symbols.shape[1] - steps)

    def _foretold(self, symbols: Symbols, seen: int) -> Numbers:
        belief = np.broadcast_to(self.start, (len(symbols), len(self.start)))
        found = np.empty((*symbols.shape, self.emit.shape[1]))
        for t in range(symbols.shape[1]):
            found[:, t] = belief @ self.emit
            if t < seen:
                fitting = belief * self.emit[:, symbols[:, t]].T
                belief = fitting / np.maximum(fitting.sum(1, keepdims=True), 1e-300)
            belief = belief @ self.move
        return found

    def bits(self, symbols: Symbols) -> Numbers:
        """What it takes to tell each symbol, given those before: (strings, time)."""
        given = np.take_along_axis(self.foretold(symbols), symbols[:, :, None], axis=2)[:, :, 0]
        return -np.log2(np.maximum(given, 1e-300))


def learned(strings: list[Symbols], states: int, symbols: int, *, seed: int, **how: Any) -> Model:
    """A model by Baum-Welch, from random beginnings; of `restarts` the one that makes these strings most likely.

    `begin` (a Model) is where it begins instead; `iterations` at most are done. What is never seen keeps a little
    probability: priors add a hundredth of an event to all.
    """
    try:
        from hmmlearn.hmm import CategoricalHMM
    except ImportError as error:
        raise ImportError(
            "hidden Markov models are learned by hmmlearn: pip install 'carousel-lstm[papers]'"
        ) from error

    logging.getLogger("hmmlearn").setLevel(logging.ERROR)  # it warns of few symbols; that is what priors are for
    begin: Model | None = how.get("begin")
    together, lengths = np.concatenate(strings)[:, None], [len(string) for string in strings]
    best, most = None, -np.inf
    for restart in range(how.get("restarts", 1)):
        model = CategoricalHMM(
            states, n_features=symbols, n_iter=how["iterations"], tol=1e-3, random_state=1000 * seed + restart,
            init_params="ste" if begin is None else "",
            startprob_prior=1.01, transmat_prior=1.01, emissionprob_prior=1.01,
        )  # fmt: skip
        if begin is not None:
            model.startprob_, model.transmat_, model.emissionprob_ = begin.start, begin.move, begin.emit
        model.fit(together, lengths)
        if (likely := model.score(together, lengths)) > most:
            best, most = model, likely
    assert best is not None
    return Model(best.startprob_, best.transmat_, best.emissionprob_)


def majority(gap: int) -> Model:
    """By hand: of three bits it keeps the value that most of them had, and lets that come three times.

    Once the bits are read it is in one of two states at each step.
    """
    time = 3 + gap + 1 + 3
    move, emit = np.zeros((time * 8, time * 8)), np.zeros((time * 8, 4))
    for step, ones, bit in product(range(time), range(4), range(2)):
        at, after = 8 * step + 2 * ones + bit, 8 * ((step + 1) % time)
        if step < 2:
            move[at, [after + 2 * min(ones + bit, 3) + new for new in range(2)]] = 0.5
        else:
            kept = ones + bit if step == 2 else ones
            move[at, after + (6 if kept >= 2 else 0)] = 1
        said = bit if step < 3 else int(ones >= 2) if step >= 4 + gap else 3 if step == 3 + gap else 2
        emit[at, said] = 1
    return Model(np.eye(len(move))[:2].mean(0), move, emit)


def one_bit_each(bits: int, gap: int) -> Model:
    """By hand: it stores one of the bits, drawn evenly, and lets it come again; the others it guesses.

    A state for each step, which bit it is, and its value: 2 * bits states at each step.
    """
    time, each = 2 * bits + gap + 1, 2 * bits
    step, which, value = (part.ravel() for part in np.indices((time, bits, 2)))
    emit = np.zeros((time * each, 4))
    stored, recalled = step, step - bits - gap - 1
    emit[step >= bits, 2] = 1
    emit[step == bits + gap] = [0, 0, 0, 1]
    for tell in (stored, recalled):
        at = (tell >= 0) & (tell < bits)
        emit[at] = [0.5, 0.5, 0, 0]
        own = at & (tell == which)
        emit[own] = np.eye(4)[value[own]]
    move = np.eye(time * each, k=each)
    move[-each:, :each] = np.eye(each)
    return Model((step == 0) / each, move, emit)
