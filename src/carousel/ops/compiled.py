"""The recurrence and the step as registered operators; their schemas follow from the fields of their operands."""

import torch
from torch import Tensor

from carousel.cells import Cell, layout, row
from carousel.ops.backend import pick
from carousel.ops.library import Arguments, Operator, Tensors
from carousel.ops.operands import Moment, Operands, State, StepOperands

AUTO = 0
"""What stands for recompute="auto" among the operator's numbers."""


def recurrence(cell: Cell, operands: Operands) -> tuple[Tensor, State]:
    """The recurrence through its operator: one node in a graph, whatever the length."""
    steps = operands.steps
    numbers = row.encode(cell), steps.reverse, AUTO if steps.recompute == "auto" else steps.recompute
    outputs, hidden, state, gates = _RECURRENCE(*operands.tensors(), *numbers)
    return outputs, State(hidden, state, gates if cell.full_gate_recurrence else None)


def step(cell: Cell, operands: StepOperands) -> Moment:
    """The step through its operator; gates that are open or a complement follow from the learned ones."""
    hidden, state, activations = _STEP(*operands, row.encode(cell))
    return Moment.of(cell, hidden, state, activations, operands.previous.shape[0])


def _words(names: tuple[str, ...], required: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"Tensor{'' if name in required else '?'} {name}" for name in names)


def _run_recurrence(arguments: Arguments) -> Tensors:
    cell, operands = _recurrence_of(arguments)
    outputs, state = pick(cell, operands).recurrence(cell, operands)
    return outputs, *state


def _recurrence_shapes(arguments: Arguments) -> list[Tensor]:
    cell, operands = _recurrence_of(arguments)
    time, batch, _ = operands.gates.shape
    outputs = operands.gates.new_empty(time, batch, operands.output)
    states = [operands.gates.new_empty(batch, width) for width in (operands.output, operands.hidden)]
    sent = layout.total(layout.sent_rows(cell, operands.hidden))
    last = operands.gates.new_empty((batch, sent) if cell.full_gate_recurrence else 0)
    return [outputs, *states, last]


def _recurrence_of(arguments: Arguments) -> tuple[Cell, Operands]:
    *tensors, numbers, reverse, recompute = arguments
    recompute = "auto" if recompute == AUTO else recompute
    return row.decode(list(numbers)), Operands.gather(tensors, reverse=reverse, recompute=recompute)


def _run_step(arguments: Arguments) -> Tensors:
    cell, operands = _step_of(arguments)
    moment = pick(cell, operands).step(cell, operands)
    activations = [gate for name in cell.learned if (gate := moment.gates[name]) is not None]
    return moment.hidden.contiguous(), moment.cell.contiguous(), torch.cat(activations, dim=1).contiguous()


def _step_shapes(arguments: Arguments) -> list[Tensor]:
    _, operands = _step_of(arguments)
    state, dense = operands.previous[0], torch.contiguous_format
    return [torch.empty_like(like, memory_format=dense) for like in (state, state, operands.pre)]


def _step_of(arguments: Arguments) -> tuple[Cell, StepOperands]:
    *tensors, numbers = arguments
    return row.decode(list(numbers)), StepOperands(*tensors)


_RECURRENCE = Operator(
    "recurrence",
    _words(Operands.names(), ("gates", "initial_hidden", "initial_cell")),
    ("int[] row", "bool reverse", "int? recompute"),
    4,
    _run_recurrence,
    _recurrence_shapes,
)
_STEP = Operator("step", _words(StepOperands._fields, ("pre", "previous")), ("int[] row",), 3, _run_step, _step_shapes)
_RECURRENCE.register()
_STEP.register()
