"""What Evolino must be held against: linear autoregression, and an echo state network with a linear readout."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def autoregression(series: Floats, order: int, begin: int) -> Floats:
    """Weights (order + 1,) of least squares of each value from `begin` on, on those before it and a constant."""
    rows = np.lib.stride_tricks.sliding_window_view(series[begin - order : -1], order)
    whole = np.hstack([rows, np.ones((len(rows), 1))])
    return np.linalg.lstsq(whole, series[begin:], rcond=None)[0]


def run_on(weights: Floats, series: Floats, steps: int) -> Floats:
    """The next steps by the autoregression, each on its own forecasts."""
    order = len(weights) - 1
    values = list(series[-order:])
    for _ in range(steps):
        values.append(float(np.array(values[-order:]) @ weights[:-1] + weights[-1]))
    return np.array(values[order:])


@dataclass(frozen=True)
class Echo:
    """An echo state network (Jaeger 2001): random recurrent weights of a spectral radius, and a ridge readout.

    units, radius; scale: of what is fed in; leak: how much of the old state a step forgets; ridge: penalty in units of
    the mean, over units, of the sum of squares over time.
    """

    units: int
    radius: float
    scale: float
    ridge: float
    seed: int
    leak: float = 1.0

    def weights(self, inputs: int) -> tuple[Floats, Floats]:
        """Recurrent (units, units) and input weights (units, inputs + 1)."""
        random = np.random.default_rng(self.seed)
        recurrent = random.normal(size=(self.units, self.units)) * (random.random((self.units, self.units)) < 0.1)
        recurrent *= self.radius / np.abs(np.linalg.eigvals(recurrent)).max()
        return recurrent, self.scale * random.uniform(-1, 1, size=(self.units, inputs + 1))

    def states(self, inputs: Floats) -> Floats:
        """The states (time, units) while reading inputs (time, inputs)."""
        weights = self.weights(inputs.shape[1])
        state, found = np.zeros(self.units), []
        for row in inputs:
            state = self.next(state, row, weights)
            found.append(state)
        return np.array(found)

    def next(self, state: Floats, row: Floats, weights: tuple[Floats, Floats]) -> Floats:
        """The state after one more input."""
        recurrent, given = weights
        fresh = np.tanh(recurrent @ state + given[:, :-1] @ row + given[:, -1])
        return (1 - self.leak) * state + self.leak * fresh

    def readout(self, states: Floats, wanted: Floats) -> Floats:
        """Weights (units + 1, outputs) by ridge regression, the bias without a penalty."""
        middle, target = states.mean(0), wanted.mean(0)
        left, right = states - middle, wanted - target
        root = np.sqrt(self.ridge * (left**2).sum() / self.units) * np.eye(self.units)
        found = np.linalg.lstsq(np.vstack([left, root]), np.vstack([right, np.zeros((self.units, right.shape[1]))]))[0]
        return np.vstack([found, target - middle @ found])

    def dreams(self, series: Floats, begin: int, starts: list[int], steps: int) -> Floats:
        """Taught on the whole series from `begin` on, free runs (starts, steps) that begin after each start."""
        states = self.states(series[:-1, None])
        readout = self.readout(states[begin - 1 :], series[begin:, None])
        return self.free(readout, states[[start - 1 for start in starts]], series[starts], steps)

    def free(self, readout: Floats, states: Floats, last: Floats, steps: int) -> Floats:
        """Free runs (runs, steps) from states (runs, units), the value `last` (runs,) read first."""
        recurrent, given = self.weights(1)
        found = []
        for _ in range(steps):
            fresh = np.tanh(states @ recurrent.T + last[:, None] * given[:, 0] + given[:, -1])
            states = (1 - self.leak) * states + self.leak * fresh
            last = (states @ readout[:-1] + readout[-1])[:, 0]
            found.append(last)
        return np.stack(found, axis=1)


def echoes(units: int, seed: int, **grid: list[float]) -> list[Echo]:
    """The networks of a grid of options (radius, scale, ridge, leak)."""
    return [Echo(units=units, seed=seed, **dict(zip(grid, values, strict=True))) for values in product(*grid.values())]


def best_echo(tried: list[Echo], series: Floats, begin: int, held: int) -> Echo:
    """The network whose free run over the last `held` values is best."""

    def error(echo: Echo) -> float:
        cut = len(series) - held
        run = echo.dreams(series[:cut], begin, [cut - 1], held)[0]
        return _finite(((run - series[cut:]) ** 2).mean())

    return min(tried, key=error)


def best_ahead(tried: list[Echo], series: Floats, begin: int, held: int, runs: tuple[int, int]) -> Echo:
    """The network whose free runs over the last `held` values end best: runs of so many steps, so far apart."""
    (ahead, apart), cut = runs, len(series) - held
    starts = np.arange(cut - 1, len(series) - ahead, apart)

    def error(echo: Echo) -> float:
        states = echo.states(series[:-1, None])
        readout = echo.readout(states[begin - 1 : cut - 1], series[begin:cut, None])
        ends = echo.free(readout, states[starts - 1], series[starts], ahead)[:, -1]
        return _finite(((ends - series[starts + ahead]) ** 2).mean())

    return min(tried, key=error)


def _finite(error: float) -> float:
    return error if np.isfinite(error) else np.inf
