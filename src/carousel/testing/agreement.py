"""Hold a backend to the reference: values and all gradients, on every cell and problem, over poisoned memory."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from carousel.cells import VARIANTS, Cell, find
from carousel.ops import Backend, Noise, Operands, Reference, StepOperands
from carousel.testing.poison import poisoned_memory, poisoned_padding
from carousel.testing.problems import Problem, StepProblem, for_tests

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 4e-2, torch.float16: 5e-3}
"""How far a result may lie from the reference in float64, relative to its largest entry (or 1, if that is less)."""

AnyProblem = Problem | StepProblem
AnyOperands = Operands | StepOperands

CELLS: dict[str, Cell] = {
    **VARIANTS,
    "lstm1997 in blocks": find("lstm1997").with_options(block=2),
    "peephole in blocks": find("peephole").with_options(block=2),
    "full gate recurrence in blocks": find("fgr").with_options(block=2),
    "lstm with ba2016": find("lstm").with_options(norm="ba2016"),
    "peephole with torch_sample": find("peephole").with_options(norm="torch_sample"),
}
"""Every row of the table, and rows with options."""


@dataclass(frozen=True)
class Agreement:
    """What came of one cell on one problem: why it was refused, or how far each result lies from the reference."""

    cell: str
    problem: str
    refused: str | None
    differences: Mapping[str, float]
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the backend refused in a sentence, or every result is near enough (NaN never is)."""
        return all(difference <= self.tolerance for difference in self.differences.values())

    def __str__(self) -> str:
        apart = {name: value for name, value in self.differences.items() if not value <= self.tolerance}
        told = ", ".join(f"{name} by {value:.1e}" for name, value in apart.items())
        return f"{self.cell} on {self.problem!r}: {self.refused or told or 'agrees'}"


class Disagreement(AssertionError):
    """A backend computes something else than the reference."""


def compare(
    backend: Backend, name: str, problem: AnyProblem, *, cell: Cell | None = None,
    dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu",
) -> Agreement:  # fmt: skip
    """Run one cell (a name of `CELLS`, or `cell` called so) on one problem, beside the reference in float64."""
    row = problem.cell(cell or CELLS[name])
    drawn = problem.operands(row, dtype=dtype)
    operands = _on(drawn if isinstance(drawn, StepOperands) else poisoned_padding(drawn), dtype, device)
    refused = backend.refuses(row, operands)
    if refused is not None:
        return Agreement(name, problem.name, refused, {}, TOLERANCE[dtype])
    with poisoned_memory():
        got = _results(backend, row, operands)
    expected = _results(Reference(), row, _on(operands, torch.float64, "cpu"))
    differences = {key: _distance(got[key], value) for key, value in expected.items()}
    return Agreement(name, problem.name, None, differences, TOLERANCE[dtype])


def check(
    backend: Backend, *, cells: Iterable[str] | None = None, problems: Iterable[AnyProblem] | None = None,
    dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu",
) -> list[Agreement]:  # fmt: skip
    """Compare a backend with the reference on all cells and problems.

    Returns all findings, refusals included. Raises Disagreement, with every difference that is too large.
    """
    chosen = for_tests() if problems is None else list(problems)
    found = [
        compare(backend, name, problem, dtype=dtype, device=device)
        for name in (CELLS if cells is None else cells)
        for problem in chosen
        if problem.suits(CELLS[name])
    ]
    if wrong := [str(finding) for finding in found if not finding.holds]:
        raise Disagreement(f"backend {backend.name} disagrees with the reference:\n" + "\n".join(wrong))
    return found


def _on(operands: AnyOperands, dtype: torch.dtype, device: torch.device | str) -> AnyOperands:
    """The operands in a dtype and on a device, each a leaf that wants a gradient if it can have one.

    Masks are drawn, not learnt: they want none.
    """
    if isinstance(operands, StepOperands):
        return StepOperands(*(_leaf(tensor, dtype, device) for tensor in operands))
    leaves = [_leaf(tensor, dtype, device) for tensor in operands.tensors()]
    given = Operands.gather(leaves, reverse=operands.steps.reverse)
    return replace(given, noise=Noise(*(mask if mask is None else mask.detach() for mask in given.noise)))


def _leaf(tensor: Tensor | None, dtype: torch.dtype, device: torch.device | str) -> Any:
    if tensor is None or not tensor.is_floating_point():
        return None if tensor is None else tensor.to(device)
    return tensor.detach().to(device, dtype).requires_grad_()


def _results(backend: Backend, cell: Cell, operands: AnyOperands) -> dict[str, Tensor]:
    """All values, and the gradients of a fixed mixture of them by every floating operand."""
    values = _values(backend, cell, operands)
    loss = torch.stack([(value * _weights(value)).sum() for value in values.values()]).sum()
    leaves = {name: t for name, t in _named(operands).items() if t is not None and t.requires_grad}
    if loss.requires_grad:
        gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    else:
        gradients = [torch.zeros_like(leaf) for leaf in leaves.values()]
    return values | {f"gradient by {name}": value for name, value in zip(leaves, gradients, strict=True)}


def _values(backend: Backend, cell: Cell, operands: AnyOperands) -> dict[str, Tensor]:
    """Outputs and last state of a recurrence, or the state and the gates after a step."""
    if isinstance(operands, StepOperands):
        moment = backend.step(cell, operands)
        parts = {"hidden": moment.hidden, "cell": moment.cell, **moment.gates}
    else:
        outputs, state = backend.recurrence(cell, operands)
        parts = {"outputs": outputs, **state._asdict()}
    return {name: part for name, part in parts.items() if part is not None}


def _named(operands: AnyOperands) -> dict[str, Tensor | None]:
    if isinstance(operands, StepOperands):
        return operands._asdict()
    return dict(zip(Operands.names(), operands.tensors(), strict=True))


def _weights(like: Tensor) -> Tensor:
    """Fixed weights of either sign, different for each entry."""
    steps = torch.arange(like.numel(), dtype=torch.float64).add(1).mul(0.7).sin()
    return steps.view(like.shape).to(like)


def _distance(got: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest entry; NaN or infinity where either has one the other lacks."""
    if got.shape != expected.shape:
        return float("inf")
    if not expected.numel():
        return 0.0
    difference = (got.detach().cpu().double() - expected.detach()).abs().max()
    return (difference / expected.detach().abs().max().clamp(min=1)).item()
