"""The kernels under autograd: gradients in numbers, twice, by halves, of second order, and none at all."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import carousel
from carousel.cells import find
from carousel.ops import Operands, Reference, only
from carousel.ops.cpu import CPU, extension
from carousel.testing import Problem
from tests.ops.cpu.extension import EVERYTHING, leaves, needs_extension, results

pytestmark = needs_extension
CELLS = ("lstm", "peephole", "peephole_matrix", "full_gate_recurrence", "coupled")
SMALL = Problem("", 4, 2, 0, 3, projection=2, ragged=True, reset=True)
TINY = Problem("", 2, 2, 0, 2, projection=1, ragged=True, reset=True)


def given(name: str, problem: Problem = SMALL) -> tuple[carousel.Cell, Operands]:
    cell = problem.cell(find(name))
    return cell, leaves(problem.operands(cell, dtype=torch.float64))


def wanted(operands: Operands) -> list[Tensor]:
    return [t for t in operands.tensors() if t is not None and t.requires_grad]


def values(name: str, operands: Operands, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """All results on the kernels, with these tensors in place of those that want gradients."""
    cell, each = SMALL.cell(find(name)), iter(tensors)
    replaced = [next(each) if t is not None and t.requires_grad else t for t in operands.tensors()]
    outputs, state = CPU().recurrence(cell, Operands.gather(replaced, reverse=operands.steps.reverse))
    return tuple(value for value in (outputs, *state) if value is not None)


@pytest.mark.parametrize("name", CELLS)
def test_gradients_in_numbers(name: str) -> None:
    _, operands = given(name)
    assert torch.autograd.gradcheck(lambda *t: values(name, operands, t), wanted(operands))


@pytest.mark.parametrize("name", ["lstm", "full_gate_recurrence"])
def test_gradients_of_gradients_in_numbers(name: str) -> None:
    _, operands = given(name, TINY)
    assert torch.autograd.gradgradcheck(lambda *t: values(name, operands, t), wanted(operands))


@pytest.mark.parametrize("name", CELLS)
def test_a_graph_that_is_kept_gives_the_same_again(name: str) -> None:
    """The first pass overwrites what was saved; the second computes it anew, and the third too."""
    cell, operands = given(name, EVERYTHING)
    outputs, state = CPU().recurrence(cell, operands)
    loss = (outputs**2).sum() + (state.cell**3).sum()
    first, *later = (
        torch.autograd.grad(loss, wanted(operands), retain_graph=True, allow_unused=True) for _ in range(3)
    )
    copies = [None if gradient is None else gradient.clone() for gradient in first]
    for again in later:
        torch.testing.assert_close(again, first, rtol=0, atol=0)
    torch.testing.assert_close(
        [t for t in first if t is not None], [t for t in copies if t is not None], rtol=0, atol=0
    )


@pytest.mark.parametrize("name", ["lstm", "peephole", "full_gate_recurrence"])
def test_each_gradient_alone(name: str) -> None:
    """Frozen operands cost nothing and change nothing."""
    cell, operands = given(name, EVERYTHING)
    everything = results(CPU(), cell, operands)[-len(wanted(operands)) :]
    for number, chosen in enumerate(wanted(operands)):
        tensors = [t.detach() if t is not None and t is not chosen else t for t in operands.tensors()]
        alone = Operands.gather(tensors, reverse=operands.steps.reverse)
        torch.testing.assert_close(results(CPU(), cell, alone)[-1], everything[number], rtol=0, atol=0)


@pytest.mark.parametrize("chosen", range(3))
def test_each_result_alone(chosen: int) -> None:
    cell, operands = given("peephole", EVERYTHING)
    gradients = []
    for backend in (CPU(), Reference()):
        outputs, state = backend.recurrence(cell, operands)
        loss = (outputs, *state)[chosen].square().sum()  # type: ignore[union-attr]
        gradients.append(torch.autograd.grad(loss, wanted(operands), allow_unused=True, materialize_grads=True))
    torch.testing.assert_close(gradients[0], gradients[1])


def test_one_operand_computed_from_another() -> None:
    """Second derivatives count each way once."""
    cell, operands = given("lstm", Problem("", 3, 2, 0, 3))
    start = operands.gates.detach().requires_grad_()
    found = []
    for backend in (CPU(), Reference()):
        state = operands.state._replace(cell=start[0, :, :3] * 2)
        outputs, _ = backend.recurrence(cell, Operands(start * 1.5, state, operands.weights))
        (slope,) = torch.autograd.grad(outputs.square().sum(), start, create_graph=True)
        found.append([slope, *torch.autograd.grad(slope.square().sum(), start)])
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_nothing_is_saved(mode: type, monkeypatch: pytest.MonkeyPatch) -> None:
    cell, operands = given("peephole", EVERYTHING)
    calls: list[list[int]] = []

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(module, name)

        def forward(self, *arguments: Any) -> None:
            calls.append(arguments[4])
            module.forward(*arguments)

    module = extension.module
    monkeypatch.setattr(extension, "module", Watched())
    expected, _ = Reference().recurrence(cell, operands)
    with mode():
        outputs, _ = CPU().recurrence(cell, operands)
    torch.testing.assert_close(outputs, expected.detach())
    assert calls[0][module.POINTERS.index("activations")] == 0


def test_weights_changed_in_place_after_the_forward_pass_are_noticed() -> None:
    cell, operands = given("lstm", Problem("", 3, 2, 0, 3))
    outputs, _ = CPU().recurrence(cell, operands)
    with torch.no_grad():
        operands.weights.R.mul_(2)  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_a_whole_network_learns_alike() -> None:
    torch.manual_seed(0)
    lstm = carousel.LSTM(3, 5, num_layers=2, bidirectional=True, cell="peephole", proj_size=2).double()
    x, lengths = torch.randn(7, 4, 3, dtype=torch.float64), torch.tensor([7, 0, 3, 5])
    found = []
    for backend in ("cpu", "reference"):
        with only(backend):
            out, (h, c) = lstm(x, lengths=lengths)
            found.append(torch.autograd.grad(out.square().sum() + h.sum() + c.sum(), list(lstm.parameters())))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("recompute", [None, 2])
@pytest.mark.parametrize("norm", [None, "ba2016", "torch_sample"])
@pytest.mark.parametrize("name", CELLS)
def test_gradients_of_many_answers_in_one_pass(name: str, norm: str | None, recompute: int | None) -> None:
    """torch's `is_grads_batched`, which hides an axis that no loop over memory sees."""
    torch.manual_seed(0)
    lstm = carousel.LSTM(3, 4, cell=name, norm=norm, recompute=recompute, dtype=torch.float64)
    weights, x = list(lstm.parameters()), torch.randn(5, 2, 3).double().requires_grad_()
    outputs, (_, cell, *_) = lstm(x)
    answers = torch.cat([outputs.flatten(), cell.flatten()])[::7]
    given = torch.randn(6, len(answers)).double()
    at_once, again = (
        torch.autograd.grad(answers, [*weights, x], given, is_grads_batched=True, retain_graph=True) for _ in range(2)
    )
    for k in range(len(given)):
        alone = torch.autograd.grad(answers, [*weights, x], given[k], retain_graph=True)
        torch.testing.assert_close([each[k] for each in at_once], list(alone), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(again, at_once, rtol=0, atol=0)
