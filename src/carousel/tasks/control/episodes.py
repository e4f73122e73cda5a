"""Whole episodes, one a seed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.tasks.control.world import Step, World

Act = Callable[[NDArray[Any]], NDArray[Any]]
"""From the observations of all lanes to their actions; it remembers from call to call."""
Watch = Callable[[NDArray[Any], NDArray[Any], Step], None]
"""Is shown the observations, the actions and what came of them."""


def seed_of(index: int, number: int = 0) -> int:
    """The seed of the `number`-th episode that a lane begins in a batch where it has this index."""
    return int(np.random.SeedSequence([index, number]).generate_state(1)[0])


def rounds(indices: Sequence[int], together: int | None) -> list[Sequence[int]]:
    """The indices, so many together as can be played side by side; all where there is no limit."""
    size = together or max(1, len(indices))
    return [indices[at : at + size] for at in range(0, len(indices), size)]


def play(world: World, indices: Sequence[int], act: Act, watch: Watch | None = None) -> NDArray[np.float64]:
    """The return of an episode for each index, all side by side; `act` is given all lanes, those that ended too.

    Raises ValueError where the world has fewer lanes than that.
    """
    if world.most is not None and len(indices) > world.most:
        raise ValueError(
            f"{len(indices)} episodes are to be played side by side, and the vector environment has {world.most}; give "
            "one with more, or take fewer"
        )
    world.user, live = act, np.arange(len(indices))
    observations, returns = world.begin(live, [seed_of(index) for index in indices]), np.zeros(len(indices))
    while len(live):
        actions = act(observations)
        found = world.step(live, actions[live])
        if watch is not None:
            watch(observations, actions, found)
        observations = observations.copy()
        observations[live] = found.observations
        returns[live] += found.rewards
        live = live[~(found.terminated | found.truncated)]
    return returns
