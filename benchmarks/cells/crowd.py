"""Training beside others: how much slower a step becomes when the machine is shared."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.cells.cases import OURS, TORCH, TRAINING
from benchmarks.cells.records import Answer, Figure, Row, Timing
from benchmarks.cells.timing import Effort, quantile, timing
from benchmarks.cells.worker import BUSY
from benchmarks.environment import ROOT

PROBLEM = "100-32-64-128"
SIZES = (2, 4)
MEDIAN, SLOWEST = "median, against alone", "99th percentile, against alone"
LEAST = 5
"""Steps that are timed, however long they take."""
SETTLED = 0.3
"""Seconds that the neighbours work before the first timed step."""


class Crowd:
    """Processes that wait for orders, with as many threads as torch takes by itself."""

    def __init__(self, size: int, problem: str = PROBLEM) -> None:
        settings = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
        command = [sys.executable, "-m", "benchmarks.cells.worker"]
        self.problem = problem
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=settings)
            for _ in range(size)
        ]

    def close(self) -> None:
        """Tell all to go home."""
        for process in self.processes:
            process.communicate()

    def steps(self, kinds: Sequence[str], seconds: float) -> list[float]:
        """Step times of a process doing kinds[0], while others do the other kinds."""
        for at, kind in enumerate(kinds[1:], start=1):
            self._order(at, kind, 1e9)
        time.sleep(SETTLED if len(kinds) > 1 else 0)
        self._order(0, kinds[0], seconds)
        steps = self._answer(0)
        for at in range(1, len(kinds)):
            self._say(at, "stop")
        for at in range(1, len(kinds)):
            self._answer(at)
        return steps

    def warm(self) -> None:
        """Let each do each kind of work once."""
        for at in range(len(self.processes)):
            for kind in (OURS, TORCH):
                self._order(at, kind, 0.0)
                self._answer(at)

    def _order(self, at: int, kind: str, seconds: float) -> None:
        self._say(at, json.dumps({"kind": kind, "seconds": seconds, "least": LEAST, "problem": self.problem}))

    def _say(self, at: int, line: str) -> None:
        pipe = self.processes[at].stdin
        assert pipe is not None
        pipe.write(f"{line}\n")
        pipe.flush()

    def _answer(self, at: int) -> list[float]:
        pipe = self.processes[at].stdout
        assert pipe is not None
        line = pipe.readline()
        if not line:
            raise RuntimeError("a process of the crowd ended early; its error is above")
        return json.loads(line)


@contextmanager
def _gathered(size: int, problem: str) -> Iterator[Crowd]:
    together = Crowd(size, problem)
    try:
        together.warm()
        yield together
    finally:
        together.close()


def crowd(effort: Effort, problem: str = PROBLEM, sizes: Sequence[int] = SIZES) -> Answer:
    """n processes that train, ours and torch's, beside their like, beside the other, and beside busy loops."""
    rows = []
    with _gathered(max(sizes), problem) as together:
        alone = {kind: _tries(together, [kind], effort) for kind in (OURS, TORCH)}
        for kind in (OURS, TORCH):
            rows.append(Row(f"{kind}, alone", TRAINING, timings=[timing("step", sum(alone[kind], []))]))
            for size in sizes:
                for other in dict.fromkeys((kind, TORCH, BUSY)):
                    tries = _tries(together, [kind] + [other] * (size - 1), effort)
                    rows.append(_row(kind, other, size, tries, alone[kind]))
    return Answer(
        "crowd",
        "In a crowd",
        f"float32 training step at {problem}, each process with as many threads as torch takes by itself on "
        f"{os.cpu_count()} cores. n counts all processes, the observed one among them. Slow-downs are the worst of "
        f"{effort.crowd_tries} tries, against all steps alone.",
        rows,
    )


def _tries(together: Crowd, kinds: Sequence[str], effort: Effort) -> list[list[float]]:
    return [together.steps(kinds, effort.crowd_seconds * len(kinds) ** 0.5) for _ in range(effort.crowd_tries)]


def _row(kind: str, other: str, size: int, tries: list[list[float]], alone: list[list[float]]) -> Row:
    base, ours = sum(alone, []), kind == OURS
    timings: list[Timing] = [timing("step", sum(tries, []))]
    figures = []
    for name, q, times in ((MEDIAN, 0.5, 1.5), (SLOWEST, 0.99, 3.0)):
        worst = max(quantile(steps, q) for steps in tries) / quantile(base, q)
        figures.append(Figure(name, worst, times * size if ours else None, lower=True))
    return Row(f"{kind}, n = {size}, beside {other}", TRAINING, timings=timings, figures=figures)
