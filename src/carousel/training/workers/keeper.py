"""A process that keeps what it is at from one question to the next."""

import os
import weakref
from contextlib import suppress
from typing import Any

from carousel.training.workers.processes import check_began, end, pickled, started
from carousel.training.workers.work import FAILED, ITEM, READY, TASK
from carousel.training.workers.workers import Task


class LostError(RuntimeError):
    """A process ended before it answered: another is begun when it is asked next, and has nothing in mind."""


class Keeper:
    """A process of its own, with one thread and on one core, in which one task answers questions.

    What the task keeps lasts from question to question, and until the process is lost. `births` counts the processes
    that there were: where it has grown, what was kept is gone. The first is begun by the first `begin`.
    Raises TypeError for a task that cannot be sent to a process.
    """

    def __init__(self, task: Task, place: int) -> None:
        self._task, self._place, self.births = pickled(task, "the task"), place, 0
        self._team: dict[int, Any] = {}
        weakref.finalize(self, end, self._team, os.getpid())

    def begin(self) -> None:
        """Begin the process, if there is none."""
        if not self._team:
            self._team[0] = worker = started(self._place)
            self.births += 1
            with suppress(OSError):  # it is gone, which the next answer tells
                worker.pipe.send_bytes(TASK + self._task)

    def ask(self, question: Any) -> None:
        """Send a question; `answer` waits for what comes of it."""
        self.begin()
        with suppress(OSError):
            self._team[0].pipe.send_bytes(ITEM + pickled(question, "a question"))

    def answer(self) -> Any:
        """The answer to the last question. Raises what the task raised, LostError where the process is gone."""
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
        """End the process; a later question begins a new one."""
        end(self._team, os.getpid())
