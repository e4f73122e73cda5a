"""Calls without steps, sequences, inputs, cells or outputs run like all others: values, gradients and shapes."""

from dataclasses import replace

import pytest
import torch

import carousel
from carousel.cells import find
from carousel.ops import State, Weights, explain
from carousel.ops.cpu import CPU
from carousel.testing import CELLS, Problem
from tests.ops.cpu.extension import EVERYTHING, agree, from_inputs, leaves, needs_extension

pytestmark = needs_extension
PROBLEMS = (EVERYTHING, replace(EVERYTHING, reverse=False, reset=False), Problem("plain", 9, 5, 3, 6))
EMPTY = ({"time": 0}, {"batch": 0}, {"time": 0, "batch": 0}, {"hidden": 0, "projection": 0})


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("empty", EMPTY, ids=str)
def test_every_cell_agrees_with_the_reference(empty: dict[str, int], name: str) -> None:
    for whole in PROBLEMS:
        problem = replace(whole, **empty)  # type: ignore[arg-type]
        cell = problem.cell(CELLS[name])
        given = leaves(problem.operands(cell, dtype=torch.float64))
        for operands in (given, from_inputs(cell, given, 3), from_inputs(cell, given, 0)):
            agree(cell, operands)


@pytest.mark.parametrize("time", [0, 3])
@pytest.mark.parametrize("name", ["lstm", "peephole"])
def test_a_projection_to_nothing(name: str, time: int) -> None:
    """An empty matrix P is not the absence of one: h has no numbers, though there are cells."""
    cell = find(name).with_options(projection=True)
    plain = Problem("", time, 2, 0, 4).operands(find(name), dtype=torch.float64)
    none = torch.zeros(2, 0, dtype=torch.float64)
    weights = Weights(R=plain.gates.new_zeros(16, 0), p=plain.weights.p, P=plain.gates.new_zeros(0, 4))
    given = leaves(replace(plain, state=State(none, plain.state.cell), weights=weights))
    agree(cell, given)
    agree(cell, from_inputs(cell, given, 3))


@pytest.mark.parametrize("name", ["lstm", "full_gate_recurrence", "peephole with torch_sample"])
def test_without_steps_the_state_passes_through(name: str) -> None:
    given = leaves(Problem("", 0, 3, 0, 4).operands(CELLS[name]))
    assert explain(CELLS[name], given)[0] == ("cpu", True, "runs")
    outputs, last = CPU().recurrence(CELLS[name], given)
    assert outputs.shape == (0, 3, 4)
    before, after = ([part for part in state if part is not None] for state in (given.state, last))
    assert all(torch.equal(got, expected) for got, expected in zip(after, before, strict=True))
    weights = [weight for weight in given.weights if weight is not None]
    gradients = torch.autograd.grad([part.sum() for part in after], [*before, *weights])
    assert [float(gradient.mean()) for gradient in gradients] == [1.0] * len(before) + [0.0] * len(weights)


@pytest.mark.parametrize(
    "options", [{}, {"bidirectional": True, "num_layers": 2, "proj_size": 2}, {"batch_first": True}]
)
@pytest.mark.parametrize("learns", [True, False])
def test_without_sequences_shapes_are_those_of_torch(learns: bool, options: dict[str, int]) -> None:
    ours, theirs, x = carousel.LSTM(3, 4, **options), torch.nn.LSTM(3, 4, **options), torch.randn(5, 0, 3)  # type: ignore[arg-type]
    x = x.transpose(0, 1) if options.get("batch_first") else x
    with torch.set_grad_enabled(learns):
        (got, state), (expected, state_expected) = ours(x), theirs(x)
    assert [t.shape for t in (got, *state)] == [t.shape for t in (expected, *state_expected)]
    if learns:
        (got.sum() + state[0].sum()).backward()
        assert all(weight.grad is not None and not weight.grad.any() for weight in ours.parameters())


def test_a_cell_without_sequences() -> None:
    cell, nobody = carousel.LSTMCell(3, 4), torch.randn(0, 4)
    for learns in (True, False):
        with torch.set_grad_enabled(learns):
            for state in (None, (nobody, nobody)):
                assert [part.shape for part in cell(torch.randn(0, 3), state)] == [(0, 4), (0, 4)]
