"""Environments side by side, each begun from a seed of its own; the only file that knows gymnasium."""

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

EXTRA = 'install it with: pip install "carousel-lstm[control]"'
EXTRAS = ("box2d", "mujoco")
"""Families of gymnasium's environments for which there is an extra by their name."""
FORGETFUL = (
    "the environment does not repeat itself: from the same seeds and actions it came to another observation, so that "
    "what was under way cannot go on"
)
Rows = NDArray[Any]


class Step(NamedTuple):
    """What one step brought, a row an environment: observations, rewards, and how the episode ended if it did."""

    observations: Rows
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]


class World(ABC):
    """Environments side by side (lanes). An episode is known by its seed and the actions that were taken in it.

    observation_space, action_space: of one environment. longest: steps after which an episode is cut off (truncated).
    user: who began the episodes that are under way; who finds somebody else there must begin his own again.
    """

    observation_space: Any
    action_space: Any

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.user: object = None
        self._steps = np.zeros(0, dtype=np.int64)

    @abstractmethod
    def apart(self) -> "World":
        """A world of the same kind where nobody else plays, if there can be another; else this one."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """End the processes, if there are any."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What is played, with all that is wrapped around it."""

    @property
    @abstractmethod
    def most(self) -> int | None:
        """How many lanes there can be; None for as many as are asked for."""

    @abstractmethod
    def _reset(self, lanes: NDArray[np.int64], seeds: Sequence[int]) -> Rows:
        """Begin an episode in each of these lanes; the observations."""

    @abstractmethod
    def _step(self, lanes: NDArray[np.int64], actions: Rows) -> Step:
        """One action in each of these lanes."""

    def begin(self, lanes: NDArray[np.int64], seeds: Sequence[int]) -> Rows:
        """Begin an episode in each of these lanes, each from its seed; the observations."""
        if len(lanes) and lanes.max() >= len(self._steps):
            self._steps = np.resize(self._steps, lanes.max() + 1)
        self._steps[lanes] = 0
        return self._reset(lanes, seeds)

    def step(self, lanes: NDArray[np.int64], actions: Rows) -> Step:
        """One action in each of these lanes. Raises ValueError for a reward that is NaN or infinite."""
        self._steps[lanes] += 1
        found = self._step(lanes, actions)
        if len(wrong := found.rewards[~np.isfinite(found.rewards)]):
            raise ValueError(
                f"a reward is {wrong[0]}; nothing is learned from a sum of such: give a number in its place, in the "
                "environment or by a wrapper"
            )
        late = (self._steps[lanes] >= self.longest) & ~found.terminated
        return found._replace(truncated=found.truncated | late)


class MadeWorld(World):
    """Environments that `make` makes as they are needed, run one after the other."""

    def __init__(self, make: Callable[[], Any], longest: int) -> None:
        super().__init__(longest)
        self.make = make
        self._environments: list[Any] = []
        self._one_more()
        self.observation_space = self._environments[0].observation_space
        self.action_space = self._environments[0].action_space

    def apart(self) -> World:
        return MadeWorld(self.make, self.longest)

    @property
    def title(self) -> str:
        return str(self._environments[0])

    def __getstate__(self) -> dict[str, Any]:
        """For workers: how environments are made, and none of those that are under way."""
        return {"make": self.make, "longest": self.longest}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)

    @property
    def most(self) -> int | None:
        return None

    def _one_more(self) -> None:
        """Make one more environment. Raises TypeError for what is none, ValueError for one that is there already."""
        made = self.make()
        if not isinstance(made, _gymnasium().Env):
            raise TypeError(f"the function made {made!r:.80}; it makes an environment, a gymnasium.Env, at each call")
        if any(made is one for one in self._environments):
            raise ValueError("the function made the same environment twice; it makes a new one at each call")
        self._environments.append(made)

    def _reset(self, lanes: NDArray[np.int64], seeds: Sequence[int]) -> Rows:
        while len(self._environments) <= lanes.max(initial=0):
            self._one_more()
        pairs = zip(lanes.tolist(), seeds, strict=True)
        return np.stack([np.asarray(self._environments[lane].reset(seed=seed)[0]) for lane, seed in pairs])

    def _step(self, lanes: NDArray[np.int64], actions: Rows) -> Step:
        pairs = zip(lanes.tolist(), actions, strict=True)
        found = [self._environments[lane].step(action) for lane, action in pairs]
        observations, rewards, terminated, truncated, _ = zip(*found, strict=True)
        return Step(
            np.stack([np.asarray(one) for one in observations]),
            np.array(rewards, dtype=np.float64),
            np.array(terminated, dtype=bool),
            np.array(truncated, dtype=bool),
        )


class VectorWorld(World):
    """A vector environment of gymnasium that begins no episode by itself; its lanes may be processes."""

    def __init__(self, environments: Any, longest: int) -> None:
        super().__init__(longest)
        mode = environments.metadata.get("autoreset_mode")
        if getattr(mode, "name", mode) != "DISABLED":
            raise ValueError(
                f"the vector environment begins episodes by itself ({mode}), from seeds that nobody knows; make it "
                "with autoreset_mode=gymnasium.vector.AutoresetMode.DISABLED"
            )
        self._environments = environments
        self.observation_space = environments.single_observation_space
        self.action_space = environments.single_action_space
        self._over = np.ones(environments.num_envs, dtype=bool)
        self._last: Rows | None = None

    def apart(self) -> World:
        return self

    @property
    def title(self) -> str:
        return str(self._environments)

    @property
    def most(self) -> int | None:
        return self._environments.num_envs

    def _reset(self, lanes: NDArray[np.int64], seeds: Sequence[int]) -> Rows:
        chosen, given = np.zeros(len(self._over), dtype=bool), [0] * len(self._over)
        chosen[lanes] = True
        for lane, seed in zip(lanes.tolist(), seeds, strict=True):
            given[lane] = seed
        if self._last is None:
            chosen[:] = True
        self._last, _ = self._environments.reset(seed=given, options={"reset_mask": chosen})
        self._over[chosen] = False
        return np.asarray(self._last)[lanes]

    def _step(self, lanes: NDArray[np.int64], actions: Rows) -> Step:
        """The lanes that were not asked for go on too, by any action: nobody looks at them until they begin anew."""
        if self._over.any():
            self._reset(np.flatnonzero(self._over), [0] * int(self._over.sum()))
        everywhere = np.repeat(actions[:1], len(self._over), axis=0)
        everywhere[lanes] = actions
        self._last, rewards, terminated, truncated, _ = self._environments.step(everywhere)
        self._over = terminated | truncated
        return Step(np.asarray(self._last)[lanes], rewards[lanes], terminated[lanes], truncated[lanes])


def world_of(environment: Any, longest: int) -> World:
    """The world of an environment: an id that gymnasium knows, a function that makes one, or a vector environment.

    Raises ImportError, with the extra to install, where a package is missing; ValueError for an unknown id; TypeError
    for anything else.
    """
    gymnasium = _gymnasium()
    if isinstance(environment, gymnasium.vector.VectorEnv):
        return VectorWorld(environment, longest)
    if isinstance(environment, str):
        return MadeWorld(partial(_made, environment), longest)
    if isinstance(environment, gymnasium.Env) or not callable(environment):
        raise TypeError(
            f"environment is {environment!r:.80}; give an id such as 'CartPole-v1', a function that makes one "
            "(several are needed side by side), or a vector environment"
        )
    return MadeWorld(environment, longest)


def _gymnasium() -> Any:
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # some environments import pygame, which prints a greeting
    try:
        import gymnasium
    except ImportError:
        raise ImportError(f"a Controller needs the package gymnasium; {EXTRA}") from None
    return gymnasium


def _made(name: str) -> Any:
    """An environment by its id, without the checks that slow each step down."""
    gymnasium = _gymnasium()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Box2D ends the process where this is an error
            return gymnasium.make(name, disable_env_checker=True)
    except (gymnasium.error.DependencyNotInstalled, ModuleNotFoundError) as error:
        entry = str(getattr(gymnasium.registry.get(name), "entry_point", ""))
        hints = [f'; pip install "carousel-lstm[{extra}]"' for extra in EXTRAS if f".{extra}." in entry]
        told = " ".join(str(error).split())
        raise ImportError(
            f"environment {name!r} needs a package that is not installed ({told}){''.join(hints)}"
        ) from None
    except gymnasium.error.Error as error:
        raise ValueError(f"there is no environment {name!r} ({' '.join(str(error).split())})") from None
