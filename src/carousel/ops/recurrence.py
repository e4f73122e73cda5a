"""The public operators over time: given the pre-activations, and given the inputs."""

import torch
from torch import Tensor

from carousel.cells import Cell, find
from carousel.ops import compiled, shapes
from carousel.ops.backend import pick
from carousel.ops.operands import Inputs, LayerOperands, Noise, Operands, State, Steps, Weights, zero_state

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
    resets, the direction and what is kept for the way back, `noise` the masks of zoneout and recurrent dropout.

    Returns the outputs h_1 … h_T (time, batch, output), zero at and after a row's length, and the state
    after each row's last step. Differentiable in all floating tensors, any number of times on the reference.

    Raises ShapeError (a ValueError) or TypeError if operands do not fit. Source: see `cell.source`.
    """
    row = find(cell)
    state = state or _zeros(row, gates, gates.shape[-1], weights)
    operands = Operands(gates, state, weights, steps, noise)
    shapes.check_recurrence(row, operands)
    if torch.compiler.is_compiling():
        return compiled.recurrence(row, operands)
    return pick(row, operands).recurrence(row, operands)


def layer(
    cell: str | Cell,
    inputs: Inputs,
    weights: Weights,
    state: State | None = None,
    *,
    steps: Steps = ALL_STEPS,
    noise: Noise = NO_NOISE,
) -> tuple[Tensor, State]:
    """Run a cell over time as `recurrence` does, given the inputs x, W and b instead of W x + b.

    A backend may compute the pre-activations step by step, where they are needed.

    Raises ShapeError (a ValueError) or TypeError if operands do not fit.
    """
    row = find(cell)
    state = state or _zeros(row, inputs.x, inputs.W.shape[0], weights)
    operands = LayerOperands(inputs, state, weights, steps, noise)
    shapes.check_recurrence(row, operands)
    if torch.compiler.is_compiling():
        return compiled.recurrence(row, operands.with_gates())
    return pick(row, operands).layer(row, operands)


def _zeros(cell: Cell, like: Tensor, rows: int, weights: Weights) -> State:
    """The state to start from if none is given."""
    return zero_state(cell, like, _hidden(cell, rows, weights), weights.P.shape[0] if weights.P is not None else None)


def _hidden(cell: Cell, rows: int, weights: Weights) -> int:
    """How many cells there are: from the rows of the candidate and of the gates shared by each block."""
    if weights.P is not None:
        return weights.P.shape[1]
    blocks = (len(cell.learned) - 1) + cell.block
    return rows * cell.block // blocks
