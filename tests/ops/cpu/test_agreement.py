"""The kernels agree with the reference: every cell and problem, odd sizes, every instruction set."""

from dataclasses import replace

import pytest
import torch

from carousel.cells import find
from carousel.ops import Inputs, ShapeError, Steps, layer
from carousel.ops.cpu import CPU
from carousel.testing import CELLS, Problem, check
from tests.ops.cpu.extension import EVERYTHING, TARGETS, agree, from_inputs, leaves, needs_extension, target

pytestmark = needs_extension


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", TARGETS)
def test_every_cell_and_problem(name: str, dtype: torch.dtype) -> None:
    with target(name):
        found = check(CPU(), dtype=dtype)
    assert {finding.refused for finding in found} == {None}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("hidden", [1, 3, 17, 63])
@pytest.mark.parametrize(("time", "batch"), [(1, 1), (33, 2), (7, 13), (2, 5)])
def test_odd_sizes(name: str, hidden: int, time: int, batch: int) -> None:
    for cell in ("lstm", "peephole", "peephole_matrix", "coupled", "full_gate_recurrence"):
        problem = Problem("odd", time, batch, 3, hidden, ragged=True, reset=True)
        with target(name):
            check(CPU(), cells=[cell], problems=[problem, replace(problem, name="odd, backwards", reverse=True)])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("features", [1, 5, 19])
@pytest.mark.parametrize("name", CELLS)
def test_given_the_inputs(name: str, features: int, reverse: bool) -> None:
    problem = replace(EVERYTHING, reverse=reverse)
    cell = problem.cell(CELLS[name])
    given = leaves(problem.operands(cell, dtype=torch.float64))
    agree(cell, from_inputs(cell, given, features))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_large_enough_for_every_tile(name: str, dtype: torch.dtype) -> None:
    cell, problem = find("peephole"), Problem("large", 11, 37, 0, 75)
    given = from_inputs(cell, leaves(problem.operands(cell, dtype=dtype)), 70)
    given = replace(given, weights=given.weights._replace(R=(given.weights.R * 0.2).detach().requires_grad_()))  # type: ignore[operator]
    with target(name):
        agree(cell, given, atol=1e-3 if dtype is torch.float32 else 1e-10)


def test_nan_in_the_padding_of_the_inputs_is_never_read() -> None:
    cell, lengths = find("lstm"), torch.tensor([2, 0, 4, 1])
    given = from_inputs(cell, Problem("", 4, 4, 0, 5).operands(cell, dtype=torch.float64), 3)
    behind = torch.arange(4).unsqueeze(1) >= lengths
    poisoned = given.inputs.x.detach().masked_fill(behind.unsqueeze(2), float("nan")).requires_grad_()
    given = replace(given, inputs=given.inputs._replace(x=poisoned), steps=Steps(lengths))
    outputs, last = CPU().layer(cell, given)
    gradients = torch.autograd.grad(outputs.sum() + last.cell.sum(), given.inputs)  # type: ignore[arg-type]
    assert not any(tensor.isnan().any() for tensor in (outputs, *last[:2], *gradients))


@pytest.mark.parametrize("lengths", [[2**40, 1, 1], [-1, 1, 1], [-(2**63), 5, 2**63 - 1]])
def test_lengths_out_of_range_touch_no_memory(lengths: list[int]) -> None:
    given = Problem("", 4, 3, 0, 5).operands(find("lstm"))
    inputs = Inputs(torch.randn(4, 3, 2), torch.randn(20, 2))
    with pytest.raises(ShapeError, match=r"lengths\[0\] is .*; the input has 4 steps"):
        layer("lstm", inputs, given.weights, given.state, steps=Steps(torch.tensor(lengths)))


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 1, 0)], ids=str)
def test_inputs_in_any_order_of_memory(axes: tuple[int, ...]) -> None:
    cell = find("lstm")
    given = from_inputs(cell, leaves(Problem("", 4, 3, 0, 5).operands(cell, dtype=torch.float64)), 6)
    back = [axes.index(axis) for axis in range(3)]
    x = given.inputs.x.detach().permute(axes).contiguous().permute(back).requires_grad_()
    agree(cell, replace(given, inputs=given.inputs._replace(x=x)))


def test_lengths_and_weights_in_any_form() -> None:
    cell, problem = find("lstm"), Problem("", 4, 3, 0, 5)
    given = leaves(problem.operands(cell, dtype=torch.float64))
    R = given.weights.R.detach().t().contiguous().t().requires_grad_()  # type: ignore[union-attr]
    lengths = torch.tensor([4, 9, 2, 9, 1, 9], dtype=torch.int16)[::2]
    reset = (torch.rand(3, 4) < 0.3).t()
    agree(cell, replace(given, weights=given.weights._replace(R=R), steps=Steps(lengths, reset)))
