"""Hidden Markov models of symbols: learned by hmmlearn's Baum-Welch or wired by hand, and what they foretell."""

from dataclasses import dataclass
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
        belief = np.broadcast_to(self.start, (len(symbols), len(self.start)))
        found = np.empty((*symbols.shape, self.emit.shape[1]))
        for t in range(symbols.shape[1]):
            found[:, t] = belief @ self.emit
            seen = belief * self.emit[:, symbols[:, t]].T
            seen /= np.maximum(seen.sum(1, keepdims=True), 1e-300)
            belief = seen @ self.move
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


def parameters(states: int, symbols: int) -> int:
    """How many free probabilities a model has."""
    return states - 1 + states * (states - 1) + states * (symbols - 1)


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
