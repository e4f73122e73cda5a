"""A spike at every step that is a multiple of a period: what few states can know of time, and few cells of an LSTM."""

from typing import Any

import numpy as np
import torch

from papers.hmm.models import Model, Symbols, learned
from papers.hmm.nets import Settings, Teller, bits, improve

BLANK, SPIKE, SYMBOLS = 0, 1, 2


def spikes(period: int, count: int) -> Symbols:
    """One string (1, period * count + 1) that begins and ends with a spike."""
    return np.array([[SPIKE, *([BLANK] * (period - 1) + [SPIKE]) * count]])


def ring(period: int) -> Model:
    """By hand: a state for each step of the period, one after the other."""
    each = np.eye(period)
    return Model(each[0], np.roll(each, 1, axis=1), np.stack([1 - each[0], each[0]], axis=1))


def wait(model: Model) -> tuple[float, float]:
    """Mean and variance of the steps from the spike with which a string begins to the next, as the model has it.

    Until then it goes through its states as a discrete phase-type distribution of their number (Neuts 1975).
    """
    first = model.start * model.emit[:, SPIKE]
    begin, silent = first / first.sum() @ model.move, model.emit[:, BLANK, None] * model.move
    left = np.linalg.inv(np.eye(len(begin)) - silent)
    mean = float(begin @ left.sum(1))
    return mean, float(2 * begin @ silent @ left @ left.sum(1)) + mean - mean**2


def least_variance(states: int, mean: float) -> float:
    """The least variance that a wait of this mean has in any model of so many states (Telek 2000)."""
    if mean > states:
        return mean * (mean - states) / states
    return mean % 1 * (1 - mean % 1)


def told(foretold: Any, missing: Any, period: int) -> dict[str, float]:
    """Bits that are missing a spike, and the share of periods in which each step is foretold as it comes.

    foretold: symbols (time,) thought likeliest; missing: bits (time,) to tell those that come; from after a spike on.
    """
    wanted = spikes(period, len(missing) // period)[0, 1:]
    right = (np.asarray(foretold) == wanted).reshape(-1, period).all(1)
    return {"missing": float(np.sum(missing)) * period / len(missing), "exact": float(right.mean())}


def by_model(model: Model, period: int, count: int) -> dict[str, float]:
    """How well a hidden Markov model tells so many periods."""
    string = spikes(period, count)
    return told(model.foretold(string)[0, 1:].argmax(1), model.bits(string)[0, 1:], period)


def by_lstm(how: Settings, period: int, count: int, seed: int) -> dict[str, float]:
    """How well an LSTM tells so many periods, which learned from one string."""
    net = Teller(SYMBOLS, how["hidden"], SYMBOLS, seed=seed, forget_bias=how["forget_bias"])
    string = torch.from_numpy(spikes(period, how["periods"])).T
    improve(net, lambda: (string[:-1], string[1:], torch.ones_like(string[1:], dtype=torch.bool)), how)
    test = torch.from_numpy(spikes(period, count)).T
    with torch.no_grad():
        likeliest = net(test[:-1]).argmax(2)[:, 0]
        return told(likeliest.numpy(), bits(net, test[:-1], test[1:])[:, 0].numpy(), period)


def timing(how: Settings, period: int, seed: int) -> dict[str, Any]:
    """One period: by hand, by Baum-Welch with as many states and with fewer, and by an LSTM."""
    count, taught = how["tests"], [spikes(period, how["periods"])[0]]
    found: dict[str, Any] = {"hand": by_model(ring(period), period, count)}
    for name, share in how["states"].items():
        states = round(share * period)
        model = learned(taught, states, SYMBOLS, seed=seed, iterations=how["iterations"], restarts=how["restarts"])
        mean, variance = wait(model)
        found[name] = by_model(model, period, count)
        found[name] |= {"states": states, "mean": mean, "variance": variance, "least": least_variance(states, mean)}
    return found | {"lstm": by_lstm(how, period, count, seed)}
