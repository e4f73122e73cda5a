"""The step as a registered operator: the same values and gates as in eager mode, in one node."""

import pytest
import torch
from torch import Tensor

from carousel.cells import VARIANTS, Cell, Complement, Open, layout, row
from carousel.ops import only, step
from tests.ops.cpu.extension import needs_extension

SPACE = (3, 2)
CELLS = 4


def operands(cell: Cell, predecessors: int) -> tuple[Tensor, Tensor, Tensor | None]:
    rows = layout.total(layout.rows(cell, CELLS, predecessors))
    peepholes = layout.total(layout.peephole_rows(cell, predecessors))
    given = (torch.randn(2, rows, *SPACE), torch.randn(predecessors, 2, CELLS, *SPACE), torch.randn(peepholes, CELLS))
    pre, previous, p = (tensor.double().requires_grad_() for tensor in given)
    return pre, previous, p if peepholes else None


@pytest.mark.parametrize("predecessors", [1, 2])
@pytest.mark.parametrize("name", VARIANTS)
def test_opcheck(name: str, predecessors: int) -> None:
    cell = VARIANTS[name]
    if predecessors > 1 and isinstance(cell.forget, Complement):
        pytest.skip("a coupled forget gate has no meaning for two predecessors")
    pre, previous, p = operands(cell, predecessors)
    torch.library.opcheck(torch.ops.carousel.step, (pre, previous, p, None, row.encode(cell)))


@pytest.mark.parametrize("backend", [pytest.param("cpu", marks=needs_extension), "reference"])
def test_opcheck_where_channels_lie_side_by_side(backend: str) -> None:
    """Results are dense on every backend, whatever the operands are."""
    pre, previous, _ = operands(VARIANTS["lstm"], 1)
    turned = pre.detach().to(memory_format=torch.channels_last).requires_grad_()
    before = previous.detach()[0].to(memory_format=torch.channels_last)[None].requires_grad_()
    with only(backend):
        torch.library.opcheck(torch.ops.carousel.step, (turned, before, None, None, row.encode(VARIANTS["lstm"])))


@pytest.mark.parametrize("name", VARIANTS)
def test_a_compiled_step_has_the_values_and_gates_of_an_eager_one(name: str) -> None:
    cell = VARIANTS[name]
    pre, previous, p = operands(cell, 1)
    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, backend="eager")
    expected, got = step(cell, pre, previous, p=p), compiled(cell, pre, previous, p=p)
    torch.testing.assert_close((got.hidden, got.cell), (expected.hidden, expected.cell))
    for gate, activation in expected.gates.items():
        if isinstance(getattr(cell, gate), Open):
            assert got.gates[gate] is None and activation is None
        else:
            torch.testing.assert_close(got.gates[gate], activation)
