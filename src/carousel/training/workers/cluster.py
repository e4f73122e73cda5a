"""Workers of a Ray cluster, on as many machines as it has."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, Self

import torch

from carousel.training.workers.keeper import Keeper, LostError
from carousel.training.workers.workers import Task, WorkerError, Workers

TRIES = 5


class RayWorkers(Workers):
    """Tasks on a Ray cluster, one core and one thread each; Ray redoes what was lost with a process or a machine.

    address: of the cluster, or "auto" for the one that this machine belongs to. None takes the one that this process
        is connected to, else the one of RAY_ADDRESS, else begins a new one on this machine, which `close` ends.
    cores: of each task, as Ray counts them; keepers are as many as the free cores divided by it.

    All its machines need carousel. Raises ImportError without the package ray.
    """

    def __init__(self, address: str | None = None, cores: float = 1.0) -> None:
        self.address, self.cores = address, cores
        self._ray = _imported()
        self._began = False

    def __reduce__(self) -> tuple[type[Self], tuple[str | None, float]]:
        return type(self), (self.address, self.cores)

    def finished(self, task: Task, items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """The place of each item and its result, as they come; see `Workers.finished`."""
        ray = self._connected()
        run = ray.remote(num_cpus=self.cores, max_retries=TRIES - 1)(_run)
        shared = ray.put(task)
        asked = {run.remote(shared, item): place for place, item in enumerate(items)}
        failures: dict[int, Exception] = {}
        while asked:
            (ready, *_), _ = ray.wait(list(asked))
            place = asked.pop(ready)
            try:
                yield place, ray.get(ready)
            except ray.exceptions.RayTaskError as error:
                failures[place] = error.cause
            except ray.exceptions.RayError as error:
                told = f"item {place} was lost {TRIES} times, or the cluster is gone: {error}"
                failures[place] = WorkerError(told)
        if failures:
            raise failures[min(failures)]

    def keepers(self, task: Task) -> list[Keeper]:
        """Actors that keep what they are at, as many as there are free cores for, or one; see `Workers.keepers`.

        Raises WorkerError where no machine of the cluster has cores.
        """
        ray = self._connected()
        places = _places(ray.nodes(), ray.available_resources().get("CPU", 0.0), self.cores or 1.0)
        if not places:
            raise WorkerError("no machine of the cluster has cores")
        return [RayKeeper(self, task, place) for place in places]

    def close(self) -> None:
        """Leave the cluster, if a `map` or a keeper joined or began it."""
        if self._began:
            self._ray.shutdown()
            self._began = False

    def _connected(self) -> Any:
        if not self._ray.is_initialized():
            self._ray.init(address=self.address, include_dashboard=None, log_to_driver=False, logging_level="warning")
            self._began = True
        return self._ray


class RayKeeper(Keeper):
    """An actor of a Ray cluster, with one thread, in which one task answers questions.

    It reserves no core: it waits most of the time, tasks may run meanwhile, and the actor that takes the place of a
    lost one finds room on what is left of a full cluster.

    place: the number of the machine where it runs, while there is that machine; else it runs on another.
    """

    def __init__(self, workers: RayWorkers, task: Task, place: str) -> None:
        self._workers, self._task, self._place = workers, task, place
        self._actor: Any = None
        self._told: Any = None
        self._asked: Any = None

    def begin(self) -> None:
        if self._actor is None:
            ray = self._workers._connected()
            there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(self._place, soft=True)
            self._actor = ray.remote(max_restarts=0, scheduling_strategy=there)(_Mind).remote()
            self._told = self._actor.take.remote(self._task)
            self.births += 1

    def ask(self, question: Any) -> None:
        self.begin()
        self._asked = self._actor.answer.remote(question)

    def answer(self) -> Any:
        ray = self._workers._ray
        lost = ray.exceptions.RayActorError, ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError
        try:
            return ray.get([self._told, self._asked])[1]
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except lost as error:
            self.close()
            raise LostError(f"an actor of the cluster is gone: {error}") from None

    def close(self) -> None:
        ray, actor, self._actor = self._workers._ray, self._actor, None
        if actor is not None and ray.is_initialized():
            with suppress(ValueError):  # its cluster was left before, and this is another one
                ray.kill(actor)


class _Mind:
    """In an actor: the task, on one thread. What Ray hands over cannot be written to, copies of it can."""

    def take(self, task: Task) -> None:
        """Know the task from now on."""
        torch.set_num_threads(1)
        self._task = copy.deepcopy(task)

    def answer(self, question: Any) -> Any:
        """What the task says."""
        return self._task(copy.deepcopy(question))


def _places(machines: list[dict[str, Any]], free: float, cores: float) -> list[str]:
    """Where keepers run: on each machine in turn, as long as it has cores, and as many as are free in all, or one."""
    owned = {one["NodeID"]: one["Resources"].get("CPU", 0.0) for one in machines if one["Alive"]}
    turns = [(turn, place) for place, own in owned.items() if own for turn in range(max(1, int(own // cores)))]
    return [place for _, place in sorted(turns)][: max(1, int(free // cores))]


def _run(task: Task, item: Any) -> Any:
    """The task of one item, on one thread."""
    torch.set_num_threads(1)
    return task(item)


def _imported() -> Any:
    try:
        import_module("ray.util.scheduling_strategies")
        return import_module("ray")
    except ImportError:
        raise ImportError(
            "workers on several machines need the package ray: pip install 'carousel-lstm[ray]'; processes on this "
            "machine do without it: workers=4"
        ) from None
