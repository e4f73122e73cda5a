"""The paper's data: superimposed sines, the Mackey-Glass series, and the strings of a^n b^n c^n."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SYMBOLS = "Sabc"
DIVERGED = 10.0
"""The error of a run that left all bounds."""


def sines(frequencies: Sequence[float], steps: int) -> Floats:
    """The sum of sin(λ t) over the frequencies λ, (steps,)."""
    return np.sin(np.outer(np.arange(steps), frequencies)).sum(1)


def mackey_glass(steps: int, *, tau: float = 17.0, each: int = 10, first: float = 1.2, skipped: int = 1000) -> Floats:
    """dx/dt = 0.2 x(t - τ) / (1 + x(t - τ)^10) - 0.1 x, one value a unit of time, (steps,).

    Runge-Kutta of fourth order with `each` steps a unit, the delayed value halfway between two by their mean; constant
    before 0, and without its first `skipped` values.
    """
    step, lag = 1 / each, round(tau * each)
    x = np.full(lag + (steps + skipped) * each + 1, first)
    for t in range(lag, len(x) - 1):
        delayed = (x[t - lag], (x[t - lag] + x[t - lag + 1]) / 2, x[t - lag + 1])
        now, middle, after = (0.2 * d / (1 + d**10) for d in delayed)
        k1 = now - 0.1 * x[t]
        k2 = middle - 0.1 * (x[t] + step / 2 * k1)
        k3 = middle - 0.1 * (x[t] + step / 2 * k2)
        k4 = after - 0.1 * (x[t] + step * k3)
        x[t + 1] = x[t] + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x[lag + skipped * each :: each][:steps]


def word(n: int) -> tuple[Floats, NDArray[np.str_]]:
    """S a^n b^n c^n one-hot (time, 4), and the symbols that may come next at each step (T ends the word)."""
    text = "S" + "a" * n + "b" * n + "c" * n
    inputs = np.array([[symbol == known for known in SYMBOLS] for symbol in text], dtype=np.float64)
    legal = ["a", *["ab"] * n, *["b"] * (n - 1), "c", *["c"] * (n - 1), "T"]
    return inputs, np.array(legal)


def nrmse(forecast: Floats, truth: Floats, variance: float | None = None) -> float:
    """The root of the mean squared error over the variance, that of the truth if none is given."""
    if not np.isfinite(forecast).all():
        return DIVERGED
    return min(DIVERGED, math.sqrt(((forecast - truth) ** 2).mean() / (truth.var() if variance is None else variance)))
