"""One list of problems: the sizes at which backends are tested, measured and documented."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from carousel.cells import Cell, Complement
from carousel.cells.layout import Sizes, peephole_rows, read_width, total
from carousel.cells.layout import rows as gate_rows
from carousel.ops import Noise, Operands, State, StepOperands, Steps, example

RESET_SHARE = 0.25


@dataclass(frozen=True)
class Problem:
    """A size at which a cell runs, and what the loop has to cope with.

    `projection` is 0 for none. With `ragged` the lengths are of every kind (whole, one, none); with `reset` sequences
    begin inside the batch; with `noise` all four masks are given. `measured` says that benchmarks time it.
    """

    name: str
    time: int
    batch: int
    inputs: int
    hidden: int
    projection: int = 0
    ragged: bool = False
    reset: bool = False
    reverse: bool = False
    noise: bool = False
    measured: bool = False

    def suits(self, cell: Cell) -> bool:
        """Whether the cell can have this size: blocks must divide the cells."""
        return self.hidden % cell.block == 0

    def cell(self, cell: Cell) -> Cell:
        """The cell with a projection if the problem has one."""
        return cell.with_options(projection=bool(self.projection))

    def operands(self, cell: Cell, *, dtype: torch.dtype = torch.float32, seed: int = 0) -> Operands:
        """Random operands for `self.cell(cell)`, the same for a seed; torch's generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            sizes = Sizes(self.inputs, self.hidden, self.projection)
            read = read_width(cell, sizes.hidden, sizes.output)
            given = example(self.cell(cell), self.time, self.batch, sizes, dtype=dtype)
            return replace(given, steps=self._steps(given), noise=self._noise(given, read))

    def _steps(self, given: Operands) -> Steps:
        lengths = self._lengths() if self.ragged else None
        if not self.reset:
            return Steps(lengths, reverse=self.reverse)
        hidden, cell, gates = (None if part is None else torch.randn_like(part) for part in given.state)
        assert hidden is not None
        assert cell is not None
        return Steps(lengths, torch.rand(self.time, self.batch) < RESET_SHARE, State(hidden, cell, gates), self.reverse)

    def _lengths(self) -> Tensor:
        """The whole length, none, one, and anything."""
        drawn = torch.randint(0, self.time + 1, (self.batch,))
        edges = torch.tensor([self.time, 0, min(1, self.time)])[: self.batch]
        drawn[: edges.numel()] = edges
        return drawn

    def _noise(self, given: Operands, read: int) -> Noise:
        if not self.noise:
            return Noise()
        hidden, like = (self.time, self.batch, given.output), given.gates
        zoneout = like.new_empty(hidden).bernoulli_(0.2)
        dropped = like.new_empty(1, self.batch, read).bernoulli_(0.8) / 0.8
        candidate = like.new_empty(self.time, self.batch, self.hidden).bernoulli_(0.8) / 0.8
        return Noise(zoneout, like.new_full((1, 1, 1), 0.1), dropped, candidate)


SMALL = Problem("small", 5, 3, 3, 4)
PROBLEMS = (
    SMALL,
    Problem("one step of one sequence", 1, 1, 1, 4),
    Problem("no steps", 0, 3, 3, 4),
    Problem("no sequences", 5, 0, 3, 4),
    Problem("odd sizes", 7, 5, 3, 18),
    Problem("wider than a vector", 4, 2, 9, 34),
    Problem("many sequences", 3, 33, 2, 8),
    replace(SMALL, name="projection", hidden=6, projection=3),
    replace(SMALL, name="ragged", batch=5, ragged=True),
    replace(SMALL, name="ragged, backwards", batch=5, ragged=True, reverse=True),
    replace(SMALL, name="reset", time=9, reset=True),
    replace(SMALL, name="backwards", reverse=True),
    replace(SMALL, name="noise", noise=True),
    replace(SMALL, name="everything", time=9, batch=5, projection=2, ragged=True, reset=True, reverse=True, noise=True),
    Problem("100-1-64-64", 100, 1, 64, 64, measured=True),
    Problem("100-1-256-256", 100, 1, 256, 256, measured=True),
    Problem("100-32-64-128", 100, 32, 64, 128, measured=True),
    Problem("100-32-128-128", 100, 32, 128, 128, measured=True),
    Problem("100-64-256-256", 100, 64, 256, 256, measured=True),
    Problem("100-32-512-512", 100, 32, 512, 512, measured=True),
    Problem("50-64-1024-1024", 50, 64, 1024, 1024, measured=True),
    Problem("1000-8-64-64", 1000, 8, 64, 64, measured=True),
)
"""All problems; the measured ones, named by time, batch, inputs and hidden, are too large for a test of gradients."""


@dataclass(frozen=True)
class StepProblem:
    """A size at which a single step runs: over d predecessors, and at each place of a map of any number of axes.

    Peepholes are one value a unit, or one a unit and place if `everywhere`.
    """

    name: str
    batch: int
    hidden: int
    predecessors: int = 1
    space: tuple[int, ...] = ()
    everywhere: bool = False

    def suits(self, cell: Cell) -> bool:
        """Whether the cell can have this size: coupled gates have one predecessor, blocks divide the cells."""
        coupled = isinstance(cell.input, Complement) or isinstance(cell.forget, Complement)
        return self.hidden % cell.block == 0 and not (coupled and self.predecessors > 1)

    def cell(self, cell: Cell) -> Cell:
        """The cell as it is: a projection comes after a step."""
        return cell

    def operands(self, cell: Cell, *, dtype: torch.dtype = torch.float32, seed: int = 0) -> StepOperands:
        """Random operands, the same for a seed; torch's generator is left as it was."""
        peepholes = total(peephole_rows(cell, self.predecessors))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            rows = total(gate_rows(cell, self.hidden, self.predecessors))
            pre = torch.randn(self.batch, rows, *self.space, dtype=dtype)
            previous = torch.randn(self.predecessors, self.batch, self.hidden, *self.space, dtype=dtype)
            p = torch.randn(peepholes, self.hidden, *(self.space if self.everywhere else ()), dtype=dtype)
            norm = torch.randn(2, self.hidden, dtype=dtype)
        return StepOperands(pre, previous, p if peepholes else None, norm if cell.norm else None)


STEPS = (
    StepProblem("a step", 3, 4),
    StepProblem("a step of odd sizes", 5, 18),
    StepProblem("a step of nobody", 0, 4),
    StepProblem("two predecessors", 3, 4, predecessors=2),
    StepProblem("three predecessors", 2, 6, predecessors=3),
    StepProblem("a line", 2, 4, space=(5,)),
    StepProblem("a map", 2, 4, space=(3, 4), everywhere=True),
    StepProblem("a volume", 2, 4, space=(2, 3, 2)),
)
"""All problems of a single step."""


def for_tests() -> list[Problem | StepProblem]:
    """The problems small enough to be held to the reference in every test run."""
    return [*(problem for problem in PROBLEMS if not problem.measured), *STEPS]


def for_benchmarks() -> list[Problem]:
    """The problems that benchmarks time."""
    return [problem for problem in PROBLEMS if problem.measured]
