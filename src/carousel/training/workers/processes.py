"""Workers as processes on one machine: each on one core, with one thread; a lost one is replaced, its item redone."""

import multiprocessing
import os
import pickle
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Self, cast

from carousel.training.workers.keeper import Keeper, LostError
from carousel.training.workers.work import FAILED, ITEM, READY, TASK, one_thread, work
from carousel.training.workers.workers import Task, WorkerError, Workers

TRIES = 5
"""How often an item may be lost with its worker before it is the item's fault."""


class Processes(Workers):
    """So many processes on this machine, started anew by Python (spawned), each with one thread and on one core.

    A script that uses them guards what it does by `if __name__ == "__main__":`, as Python asks of all that spawns.
    Where a process is lost, killed or out of memory, another takes its place and its item. Where the system knows no
    cores to be bound to, or there are more workers than cores, they share.

    Raises ValueError for fewer than one.
    """

    def __init__(self, count: int) -> None:
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ValueError(f"count is {count!r}; it is how many processes there are, 1 or more")
        self.count = count
        self._team: dict[int, _Worker] = {}
        weakref.finalize(self, end, self._team, os.getpid())

    def __reduce__(self) -> tuple[type[Self], tuple[int]]:
        return type(self), (self.count,)

    @property
    def pids(self) -> list[int]:
        """The numbers of the processes that run."""
        return [worker.process.pid for worker in self._team.values() if worker.process.pid is not None]

    def finished(self, task: Task, items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """The place of each item and its result, as they come; see `Workers.finished`."""
        pieces = [pickled(item, "an item") for item in items]
        return self._answers(_Round(pickled(task, "the task"), pieces))

    def keepers(self, task: Task) -> list[Keeper]:
        """As many further processes, each of which keeps what it is at; see `Workers.keepers`."""
        return [ProcessKeeper(task, place) for place in range(self.count)]

    def _answers(self, round_: "_Round") -> Iterator[tuple[int, Any]]:
        try:
            while not round_.over:
                self._hand_out(round_)
                self._collect(round_)
                yield from round_.fresh()
        except BaseException:
            self.close()  # what they are at belongs to nobody any more
            raise
        if round_.failure is not None:
            raise round_.failure[1]

    def close(self) -> None:
        """End the processes; a later `map` starts new ones."""
        end(self._team, os.getpid())

    def _hand_out(self, round_: "_Round") -> None:
        """Give every idle worker an item, as long as there are any."""
        for place in range(self.count):
            worker = self._team.get(place)
            if not round_.waiting or (worker is not None and worker.item is not None):
                continue
            if worker is None:
                worker = self._team[place] = started(place)
            worker.take(round_)

    def _collect(self, round_: "_Round") -> None:
        """Wait for answers, or for the end of a process."""
        busy = {worker.pipe: place for place, worker in self._team.items() if worker.item is not None}
        for pipe in wait(list(busy)):
            place = busy[pipe]  # type: ignore[index]
            try:
                self._team[place].hear(round_)
            except (EOFError, OSError):
                self._lose(place, round_)

    def _lose(self, place: int, round_: "_Round") -> None:
        """A worker is gone: another will take its item."""
        worker = self._team.pop(place)
        worker.pipe.close()
        worker.process.join()
        exit_code = worker.process.exitcode
        check_began(worker.ready, exit_code)
        assert worker.item is not None
        round_.put_back(worker.item, exit_code)


class ProcessKeeper(Keeper):
    """A process on this machine, with one thread and on one core, in which one task answers questions.

    Raises TypeError for a task that cannot be sent to a process.
    """

    def __init__(self, task: Task, place: int) -> None:
        self._task, self._place = pickled(task, "the task"), place
        self._team: dict[int, _Worker] = {}
        weakref.finalize(self, end, self._team, os.getpid())

    def begin(self) -> None:
        if not self._team:
            self._team[0] = worker = started(self._place)
            self.births += 1
            with suppress(OSError):  # it is gone, which the next answer tells
                worker.pipe.send_bytes(TASK + self._task)

    def ask(self, question: Any) -> None:
        self.begin()
        with suppress(OSError):
            self._team[0].pipe.send_bytes(ITEM + pickled(question, "a question"))

    def answer(self) -> Any:
        worker = self._team[0]
        try:
            kind, content = worker.receive()
            if kind == READY:
                kind, content = worker.receive()
        except (EOFError, OSError):
            worker.process.join()
            exit_code = worker.process.exitcode
            self.close()
            check_began(worker.ready, exit_code)
            raise LostError(f"a worker process ended with exit code {exit_code}") from None
        if kind == FAILED:
            raise content
        return content

    @property
    def pid(self) -> int | None:
        """The number of the process, None where none runs."""
        return self._team[0].process.pid if self._team else None

    def close(self) -> None:
        end(self._team, os.getpid())


class _Round:
    """One `map`: which items wait or are under way, and the answers that have come."""

    def __init__(self, task: bytes, pieces: list[bytes]) -> None:
        self.task, self.pieces = task, pieces
        self.waiting = deque(range(len(pieces)))
        self.under_way: set[int] = set()
        self.lost = [0] * len(pieces)
        self.answers: list[tuple[int, Any]] = []
        self.failure: tuple[int, Exception] | None = None

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return not self.waiting and not self.under_way

    def next(self) -> int:
        """The next item, which is then under way."""
        item = self.waiting.popleft()
        self.under_way.add(item)
        return item

    def answer(self, item: int, kind: str, content: Any) -> None:
        """Keep an answer; after a failure only earlier items matter."""
        self.under_way.discard(item)
        if kind != FAILED:
            self.answers.append((item, content))
        elif self._matters(item):
            self.failure = item, content
            self.waiting = deque(filter(self._matters, self.waiting))

    def put_back(self, item: int, exit_code: int | None) -> None:
        """An item was lost with its worker, and waits again. Raises WorkerError if it is lost every time."""
        self.under_way.discard(item)
        self.lost[item] += 1
        if self.lost[item] >= TRIES:
            raise WorkerError(
                f"item {item} was lost with its worker {TRIES} times, at last with exit code {exit_code}; "
                "it needs more memory than there is, or breaks its process"
            )
        if self._matters(item):
            self.waiting.appendleft(item)

    def fresh(self) -> list[tuple[int, Any]]:
        """The answers that came since this was last asked."""
        found, self.answers = self.answers, []
        return found

    def _matters(self, item: int) -> bool:
        return self.failure is None or item < self.failure[0]


@dataclass(eq=False)
class _Worker:
    """A process, our end of its pipe, the item that it is at, and the task that it knows."""

    process: BaseProcess
    pipe: Connection
    item: int | None = None
    task: bytes | None = None
    ready: bool = False

    def take(self, round_: _Round) -> None:
        """Begin with the next item."""
        self.item = round_.next()
        with suppress(OSError):  # it is gone, which the next answer tells
            if self.task is not round_.task:
                self.pipe.send_bytes(TASK + round_.task)
                self.task = round_.task
            self.pipe.send_bytes(ITEM + round_.pieces[self.item])

    def receive(self) -> tuple[str, Any]:
        """What it says next: READY, or how it went and an answer. Raises EOFError or OSError when it is gone."""
        kind, content = pickle.loads(self.pipe.recv_bytes())
        self.ready |= kind == READY
        return kind, content

    def hear(self, round_: _Round) -> None:
        """Take its answer. Raises EOFError or OSError when it is gone."""
        kind, content = self.receive()
        if kind == READY:
            return
        assert self.item is not None
        round_.answer(self.item, kind, content)
        self.item = None


def check_began(ready: bool, exit_code: int | None) -> None:
    """Raise WorkerError for a process that failed before it was ready: the next one would fail, too."""
    if not ready and exit_code is not None and exit_code > 0:
        raise WorkerError(
            f"a worker process ended before it began, with exit code {exit_code}; a script that uses workers does "
            'so inside `if __name__ == "__main__":`'
        )


def started(place: int) -> _Worker:
    """A new process, with the environment of one thread."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, place), daemon=True, name=f"carousel worker {place}")
    with one_thread(os.environ):
        process.start()
    theirs.close()  # so that the end of the process is the end of the pipe
    return _Worker(process, cast(Connection, ours))


def end(team: dict[int, _Worker], owner: int) -> None:
    """End all processes, if they are this one's: a fork of it has a copy of the team."""
    if os.getpid() != owner:
        team.clear()
    for worker in team.values():
        worker.pipe.close()
        worker.process.kill()
    for worker in team.values():
        worker.process.join()
        worker.process.close()
    team.clear()


def pickled(value: Any, what: str) -> bytes:
    """The value as bytes for a process. Raises TypeError for what cannot be sent."""
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{what} cannot be sent to a process ({error}); functions and classes must stand in a module"
        ) from None
