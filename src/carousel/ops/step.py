"""The public operator for one step, given its pre-activations."""

import torch
from torch import Tensor

from carousel.cells import Cell, find
from carousel.ops import compiled, shapes
from carousel.ops.backend import pick
from carousel.ops.operands import Moment, StepOperands


def step(
    cell: str | Cell, pre: Tensor, previous: Tensor, *, p: Tensor | None = None, norm: Tensor | None = None
) -> Moment:
    """Take one step of a cell whose products are already summed.

    `pre` (batch, rows, *space) holds everything linear in x and h: the rows of the learned gates in the
    order i f z o. `previous` (predecessors, batch, hidden, *space) are the cell states before: one
    predecessor in a sequence, d on a grid, where the forget gate has one copy of its rows for each.
    Peepholes `p` (rows, hidden) or (rows, hidden, *space): a row for each state that a gate peeps at, in
    the order i f z o. `norm` (2, hidden) is the gain and bias of a cell with layer norm.

    A convolution for the products makes it ConvLSTM; d predecessors make it multidimensional.
    Raises ShapeError if sizes disagree. Sources: gers2002 section 2; Graves & Schmidhuber 2009 for d > 1.
    """
    row = find(cell)
    shapes.check_step(row, pre, previous, p, norm)
    operands = StepOperands(pre, previous, p, norm)
    if torch.compiler.is_compiling():
        return compiled.step(row, operands)
    return pick(row, operands).step(row, operands)
