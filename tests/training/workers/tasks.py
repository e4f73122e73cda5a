"""What workers are asked in the tests: functions of a module, as another process can import them."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from carousel.data import Batch
from tests.training.problem import OurSummer


def double(number: int) -> int:
    return 2 * number


def slow_first(number: int) -> int:
    """The earlier the item, the later the answer."""
    time.sleep(0.2 if number == 0 else 0)
    return number


def place(number: int) -> tuple[int, Any, int, str | None]:
    """Which process computes, on which cores, with how many threads."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    return os.getpid(), cores, torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")


def failing(number: int) -> int:
    if number in (2, 5):
        raise ValueError(f"no {number}")
    return number


class Odd(Exception):
    """Cannot be pickled: it wants two arguments."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(what)
        self.function: Callable[[], int] = lambda: number


def failing_oddly(number: int) -> int:
    raise Odd("odd", number)


def killed_once(item: tuple[str, int]) -> int:
    """The first process that takes item 2 notes that it is killed, and is."""
    path, number = Path(item[0]), item[1]
    if number == 2 and not path.exists():
        path.write_text("killed", encoding="utf-8")
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def dying(number: int) -> int:
    if number == 1 and multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


class Counting:
    """Counts its questions; some make it fail, or end its process."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, question: str) -> int:
        if question == "fail":
            raise ValueError("no number")
        if question == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1
        return self.count


class Adding:
    """Writes into what it has and into what it is given."""

    def __init__(self, size: int) -> None:
        self.total = np.zeros(size)

    def __call__(self, numbers: Any) -> float:
        self.total += numbers
        numbers[:] = 0
        return float(self.total.sum())


class Mortal(OurSummer):
    """A model whose worker is killed, once, in the middle of a generation."""

    def __init__(self, flag: str) -> None:
        super().__init__()
        self.flag = flag

    def forward(self, batch: Batch) -> torch.Tensor:
        if multiprocessing.parent_process() is not None and (flag := Path(self.flag)).exists():
            flag.unlink(missing_ok=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(batch)


class Drawing(OurSummer):
    """Draws random numbers where others do not, so that no vmap runs it."""

    def forward(self, batch: Batch) -> torch.Tensor:
        output = super().forward(batch)
        return output + 0.1 * torch.randn(output.shape)
