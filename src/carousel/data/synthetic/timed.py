"""Precise timing: spikes to make, delays to measure, periodic functions to draw.

Source: Gers, Schraudolph & Schmidhuber 2002.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from carousel.data.synthetic.stream import Stream


def _cosine(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    return (1 - np.cos(2 * np.pi * phase)) / 2


def _triangle(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(phase < 0.5, 2 * phase, 2 - 2 * phase)


def _rectangle(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    return (phase >= 0.5).astype(np.float64)


WAVES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "cosine": _cosine,
    "triangle": _triangle,
    "rectangle": _rectangle,
}
"""One period of each function over the phase, from 0 to 1."""


def timed_spikes(interval: int, spikes: int) -> Stream:
    """An output of 1 at the last of every `interval` steps, else 0; the input is 0 and says nothing."""
    wave = torch.zeros(interval, 1, dtype=torch.float64)
    wave[-1] = 1
    return _endless(wave.repeat(spikes, 1), interval)


def periodic(wave: str, period: int, periods: int) -> Stream:
    """A periodic function, "cosine", "triangle" or "rectangle", from 0 to 1; the input is 0 and says nothing."""
    if wave not in WAVES:
        raise ValueError(f"wave is {wave!r}; it can be {', '.join(WAVES)}")
    values = WAVES[wave](np.arange(period) / period)
    return _endless(torch.from_numpy(np.tile(values, periods)).unsqueeze(1), period)


def spike_delays(fixed: int, jitters: Sequence[int], spikes: int, rng: np.random.Generator) -> Stream:
    """Input spikes `fixed` steps and one of the jitters after another; at each, the target is that jitter.

    Strings begin right after a spike, so that the first interval of a stream is measured like all others.
    """
    drawn = rng.choice(np.asarray(jitters), spikes)
    ends = (fixed + drawn).cumsum() - 1
    inputs, targets = torch.zeros(2, int(ends[-1]) + 1, 1, dtype=torch.float64)
    observed = torch.zeros(len(inputs), dtype=torch.bool)
    inputs[ends, 0], observed[ends] = 1, True
    targets[ends, 0] = torch.from_numpy(drawn).to(torch.float64)
    begins = observed.roll(1)
    return Stream(inputs, targets, observed, begins)


def _endless(targets: torch.Tensor, period: int) -> Stream:
    time = len(targets)
    begins = torch.arange(time) % period == 0
    return Stream(torch.zeros(time, 1, dtype=torch.float64), targets, torch.ones(time, dtype=torch.bool), begins)
