"""How well a policy does: returns of whole episodes, and how sure their mean is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from carousel.tasks.control.episodes import Act, Watch, play, rounds
from carousel.tasks.control.spaces import Actions
from carousel.tasks.control.world import World

RESAMPLES, AT_ONCE = 10_000, 64


@dataclass(frozen=True, eq=False)
class Returns:
    """The return of each episode that was played, (episodes,)."""

    values: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """The mean return."""
        return float(self.values.mean())

    @property
    def deviation(self) -> float:
        """The standard deviation from episode to episode."""
        return float(self.values.std())

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Between which ends the mean lies, by the bootstrap (Efron 1979), with a probability of `level`."""
        rng = np.random.default_rng(0)
        drawn = rng.integers(len(self.values), size=(RESAMPLES, len(self.values)))
        low, high = np.quantile(self.values[drawn].mean(1), [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def __repr__(self) -> str:
        low, high = self.interval()
        return f"Returns({self.mean:.4g} from {low:.4g} to {high:.4g}, {len(self.values)} episodes)"


@dataclass(frozen=True, eq=False)
class Trail:
    """One episode, a row a step: what the policy saw (time, features), did (time, numbers), and got (time,).

    positions: where each feature stands in the environment's observation.
    """

    observations: NDArray[np.float64]
    actions: NDArray[np.float64]
    rewards: NDArray[np.float64]
    positions: list[int]


def played(world: World, indices: list[int], make: Callable[[], Act], watch: Watch | None = None) -> Returns:
    """The returns of an episode for each index, as many at once as the world has lanes; one is watched at a time."""
    together = 1 if watch else min(AT_ONCE, world.most or AT_ONCE)
    return Returns(np.concatenate([play(world, own, make(), watch) for own in rounds(indices, together)]))


def at_random(actions: Actions, seed: int) -> Act:
    """Acts without looking: each action equally likely, each amount anywhere between its bounds."""
    rng = np.random.default_rng(seed)

    def act(observations: NDArray[np.float64]) -> NDArray[np.float64]:
        raw = torch.from_numpy(rng.uniform(-1, 1, (len(observations), actions.numbers)))
        return actions.outwards(actions.best(raw))

    return act


def always(actions: Actions, number: int) -> Act:
    """Always the same: the `number`-th action; of amounts, the lowest (0), the middle (1) or the highest (2)."""
    raw = torch.full((1, actions.numbers), number - 1.0)
    if actions.cases:
        raw = torch.nn.functional.one_hot(torch.tensor([number]), actions.cases).double()

    def act(observations: NDArray[np.float64]) -> NDArray[np.float64]:
        return actions.outwards(actions.best(raw.expand(len(observations), -1)))

    return act
