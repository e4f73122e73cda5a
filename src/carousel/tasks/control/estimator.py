"""`Controller`: acts in an environment, and learns from rewards."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import nn

from carousel.tasks.base import Material, SequenceEstimator
from carousel.tasks.control.batches import Turns
from carousel.tasks.control.evaluation import Returns, Trail, at_random, played
from carousel.tasks.control.network import ControlNetwork, Memory
from carousel.tasks.control.spaces import actions_from, actions_of, senses_from, senses_of
from carousel.tasks.control.split import split
from carousel.tasks.control.world import MadeWorld, Step, World, world_of
from carousel.tasks.parameters import parameter, redefault
from carousel.training import METHODS, Report
from carousel.training.policy import PolicyGradient
from carousel.training.workers import Here, Workers, workers_of

GLANCES = 4
"""Episodes of random actions from which observations are first scaled."""
EVALUATION = 1
"""Sets the seeds of evaluations apart from those of training."""


@dataclass(kw_only=True, eq=False, repr=False)
class Controller(SequenceEstimator):
    """Act in an environment, and learn from rewards, in scikit-learn's manner.

    The policy is an LSTM: what it does may depend on all that it saw in the episode, so that it can do without
    velocities, signs long gone, and other things that observations do not show. It learns by policy gradients ("ppo",
    "reinforce") or by searching for weights ("evolution"). Needs gymnasium: pip install "carousel-lstm[control]".
    """

    hide: tuple[int, ...] | list[int] = parameter((), "positions in the observation that the policy does not see")
    memory: bool = parameter(True, "remember; without, the state is cleared before each step")
    normalize: bool = parameter(True, "centre and scale observations, by what random actions show first")
    rollout: int = parameter(128, "steps in each environment between two updates, for ppo", minimum=1)
    updates_per_epoch: int = parameter(10, "updates between two reports", minimum=1)
    validation_episodes: int = parameter(
        8, "episodes after each epoch by which the best weights are chosen; 0 for none", minimum=0
    )
    workers: int | str | Workers = parameter(
        1,
        "who runs the environments: 1 is this process, more are processes on this machine, 'ray' is a Ray cluster",
        minimum=1,
    )
    longest: int = parameter(10_000, "steps after which an episode is cut off, if nothing else ends it", minimum=1)

    hidden_size: int = redefault(SequenceEstimator, "hidden_size", 32)
    method: str = redefault(SequenceEstimator, "method", "ppo")
    learning_rate: float = redefault(SequenceEstimator, "learning_rate", 1e-3)
    max_epochs: int = parameter(20, "reports of so many updates each, at most", minimum=1)
    batch_size: int = parameter(
        16, "environments side by side; of other methods than ppo, episodes for each update and network", minimum=1
    )
    patience: int | None = parameter(
        None, "epochs without a better return in validation before stopping; None: never", minimum=1
    )

    _learns_from: ClassVar[str] = "acting"
    _learned: ClassVar[dict[str, Any]] = {"environment_": str | None, "senses_": dict, "actions_": dict}

    def fit(self, environment: Any, y: Any = None) -> Self:
        """Learn to act in an environment of gymnasium.

        environment: an id ("CartPole-v1"), a function without arguments that makes one, or a vector environment with
            autoreset_mode=DISABLED, whose lanes then take the place of `batch_size`.
        Raises ValueError or TypeError, before training, for what cannot be learned in; ImportError, with the extra to
        install, where a package is missing; DivergenceError when training diverges.
        """
        del y
        for _ in self.fit_reports(environment):
            continue
        return self

    def fit_reports(
        self, environment: Any, *, checkpoint: str | PathLike[str] | None = None
    ) -> Generator[Report, None, None]:
        """Look at the environment, then return a generator of reports that learns as it is consumed.

        The losses in the reports are minus mean returns. Stop consuming at any time: the estimator is fitted from the
        first report on. With a `checkpoint` file the run is saved there, and resumed from there when the file exists.
        """
        seed = self._begin()
        self._check_options()
        world = self._world_of(environment)
        self.environment_ = environment if isinstance(environment, str) else None
        self.senses_ = senses_of(world.observation_space, tuple(self.hide)).plain()
        self.actions_ = actions_of(world.action_space).plain()
        return self._learn_in(world, seed, checkpoint)

    def predict(self, observations: Any, state: Memory | None = None) -> tuple[NDArray[Any], Memory]:
        """What to do now in several environments: actions (n, ...) for observations (n, ...), and the memory after.

        state: what the call before returned; None where all episodes begin.
        Raises ValueError for observations that do not fit, or hold NaN or infinity, and for the memory of other
        environments.
        """
        check_is_fitted(self, "network_")
        network = self.network_
        seen = network.senses.read(np.asarray(observations))
        with torch.inference_mode():
            x = network.features(seen)
            try:
                raw, after = network.actor(x, state, None)
            except (RuntimeError, AttributeError, TypeError):
                _check_memory(state, network.actor(x, None, None)[1], len(seen))
                raise
            return network.actions.outwards(network.actions.best(raw[0])), after

    def act(self, observation: Any, state: Memory | None = None) -> tuple[Any, Memory]:
        """What to do now, from one observation as the environment gives it, and the memory to hand in next time."""
        actions, after = self.predict(np.asarray(observation)[None], state)
        return actions[0], after

    def evaluate(self, environment: Any = None, *, episodes: int = 100, seed: int = 0) -> Returns:
        """The returns of whole episodes, which training did not play, by what the policy likes best.

        environment: as for `fit`; None is the one that was learned in, if it has an id.
        """
        check_is_fitted(self, "network_")
        if episodes < 1:
            raise ValueError(f"episodes is {episodes}; at least one is played")
        with closing(self._world_again(environment)) as world:
            return played(world, self._indices(seed, episodes), self.network_.follow)

    def episode(self, environment: Any = None, *, seed: int = 0) -> Trail:
        """One whole episode, step by step; the first of those that `evaluate` plays."""
        check_is_fitted(self, "network_")
        rows: list[tuple[Any, Any, float]] = []
        senses = self.network_.senses

        def watch(observations: NDArray[Any], actions: NDArray[Any], step: Step) -> None:
            rows.append((senses.read(observations)[0], np.ravel(actions[0]), step.rewards[0]))

        played(self._known_world(environment), self._indices(seed, 1), self.network_.follow, watch)
        seen, done, gained = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
        return Trail(seen, done, gained, senses.seen)

    def score(self, environment: Any = None, y: Any = None) -> float:
        """The mean return of a hundred episodes."""
        del y
        return self.evaluate(environment).mean

    def _world_again(self, environment: Any = None) -> World:
        """A world to play in, with the workers if there are any; see `_known_world`."""
        return self._spread(self._known_world(environment))

    def _known_world(self, environment: Any) -> World:
        """A world to play in, in this process.

        Raises ValueError for one that shows or takes something else than the first one.
        """
        environment = getattr(self, "environment_", None) if environment is None else environment
        if environment is None:
            raise ValueError("it learned in an environment without an id; say in which one to play")
        world = self._world_of(environment)
        pairs = (
            (senses_of(world.observation_space, tuple(self.hide)), senses_from(self.senses_)),
            (actions_of(world.action_space), actions_from(self.actions_)),
        )
        for own, known in pairs:
            if own != known:
                raise ValueError(f"the environment has {own}; that of training had {known}")
        return world

    def _world_of(self, environment: Any) -> World:
        """The world of an environment, in this process. Raises ValueError for one that cannot go to the workers."""
        world = world_of(environment, self.longest)
        if not isinstance(world, MadeWorld) and not isinstance(workers_of(self.workers), Here):
            raise ValueError(
                f"workers is {self.workers!r}, but a vector environment runs where it was made; give an id, or a "
                "function"
            )
        return world

    def _spread(self, world: World) -> World:
        """The world, with the workers if that is asked for; those that were begun for it end with it."""
        workers = workers_of(self.workers)
        if isinstance(workers, Here) or not isinstance(world, MadeWorld):
            return world
        return split(world, workers, own=workers is not self.workers)

    def _check_options(self) -> None:
        if self.bidirectional or self.dropout:
            name = "bidirectional" if self.bidirectional else "dropout"
            why = "the future is not known" if self.bidirectional else "who acts must be who learns"
            raise ValueError(f"{name} is {getattr(self, name)}, but {why}: a Controller does without")
        workers_of(self.workers)
        self._method()

    def _learn_in(self, world: World, seed: int, checkpoint: Any) -> Generator[Report, None, None]:
        """Learn while the world is at hand."""
        lanes = self.batch_size if world.most is None else min(world.most, self.batch_size)
        validation = Turns(self.validation_episodes, 0, 1, seed + 1) if self.validation_episodes else None
        material = Material(Turns(lanes, self.rollout, self.updates_per_epoch, seed), validation)
        self._world = world = self._spread(world)
        try:
            yield from self._learn(material, seed, checkpoint)
        finally:
            vars(self).pop("_world", None)
            world.close()
            if hasattr(self, "network_"):
                self.network_.world = None

    def _network(self) -> nn.Module:
        method = METHODS.get(self.method)
        network = ControlNetwork(
            self._lstm,
            senses_from(self.senses_),
            actions_from(self.actions_),
            remembers=self.memory,
            critic=method is not None and issubclass(method, PolicyGradient),
            normalize=self.normalize,
        )
        if (world := vars(self).get("_world")) is not None:
            network.world = world
            network.get_used_to(self._glance(world, network))
        return network

    def _glance(self, world: World, network: ControlNetwork) -> NDArray[np.float32]:
        """What a few episodes of random actions show."""
        seen: list[NDArray[np.float32]] = []
        act = at_random(network.actions, EVALUATION)

        def look(observations: NDArray[Any], actions: Any, step: Any) -> None:
            seen.append(network.senses.read(observations))

        played(world, list(range(GLANCES)), lambda: act, look)
        return np.concatenate(seen)

    def _check_learned(self) -> None:
        senses_from(self.senses_)
        actions_from(self.actions_)

    @staticmethod
    def _indices(seed: int, episodes: int) -> list[int]:
        """What the seeds of evaluation episodes are made from; other than those of training."""
        return np.random.default_rng([EVALUATION, seed]).integers(2**62, size=episodes).tolist()


def _check_memory(given: Any, fresh: Memory, lanes: int) -> None:
    """Raise ValueError for a memory that is not of the form of a fresh one."""
    parts = given if isinstance(given, tuple | list) else [given]
    came, expected = ([tuple(getattr(part, "shape", ())) for part in memory] for memory in (parts, fresh))
    if came != expected:
        raise ValueError(
            f"state has the shapes {', '.join(map(str, came))}, but {lanes} observations need "
            f"{', '.join(map(str, expected))}; hand in what the call before returned for the same environments, or "
            "None where all episodes begin"
        )
