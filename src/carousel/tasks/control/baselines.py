"""Policies without sense that a sceptic would ask for: at random, and always the same."""

from contextlib import closing
from typing import Any

from carousel.tasks.control.evaluation import Returns, always, at_random, played
from carousel.tasks.control.spaces import actions_from
from carousel.tasks.control.world import World

MOST = 8
"""Actions that are tried alone, at most."""
AMOUNTS = ("always the lowest", "always the middle", "always the highest")


def baseline_returns(estimator: Any, environment: Any = None, *, episodes: int, seed: int = 0) -> dict[str, Returns]:
    """The returns of random actions, and of the best action that is always the same, on the episodes of `evaluate`."""
    with closing(estimator._world_again(environment)) as world:
        return _returns(estimator, world, episodes, seed)


def _returns(estimator: Any, world: World, episodes: int, seed: int) -> dict[str, Returns]:
    """The same, in that world."""
    actions, indices = actions_from(estimator.actions_), estimator._indices(seed, episodes)
    found = {"random actions": played(world, indices, lambda: at_random(actions, seed))}
    if actions.cases > MOST:
        return found
    names = [f"always action {at}" for at in range(actions.cases)] or list(AMOUNTS)
    constant = {name: played(world, indices, lambda at=at: always(actions, at)) for at, name in enumerate(names)}
    best = max(constant, key=lambda name: constant[name].mean)
    return {**found, best: constant[best]}
