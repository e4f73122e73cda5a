"""Workers of a Ray cluster, on as many machines as it has."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, Self

import torch

from carousel.training.workers.workers import Task, WorkerError, Workers

TRIES = 5


class RayWorkers(Workers):
    """Tasks on a Ray cluster, one core and one thread each; Ray redoes what was lost with a process or a machine.

    address: of the cluster, or "auto" for the one that this machine belongs to. None takes the one that this process
        is connected to, else the one of RAY_ADDRESS, else begins a new one on this machine, which `close` ends.
    cores: of each task, as Ray counts them.

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

    def close(self) -> None:
        """Leave the cluster, if a `map` joined or began it."""
        if self._began:
            self._ray.shutdown()
            self._began = False

    def _connected(self) -> Any:
        if not self._ray.is_initialized():
            self._ray.init(address=self.address, include_dashboard=None, log_to_driver=False, logging_level="warning")
            self._began = True
        return self._ray


def _run(task: Task, item: Any) -> Any:
    """The task of one item, on one thread."""
    torch.set_num_threads(1)
    return task(item)


def _imported() -> Any:
    try:
        return import_module("ray")
    except ImportError:
        raise ImportError(
            "workers on several machines need the package ray: pip install 'carousel-lstm[ray]'; processes on this "
            "machine do without it: workers=4"
        ) from None
