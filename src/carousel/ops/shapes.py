"""The one place that checks sizes and words the errors."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from carousel.cells import Cell, Complement, layout, name_of
from carousel.ops.operands import Inputs, LayerOperands, Operands, State, Weights


class ShapeError(ValueError):
    """Tensors that do not fit each other or the cell."""


class _Expected(NamedTuple):
    """What a cell of a size needs: rows of the pre-activations and of the gates sent on, and shapes of its weights."""

    rows: int
    sent: int
    weights: dict[str, tuple[int, ...] | None]


def _expected(cell: Cell, hidden: int, output: int) -> _Expected:
    rows, sent = layout.total(layout.rows(cell, hidden)), layout.total(layout.sent_rows(cell, hidden))
    shapes = layout.parameters(cell, layout.Sizes(0, hidden, output if cell.projection else 0))
    return _Expected(rows, sent, {name: shapes.get(name) for name in Weights._fields})


_remembered = lru_cache(_expected)


def check_recurrence(cell: Cell, operands: Operands | LayerOperands) -> None:
    """Raise ShapeError or TypeError unless all operands fit the cell and each other."""
    rows = _check_inputs(operands.inputs) if isinstance(operands, LayerOperands) else _check_gates(operands.gates)
    expect = _expected if torch.compiler.is_compiling() else _remembered  # a compiler sees through no cache
    expected = expect(cell, operands.hidden, operands.output)
    _check_rows(cell, rows, expected.rows, operands.hidden)
    widths = (operands.output, operands.hidden, expected.sent)
    _check_state("state", cell, operands.state, operands.batch, widths)
    if operands.steps.fresh:
        _check_state("fresh state", cell, operands.steps.fresh, operands.batch, widths)
    _check_weights(cell, operands, expected.weights)
    _check_masks(cell, operands)
    check_lengths(operands.steps.lengths, operands.time, operands.batch)
    check_reset(operands.steps.reset, operands.time, operands.batch)
    check_recompute(operands.steps.recompute)
    _check_kinds(operands)


def autocasts(tensor: Tensor) -> bool:
    """Whether autocast is on for the tensor's device."""
    kind = tensor.device.type
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def _check_gates(gates: Tensor) -> int:
    """How many rows the pre-activations have."""
    if gates.dim() != 3:
        raise ShapeError(f"gates have shape {tuple(gates.shape)}; expected (time, batch, rows)")
    _check_floating("gates are", gates)
    return gates.shape[2]


def _check_inputs(inputs: Inputs) -> int:
    """How many rows the pre-activations will have."""
    x, W, b = inputs
    if x.dim() != 3:
        raise ShapeError(f"x has shape {tuple(x.shape)}; expected (time, batch, features)")
    _check_floating("x is", x)
    if W.dim() != 2 or W.shape[1] != x.shape[2]:
        raise ShapeError(f"W has shape {tuple(W.shape)}; expected (rows, features) = (rows, {x.shape[2]})")
    if b is not None and b.shape != W.shape[:1]:
        raise ShapeError(f"b has shape {tuple(b.shape)}; expected one for each row of W: {tuple(W.shape[:1])}")
    return W.shape[0]


def _check_floating(what: str, tensor: Tensor) -> None:
    if not tensor.is_floating_point():
        raise TypeError(f"{what} {tensor.dtype}; a recurrence computes in floating point, for instance torch.float32")


def _check_kinds(operands: Operands | LayerOperands) -> None:
    """One device for all, and one dtype for all but lengths and resets (autocast brings them to one)."""
    names, like = operands.names(), operands.like
    device, dtype = like.device, like.dtype
    for name, tensor in zip(names, operands.tensors(), strict=True):
        if tensor is None:
            continue
        if tensor.device != device:
            raise TypeError(f"{name} is on {tensor.device}, but {names[0]} on {device}; bring all to one device")
        if tensor.dtype != dtype and name not in ("lengths", "reset") and not autocasts(like):
            raise TypeError(f"{name} is {tensor.dtype}, but {names[0]} {dtype}; convert it: .to({dtype})")


def check_lengths(lengths: Tensor | None, time: int, batch: int) -> None:
    """Raise unless lengths are None or (batch,) integers. Their range is checked by `check_length_values`."""
    if lengths is None:
        return
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise TypeError(f"lengths are {lengths.dtype}; they count steps: pass integers, for instance torch.int64")
    if lengths.shape != (batch,):
        raise ShapeError(
            f"lengths have shape {tuple(lengths.shape)}; expected one for each of the {batch} sequences: ({batch},)"
        )


def check_length_values(lengths: Tensor, time: int) -> None:
    """Raise ShapeError unless 0 <= lengths <= time (reads the values: a synchronisation on a GPU)."""
    if lengths.numel() and (bad := (lengths < 0) | (lengths > time)).any():
        at = int(bad.nonzero()[0])
        raise ShapeError(f"lengths[{at}] is {int(lengths[at])}; the input has {time} steps, so a length is 0 to {time}")


def check_reset(reset: Tensor | None, time: int, batch: int) -> None:
    """Raise unless reset is None or (time, batch) booleans."""
    if reset is None:
        return
    if reset.dtype != torch.bool:
        raise TypeError(f"reset is {reset.dtype}; it says yes or no for each step: pass torch.bool")
    if reset.shape != (time, batch):
        raise ShapeError(f"reset has shape {tuple(reset.shape)}; expected (time, batch) = {(time, batch)}")


def check_recompute(recompute: object) -> None:
    """Raise TypeError or ValueError unless recompute is None, "auto" or an integer from 1."""
    if recompute is None or recompute == "auto":
        return
    want = "pass every how many steps a state is kept, an integer from 1, or 'auto', or None for every step"
    if isinstance(recompute, bool) or not isinstance(recompute, int | str):
        raise TypeError(f"recompute is {recompute!r}; {want}")
    if isinstance(recompute, str) or recompute < 1:
        raise ValueError(f"recompute is {recompute!r}; {want}")


def check_step(cell: Cell, pre: Tensor, previous: Tensor, p: Tensor | None, norm: Tensor | None) -> None:
    """Raise ShapeError unless pre (batch, rows, *space), previous (d, batch, hidden, *space), p and norm agree."""
    if previous.dim() < 3 or pre.dim() != previous.dim() - 1:
        raise ShapeError(
            f"pre has shape {tuple(pre.shape)} and previous {tuple(previous.shape)}; "
            "expected (batch, rows, *space) and (predecessors, batch, hidden, *space)"
        )
    predecessors, batch, hidden, *space = previous.shape
    if predecessors > 1 and (isinstance(cell.forget, Complement) or isinstance(cell.input, Complement)):
        raise ShapeError(
            f"cell {name_of(cell)} couples input and forget gate, which has no meaning for {predecessors} predecessors"
        )
    want = (batch, layout.total(layout.rows(cell, hidden, predecessors)), *space)
    if tuple(pre.shape) != want:
        raise ShapeError(
            f"pre has shape {tuple(pre.shape)}; cell {name_of(cell)} with {predecessors} predecessors needs {want}"
        )
    _check_step_weights(cell, previous, p, norm)


def _check_step_weights(cell: Cell, previous: Tensor, p: Tensor | None, norm: Tensor | None) -> None:
    predecessors, _, hidden, *space = previous.shape
    peepholes = layout.total(layout.peephole_rows(cell, predecessors))
    fits = ((peepholes, hidden), (peepholes, hidden, *space)) if peepholes else (None,)
    if (shape := None if p is None else tuple(p.shape)) not in fits:
        raise ShapeError(f"p has shape {shape}; cell {name_of(cell)} with {predecessors} predecessors needs {fits[0]}")
    want = (2, hidden) if cell.norm else None
    if (shape := None if norm is None else tuple(norm.shape)) != want:
        raise ShapeError(f"norm has shape {shape}; cell {name_of(cell)} of {hidden} cells needs {want}")


def _check_rows(cell: Cell, rows: int, want: int, hidden: int) -> None:
    if rows != want:
        raise ShapeError(
            f"gates have {rows} rows, but cell {name_of(cell)} learns {len(cell.learned)} gates "
            f"({', '.join(cell.learned)}) for {hidden} cells: expected {want}"
        )


def _check_state(what: str, cell: Cell, state: State, batch: int, widths: tuple[int, int, int]) -> None:
    for name, tensor, width in zip(State._fields, state, widths, strict=True):
        if (tensor is not None) != (name in cell.state):
            has = "lacks" if tensor is None else "has"
            raise ShapeError(f"the {what} {has} {name!r}; cell {name_of(cell)} carries {', '.join(cell.state)}")
        if tensor is not None and tuple(tensor.shape) != (batch, width):
            raise ShapeError(
                f"the {what}'s {name} has shape {tuple(tensor.shape)}; expected (batch, units) = {(batch, width)}"
            )


def _check_weights(cell: Cell, operands: Operands | LayerOperands, want: dict[str, tuple[int, ...] | None]) -> None:
    if not cell.projection and operands.output != operands.hidden:
        raise ShapeError(f"h has {operands.output} units and c {operands.hidden}; without a projection they are equal")
    for name, tensor in zip(Weights._fields, operands.weights, strict=True):
        shape = None if tensor is None else tuple(tensor.shape)
        if shape != want[name]:
            raise ShapeError(
                f"{name} has shape {shape}; cell {name_of(cell)} of {operands.hidden} cells needs {want[name]}"
            )


def _check_masks(cell: Cell, operands: Operands | LayerOperands) -> None:
    if all(mask is None for mask in operands.noise):
        return
    time, batch = operands.time, operands.batch
    widths = {"zoneout_hidden": operands.output, "zoneout_cell": operands.hidden}
    widths |= {
        "drop_hidden": layout.read_width(cell, operands.hidden, operands.output),
        "drop_candidate": operands.hidden,
    }
    for name, width in widths.items():
        mask = getattr(operands.noise, name)
        if mask is None:
            continue
        if mask.dim() != 3 or any(
            size not in (1, full) for size, full in zip(mask.shape, (time, batch, width), strict=True)
        ):
            raise ShapeError(
                f"{name} has shape {tuple(mask.shape)}; expected {(time, batch, width)}, or 1 along an axis"
            )
