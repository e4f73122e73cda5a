"""Products inside a step: what recurs into the gates of a tile, and back again.

Their depth is split among the warps of a program: each multiplies a part of its own, and the parts are summed once, at
the end. What recurs into the four gates of a tile is one product, with i f z o of each cell side by side.
"""

import triton
import triton.language as tl

from carousel.ops.triton.kernels.memory import begins, cell_of, mask_at
from carousel.ops.triton.kernels.row import CELL, GATES, HIDDEN, first, unit

PROJECTED = tl.constexpr(3)
"""Beside the sources HIDDEN, CELL and GATES: what a projection multiplies."""


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
def height_of(source: tl.constexpr, call):
    """How many rows the matrix has that multiplies a source."""
    if source == GATES:
        return call.size.sent
    else:
        return call.size.recurrent


@triton.jit
def matrix_of(source: tl.constexpr, call):
    """What multiplies a source."""
    if source == GATES:
        return call.given.G
    else:
        return call.given.R


@triton.jit
def multiply(total, left, right, call):
    """total + left · right, with sums in total's dtype."""
    left = left.to(right.dtype)
    if call.plan.widens:
        left, right = left.to(total.dtype), right.to(total.dtype)
    return tl.dot(left, right, total, input_precision=call.plan.precision, out_dtype=total.dtype)


@triton.jit
def no_parts(columns: tl.constexpr, call):
    """Zeros of the state's dtype, for a product whose depth is split (split, batch, columns)."""
    return tl.zeros([call.plan.split, call.plan.batch, columns], call.given.initial.cell.dtype.element_ty)


@triton.jit
def deep(start, call):
    """The numbers from `start` on that a product reads at once (split, depth)."""
    split, depth = tl.arange(0, call.plan.split), tl.arange(0, call.plan.depth)
    return split[:, None] * call.plan.depth + depth[None, :] + start


@triton.jit
def summed(parts):
    """The sum of the parts (split, batch, columns) of a product."""
    total = tl.permute(parts, (1, 2, 0))
    if parts.shape[0] >= 8:
        total = folded(total)
    if parts.shape[0] >= 4:
        total = folded(total)
    if parts.shape[0] >= 2:
        total = folded(total)
    return tl.reshape(total, [parts.shape[1], parts.shape[2]])


@triton.jit
def folded(parts):
    """The sums of neighbours in the last dimension: without the barriers that a reduction across warps has."""
    left, right = tl.split(tl.reshape(parts, [parts.shape[0], parts.shape[1], parts.shape[2] // 2, 2]))
    return left + right


@triton.jit
def gates_of(parts):
    """What recurs into the gates i f z o (batch, cells), from the parts of their product."""
    total = summed(parts)
    pairs = tl.reshape(total, [total.shape[0], total.shape[1] // 4, 2, 2])
    i_and_z, f_and_o = tl.split(pairs)
    i, z = tl.split(i_and_z)
    f, o = tl.split(f_and_o)
    return i, f, z, o


@triton.jit
def with_row(rows, there, mine, gate, source: tl.constexpr, k, call):
    """A gate's rows put among those of all, and which of them are there."""
    if gate.receives[source]:
        row = unit(gate, k, call.row) + first(gate.sent if source == GATES else gate.recurrent, call.size)
        return tl.where(mine, row, rows), there | (mine & (k < call.size.hidden))
    else:
        return rows, there


@triton.jit
def rows_of(source: tl.constexpr, call):
    """The rows of the gates i f z o of every cell in the tile, in the matrix of a source, and which are there."""
    number = tl.arange(0, 4 * call.plan.cells)
    k, which = cell_of(number // 4, call), number % 4
    rows, there = tl.zeros_like(k), k < 0
    rows, there = with_row(rows, there, which == 0, call.row.input, source, k, call)
    rows, there = with_row(rows, there, which == 1, call.row.forget, source, k, call)
    rows, there = with_row(rows, there, which == 2, call.row.candidate, source, k, call)
    return with_row(rows, there, which == 3, call.row.output, source, k, call)


@triton.jit
def weights_into(source: tl.constexpr, d, rows, there, call):
    """What multiplies the numbers d of a source on their way into the gates of the tile (split, depth, gates)."""
    width = width_of(source, call)
    where = rows[None, None, :].to(tl.int64) * width + d[:, :, None]
    return tl.load(matrix_of(source, call) + where, there[None, None, :] & (d < width)[:, :, None], 0.0)


@triton.jit
def read(states, source: tl.constexpr, d, at, call):
    """The numbers d of a source as R or G read them before the step (split, batch, depth).

    Other programs may have written them: they are not read from the first cache.
    """
    width = width_of(source, call)
    where, here = at.b[None, :, None] * width + d[:, None, :], (at.b < call.batch)[None, :, None]
    here = here & (d < width)[:, None, :]
    value = tl.load(states[source] + where, here, 0.0, cache_modifier=".cg")
    if call.given.reset is not None:
        fresh = call.given.fresh[source]
        start = 0.0 if fresh is None else tl.load(fresh + where, here, 0.0)
        value = tl.where(begins(at, call)[None, :, None], start, value)
    if source != GATES and call.given.masks.drop_hidden.data is not None:
        mask = call.given.masks.drop_hidden
        dtype: tl.constexpr = call.given.initial.cell.dtype.element_ty
        value = value.to(dtype) * mask_at(mask, at.t, at.b[None, :, None], d[:, None, :], here)
    return value


@triton.jit
def add_products(parts, source: tl.constexpr, before, at, call):
    """The parts of the gates' product, and what the state before the step adds to them through one source."""
    rows, there = rows_of(source, call)
    for start in range(0, width_of(source, call), call.plan.split * call.plan.depth):
        d = deep(start, call)
        weights = weights_into(source, d, rows, there, call)
        parts = multiply(parts, read(before, source, d, at, call), weights, call)
    return parts


@triton.jit
def with_shift(shift, there, gate, source: tl.constexpr, r, call):
    """How far a gate's gradients lie from its rows r, put among that of all, and which rows are there."""
    if gate.receives[source]:
        units, start = call.size.hidden, first(gate.sent if source == GATES else gate.recurrent, call.size)
        if gate.shares:
            units = call.size.shared
        mine = (r >= start) & (r < start + units)
        place = gate.recurrent if call.row.norm and source != GATES else gate.place
        return tl.where(mine, first(place, call.size) - start, shift), there | mine
    else:
        return shift, there


@triton.jit
def columns_of(source: tl.constexpr, r, call):
    """Which gradients the rows r of a source's matrix belong to, and which of them are there."""
    if source == PROJECTED:
        return r, r < call.size.output
    elif call.row.straight[source]:
        return r, r < height_of(source, call)
    else:
        shift, there = tl.zeros_like(r), r < 0
        shift, there = with_shift(shift, there, call.row.input, source, r, call)
        shift, there = with_shift(shift, there, call.row.forget, source, r, call)
        shift, there = with_shift(shift, there, call.row.candidate, source, r, call)
        shift, there = with_shift(shift, there, call.row.output, source, r, call)
        columns = r + shift
        if call.plan.aligned:
            columns = tl.multiple_of(tl.max_contiguous(columns, [1, 16]), [1, 16])
        return columns, there


@triton.jit
def given_at(gradients, row_length, source: tl.constexpr, r, at, call):
    """The gradients (batch, row_length) that belong to rows r of a matrix (split, batch, depth); others wrote them."""
    columns, there = columns_of(source, r, call)
    where = at.b[None, :, None] * row_length + columns[:, None, :]
    here = (at.b < call.batch)[None, :, None] & there[:, None, :]
    return tl.load(gradients + where, here, 0.0, cache_modifier=".cg")


@triton.jit
def weights_out_of(turned, height, source: tl.constexpr, r, k, call):
    """Rows r and columns k of a matrix of that height (split, depth, units), which lies turned: column by column."""
    _, there = columns_of(source, r, call)
    where = k[None, None, :].to(tl.int64) * height + r[:, :, None]
    return tl.load(turned + where, there[:, :, None] & (k < units_of(source, call))[None, None, :], 0.0)


@triton.jit
def units_of(source: tl.constexpr, call):
    """How many columns a matrix has."""
    if source == PROJECTED:
        return call.size.hidden
    else:
        return width_of(source, call)


@triton.jit
def gradients_of(source: tl.constexpr, flow, call):
    """The gradients that belong to the rows of a source's matrix (time, batch, …), and how many a sequence has."""
    if call.row.norm and source != GATES:
        return flow.products, call.size.recurrent
    else:
        return flow.gates, call.size.rows


@triton.jit
def back(flow, source: tl.constexpr, at, call):
    """The gradient of what was read at step t, given those of all its products."""
    gradients, many = gradients_of(source, flow, call)
    gradients += at.t.to(tl.int64) * call.batch * many
    parts = no_parts(call.plan.cells, call)
    for start in range(0, height_of(source, call), call.plan.split * call.plan.depth):
        r = deep(start, call)
        weights = weights_out_of(matrix_of(source, call), height_of(source, call), source, r, at.k, call)
        parts = multiply(parts, given_at(gradients, many, source, r, at, call), weights, call)
    return summed(parts)


@triton.jit
def projected_back(flow, at, call):
    """The gradient of o h(c) at step t, given those of P's product (time, batch, output)."""
    gradients = flow.projected + at.t.to(tl.int64) * call.batch * call.size.output
    parts = no_parts(call.plan.cells, call)
    for start in range(0, call.size.output, call.plan.split * call.plan.depth):
        r = deep(start, call)
        weights = weights_out_of(call.given.P, call.size.output, PROJECTED, r, at.k, call)
        parts = multiply(parts, given_at(gradients, call.size.output, PROJECTED, r, at, call), weights, call)
    return summed(parts)


@triton.jit
def projected(raw, at, call):
    """P o h(c) for a tile of features, given o h(c) (batch, hidden)."""
    parts, hidden = no_parts(call.plan.cells, call), call.size.hidden
    for start in range(0, hidden, call.plan.split * call.plan.depth):
        d = deep(start, call)
        there = at.lives[None, :, None] & (d < hidden)[:, None, :]
        m = tl.load(raw + at.b[None, :, None] * hidden + d[:, None, :], there, 0.0)
        where = at.k[None, None, :].to(tl.int64) * hidden + d[:, :, None]
        there = (d < hidden)[:, :, None] & (at.k < call.size.output)[None, None, :]
        parts = multiply(parts, m, tl.load(call.given.P + where, there, 0.0), call)
    return summed(parts)
