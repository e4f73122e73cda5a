"""The registered operator: what it computes, what it says of shapes, and what torch's own checker says of it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from carousel.cells import VARIANTS, Cell, Gate, Open, find, row
from carousel.cells.layout import Sizes
from carousel.ops import Backend, Noise, Operands, Steps, compiled, example, recurrence
from carousel.ops.backend import pick

CELLS = {
    **VARIANTS,
    "block": find("fgr").with_options(block=2),
    "projection": find("peephole").with_options(projection=True),
    "norm": find("peephole").with_options(norm="ba2016"),
    "alias": Cell(output=Open(), squash="identity"),
}


def operands(cell: Cell, *, reverse: bool = False, full: bool = False) -> Operands:
    given = example(cell, 3, 2, Sizes(1, 4, 2 if cell.projection else 0), dtype=torch.float64)
    ragged = Steps(torch.tensor([3, 1]), torch.rand(3, 2) < 0.3, given.state, reverse)
    mask = torch.full((1, 1, 1), 0.25, dtype=torch.float64)
    noise = Noise(mask, mask, 2 * mask, 3 * mask)
    return replace(given, steps=ragged, noise=noise) if full else replace(given, steps=Steps(reverse=reverse))


def arguments(cell: Cell, given: Operands) -> tuple[object, ...]:
    """The operator's own arguments, with gradients wanted where there can be any."""
    tensors = [t.clone().requires_grad_() if t is not None and t.is_floating_point() else t for t in given.tensors()]
    return (*tensors, row.encode(cell), given.steps.reverse, None)


def leaves(args: tuple[object, ...]) -> list[Tensor]:
    return [t for t in args if isinstance(t, Tensor) and t.requires_grad]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_the_operator_is_the_recurrence(name: str, full: bool) -> None:
    cell = CELLS[name]
    args = arguments(cell, operands(cell, reverse=full, full=full))
    given = Operands.gather(list(args[:-3]), reverse=full)  # type: ignore[arg-type]
    results = [t for t in torch.ops.carousel.recurrence(*args) if t.numel()]
    outputs, state = recurrence(cell, given.gates, given.weights, given.state, steps=given.steps, noise=given.noise)
    direct = [outputs, *(part for part in state if part is not None)]
    torch.testing.assert_close(results, direct)
    weights = [torch.randn_like(t) for t in direct]
    pulled = [torch.autograd.grad(kind, leaves(args), weights, materialize_grads=True) for kind in (results, direct)]
    torch.testing.assert_close(pulled[0], pulled[1])


@pytest.mark.parametrize("name", ["peephole", "full_gate_recurrence", "block", "projection", "norm", "alias"])
def test_opcheck(name: str) -> None:
    """Schema, autograd registration, fake kernels, and tracing with dynamic shapes."""
    cell = CELLS[name]
    torch.library.opcheck(torch.ops.carousel.recurrence, arguments(cell, operands(cell, full=True)))


def test_the_operator_has_second_derivatives() -> None:
    cell = find("peephole")
    args = arguments(cell, operands(cell, full=True))
    first = torch.autograd.grad(torch.ops.carousel.recurrence(*args)[0].sum(), leaves(args)[:1], create_graph=True)
    second = torch.autograd.grad(first[0].sum(), leaves(args)[0])[0]
    assert second.isfinite().all()
    assert second.abs().sum() > 0


def test_no_result_shares_memory_with_an_operand_or_another_result() -> None:
    cell = CELLS["alias"]
    for time in (0, 3):
        given = example(cell, time, 2, Sizes(1, 4))
        results = torch.ops.carousel.recurrence(*given.tensors(), row.encode(cell), False, None)
        places = [t.data_ptr() for t in (*results, *given.tensors()) if t is not None and t.numel()]
        assert len(places) == len(set(places))


def test_the_schema_is_derived_from_the_operands() -> None:
    schema = str(torch.ops.carousel.recurrence.default._schema)
    assert [name in schema for name in Operands.names()] == [True] * len(Operands.names())


def test_gather_is_the_inverse_of_tensors() -> None:
    cell = find("fgr")
    given = operands(cell, full=True)
    again = Operands.gather(given.tensors(), reverse=given.steps.reverse)
    assert all(a is b for a, b in zip(again.tensors(), given.tensors(), strict=True))
    assert len(given.tensors()) == len(Operands.names())


@pytest.mark.usefixtures("poisoned_memory")
@pytest.mark.parametrize("name", CELLS)
def test_memory_that_nobody_wrote_is_never_read(name: str) -> None:
    """Uninitialised memory holds NaN here; none arrives in outputs, states or gradients of the operator."""
    cell = CELLS[name]
    args = arguments(cell, operands(cell, full=True))
    results = torch.ops.carousel.recurrence(*args)
    gradients = torch.autograd.grad([t.sum() for t in results], leaves(args), materialize_grads=True)
    assert all(t.isfinite().all() for t in (*results, *gradients))


def test_a_squash_that_is_its_own_slope_is_not_shared() -> None:
    """A relu candidate in the graph of the operator keeps its values for backward."""
    cell = Cell(candidate=Gate("relu"))
    args = arguments(cell, operands(cell))
    assert torch.autograd.gradcheck(lambda g: torch.ops.carousel.recurrence(g, *args[1:])[0], leaves(args)[:1])


def test_eager_calls_reach_the_backend_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    def unexpected(*_: object) -> None:
        raise AssertionError("an eager call went through the opaque operator")

    monkeypatch.setattr(compiled, "recurrence", unexpected)
    given = operands(find("lstm"))
    recurrence("lstm", given.gates, given.weights, given.state)


def test_masks_leave_the_gradient_to_the_backend_that_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks are drawn and want no gradient, also where the operator computes its own."""
    cell = find("lstm")
    given = operands(cell, full=True)
    args = [t.requires_grad_() if name in ("gates", "R") else t  # type: ignore[union-attr]
            for name, t in zip(Operands.names(), given.tensors(), strict=True)]  # fmt: skip
    outputs, *_ = torch.ops.carousel.recurrence(*args, row.encode(cell), False, None)
    wanting: list[bool] = []

    def spy(cell: Cell, operands: Operands) -> Backend:
        wanting.extend(mask.requires_grad for mask in operands.noise if mask is not None)
        return pick(cell, operands)

    monkeypatch.setattr(compiled, "pick", spy)
    torch.autograd.grad(outputs.sum(), leaves(tuple(args)))
    assert wanting == [False] * 4


def test_an_operand_made_from_another_gives_no_gradient_twice() -> None:
    cell = find("lstm")
    given = operands(cell)
    gates = given.gates.detach().requires_grad_()

    def run(of: Tensor) -> Tensor:
        args = [of, of[0, :, :4], *given.tensors()[2:]]
        return torch.ops.carousel.recurrence(*args, row.encode(cell), False, None)[0].sum()

    (plain,) = torch.autograd.grad(run(gates), gates)
    (again,) = torch.autograd.grad(run(gates), gates, create_graph=True)
    torch.testing.assert_close(again, plain)
