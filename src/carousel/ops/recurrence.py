"""The public operator over time."""

import torch
from torch import Tensor

from carousel.cells import Cell, find
from carousel.ops import compiled, shapes
from carousel.ops.backend import pick
from carousel.ops.operands import Noise, Operands, State, Steps, Weights, zero_state

ALL_STEPS, NO_NOISE = Steps(), Noise()


def recurrence(
    cell: str | Cell,
    gates: Tensor,
    weights: Weights,
    state: State | None = None,
    *,
    steps: Steps = ALL_STEPS,
    noise: Noise = NO_NOISE,
) -> tuple[Tensor, State]:
    """Run a cell over time.

    `gates` (time, batch, rows) are the pre-activations W x + b of all steps, computed beforehand in one
    product, with the rows of the learned gates in the order i f z o (`carousel.cells.layout.rows`).
    `weights` hold what is multiplied inside the loop; `state` is zeros if None. `steps` gives lengths,
    resets and the direction, `noise` the masks of zoneout and recurrent dropout.

    Returns the outputs h_1 … h_T (time, batch, output), zero at and after a row's length, and the state
    after each row's last step. Differentiable in all floating tensors, any number of times on the reference.

    Raises ShapeError (a ValueError) or TypeError if operands do not fit. Source: see `cell.source`.
    """
    row = find(cell)
    if state is None:
        hidden = _hidden(row, gates, weights)
        state = zero_state(row, gates, hidden, weights.P.shape[0] if weights.P is not None else None)
    operands = Operands(gates, state, weights, steps, noise)
    shapes.check_recurrence(row, operands)
    if torch.compiler.is_compiling():
        return compiled.recurrence(row, operands)
    return pick(row, operands).recurrence(row, operands)


def _hidden(cell: Cell, gates: Tensor, weights: Weights) -> int:
    """How many cells there are: from the rows of the candidate and of the gates shared by each block."""
    if weights.P is not None:
        return weights.P.shape[1]
    blocks = (len(cell.learned) - 1) + cell.block
    return gates.shape[-1] * cell.block // blocks
