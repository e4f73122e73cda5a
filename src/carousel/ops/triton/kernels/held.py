"""Weights that a program holds over all steps, one tile of all cells for each gate, and its products with them."""

import triton
import triton.language as tl

from carousel.ops.triton.kernels.memory import nothing
from carousel.ops.triton.kernels.norm import leads
from carousel.ops.triton.kernels.products import matrix_of, multiply, width_of
from carousel.ops.triton.kernels.row import CELL, GATES, HIDDEN, LEARNED, first, unit


@triton.jit
def weights_at(source: tl.constexpr, rows, columns, there, call):
    """Rows and columns of the matrix that multiplies a source."""
    return tl.load(matrix_of(source, call) + rows * width_of(source, call) + columns, there, 0.0)


@triton.jit
def into(gate, at, call):
    """What multiplies the state on its way into a gate (source, cells)."""
    if gate.recurs:
        rows = unit(gate, at.k, call.row) + first(gate.recurrent, call.size)
        d, width = tl.arange(0, call.plan.cells), width_of(gate.reads, call)
        there = (d < width)[:, None] & (at.k < call.size.hidden)[None, :]
        return weights_at(gate.reads, rows[None, :], d[:, None], there, call)
    else:
        return 0.0


@triton.jit
def out_of(gate, at, call):
    """What multiplies the gradients of a gate on their way back to the state (cells, source)."""
    if gate.recurs:
        rows = unit(gate, at.k, call.row) + first(gate.recurrent, call.size)
        d, width = tl.arange(0, call.plan.cells), width_of(gate.reads, call)
        there = leads(gate, at.k, call)[:, None] & (d < width)[None, :]
        return weights_at(gate.reads, rows[:, None], d[None, :], there, call)
    else:
        return 0.0


@triton.jit
def sent_into(sender, gate, at, call):
    """What multiplies a sender's activation on its way into a gate (cells of the sender, cells)."""
    if gate.receives.gates and sender.kind == LEARNED:
        rows = unit(gate, at.k, call.row) + first(gate.sent, call.size)
        columns = unit(sender, at.k, call.row) + first(sender.sent, call.size)
        there = leads(sender, at.k, call)[:, None] & (at.k < call.size.hidden)[None, :]
        return weights_at(GATES, rows[None, :], columns[:, None], there, call)
    else:
        return 0.0


@triton.jit
def sent_out_of(sender, gate, at, call):
    """What multiplies a gate's gradients on their way back to a sender's activation (cells, cells of the sender)."""
    if gate.receives.gates and sender.kind == LEARNED:
        rows = unit(gate, at.k, call.row) + first(gate.sent, call.size)
        columns = unit(sender, at.k, call.row) + first(sender.sent, call.size)
        there = leads(gate, at.k, call)[:, None] & (at.k < call.size.hidden)[None, :]
        return weights_at(GATES, rows[:, None], columns[None, :], there, call)
    else:
        return 0.0


@triton.jit
def product(gate, hidden, cell, weights, call):
    """What the state adds to a gate."""
    if gate.receives[HIDDEN]:
        return multiply(nothing(call), hidden, weights, call)
    elif gate.receives[CELL]:
        return multiply(nothing(call), cell, weights, call)
    else:
        return nothing(call)


@triton.jit
def product_back(total, source: tl.constexpr, gate, given, weights, call):
    """total + what a gate gives back to a source."""
    if gate.receives[source]:
        return multiply(total, given, weights, call)
    else:
        return total


@triton.jit
def sent_product(total, sender, gate, value, weights, call):
    """total + what a sender's activation adds to a gate, or on the way back the one's gradient to the other's."""
    if gate.receives.gates and sender.kind == LEARNED:
        return multiply(total, value, weights, call)
    else:
        return total


@triton.jit
def projection_at(rows, columns, call):
    """The projection's weights, from features in rows and cells in columns."""
    there = (rows < call.size.output) & (columns < call.size.hidden)
    return tl.load(call.given.P + rows * call.size.hidden + columns, there, 0.0)


@triton.jit
def projecting(at, out, call):
    """What multiplies o h(c) (cells, features)."""
    if call.row.projection:
        return projection_at(out.k[None, :], at.k[:, None], call)
    else:
        return 0.0


@triton.jit
def projecting_back(at, out, call):
    """What multiplies the gradient of h (features, cells)."""
    if call.row.projection:
        return projection_at(out.k[:, None], at.k[None, :], call)
    else:
        return 0.0


@triton.jit
def all_sent_into(gate, at, call):
    """What multiplies the activations i f o on their way into a gate."""
    return (
        sent_into(call.row.input, gate, at, call), sent_into(call.row.forget, gate, at, call),
        sent_into(call.row.output, gate, at, call),
    )  # fmt: skip


@triton.jit
def sent_out_of_all(sender, at, call):
    """What multiplies the gradients of the gates i f o on their way back to a sender's activation."""
    return (
        sent_out_of(sender, call.row.input, at, call), sent_out_of(sender, call.row.forget, at, call),
        sent_out_of(sender, call.row.output, at, call),
    )  # fmt: skip


@triton.jit
def add_sent(total, gate, i, f, o, weights, call):
    """total + what the activations i f o add to a gate."""
    total = sent_product(total, call.row.input, gate, i, weights[0], call)
    total = sent_product(total, call.row.forget, gate, f, weights[1], call)
    return sent_product(total, call.row.output, gate, o, weights[2], call)


@triton.jit
def given_back(sender, i, f, o, weights, call):
    """What the gradients of the gates i f o give back to a sender's activation."""
    total = sent_product(nothing(call), sender, call.row.input, i, weights[0], call)
    total = sent_product(total, sender, call.row.forget, f, weights[1], call)
    return sent_product(total, sender, call.row.output, o, weights[2], call)
