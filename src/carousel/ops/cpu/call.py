"""One call into the extension: tensors become addresses, strides and sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from carousel.cells import Cell, layout, row
from carousel.ops import shapes
from carousel.ops.cpu import extension
from carousel.ops.operands import Inputs, LayerOperands, Noise, Operands

KINDS = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 0}
"""Dtypes of operands, and what the extension computes them in: bfloat16 is widened to float32 at its door, and narrowed
again for products where the processor multiplies it."""

REVERSE, TRAINING, ACCUMULATE, HALF = 1, 2, 4, 8
ALIGNMENT = 64
NAMES = (*Inputs._fields, *Operands.names())
"""Everything that a call is given."""

RESULTS = ("outputs", "last_hidden", "last_cell", "last_gates")
SAVED = ("outputs", "activations", "cells", "normalized", "deviation")
"""What a backward call reads of the forward one."""

_GIVEN = {Operands: Operands.names(), LayerOperands: LayerOperands.names()}

Named = Mapping[str, Tensor | None]
Arguments = tuple[int, list[int], tuple[int, ...], int, list[int], list[int]]


@dataclass(frozen=True)
class Widths:
    """Units of what a call makes."""

    row: list[int]
    rows: int
    sent: int
    recurrent: int


@cache
def _widths(cell: Cell, hidden: int) -> Widths:
    spans = (layout.rows(cell, hidden), layout.sent_rows(cell, hidden), layout.recurrent_rows(cell, hidden))
    rows, sent, recurrent = map(layout.total, spans)
    return Widths(row.encode(cell), rows, sent if cell.full_gate_recurrence else 0, recurrent)


@dataclass(frozen=True)
class Call:
    """What a forward call and its backward call have in common: cell, dtype, sizes (as the extension's) and flags."""

    cell: Cell
    dtype: torch.dtype
    sizes: tuple[int, int, int, int, int]
    reverse: bool

    @staticmethod
    def of(cell: Cell, operands: Operands | LayerOperands) -> "Call":
        """The call that runs these operands."""
        time, batch, features = operands.like.shape
        inputs = features if isinstance(operands, LayerOperands) else 0
        sizes = (time, batch, inputs, operands.hidden, operands.output)
        return Call(cell, operands.like.dtype, sizes, operands.steps.reverse)

    @property
    def _flags(self) -> int:
        half = self.dtype is torch.bfloat16 and not self.cell.norm  # which would magnify what is rounded
        return (REVERSE if self.reverse else 0) | (HALF if half else 0)

    @property
    def time(self) -> int:
        """How many steps there are."""
        return self.sizes[0]

    def ready(self, given: Named) -> dict[str, Tensor]:
        """The operands as the loops read them: in their dtype, dense where they must be, lengths in range."""
        return {name: self._ready(name, tensor) for name, tensor in given.items() if tensor is not None}

    def forward(
        self, ready: Mapping[str, Tensor], *, training: bool, outputs: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Run forwards: all `RESULTS`, and while training all `SAVED`."""
        like, given = ready["initial_cell"], {} if outputs is None else {"outputs": outputs}
        made = given | {name: like.new_empty(shape) for name, shape in self.results().items() if name not in given}
        if training:
            made |= self._saved(ready)
        self.enter("forward", {**ready, **made}, TRAINING if training else 0)
        return made

    def enter(self, function: Literal["forward", "backward"], tensors: Mapping[str, Tensor], flags: int) -> None:
        """Call the extension; the tensors live until it returns."""
        module = extension.module
        run = module.forward if function == "forward" else module.backward
        run(*self.arguments(tensors, flags), torch.get_num_threads())

    def arguments(self, tensors: Mapping[str, Tensor], flags: int) -> Arguments:
        """What the extension is told of tensors by its names: kind, row, sizes, flags, addresses and strides."""
        pointer_at, stride_at = places()
        pointers, strides = [0] * len(pointer_at), [0] * (2 * len(stride_at))
        for name, tensor in tensors.items():
            pointers[pointer_at[name]] = address(tensor)
            if (at := stride_at.get(name)) is not None:
                strides[at : at + 2] = _strides(tensor)
        row = _widths(self.cell, self.sizes[3]).row
        return KINDS[self.dtype], row, self.sizes, flags | self._flags, pointers, strides

    def results(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all `RESULTS`."""
        time, batch, _, hidden, output = self.sizes
        made = {"outputs": (time, batch, output), "last_hidden": (batch, output), "last_cell": (batch, hidden)}
        if self.cell.full_gate_recurrence:
            made["last_gates"] = (batch, _widths(self.cell, hidden).sent)
        return made

    def ready_each(self, name: str, tensor: Tensor) -> Tensor:
        """As `ready`, for one operand with the axis of a population in front."""
        if name == "lengths" or name in Noise._fields:
            return torch.stack([self._ready(name, part) for part in tensor.unbind(0)])
        if self.dtype is torch.bfloat16 and tensor.is_floating_point():
            tensor = tensor.float()
        aside = name == "x" and (tensor.shape[-1] == 1 or tensor.stride(-1) == 1)
        return tensor.resolve_neg() if aside else tensor.contiguous().resolve_neg()

    def _saved(self, ready: Mapping[str, Tensor]) -> dict[str, Tensor]:
        (time, batch, _, hidden, _), like = self.sizes, ready["initial_cell"]
        widths = _widths(self.cell, hidden)
        made = {
            "activations": like.new_empty(time, batch, widths.rows),
            "cells": like.new_empty(time, batch, hidden),
        }
        if "norm_recurrent" in ready:
            made["normalized"] = like.new_empty(time, batch, widths.recurrent)
            made["deviation"] = like.new_empty(time, batch, 1)
        return made

    def _ready(self, name: str, tensor: Tensor) -> Tensor:
        if name == "lengths":
            return _within(tensor, self.time)
        if self.dtype is torch.bfloat16 and tensor.is_floating_point():
            tensor = tensor.float()
        if name in Noise._fields:
            width = self._mask_width(name)
            return rows(tensor if tensor.shape[2] == width else tensor.expand(-1, -1, width))
        return rows(tensor) if name == "x" else dense(tensor)

    def _mask_width(self, name: str) -> int:
        *_, hidden, output = self.sizes
        if name == "drop_hidden":
            return layout.read_width(self.cell, hidden, output)
        return output if name == "zoneout_hidden" else hidden


def named(operands: Operands | LayerOperands) -> dict[str, Tensor | None]:
    """All tensors of the operands by name."""
    return dict(zip(_GIVEN[type(operands)], operands.tensors(), strict=True))


def address(tensor: Tensor | None) -> int:
    """Where the tensor lies: 0 if there is none, and somewhere (nobody looks) if it is empty."""
    return 0 if tensor is None else tensor.data_ptr() or ALIGNMENT


def dense(tensor: Tensor) -> Tensor:
    """The tensor, copied unless its numbers lie side by side and mean what they say."""
    return tensor.resolve_neg() if tensor.is_contiguous() else tensor.contiguous().resolve_neg()


def rows(tensor: Tensor) -> Tensor:
    """The tensor (time, batch, units), copied unless the numbers of each row lie side by side."""
    return tensor.resolve_neg() if tensor.shape[2] == 1 or tensor.stride(2) == 1 else dense(tensor)


def _within(lengths: Tensor, time: int) -> Tensor:
    """A copy of the lengths that nobody else can change, every one from 0 to `time`.

    Raises ShapeError if one was not.
    """
    within = lengths.to(torch.int64).clamp(0, time)
    if not torch.equal(within, lengths.to(torch.int64)):
        shapes.check_length_values(lengths, time)
    return within


def _strides(tensor: Tensor) -> Sequence[int]:
    """(time, batch) strides in numbers; 0 where one row stands for all."""
    (time, batch, _), (step, row, _) = tensor.shape, tensor.stride()
    return (0 if time == 1 else step, 0 if batch == 1 else row)


@cache
def places() -> tuple[dict[str, int], dict[str, int]]:
    """Where the extension wants the address of each tensor, and the strides of those that have them."""
    module = extension.module
    return (
        {name: at for at, name in enumerate(module.POINTERS)},
        {name: 2 * at for at, name in enumerate(module.STRIDED)},
    )
