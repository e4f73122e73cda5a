"""What a question about graphics processors is made of: cases, and a bench that checks and times their rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from benchmarks.cells import cases, timing
from benchmarks.cells.cases import OURS, TRAINING, Contestant
from benchmarks.cells.records import Figure, Row
from carousel.ops.triton import tiers, tiles
from carousel.testing import Problem

Works = Mapping[str, timing.Work]
NONE: Mapping[str, Any] = MappingProxyType({})
PRECISIONS = {
    "float32": torch.float32, "tf32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16,
}  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """Where and how much is measured: `seconds` a case at least, or as little as there is.

    To `warm` it does the work once and measures nothing: all is compiled then.
    """

    device: str
    quick: bool
    warm: bool = False
    seconds: float = 0.5

    @property
    def chip(self) -> tiles.Chip:
        """The graphics processor, or an H100 where there is none."""
        return tiers.chip(torch.device(self.device))

    def problem(self, time: int, batch: int, hidden: int) -> Problem:
        """A shape, or a tiny one."""
        sizes = (3, min(batch, 2), 4, 4) if self.quick else (time, batch, hidden, hidden)
        return Problem("-".join(map(str, sizes)), *sizes, measured=True)

    def timed(
        self, row: Row, works: Works, right: str, tolerance: float, beside: Works = NONE
    ) -> Row:  # fmt: skip
        """The row with the times of its works in turn, checked first, and of works beside them that are not.

        Each waits until the processor has finished.
        """
        if self.warm:
            for work in (*works.values(), *beside.values()):
                work()
            self.synchronize()
            return row
        finished, others = ({name: self._finished(work) for name, work in each.items()} for each in (works, beside))
        try:
            cases.check(finished, right, tolerance)
        except cases.Wrong as error:
            row.note, row.wrong = f"wrong, and not timed: {error}", True
            return row
        row.timings = timing.interleaved({**finished, **others}, self._effort)
        return row

    def row(
        self, label: str, kind: str, contestants: Mapping[str, Contestant], x: Tensor, right: str,
        beside: Works = NONE,
    ) -> Row:  # fmt: skip
        """The same for contestants at a kind of work, each beside ours."""
        for contestant in contestants.values():
            contestant.module.train(kind == TRAINING)
        works = {name: contestant.work(kind, x) for name, contestant in contestants.items()}
        row = self.timed(Row(label, kind), works, right, tolerance(x.dtype), beside)
        for name in contestants:
            if name != OURS:
                cases.against(row, name)
        return row

    def synchronize(self) -> None:
        """Wait for the processor. Raises RuntimeError if it has failed for good."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    @property
    def _effort(self) -> timing.Effort:
        return timing.Effort(0.0, 1, 1) if self.quick else timing.Effort(self.seconds, 5)

    def _finished(self, work: timing.Work) -> timing.Work:
        def run() -> object:
            made = work()
            self.synchronize()
            return made

        return run


@dataclass(frozen=True)
class Case:
    """One row to be: what it is called, and how it is come by."""

    label: str
    work: Callable[[], Row]
    kind: str = ""


@dataclass(frozen=True)
class Question:
    """Its cases, what their rows come to, the share of all seconds that it may take, and in how many processes at once.

    One in several is not about time; a `fresh` one compiles everything anew, and what a `warm` one needs is compiled
    before any is asked.
    """

    title: str
    protocol: str
    cases: Callable[[Bench], list[Case]]
    share: float
    summary: Callable[[Sequence[Row]], list[Figure]] = field(default=lambda rows: [])
    workers: int = 1
    fresh: bool = False
    warm: bool = False


@contextmanager
def precision(word: str) -> Iterator[torch.dtype]:
    """The dtype of that word, with float32's products rounded to tf32 or not, by us and by cuDNN."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if word == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = word == "tf32"
    try:
        yield PRECISIONS[word]
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def tolerance(dtype: torch.dtype) -> float:
    """How far results may lie apart; float32's leaves room for tf32 and for layer norm, which magnifies rounding."""
    return {torch.float64: 1e-9, torch.float32: 1e-2, torch.float16: 2e-2, torch.bfloat16: 8e-2}[dtype]
