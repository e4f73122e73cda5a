"""A backend is held to the reference, and every kind of fault in it is found."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from carousel.cells import VARIANTS, Cell, find
from carousel.ops import (
    PREFERENCE,
    AnyOperands,
    Backend,
    Moment,
    Noise,
    Operands,
    Reference,
    State,
    StepOperands,
    Steps,
    Weights,
)
from carousel.testing import CELLS, TOLERANCE, Disagreement, Problem, check, compare, for_tests
from carousel.testing.problems import SMALL

Change = Callable[[Cell, Operands], tuple[Cell, Operands]]


class Faulty(Backend):
    """The reference with one thing wrong: what it is given, or what it returns."""

    name = "faulty"

    def __init__(self, given: Change | None = None, returned: Callable[[Tensor], Tensor] | None = None) -> None:
        self.given, self.returned = given, returned

    def refuses(self, cell: Cell, operands: AnyOperands) -> str | None:
        return None

    def recurrence(self, cell: Cell, operands: Operands) -> tuple[Tensor, State]:
        cell, operands = self.given(cell, operands) if self.given else (cell, operands)
        outputs, state = Reference().recurrence(cell, operands)
        return (self.returned(outputs) if self.returned else outputs), state

    def step(self, cell: Cell, operands: StepOperands) -> Moment:
        return Reference().step(cell, operands)


class FaultySteps(Faulty):
    """Right over time, wrong in a single step: the second predecessor is taken for the first."""

    def step(self, cell: Cell, operands: StepOperands) -> Moment:
        first = operands.previous[:1].expand_as(operands.previous)
        return Reference().step(cell, operands._replace(previous=first))


def gates_in_another_order(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
    i, f, z, o = operands.gates.chunk(4, dim=2)
    return cell, replace(operands, gates=torch.cat([f, i, z, o], dim=2))


def peepholes_in_another_order(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
    p = operands.weights.p
    return cell, replace(operands, weights=operands.weights._replace(p=None if p is None else p[[0, 2, 1]]))


def peephole_on_the_old_state(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
    return cell.with_options(output=replace(cell.gate("output"), peephole="previous")), operands


def another_squash(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
    return cell.with_options(squash="softsign"), operands


def lengths_ignored(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
    return cell, replace(operands, steps=operands.steps._replace(lengths=None))


def resets_ignored(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
    return cell, replace(operands, steps=operands.steps._replace(reset=None))


def fresh_state_ignored(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
    return cell, replace(operands, steps=operands.steps._replace(fresh=None))


def reset_a_step_late_backwards(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
    reset = operands.steps.reset
    late = reset.roll(-1, 0) if reset is not None and operands.steps.reverse else reset
    return cell, replace(operands, steps=operands.steps._replace(reset=late))


def direction_ignored(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
    return cell, replace(operands, steps=operands.steps._replace(reverse=False))


def noise_ignored(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
    return cell, replace(operands, noise=Noise())


def initial_state_ignored(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
    zeros = State(*(torch.zeros_like(part) for part in operands.state if part is not None))
    return cell, replace(operands, state=zeros)


def gradient_cut_at_r(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
    R = operands.weights.R
    return cell, replace(operands, weights=operands.weights._replace(R=None if R is None else R.detach() * 1))


FAULTS = [
    gates_in_another_order,
    peepholes_in_another_order,
    peephole_on_the_old_state,
    another_squash,
    lengths_ignored,
    resets_ignored,
    fresh_state_ignored,
    reset_a_step_late_backwards,
    direction_ignored,
    noise_ignored,
    initial_state_ignored,
    gradient_cut_at_r,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault: Change) -> None:
    with pytest.raises(Disagreement, match="backend faulty disagrees with the reference:\npeephole on '"):
        check(Faulty(fault), cells=["peephole"])


def test_a_fault_in_a_step_is_found() -> None:
    with pytest.raises(Disagreement) as caught:
        check(FaultySteps(), cells=["peephole"])
    assert [line.split("'")[1] for line in str(caught.value).splitlines()[1:]] == [
        "two predecessors",
        "three predecessors",
    ]


class Slope(torch.autograd.Function):
    """Right values, wrong slope: by a hundredth."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        return gradients[0] * 1.01


RETURNED: dict[str, Callable[[Tensor], Tensor]] = {
    "a wrong slope": Slope.apply,
    "memory that nobody wrote": lambda value: torch.empty_like(value) * 0 + value,
    "another shape": lambda value: value[:, :, :1],
    "a thousandth too much": lambda value: value + 1e-3,
    "one entry": lambda value: torch.cat([value[:-1], value[-1:] + 1e-3]),
}


@pytest.mark.parametrize("what", RETURNED)
def test_a_wrong_result_is_found(what: str) -> None:
    with pytest.raises(Disagreement):
        check(Faulty(returned=RETURNED[what]), cells=["lstm"], problems=[SMALL])


def test_padding_that_is_read_is_found() -> None:
    """A backend that multiplies padding by zero lets NaN through."""

    def masked(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
        lengths = operands.steps.lengths
        assert lengths is not None
        within = (torch.arange(operands.gates.shape[0])[:, None] < lengths)[..., None]
        return cell, replace(operands, gates=operands.gates * within, steps=Steps())

    with pytest.raises(Disagreement, match="nan"):
        check(Faulty(masked), cells=["lstm"], problems=[problem for problem in for_tests() if problem.name == "ragged"])


def test_a_missing_gradient_is_found() -> None:
    def cut(cell: Cell, operands: Operands) -> tuple[Cell, Operands]:
        return cell, replace(operands, weights=Weights(*(None if w is None else w.detach() for w in operands.weights)))

    with pytest.raises(Disagreement, match="gradient by R by"):
        check(Faulty(cut), cells=["peephole"], problems=[SMALL])


def test_a_refusal_is_no_disagreement() -> None:
    class Refusing(Faulty):
        def refuses(self, cell: Cell, operands: AnyOperands) -> str | None:
            return "it is Sunday"

    found = check(Refusing(), cells=["lstm"], problems=[SMALL])
    assert [str(finding) for finding in found] == ["lstm on 'small': it is Sunday"]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("backend", PREFERENCE, ids=lambda backend: backend.name)
def test_every_backend_agrees_with_the_reference(backend: Backend, dtype: torch.dtype) -> None:
    found = check(backend, dtype=dtype)
    suited = [problem for cell in CELLS.values() for problem in for_tests() if problem.suits(cell)]
    assert len(found) == len(suited)
    assert all(finding.refused is None for finding in found) or backend.name != "reference"


def test_a_cell_of_ones_own_is_compared_too() -> None:
    mine = find("peephole").with_options(squash="softsign")
    assert compare(PREFERENCE[0], "mine", SMALL, cell=mine).holds


def test_all_rows_are_among_the_cells() -> None:
    assert set(VARIANTS) <= set(CELLS)
    assert {cell.block for cell in CELLS.values()} == {1, 2}
    assert {cell.norm for cell in CELLS.values()} == {None, "ba2016", "torch_sample"}


def test_an_odd_block_finds_its_problem() -> None:
    thirds = find("lstm").with_options(block=3)
    assert not SMALL.suits(thirds)
    assert compare(PREFERENCE[-1], "thirds", Problem("three", 3, 2, 2, 6), cell=thirds).holds
