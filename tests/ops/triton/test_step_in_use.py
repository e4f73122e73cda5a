"""The fused step where it is meant for: in a loop of convolutions, and over the anti-diagonals of a grid."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.cells import Cell, find
from carousel.cells.layout import peephole_rows, rows, total
from carousel.ops import explain, only, step
from carousel.ops.operands import StepOperands
from tests.ops.triton.interpreter import needs_interpreter

pytestmark = needs_interpreter

HIDDEN = 3
ROWS = {
    "peephole": find("peephole"),
    "coupled": find("coupled"),
    "lstm with ba2016": find("lstm").with_options(norm="ba2016"),
}
Net = Callable[[Cell, dict[str, Tensor]], Tensor]


def weights(cell: Cell, predecessors: int, *kernel: int) -> dict[str, Tensor]:
    torch.manual_seed(0)
    gates, peepholes = total(rows(cell, HIDDEN, predecessors)), total(peephole_rows(cell, predecessors))
    shapes = {"W": (gates, 2, *kernel), "R": (gates, HIDDEN, *kernel), "x": (2, 2, 2, 2, 3)}
    shapes |= {"p": (peepholes, HIDDEN)} if peepholes else {}
    shapes |= {"norm": (2, HIDDEN)} if cell.norm else {}
    return {name: 0.5 * torch.randn(shape, dtype=torch.float64) for name, shape in shapes.items()}


def convolution(cell: Cell, given: dict[str, Tensor]) -> Tensor:
    """ConvLSTM (Shi et al. 2015): x (time, batch, channels, height, width)."""
    x = given["x"]
    h = c = x.new_zeros(x.shape[1], HIDDEN, *x.shape[3:])
    for each in x:
        pre = F.conv2d(each, given["W"], padding=1) + F.conv2d(h, given["R"], padding=1)
        h, c, _ = step(cell, pre, c[None], p=given.get("p"), norm=given.get("norm"))
    return torch.cat([h, c])


def grid(cell: Cell, given: dict[str, Tensor]) -> Tensor:
    """MDLSTM (Graves & Schmidhuber 2009): the places of an anti-diagonal at once, with zeros outside of the image."""
    x = given["x"][0]
    batch, _, height, width = x.shape
    outside = x.new_zeros(batch, HIDDEN), x.new_zeros(batch, HIDDEN)
    made: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
    for diagonal in range(height + width - 1):
        places = [(i, diagonal - i) for i in range(height) if 0 <= diagonal - i < width]
        before = [[made.get(place, outside) for place in ((i - 1, j), (i, j - 1))] for i, j in places]
        h = torch.stack([up[0] + left[0] for up, left in before], 2)
        pixels = torch.stack([x[:, :, i, j] for i, j in places], 2)
        previous = torch.stack([torch.stack([pair[n][1] for pair in before], 2) for n in (0, 1)])
        pre = torch.einsum("rc,bcn->brn", given["W"], pixels) + torch.einsum("rc,bcn->brn", given["R"], h)
        h, c, _ = step(cell, pre, previous, p=given.get("p"), norm=given.get("norm"))
        made |= {place: (h[:, :, n], c[:, :, n]) for n, place in enumerate(places)}
    return torch.stack([part for place in sorted(made) for part in made[place]])


def result(backend: str, net: Net, cell: Cell, given: dict[str, Tensor]) -> Sequence[Tensor]:
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in given.items()}
    with only(backend):
        made = net(cell, leaves)
    return [made, *torch.autograd.grad(made.sin().sum(), list(leaves.values()))]


@pytest.mark.parametrize("name", ROWS)
def test_a_loop_of_convolutions(name: str) -> None:
    given = weights(ROWS[name], 1, 3, 3)
    torch.testing.assert_close(*(result(each, convolution, ROWS[name], given) for each in ("triton", "reference")))


@pytest.mark.parametrize("name", ["peephole", "lstm with ba2016"])
def test_a_grid_by_its_diagonals(name: str) -> None:
    given = weights(ROWS[name], 2)
    torch.testing.assert_close(*(result(each, grid, ROWS[name], given) for each in ("triton", "reference")))


def test_a_step_is_not_said_to_have_a_tier() -> None:
    operands = StepOperands(torch.zeros(2, 4 * HIDDEN, 5), torch.zeros(1, 2, HIDDEN, 5))
    with only("triton"):
        assert explain(find("lstm"), operands) == [("triton", True, "runs")]
