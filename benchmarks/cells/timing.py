"""Samples of all contestants in turn, in a random order each round, so that the machine's moods meet all alike."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from random import Random

import torch

from benchmarks.cells.records import Timing

Work = Callable[[], object]

SAMPLE = 1e-3
"""Seconds that a sample lasts at least: work that takes less is repeated."""
SHORT = 5e-3
"""Work that takes less seconds runs once untimed before each sample: the caches are then its own."""


@dataclass(frozen=True)
class Effort:
    """How much is measured: seconds a case, rounds at least and at most, and what is left out for want of time.

    `largest` bounds the floating point operations of a case's forward pass. The crowd has its own seconds and tries.
    """

    seconds: float = 1.5
    rounds: int = 7
    most: int = 200
    largest: float = float("inf")
    quick: bool = False
    crowd_seconds: float = 2.0
    crowd_tries: int = 3


FULL = Effort()
QUICK = Effort(0.2, 3, 50, 3.5e9, quick=True, crowd_seconds=1.0, crowd_tries=1)


def interleaved(contestants: Mapping[str, Work], effort: Effort) -> list[Timing]:
    """Median and spread of the seconds that each contestant takes."""
    once = {name: _warm(work) for name, work in contestants.items()}
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    order, shuffle = list(contestants), Random(0).shuffle
    with _no_collection():
        start, rounds = time.perf_counter(), 0
        while rounds < effort.rounds or (rounds < effort.most and time.perf_counter() - start < effort.seconds):
            shuffle(order)
            for name in order:
                samples[name].append(_sample(contestants[name], once[name]))
            rounds += 1
    return [timing(name, values) for name, values in samples.items()]


def timing(name: str, samples: list[float]) -> Timing:
    """Median and spread of samples."""
    return Timing(name, quantile(samples, 0.5), quantile(samples, 0.05), quantile(samples, 0.95), len(samples))


def quantile(samples: list[float], q: float) -> float:
    """A quantile, linear between samples."""
    return torch.tensor(samples, dtype=torch.float64).quantile(q).item()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside, torch has this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _warm(work: Work) -> float:
    """Seconds that the work takes when it is warm."""
    work()
    first = _timed(work, 1)
    return first if first > 100 * SAMPLE else min(first, *(_timed(work, 1) for _ in range(3)))


def _sample(work: Work, once: float) -> float:
    if once < SHORT:
        work()
    return _timed(work, max(ceil(SAMPLE / max(once, 1e-7)), 1))


def _timed(work: Work, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


@contextmanager
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
