"""Small environments with a known answer, and policies for them; the tests of policy gradients, evolution and tasks."""

import os
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from carousel.data import Batch
from carousel.nn import LSTM
from carousel.tasks import Controller
from carousel.tasks.control.batches import Turns
from carousel.tasks.control.network import ControlNetwork
from carousel.tasks.control.spaces import actions_of, senses_of
from carousel.tasks.control.world import world_of

QUICK: dict[str, Any] = {
    "hidden_size": 8,
    "batch_size": 8,
    "rollout": 16,
    "updates_per_epoch": 4,
    "max_epochs": 2,
    "validation_episodes": 4,
    "random_state": 0,
}


class Corridor(gymnasium.Env[Any, Any]):
    """A sign at the beginning says at which side the prize lies behind the corridor: 1 for it, -1 for the other."""

    observation_space = Box(-1, 1, (2,))
    action_space = Discrete(2)

    def __init__(self, length: int = 3) -> None:
        self.length = length

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.side, self.at = int(self.np_random.integers(2)), 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        over = self.at == self.length
        reward = (1.0 if action == self.side else -1.0) if over else 0.0
        self.at += 1
        return self._seen(), reward, over, False, {}

    def _seen(self) -> Any:
        sign = 2 * self.side - 1 if self.at == 0 else 0
        return np.array([sign, self.at == self.length], dtype=np.float32)


class Cart(gymnasium.Env[Any, Any]):
    """A mass on a line that is pushed to the middle; pushes and noise are numbers. Cut off after 12 steps."""

    observation_space = Box(-10, 10, (2,))
    action_space = Box(-2, 4, (1,))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.speed, self.steps = self.np_random.uniform(-1, 1), 0.0, 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        self.speed += 0.3 * float(action[0]) + 0.01 * self.np_random.normal()
        self.place += self.speed
        self.steps += 1
        return self._seen(), -(self.place**2), False, self.steps == 12, {}

    def _seen(self) -> Any:
        return np.array([self.place, self.speed], dtype=np.float32)


class Wage(gymnasium.Env[Any, Any]):
    """Pays 1 a step whatever is done, for four steps; then it is over, or only cut off."""

    observation_space = Box(-1, 1, (1,))
    action_space = Discrete(2)

    def __init__(self, cut_off: bool) -> None:
        self.cut_off = cut_off

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, dtype=np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        over = self.steps == 4
        return np.zeros(1, dtype=np.float32), 1.0, over and not self.cut_off, over and self.cut_off, {}


class Forgetful(Corridor):
    """Begins otherwise each time, whatever the seed."""

    drawn = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        Forgetful.drawn += 1
        return np.array([Forgetful.drawn % 97 / 97, 0], dtype=np.float32), {}


class Failing(Corridor):
    """Never begins."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        raise RuntimeError("out of order")


class Placed(Corridor):
    """Shows which process it is in."""

    def _seen(self) -> Any:
        return np.array([os.getpid(), 0], dtype=np.float32)


def controller(**options: Any) -> Controller:
    """A quick controller."""
    return Controller(**{**QUICK, **options})


def stopped(run: Path, environment: Any, **options: Any) -> None:
    """Leave the checkpoint of a run that was stopped after its first report."""
    reports = controller(**options).fit_reports(environment, checkpoint=run)
    next(reports)
    reports.close()


def network(
    environment: Any = Corridor, *, hidden: int = 6, remembers: bool = True, cell: str = "lstm"
) -> ControlNetwork:
    """A network in its world."""
    torch.manual_seed(0)
    world = world_of(environment, 100)
    found = ControlNetwork(
        lambda inputs: LSTM(inputs, hidden, cell=cell),
        senses_of(world.observation_space, ()),
        actions_of(world.action_space),
        remembers=remembers,
        critic=True,
        normalize=True,
    )
    found.world = world
    return found


def batch(lanes: int = 4, steps: int = 12, number: int = 0) -> Batch:
    return next(Turns(lanes, steps, 1, 0).epoch(number))
