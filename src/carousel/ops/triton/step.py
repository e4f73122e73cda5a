"""The step under autograd: only its operands are saved, and what it made is made again on the way back."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from carousel.cells import Cell, layout
from carousel.cells.cell import ORDER
from carousel.ops.operands import Moment, StepOperands
from carousel.ops.triton.extension import launch, on_device_of
from carousel.ops.triton.kernels.grid import Back, Grid, GridSize, Made, Starts, Tile, take, take_back
from carousel.ops.triton.kernels.row import constants
from carousel.ops.twice import step_by_reference, through_reference

PLACES, CELLS = 16, 16
"""The tile of a program."""


def run(cell: Cell, operands: StepOperands) -> Moment:
    """The state after the step and its gates; nothing is saved unless a gradient is in sight."""
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in operands):
        made = _Step.apply(cell, *operands)  # type: ignore[misc]
    else:
        made = _forward(cell, operands)
    return Moment.of(cell, *made, operands.previous.shape[0])  # pyright: ignore[reportCallIssue]


def _forward(cell: Cell, operands: StepOperands) -> Made:
    grid, like = grid_of(cell, operands), operands.previous[0]
    made = Made(*(torch.empty_like(each, dtype=grid.pre.dtype, memory_format=torch.contiguous_format)
                  for each in (like, like, operands.pre)))  # fmt: skip
    if made.hidden.numel():
        with on_device_of(grid.pre):
            launch(take, _tiles(grid), grid, made)
    return Made(*(each.to(operands.pre.dtype) for each in made))


def _backward(cell: Cell, operands: StepOperands, given: Sequence[Tensor | None]) -> StepOperands:
    """The gradients of all operands."""
    grid = grid_of(cell, operands)
    pre, previous, p, norm = operands
    back = back_of(operands, grid, given)
    if pre.numel():
        with on_device_of(pre):
            launch(take_back, _tiles(grid), grid, back)
    space = tuple(range(2, previous.dim() - 1))
    of_p = None if p is None else back.p.sum((1, *(axis + 1 for axis in space)) if p.dim() == 2 else 1)
    of_norm = None if norm is None else back.norm.sum((1, *(axis + 1 for axis in space)))
    found = (None if each is None else each.to(pre.dtype) for each in (back.pre, back.previous, of_p, of_norm))
    return StepOperands(*found)  # pyright: ignore[reportArgumentType]


def back_of(operands: StepOperands, grid: Grid, given: Sequence[Tensor | None]) -> Back:
    """The gradients that were given, and memory for those of all operands."""
    _, previous, p, norm = operands
    at_places = previous.shape[1:]
    return Back(
        Made(*(None if each is None else _wide(each) for each in given)),
        torch.zeros_like(grid.pre),
        torch.zeros_like(grid.previous),
        None if p is None else grid.pre.new_zeros(p.shape[0], *at_places),
        None if norm is None else grid.pre.new_zeros(2, *at_places),
    )


def grid_of(cell: Cell, operands: StepOperands) -> Grid:
    """The operands as kernels read them."""
    predecessors, batch, hidden, *space = operands.previous.shape
    places = torch.Size(space).numel()
    p = None if operands.p is None else _wide(operands.p)
    rows = layout.rows(cell, hidden, predecessors)
    return Grid(
        GridSize(batch, hidden, hidden // cell.block, layout.total(rows), places),
        constants(cell),
        _starts(rows),
        _starts(layout.peephole_rows(cell, predecessors)),
        _wide(operands.pre),
        _wide(operands.previous),
        p,
        places if p is not None and p.dim() > 2 else 1,
        None if operands.norm is None else _wide(operands.norm),
        _tile(cell, hidden, predecessors),
    )


def _tile(cell: Cell, hidden: int, predecessors: int) -> Tile:
    cells = max(triton.next_power_of_2(hidden if cell.norm else cell.block), CELLS)
    numbers = 1 if cell.norm else PLACES, cells, cells // cell.block * cell.block, predecessors
    return Tile(*map(tl.constexpr, numbers))  # pyright: ignore[reportCallIssue]


def _tiles(grid: Grid) -> tuple[int, int]:
    places = grid.size.batch * grid.size.places
    return triton.cdiv(places, grid.plan.batch.value), triton.cdiv(grid.size.hidden, grid.plan.own.value)


def _starts(spans: dict[str, slice]) -> Starts:
    return Starts(*(spans[gate].start if gate in spans else 0 for gate in ORDER))


def _wide(tensor: Tensor) -> Tensor:
    """The tensor, dense, in at least float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32)).contiguous()


class _Step(torch.autograd.Function):
    """`apply(cell, *operands)`."""

    @staticmethod
    def forward(ctx: Any, cell: Cell, *given: Tensor | None) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.cell = cell
        ctx.save_for_backward(*given)
        return tuple(_forward(cell, StepOperands(*given)))  # type: ignore[arg-type]

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        operands, needed = StepOperands(*ctx.saved_tensors), ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            return None, *through_reference(partial(step_by_reference, ctx.cell), operands, needed, given)
        found = _backward(ctx.cell, operands, given)
        return None, *(gradient if need else None for gradient, need in zip(found, needed, strict=True))
