"""What a worker process does: one core, one thread, and an answer for each item until nobody asks any more."""

import os
import pickle
import signal
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import torch

READY, DONE, FAILED = "ready", "done", "failed"
"""What an answer is."""
TASK, ITEM = b"t", b"i"
"""How an order begins; a pickle follows."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def work(pipe: Connection, place: int) -> None:
    """Answer orders until the other end is closed: a task, then items for it, then perhaps another task."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks is interrupted, and ends this one
    _take_core(place)
    torch.set_num_threads(1)
    task = b""
    try:
        pipe.send_bytes(pickle.dumps((READY, None)))
        while True:
            order = pipe.recv_bytes()
            if order.startswith(TASK):
                task = order[1:]
            else:
                pipe.send_bytes(_answer(task, order[1:]))
    except (EOFError, OSError):
        return


@contextmanager
def one_thread(environment: MutableMapping[str, str]) -> Iterator[None]:
    """Inside, libraries that a new process loads take one thread."""
    before = {name: environment.get(name) for name in THREADS}
    environment.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del environment[name]
            else:
                environment[name] = value


def _take_core(place: int) -> None:
    """Stay on one of the cores that there are, where the system can be told so."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[place % len(cores)]})


def _answer(task: bytes, item: bytes) -> bytes:
    """The result, or the error, with what it is."""
    try:
        result = _loaded(task)(pickle.loads(item))
        return pickle.dumps((DONE, result), protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps((FAILED, _sendable(error)))


_last: tuple[bytes, Any] = b"", None


def _loaded(task: bytes) -> Any:
    """The task, made once for all its items."""
    global _last  # noqa: PLW0603 - a process has one task at a time
    if _last[0] is not task:
        _last = task, pickle.loads(task)
    return _last[1]


def _sendable(error: Exception) -> Exception:
    """The error, with the trace of this process as a note; in words where it cannot be pickled."""
    text = f"in a worker process:\n{''.join(traceback.format_exception(error))}"
    try:
        found = pickle.loads(pickle.dumps(error))
    except Exception:
        found = RuntimeError(f"{type(error).__name__}: {error}")
    found.add_note(text)
    return found
