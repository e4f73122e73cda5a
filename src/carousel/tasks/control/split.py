"""Environments in other processes, which may be killed: their episodes are then played again up to where they were."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from carousel.tasks.control.world import FORGETFUL, MadeWorld, Rows, Step, World
from carousel.training.workers import Keeper, LostError, WorkerError, Workers

TRIES = 5
"""How often a step may be lost with its process before it is the environment's fault."""


@dataclass
class Episode:
    """The episode that is under way in a lane: its seed, the actions so far, and what was seen last."""

    seed: int
    seen: Any
    actions: list[Any] = field(default_factory=list)


class Asked(NamedTuple):
    """What is asked of a process: what to do in lanes of one of its worlds, after these episodes if it is a new one."""

    world: int
    what: str
    lanes: NDArray[np.int64]
    given: Any
    before: list[tuple[int, int, list[Any]]] | None


@dataclass
class Stage:
    """In a process: worlds by number, each made when it is first heard of."""

    make: Callable[[], Any]
    longest: int
    worlds: dict[int, World] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> tuple[list[Any], Any]:
        """What the episodes before showed last, and the answer."""
        seen = []
        if asked.before is not None:
            world = self.worlds[asked.world] = MadeWorld(self.make, self.longest)
            seen = [_again(world, np.array([lane]), seed, actions) for lane, seed, actions in asked.before]
        return seen, getattr(self.worlds[asked.world], asked.what)(asked.lanes, asked.given)


@dataclass
class Team:
    """Who has the environments of a world and of those apart from it, which tell each other by numbers.

    own: the workers that end with it, if there are any.
    """

    keepers: list[Keeper]
    own: Workers | None = None
    numbers: Iterator[int] = field(default_factory=count)

    def close(self) -> None:
        """End the processes."""
        for keeper in self.keepers:
            keeper.close()
        if self.own is not None:
            self.own.close()


class SplitWorld(World):
    """Environments with a team of workers, on this machine or others; of n of them, lane i is with the i modulo n-th.

    What comes out is what `MadeWorld` gives, to the bit. Where a process is lost, another takes its place, and plays
    the episodes that were under way again, from their seeds by the actions that were taken.
    """

    def __init__(self, pattern: MadeWorld, team: Team) -> None:
        super().__init__(pattern.longest)
        self._pattern, self._team = pattern, team
        self._number = next(team.numbers)
        self._births = [0] * len(team.keepers)
        self._episodes: dict[int, Episode] = {}
        self.observation_space, self.action_space = pattern.observation_space, pattern.action_space

    def __reduce__(self) -> Any:
        """For workers: a world like it that needs no processes."""
        return _pattern, (self._pattern,)

    def apart(self) -> World:
        return SplitWorld(self._pattern, self._team)

    @property
    def title(self) -> str:
        return self._pattern.title

    @property
    def most(self) -> int | None:
        return None

    def close(self) -> None:
        self._team.close()

    def _reset(self, lanes: NDArray[np.int64], seeds: Sequence[int]) -> Rows:
        seen = self._all("begin", lanes, np.array(seeds, dtype=object), lambda rows: (rows,))[0]
        for lane, seed, own in zip(lanes.tolist(), seeds, seen, strict=True):
            self._episodes[lane] = Episode(seed, own)
        return seen

    def _step(self, lanes: NDArray[np.int64], actions: Rows) -> Step:
        found = Step(*self._all("step", lanes, actions, tuple))
        for lane, action, seen in zip(lanes.tolist(), actions, found.observations, strict=True):
            episode = self._episodes[lane]
            episode.actions.append(action)
            episode.seen = seen
        return found

    def _all(self, what: str, lanes: NDArray[np.int64], given: Any, columns: Callable[[Any], Any]) -> list[Rows]:
        """Ask the processes of all these lanes; the columns of their answers, a row a lane."""
        size = len(self._team.keepers)
        waiting = {place: np.flatnonzero(lanes % size == place) for place in range(size)}
        waiting = {place: at for place, at in waiting.items() if len(at)}
        found: list[tuple[NDArray[np.int64], Any]] = []
        try:
            for _ in range(TRIES):
                for place, at in waiting.items():
                    self._ask(place, what, lanes[at], given[at])
                for place in list(waiting):
                    answer = self._answer(place)
                    if answer is not None:
                        found.append((waiting.pop(place), columns(answer[0])))
                if not waiting:
                    order = np.argsort(np.concatenate([at for at, _ in found]))
                    parts = zip(*(own for _, own in found), strict=True)
                    return [np.concatenate(part)[order] for part in parts]
        except BaseException:
            self.close()  # an answer that nobody waits for is not to be taken for the next
            raise
        raise WorkerError(f"a step of the environment was lost with its process {TRIES} times; it breaks its process")

    def _ask(self, place: int, what: str, lanes: NDArray[np.int64], given: Any) -> None:
        """Ask a process; one that is new is told first which episodes of ours were under way."""
        keeper, size = self._team.keepers[place], len(self._team.keepers)
        keeper.begin()
        known = self._births[place] == keeper.births
        before = [(lane // size, own.seed, own.actions) for lane, own in self._under_way(place)]
        keeper.ask(Asked(self._number, what, lanes // size, given, None if known else before))

    def _answer(self, place: int) -> tuple[Any] | None:
        """What a process answers; None where it was lost. Raises ValueError where episodes do not repeat themselves."""
        keeper = self._team.keepers[place]
        try:
            seen, answer = keeper.answer()
        except LostError:
            return None
        if self._births[place] != keeper.births:
            self._births[place] = keeper.births
            if not all(np.array_equal(a, own.seen) for a, (_, own) in zip(seen, self._under_way(place), strict=True)):
                raise ValueError(FORGETFUL)
        return (answer,)

    def _under_way(self, place: int) -> list[tuple[int, Episode]]:
        """The lanes of a process, and their episodes."""
        return [(lane, own) for lane, own in self._episodes.items() if lane % len(self._team.keepers) == place]


def _pattern(world: MadeWorld) -> MadeWorld:
    """What a split world becomes elsewhere."""
    return world


def split(world: MadeWorld, workers: Workers, *, own: bool = False) -> SplitWorld:
    """The world with its environments with these workers, who end with it if they are its own.

    Raises TypeError, here or when it is first played in, for environments that cannot be sent to a process.
    """
    stage = Stage(world.make, world.longest)
    return SplitWorld(world, Team(workers.keepers(stage), workers if own else None))


def _again(world: World, lane: NDArray[np.int64], seed: int, actions: list[Any]) -> Any:
    """Play an episode again; what it shows last."""
    seen = world.begin(lane, [seed])
    for action in actions:
        seen = world.step(lane, np.asarray(action)[None]).observations
    return seen[0]
