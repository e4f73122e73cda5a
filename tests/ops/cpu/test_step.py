"""One step on the kernels: every row, odd sizes, grids, maps, any number of threads, under autograd, and of nothing."""

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.cells import Cell, Complement, Gate, Open
from carousel.ops import Reference, StepOperands, only, step
from carousel.ops.cpu import CPU
from carousel.testing import CELLS, StepProblem, check
from carousel.testing.agreement import compare
from tests.ops.cpu.extension import TARGETS, leaf, needs_extension, target, threads

pytestmark = needs_extension
WITHIN = {torch.float32: 1e-5, torch.float64: 1e-9}
PEEPING = Gate(peephole="previous")
OWN = {
    "all peep at the old state": Cell(PEEPING, PEEPING, Gate("tanh", peephole="previous"), PEEPING),
    "input is one minus forget": Cell(Complement("forget"), PEEPING, Gate("softsign"), Gate("hard_sigmoid")),
    "rectified": Cell(Gate("hard_sigmoid"), Open(), Gate("relu"), Open(), squash="softsign"),
    "all at once": Cell(PEEPING, PEEPING, Gate(peephole="previous"), Gate(peephole="current"), block=3, norm="ba2016"),
}
"""Cells that the table has not: they run without a template of their own."""

GRID = StepProblem("", 3, 6, predecessors=2)
MAP = StepProblem("", 3, 6, space=(5, 4), everywhere=True)
LARGE = {
    "rows and units in many patches": ("peephole", StepProblem("", 37, 601)),
    "a map with peepholes in common": ("peephole", StepProblem("", 19, 5, space=(33, 20))),
    "a map with peepholes everywhere": ("coupled", StepProblem("", 19, 5, space=(33, 20), everywhere=True)),
    "a grid": ("full_gate_recurrence", StepProblem("", 37, 301, predecessors=3)),
    "layer norm": ("lstm with ba2016", StepProblem("", 37, 301)),
    "layer norm of a map": ("peephole with torch_sample", StepProblem("", 18, 13, space=(7, 5), everywhere=True)),
    "blocks on a grid of maps": ("peephole in blocks", StepProblem("", 5, 14, 2, (41, 3))),
}
"""Enough work that more than one thread is worth its start, with patches of every kind."""


def given(cell: Cell, problem: StepProblem, dtype: torch.dtype = torch.float64) -> StepOperands:
    return StepOperands(*(None if t is None else leaf(t) for t in problem.operands(cell, dtype=dtype)))  # type: ignore[arg-type]


def made(operands: StepOperands, cell: Cell, backend: object = None) -> list[Tensor]:
    """h, c and the gates that there are."""
    moment = (backend or CPU()).step(cell, operands)  # type: ignore[attr-defined]
    return [moment.hidden, moment.cell, *(gate for gate in moment.gates.values() if gate is not None)]


def wanted(operands: StepOperands) -> list[Tensor]:
    return [t for t in operands if t is not None]


def gradients(values: Iterable[Tensor], operands: StepOperands, *, keep: bool = False) -> list[Tensor]:
    loss = torch.stack([(v * torch.linspace(-1, 2, v.numel(), dtype=v.dtype).view(v.shape)).sum() for v in values])
    found = torch.autograd.grad(
        loss.sum(), wanted(operands), retain_graph=keep, allow_unused=True, materialize_grads=True
    )
    return list(found)


def held_to_the_reference(dtype: torch.dtype, problems: Iterable[StepProblem]) -> None:
    """Every cell agrees, over poisoned memory, in values and all gradients."""
    for finding in check(CPU(), problems=problems, dtype=dtype):
        assert finding.refused is None
        assert max(finding.differences.values()) <= WITHIN[dtype], str(finding)


@pytest.mark.parametrize("dtype", WITHIN, ids=str)
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("hidden", [1, 3, 17, 63, 64])
def test_every_cell_at_odd_sizes(name: str, hidden: int, dtype: torch.dtype) -> None:
    rows = [StepProblem("", batch, hidden) for batch in (1, 2, 3, 7, 13)]
    grid, lines = StepProblem("", 5, hidden, predecessors=2), StepProblem("", 2, hidden, space=(19,))
    with target(name):
        held_to_the_reference(dtype, [*rows, grid, lines, StepProblem("", 2, hidden, 3, (2, 3), everywhere=True)])


@pytest.mark.parametrize("cell", OWN)
@pytest.mark.parametrize("problem", [StepProblem("", 3, 6), GRID, MAP, StepProblem("", 2, 9, 3, (17,))], ids=str)
@pytest.mark.parametrize("name", TARGETS)
def test_cells_of_ones_own(name: str, problem: StepProblem, cell: str) -> None:
    if not problem.suits(OWN[cell]):
        pytest.skip("a complement has no meaning for several predecessors")
    with target(name):
        finding = compare(CPU(), cell, problem, cell=OWN[cell], dtype=torch.float64)
    assert finding.refused is None and finding.holds, str(finding)


@pytest.mark.parametrize("chosen", LARGE)
def test_large_enough_for_every_patch(chosen: str) -> None:
    name, problem = LARGE[chosen]
    finding = compare(CPU(), name, problem, dtype=torch.float64)
    assert finding.refused is None and max(finding.differences.values()) <= WITHIN[torch.float64], str(finding)


@pytest.mark.parametrize("chosen", LARGE)
def test_every_number_of_threads_gives_the_same_bits(chosen: str) -> None:
    name, problem = LARGE[chosen]
    operands, found = given(CELLS[name], problem, torch.float32), list[list[Tensor]]()
    for count in (1, 2, 3):
        with threads(count):
            values = made(operands, CELLS[name])
            of_state = gradients(values[:2], operands, keep=True)
            found.append([*values, *of_state, *gradients(values, operands)])
    assert all(torch.equal(got, expected) for other in found[1:] for got, expected in zip(other, found[0], strict=True))


@pytest.mark.parametrize(
    ("name", "problem"),
    [("peephole", StepProblem("", 2, 3, predecessors=2)), ("coupled", StepProblem("", 2, 2, space=(2,)))],
)
@pytest.mark.parametrize("check_numbers", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_gradients_in_numbers(name: str, problem: StepProblem, check_numbers: Callable[..., bool]) -> None:
    cell = CELLS[name]
    assert check_numbers(lambda *t: tuple(made(StepOperands(*t), cell)), wanted(given(cell, problem)))


def test_second_derivatives_are_those_of_the_reference() -> None:
    """Also where one operand is computed from another: each way counts once."""
    cell, start = CELLS["peephole"], leaf(torch.randn(2, 8, 3, dtype=torch.float64))
    p, found = torch.randn(3, 2, dtype=torch.float64), list[list[Tensor]]()
    for backend in (CPU(), Reference()):
        moment = backend.step(cell, StepOperands(start * 1.5, start[None, :, :2], p))
        slopes = torch.autograd.grad(moment.hidden.square().sum() + moment.cell.sum(), start, create_graph=True)
        found.append([*slopes, *torch.autograd.grad(slopes[0].square().sum(), start)])
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("name", ["peephole", "coupled", "lstm1997 in blocks", "peephole with torch_sample"])
def test_each_result_and_each_operand_alone(name: str) -> None:
    cell = CELLS[name]
    operands = given(cell, MAP)
    for number in range(len(made(operands, cell))):
        expected = gradients([made(operands, cell, Reference())[number]], operands)
        torch.testing.assert_close(gradients([made(operands, cell)[number]], operands), expected)
    everything = gradients(made(operands, cell), operands)
    for at, chosen in enumerate(wanted(operands)):
        alone = StepOperands(*(t if t is None or t is chosen else t.detach() for t in operands))  # type: ignore[arg-type]
        values = [value for value in made(alone, cell) if value.requires_grad]
        torch.testing.assert_close(gradients(values, operands)[at], everything[at])


@pytest.mark.parametrize("name", ["lstm", "lstm with ba2016"])
def test_a_graph_that_is_kept_gives_the_same_again(name: str) -> None:
    operands = given(CELLS[name], MAP)
    values = made(operands, CELLS[name])
    first, again = ([g.clone() for g in gradients(values, operands, keep=True)] for _ in range(2))
    torch.testing.assert_close(again, first, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["lstm", "peephole with torch_sample"])
def test_gradients_of_many_answers_in_one_pass(name: str) -> None:
    cell = CELLS[name]
    operands = given(cell, GRID)
    answers = torch.cat([value.flatten() for value in made(operands, cell)])[::5]
    rows = torch.randn(4, len(answers), dtype=torch.float64)
    at_once = torch.autograd.grad(answers, wanted(operands), rows, is_grads_batched=True, retain_graph=True)
    for at, row in enumerate(rows):
        alone = torch.autograd.grad(answers, wanted(operands), row, retain_graph=True)
        torch.testing.assert_close([each[at] for each in at_once], list(alone))


def test_training_saves_the_operands_and_nothing_else() -> None:
    operands, saved = given(CELLS["peephole"], MAP), list[int]()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.data_ptr()), lambda _: torch.empty(0)):
        made(operands, CELLS["peephole"])
        assert sorted(saved) == sorted(t.data_ptr() for t in wanted(operands))
        saved.clear()
        with torch.no_grad():
            values = made(operands, CELLS["peephole"])
    assert not saved and not any(value.requires_grad for value in values)


def test_results_may_be_changed_in_place() -> None:
    """Nothing that the step made is read on the way back."""
    operands = given(CELLS["lstm"], GRID)
    moment = CPU().step(CELLS["lstm"], operands)
    expected = gradients([moment.hidden * 2], operands, keep=True)
    moment.cell.zero_()
    torch.testing.assert_close(gradients([moment.hidden.mul_(2)], operands), expected)


def test_operands_in_any_order_of_memory() -> None:
    cell = CELLS["peephole"]
    plain = given(cell, StepProblem("", 2, 6, space=(5, 4)))
    assert plain.p is not None
    last = plain.pre.detach().to(memory_format=torch.channels_last)
    alike = plain.previous.detach()[:, :1].expand_as(plain.previous)
    turned = StepOperands(*map(leaf, (last, alike, plain.p.detach().t().contiguous().t())))
    assert not any(t.is_contiguous() for t in wanted(turned))
    found = [gradients(values := made(turned, cell, backend), turned) + values for backend in (CPU(), Reference())]
    torch.testing.assert_close(found[0], found[1])


def test_bfloat16_is_widened() -> None:
    for problem in (StepProblem("", 3, 6), GRID, MAP):
        for finding in check(CPU(), problems=[problem], dtype=torch.bfloat16):
            assert finding.refused is None
    operands = given(CELLS["peephole"], MAP, torch.bfloat16)
    values = made(operands, CELLS["peephole"])
    assert {t.dtype for t in (*values, *gradients(values, operands))} == {torch.bfloat16}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(
    "problem",
    [
        StepProblem("nobody", 0, 6),
        StepProblem("nobody on a grid", 0, 6, predecessors=2),
        StepProblem("nowhere", 2, 6, space=(3, 0), everywhere=True),
        StepProblem("nowhere, in common", 2, 6, space=(0,)),
        StepProblem("no cells", 3, 0),
    ],
    ids=lambda problem: problem.name,
)
def test_a_step_of_nothing(name: str, problem: StepProblem) -> None:
    """What is left of the weights' gradients are zeros."""
    if not problem.suits(CELLS[name]):
        pytest.skip("a complement has no meaning for several predecessors")
    finding = compare(CPU(), name, problem, dtype=torch.float64)
    assert finding.refused is None and finding.holds, str(finding)


def test_a_convolution_learns_alike() -> None:
    """ConvLSTM over some steps: the products are torch's, the step is the kernels' or the reference's."""
    torch.manual_seed(0)
    x, c0 = torch.randn(4, 2, 3, 6, 5, dtype=torch.float64), torch.zeros(2, 4, 6, 5, dtype=torch.float64)
    W, p = torch.randn(16, 7, 3, 3, dtype=torch.float64) * 0.2, torch.randn(3, 4, 6, 5, dtype=torch.float64)
    found = []
    for backend in ("cpu", "reference"):
        weights = [leaf(W), leaf(p)]
        with only(backend):
            h, c = c0, c0
            for frame in x:
                pre = F.conv2d(torch.cat([frame, h], 1), weights[0], padding=1)
                h, c, _ = step("peephole", pre, c[None], p=weights[1])
        found.append([h, c, *torch.autograd.grad(h.square().sum() + c.sum(), weights)])
    torch.testing.assert_close(found[0], found[1])
