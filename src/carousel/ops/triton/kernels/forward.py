"""One step forwards: what recurs, the gates, the cell and the state, for a tile of cells of some sequences."""

import triton
import triton.language as tl

from carousel.ops.triton.kernels.memory import (
    before_step,
    cells_at,
    features_at,
    in_time,
    index,
    inside,
    mask_of,
    moved,
    nothing,
    over_block,
)
from carousel.ops.triton.kernels.norm import normalized, normalized_gates, product_of
from carousel.ops.triton.kernels.products import add_products, multiply, part_of, width_of
from carousel.ops.triton.kernels.row import (
    BA2016,
    CELL,
    COMPLEMENT,
    CURRENT,
    GATES,
    HIDDEN,
    LEARNED,
    TORCH_SAMPLE,
    first,
    unit,
)
from carousel.ops.triton.kernels.squash import squashed


@triton.jit
def peep(pre, gate, state, at, call):
    """The pre-activation and what the gate sees of a cell state."""
    where = call.given.p + gate.peephole_at * call.size.hidden + at.k
    p = tl.load(where, at.k < call.size.hidden, 0.0).to(state.dtype)
    seen = tl.where(inside(at), state * p[None, :], 0.0)
    return pre + (over_block(seen, call) if gate.shares else seen)


@triton.jit
def rows_at(gate, at, call):
    """The tile's rows of a gate, in place of its cells."""
    return moved(at, at.t, unit(gate, at.k, call.row) + first(gate.place, call.size), at.here)


@triton.jit
def activation(gate, recurs, state, at, call):
    """The gate's activation, 1 if it is open; kept for the way back."""
    if gate.kind == LEARNED:
        where = in_time(rows_at(gate, at, call), call.size.rows, call)
        pre = tl.load(call.given.gates + where, inside(at), 0.0).to(recurs.dtype) + recurs
        if gate.peephole != 0:
            pre = peep(pre, gate, state, at, call)
        value = squashed(pre, gate.squash)
        if call.saved.activations is not None:
            tl.store(call.saved.activations + where, value, inside(at))
        return value
    else:
        return nothing(call) + 1.0


@triton.jit
def recurring(before, at, call):
    """What recurs into the gates i f z o."""
    if call.row.norm:
        i, f = product_of(call.row.input, at, call), product_of(call.row.forget, at, call)
        z, o = product_of(call.row.candidate, at, call), product_of(call.row.output, at, call)
        totals = normalized_gates(i, f, z, o, at, call)
    else:
        totals = nothing(call), nothing(call), nothing(call), nothing(call)
        if call.row.reads_hidden:
            totals = add_products(totals, HIDDEN, before, at, call)
        if call.row.reads_cell:
            totals = add_products(totals, CELL, before, at, call)
    if call.row.full:
        totals = add_products(totals, GATES, before, at, call)
    return totals


@triton.jit
def share_of(source: tl.constexpr, call):
    """Zoneout's mask for a part of the state."""
    if source == HIDDEN:
        return call.given.masks.zoneout_hidden
    else:
        return call.given.masks.zoneout_cell


@triton.jit
def settled(value, source: tl.constexpr, old, at, call):
    """h or c after the step: mixed with the old one by zoneout, and the old one behind an end; kept if it is to be."""
    if share_of(source, call).data is not None:
        value = value + mask_of(share_of(source, call), at).to(value.dtype) * (old - value)
    kept = call.saved.outputs if source == HIDDEN else call.saved.cells
    if kept is not None:
        tl.store(kept + in_time(at, width_of(source, call), call), tl.where(at.lives[:, None], value, 0.0), at.here)
    return tl.where(at.lives[:, None], value, old)


@triton.jit
def settle(value, source: tl.constexpr, before, after, at, call):
    """Write h or c after the step."""
    width = width_of(source, call)
    old = before_step(part_of(before, source), part_of(call.given.fresh, source), width, at, call)
    tl.store(part_of(after, source) + index(at, width), settled(value, source, old, at, call), at.here)


@triton.jit
def send(gate, value, before, after, at, call):
    """Hand a gate's activation to the next step."""
    if gate.kind == LEARNED:
        there = moved(at, at.t, unit(gate, at.k, call.row) + first(gate.sent, call.size), at.here)
        old = before_step(before.gates, call.given.fresh.gates, call.size.sent, there, call)
        tl.store(after.gates + index(there, call.size.sent), tl.where(at.lives[:, None], value, old), at.here)


@triton.jit
def advanced(i, f, z, old, at, call):
    """The new cell state."""
    if call.given.masks.drop_candidate.data is not None:
        z = z * mask_of(call.given.masks.drop_candidate, at)
    c = f * old + i * z
    if call.row.norm == TORCH_SAMPLE:
        return normalized(c, call.given.norm_cell, at.k, call)
    else:
        return c


@triton.jit
def computed(recurs_i, recurs_f, recurs_z, recurs_o, old, at, call):
    """The gates i f o, the cell state and o h(c), from what recurs and the cell state before."""
    f = activation(call.row.forget, recurs_f, old, at, call)
    i = activation(call.row.input, recurs_i, old, at, call)
    if call.row.forget.kind == COMPLEMENT:
        f = 1.0 - i
    if call.row.input.kind == COMPLEMENT:
        i = 1.0 - f
    z = activation(call.row.candidate, recurs_z, old, at, call)
    c = advanced(i, f, z, old, at, call)
    o = activation(call.row.output, recurs_o, c if call.row.output.peephole == CURRENT else old, at, call)
    shown = normalized(c, call.given.norm_cell, at.k, call) if call.row.norm == BA2016 else c
    return i, f, o, c, o * squashed(shown, call.row.squash)


@triton.jit(do_not_specialize=["t"])
def advance(t, call, before, after, raw):
    """Take step t from the state `before` to the state `after`; with a projection, write o h(c) to `raw` instead of h.

    Grid: tiles of cells, tiles of sequences.
    """
    at = cells_at(t, call)
    recurs_i, recurs_f, recurs_z, recurs_o = recurring(before, at, call)
    old = before_step(before.cell, call.given.fresh.cell, call.size.hidden, at, call)
    i, f, o, c, h = computed(recurs_i, recurs_f, recurs_z, recurs_o, old, at, call)
    if call.row.full:
        send(call.row.input, i, before, after, at, call)
        send(call.row.forget, f, before, after, at, call)
        send(call.row.output, o, before, after, at, call)
    settle(c, CELL, before, after, at, call)
    if call.row.projection:
        tl.store(raw + index(at, call.size.hidden), h, inside(at))
    else:
        settle(h, HIDDEN, before, after, at, call)


@triton.jit(do_not_specialize=["t"])
def project(t, call, before, after, raw):
    """h = P o h(c), for a tile of the features that leave. Grid: tiles of features, tiles of sequences."""
    at, hidden = features_at(t, call.size.output, call), call.size.hidden
    h = nothing(call)
    for start in range(0, hidden, call.plan.depth):
        d = start + tl.arange(0, call.plan.depth)
        there = at.lives[:, None] & (d < hidden)[None, :]
        m = tl.load(raw + at.b[:, None] * hidden + d[None, :], there, 0.0)
        where = at.k[None, :].to(tl.int64) * hidden + d[:, None]
        there = (d < hidden)[:, None] & (at.k < call.size.output)[None, :]
        h = multiply(h, m, tl.load(call.given.P + where, there, 0.0), call)
    settle(h, HIDDEN, before, after, at, call)
