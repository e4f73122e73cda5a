"""Contestants: modules with equal weights on equal inputs, in training and at rest, checked before they are timed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import torch
from torch import Tensor, nn

import carousel
from benchmarks.cells import timing
from benchmarks.cells.records import Figure, Row
from benchmarks.cells.timing import Effort
from carousel.cells import VARIANTS, layout
from carousel.ops import only
from carousel.testing import Problem, for_benchmarks

Run = Callable[[nn.Module, Tensor], Tensor]

OURS, TORCH, REFERENCE = "carousel", "nn.LSTM", "reference"
TRAINING, INFERENCE = "training step", "inference"
WORKS = (TRAINING, INFERENCE)
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 4e-2}
"""How far a result may lie from the expected one, relative to its largest entry."""
MAGNIFIED = 1e-2
"""The same in float32 under layer norm, which magnifies rounding: the reference lies 2e-3 from its own float64."""

ROWS: dict[str, dict[str, Any]] = {
    **{name: {"cell": name} for name in VARIANTS if name != "lstm"},
    "norm": {"norm": True},
    "projection": {"proj_size": 0.5},
    "block 2": {"block": 2},
    "zoneout": {"zoneout": 0.1},
}
"""Every row of the table but lstm, and lstm with options; a share of proj_size is one of the hidden size."""


class Wrong(Exception):
    """A contestant computes something else."""


class Entrant(Protocol):
    """What has the weights of a module, and does its work."""

    @property
    def module(self) -> nn.Module:
        """Whose weights these are."""
        ...

    def work(self, kind: str, x: Tensor) -> timing.Work:
        """One unit of work of this kind on a batch (time, batch, inputs)."""
        ...


@dataclass(frozen=True)
class Contestant:
    """A module, and how it is run on a batch (time, batch, inputs) to give outputs."""

    module: nn.Module
    run: Run = lambda module, x: module(x)[0]

    def work(self, kind: str, x: Tensor) -> timing.Work:
        """One unit of work."""
        return self.training(x) if kind == TRAINING else self.inference(x)

    def training(self, x: Tensor) -> timing.Work:
        """A step forward and back, to the gradients of all weights and of the inputs."""
        x = x.detach().clone().requires_grad_()
        gradient: list[Tensor] = []

        def work() -> list[Tensor]:
            self.module.zero_grad(set_to_none=True)
            x.grad = None
            output = self.run(self.module, x)
            if not gradient:
                gradient.append(any_gradient(output))
            output.backward(gradient[0])
            return [output, x.grad, *(p.grad for p in self.module.parameters())]  # type: ignore[list-item]

        return work

    def inference(self, x: Tensor) -> timing.Work:
        """Outputs alone, in evaluation and inference mode."""

        def work() -> list[Tensor]:
            with torch.inference_mode():
                return [self.run(self.module, x)]

        return work


def any_gradient(output: Tensor) -> Tensor:
    """Any gradient, the same for all contestants."""
    drawn = torch.arange(output.numel(), dtype=torch.float64).mul_(0.7).sin_().div_(output.shape[0])
    return drawn.view(output.shape).to(output)


def shape(name: str) -> Problem:
    """The problem of that name, time-batch-inputs-hidden; it need not be on the list."""
    listed = {problem.name: problem for problem in for_benchmarks()}
    time, batch, inputs, hidden = map(int, name.split("-"))
    return listed.get(name) or Problem(name, time, batch, inputs, hidden, measured=True)


def chosen(problems: Sequence[Problem], effort: Effort) -> list[Problem]:
    """The problems that are not too large for this effort."""
    return [problem for problem in problems if operations(problem) <= effort.largest]


def ours(problem: Problem, dtype: torch.dtype = torch.float32, **options: Any) -> carousel.LSTM:
    """A layer of ours, the same weights each time."""
    if "proj_size" in options:
        options["proj_size"] = int(options["proj_size"] * problem.hidden)
    torch.manual_seed(0)
    return carousel.LSTM(problem.inputs, problem.hidden, dtype=dtype, **options)


def theirs(module: carousel.LSTM) -> nn.LSTM:
    """torch's layer with the weights of ours."""
    same = nn.LSTM(module.input_size, module.hidden_size, proj_size=module.proj_size, dtype=_dtype(module))
    same.load_state_dict(module.state_dict())
    return same


def inputs(problem: Problem, dtype: torch.dtype = torch.float32) -> Tensor:
    """A batch (time, batch, inputs), the same each time."""
    torch.manual_seed(1)
    return torch.randn(problem.time, problem.batch, problem.inputs, dtype=dtype)


def referred(run: Run = Contestant.run) -> Run:
    """The same through the reference backend: an eager Python loop in plain torch."""

    def outputs(module: nn.Module, x: Tensor) -> Tensor:
        with only(REFERENCE):
            return run(module, x)

    return outputs


def operations(problem: Problem, module: carousel.LSTM | None = None) -> float:
    """Floating point operations of the matrix products of a forward pass; a training step has three times as many."""
    cell = module.cell if module else VARIANTS["lstm"]
    sizes = layout.Sizes(problem.inputs, problem.hidden, module.proj_size if module else 0)
    matrices = [prod(shape) for role, shape in layout.parameters(cell, sizes).items() if role in ("W", "R", "G", "P")]
    return 2.0 * problem.time * problem.batch * sum(matrices)


def tolerance(module: nn.Module, dtype: torch.dtype) -> float:
    """How far this module's results may lie from the expected ones."""
    normed = isinstance(module, carousel.LSTM) and module.cell.norm and dtype == torch.float32
    return MAGNIFIED if normed else TOLERANCE[dtype]


def check(works: Mapping[str, timing.Work], right: str, tolerance: float) -> None:
    """Raise Wrong unless all works give what the work called `right` gives, from the same random state."""
    torch.manual_seed(2)
    expected = [tensor.detach().double() for tensor in works[right]()]  # type: ignore[attr-defined]
    for name, work in works.items():
        torch.manual_seed(2)
        found = [] if name == right else zip(work(), expected, strict=True)  # type: ignore[call-overload]
        for at, (got, wanted) in enumerate(found):
            apart = (got.detach().double() - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30)
            if not apart <= tolerance:
                raise Wrong(f"result {at} of {name} lies {apart.item():.1e} from {right}'s, {tolerance:.0e} is allowed")


def compared(
    row: Row,
    contestants: Mapping[str, Entrant],
    x: Tensor,
    effort: Effort,
    *,
    right: str = TORCH,
    beside: Mapping[str, timing.Work] | None = None,
    untimed: Sequence[str] = (),
    allowed: float | None = None,
) -> Row:
    """The row with the timings of its work for all contestants, checked against the one called `right`.

    Works `beside` are timed and not checked; the `untimed` are there to be checked against alone.
    """
    for contestant in contestants.values():
        contestant.module.train(row.work == TRAINING)
    works = {name: contestant.work(row.work, x) for name, contestant in contestants.items()}
    allowed = allowed or max(tolerance(each.module, x.dtype) for each in contestants.values())
    timed = {name: work for name, work in works.items() if name not in untimed}
    return measured(row, works, right, allowed, effort, {**timed, **(beside or {})})


def measured(
    row: Row,
    works: Mapping[str, timing.Work],
    right: str,
    allowed: float,
    effort: Effort,
    timed: Mapping[str, timing.Work] | None = None,
) -> Row:
    """The row with the timings of these works, or of those `timed`, if all agree with the one called `right`."""
    with timing.threads(row.threads or 1):
        try:
            check(works, right, allowed)
        except Wrong as error:
            row.note, row.wrong = f"wrong, and not timed: {error}", True
            return row
        row.timings = timing.interleaved(timed or works, effort)
    return row


def against(row: Row, peer: str, target: float | None = None, name: str = "") -> None:
    """Add how many times faster ours is than the peer."""
    if row.timings:
        row.figures.append(Figure(name or f"against {peer}", row.median(peer) / row.median(OURS), target))


def _dtype(module: nn.Module) -> torch.dtype:
    return next(module.parameters()).dtype
