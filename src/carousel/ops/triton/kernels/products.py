"""Products inside a step: what recurs into the gates of a tile, and back again."""

import triton
import triton.language as tl

from carousel.ops.triton.kernels.memory import before_step, mask_of, moved, nothing
from carousel.ops.triton.kernels.row import CELL, GATES, HIDDEN, LEARNED, first, unit


@triton.jit
def receives(gate, source: tl.constexpr, row):
    """Whether a gate has rows in the product of that source."""
    if source == GATES:
        return gate.kind == LEARNED and gate.shares and row.full
    else:
        return gate.kind == LEARNED and gate.reads == source


@triton.jit
def place_in(gate, source: tl.constexpr):
    """Where the gate's rows lie in the matrix of that source."""
    if source == GATES:
        return gate.sent
    else:
        return gate.recurrent


@triton.jit
def width_of(source: tl.constexpr, call):
    """How many numbers a source has."""
    if source == HIDDEN:
        return call.size.output
    elif source == CELL:
        return call.size.hidden
    else:
        return call.size.sent


@triton.jit
def matrix_of(source: tl.constexpr, call):
    """What multiplies a source."""
    if source == GATES:
        return call.given.G
    else:
        return call.given.R


@triton.jit
def part_of(states, source: tl.constexpr):
    """The source's part of a state."""
    if source == HIDDEN:
        return states.hidden
    elif source == CELL:
        return states.cell
    else:
        return states.gates


@triton.jit
def multiply(total, left, right, call):
    """total + left · right, with sums in total's dtype."""
    left = left.to(right.dtype)
    if call.plan.widens:
        left, right = left.to(total.dtype), right.to(total.dtype)
    return tl.dot(left, right, total, input_precision=call.plan.precision, out_dtype=total.dtype)


@triton.jit
def accumulate(total, read, gate, d, source: tl.constexpr, at, call):
    """total (batch, cells) + read (batch, depth) times the gate's rows."""
    if receives(gate, source, call.row):
        width = width_of(source, call)
        rows = unit(gate, at.k, call.row) + first(place_in(gate, source), call.size)
        where = rows[None, :].to(tl.int64) * width + d[:, None]
        there = (d < width)[:, None] & (at.k < call.size.hidden)[None, :]
        return multiply(total, read, tl.load(matrix_of(source, call) + where, there, 0.0), call)
    else:
        return total


@triton.jit
def add_products(totals, source: tl.constexpr, before, at, call):
    """The totals of the gates i f z o, and what the state before the step adds to them through one source."""
    i, f, z, o = totals
    width = width_of(source, call)
    for start in range(0, width, call.plan.depth):
        d = start + tl.arange(0, call.plan.depth)
        there = moved(at, at.t, d, (at.b < call.size.batch)[:, None] & (d < width)[None, :])
        read = before_step(part_of(before, source), part_of(call.given.fresh, source), width, there, call)
        if source != GATES and call.given.masks.drop_hidden.data is not None:
            read = read * mask_of(call.given.masks.drop_hidden, there)
        i = accumulate(i, read, call.row.input, d, source, at, call)
        f = accumulate(f, read, call.row.forget, d, source, at, call)
        z = accumulate(z, read, call.row.candidate, d, source, at, call)
        o = accumulate(o, read, call.row.output, d, source, at, call)
    return i, f, z, o


@triton.jit
def gate_back(total, gradients, gate, source: tl.constexpr, at, call):
    """total (batch, units) + the gradients (batch, rows) of the gate's pre-activations times its rows."""
    if receives(gate, source, call.row):
        width, units = width_of(source, call), call.size.shared if gate.shares else call.size.hidden
        for start in range(0, units, call.plan.depth):
            u = start + tl.arange(0, call.plan.depth)
            where = at.b[:, None] * call.size.rows + (u + first(gate.place, call.size))[None, :]
            given = tl.load(gradients + where, (at.b < call.size.batch)[:, None] & (u < units)[None, :], 0.0)
            rows = (u + first(place_in(gate, source), call.size))[:, None].to(tl.int64) * width
            there = (u < units)[:, None] & (at.k < width)[None, :]
            weights = tl.load(matrix_of(source, call) + rows + at.k[None, :], there, 0.0)
            total = multiply(total, given, weights, call)
    return total


@triton.jit
def back(gradients, source: tl.constexpr, at, call):
    """The gradient of what was read at step t, given those of all its pre-activations (time, batch, rows)."""
    gradients += at.t.to(tl.int64) * call.size.batch * call.size.rows
    total = gate_back(nothing(call), gradients, call.row.input, source, at, call)
    total = gate_back(total, gradients, call.row.forget, source, at, call)
    total = gate_back(total, gradients, call.row.candidate, source, at, call)
    return gate_back(total, gradients, call.row.output, source, at, call)
