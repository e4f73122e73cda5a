"""What workers are asked: results in the order of the items, whoever computed them and however often."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from numbers import Integral
from typing import Any, Self

from carousel.training.workers.keeper import Keeper

Task = Callable[[Any], Any]
"""A function of an item: one of a module, or a functools.partial of one. What it gives depends on its item alone."""


class WorkerError(RuntimeError):
    """A worker process ended again and again at the same item, or could not begin."""


class Workers(ABC):
    """Whoever computes a task for many items.

    A task draws random numbers from seeds in its item only, and changes nothing outside: then it may be computed
    anywhere, and once more where a worker was lost, without a change of the results, to the bit. Between processes
    task, items and results are pickled; the task goes to each worker once a `map`, so that what all items share
    belongs in a `functools.partial`. Items are pieces of work: a piece should last a few milliseconds or more.

    Use it in a `with` block, or `close` it: the processes end. They are started by the first `map` that needs them.
    """

    @abstractmethod
    def finished(self, task: Task, items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """The place of each item and the task's result for it, as they come.

        Raises, when nothing earlier is left to do, what the task raised for the first item that failed, TypeError
        for what cannot be sent to a process, WorkerError when workers end again and again.
        """

    def map(self, task: Task, items: Iterable[Any]) -> list[Any]:
        """The task's results for all items, in their order; raises as `finished` does."""
        found = dict(self.finished(task, items))
        return [found[place] for place in range(len(found))]

    @abstractmethod
    def keepers(self, task: Task) -> list[Keeper]:
        """Those who keep what they are at from one question to the next, as many as there are workers, with this task.

        Who asks for them closes them; what they are asked may depend on what they were asked before.
        Raises TypeError, here or when they begin, for a task that cannot be sent to a process.
        """

    def close(self) -> None:  # noqa: B027 - this process holds nothing
        """End the processes, if there are any; a later `map` starts new ones."""

    def __deepcopy__(self, memo: Any) -> Self:
        """A copy of who has workers has the same ones."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Here(Workers):
    """One item after the other, in this process."""

    def finished(self, task: Task, items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """The place of each item and its result, one after the other."""
        return ((place, task(item)) for place, item in enumerate(items))

    def keepers(self, task: Task) -> list[Keeper]:
        """The one that answers in this process."""
        return [HereKeeper(task)]


class HereKeeper(Keeper):
    """A copy of a task that answers questions in this process."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._copy: Task | None = None
        self._question: Any = None

    def begin(self) -> None:
        if self._copy is None:
            self._copy = copy.deepcopy(self._task)
            self.births += 1

    def ask(self, question: Any) -> None:
        self.begin()
        self._question = question

    def answer(self) -> Any:
        assert self._copy is not None
        return self._copy(self._question)

    def close(self) -> None:
        self._copy = None


def workers_of(given: "int | str | Workers") -> Workers:
    """Workers from what an option says: 1 is this process, more are processes on this machine, "ray" is a Ray cluster.

    Raises ValueError or TypeError for anything else; ImportError for "ray" without its package.
    """
    from carousel.training.workers.cluster import RayWorkers
    from carousel.training.workers.processes import Processes

    if isinstance(given, Workers):
        return given
    if isinstance(given, bool) or not isinstance(given, Integral | str):
        raise TypeError(f"workers is {given!r}; give how many, 'ray', or an object of training.workers")
    if given == "ray":
        return RayWorkers()
    if isinstance(given, str) or given < 1:
        raise ValueError(f"workers is {given!r}; give 1 or more, or 'ray'")
    return Here() if given == 1 else Processes(int(given))
