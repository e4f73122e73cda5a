"""One step forwards: what recurs, the gates, the cell and the state, for a tile of cells of some sequences."""

import triton
import triton.language as tl

from carousel.ops.triton.kernels.memory import (
    Call,
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
from carousel.ops.triton.kernels.norm import normalized, normalized_gates, product_of, write_product
from carousel.ops.triton.kernels.products import add_products, gates_of, no_parts, projected, width_of
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
def given_to(gate, at, call):
    """The gate's pre-activation before anything recurs, as it lies in memory."""
    if gate.kind == LEARNED:
        where = in_time(rows_at(gate, at, call), call.size.rows, call)
        return tl.load(call.given.gates + where, inside(at), 0.0)
    else:
        return nothing(call)


@triton.jit
def given_to_all(at, call):
    """Those of the gates i f z o: read before the products, so that nobody waits for them afterwards."""
    i, f = given_to(call.row.input, at, call), given_to(call.row.forget, at, call)
    return i, f, given_to(call.row.candidate, at, call), given_to(call.row.output, at, call)


@triton.jit
def activation(gate, given, recurs, state, at, call):
    """The gate's activation, 1 if it is open; kept for the way back."""
    if gate.kind == LEARNED:
        pre = given.to(recurs.dtype) + recurs
        if gate.peephole != 0:
            pre = peep(pre, gate, state, at, call)
        value = squashed(pre, gate.squash)
        if call.saved.activations is not None:
            where = in_time(rows_at(gate, at, call), call.size.rows, call)
            tl.store(call.saved.activations + where, value, inside(at))
        return value
    else:
        return nothing(call) + 1.0


@triton.jit
def add_state(parts, before, at, call):
    """The parts of the gates' product, and what h and c before the step add to them."""
    if call.row.reads.hidden:
        parts = add_products(parts, HIDDEN, before, at, call)
    if call.row.reads.cell:
        parts = add_products(parts, CELL, before, at, call)
    return parts


@triton.jit
def recurring(before, at, call):
    """What recurs into the gates i f z o."""
    parts = no_parts(4 * call.plan.cells, call)
    if call.row.full:
        parts = add_products(parts, GATES, before, at, call)
    if call.row.norm:
        return with_norm(parts, at, call)
    else:
        return gates_of(add_state(parts, before, at, call))


@triton.jit
def with_norm(parts, at, call):
    """The normalised products, which were computed before, and what full gate recurrence adds to them."""
    i, f = product_of(call.row.input, at, call), product_of(call.row.forget, at, call)
    z, o = product_of(call.row.candidate, at, call), product_of(call.row.output, at, call)
    i, f, z, o = normalized_gates(i, f, z, o, at, call)
    if call.row.full:
        more_i, more_f, more_z, more_o = gates_of(parts)
        return i + more_i, f + more_f, z + more_z, o + more_o
    else:
        return i, f, z, o


@triton.jit
def products_of_step(t, call, before):
    """R h and R c for step t, which layer norm is to meet whole."""
    at = cells_at(t, call)
    i, f, z, o = gates_of(add_state(no_parts(4 * call.plan.cells, call), before, at, call))
    write_product(call.row.input, i, at, call)
    write_product(call.row.forget, f, at, call)
    write_product(call.row.candidate, z, at, call)
    write_product(call.row.output, o, at, call)


@triton.jit(do_not_specialize=["t", "time", "batch"])
def recur(t, time, batch, known, before):
    """The products of step t under layer norm. Grid: tiles of sequences, tiles of cells."""
    products_of_step(t, Call(time, batch, *known), before)


@triton.jit
def settled(value, source: tl.constexpr, old, at, call):
    """h or c after the step: mixed with the old one by zoneout, and the old one behind an end; kept if it is to be."""
    if call.given.masks[source].data is not None:
        value = value + mask_of(call.given.masks[source], at).to(value.dtype) * (old - value)
    kept = call.saved.outputs if source == HIDDEN else call.saved.cells
    if kept is not None:
        tl.store(kept + in_time(at, width_of(source, call), call), tl.where(at.lives[:, None], value, 0.0), at.here)
    return tl.where(at.lives[:, None], value, old)


@triton.jit
def settle(value, source: tl.constexpr, before, after, at, call):
    """Write h or c after the step."""
    width = width_of(source, call)
    old = before_step(before[source], call.given.fresh[source], width, at, call)
    tl.store(after[source] + index(at, width), settled(value, source, old, at, call), at.here)


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
def computed(given, recurs, old, at, call):
    """The gates i f o, the cell state and o h(c): from what is given to and recurs into i f z o, and the old cell."""
    f = activation(call.row.forget, given[1], recurs[1], old, at, call)
    i = activation(call.row.input, given[0], recurs[0], old, at, call)
    if call.row.forget.kind == COMPLEMENT:
        f = 1.0 - i
    if call.row.input.kind == COMPLEMENT:
        i = 1.0 - f
    z = activation(call.row.candidate, given[2], recurs[2], old, at, call)
    c = advanced(i, f, z, old, at, call)
    seen = c if call.row.output.peephole == CURRENT else old
    o = activation(call.row.output, given[3], recurs[3], seen, at, call)
    shown = normalized(c, call.given.norm_cell, at.k, call) if call.row.norm == BA2016 else c
    return i, f, o, c, o * squashed(shown, call.row.squash)


@triton.jit
def step(t, call, before, after, raw):
    """Take step t; with a projection, write o h(c) to `raw` instead of h."""
    at = cells_at(t, call)
    given = given_to_all(at, call)
    old = before_step(before.cell, call.given.fresh.cell, call.size.hidden, at, call)
    i, f, o, c, h = computed(given, recurring(before, at, call), old, at, call)
    if call.row.full:
        send(call.row.input, i, before, after, at, call)
        send(call.row.forget, f, before, after, at, call)
        send(call.row.output, o, before, after, at, call)
    settle(c, CELL, before, after, at, call)
    if call.row.projection:
        tl.store(raw + index(at, call.size.hidden), h, inside(at))
    else:
        settle(h, HIDDEN, before, after, at, call)


@triton.jit(do_not_specialize=["t", "time", "batch"])
def advance(t, time, batch, known, before, after, raw):
    """Step t from the state `before` to the state `after`. Grid: tiles of sequences, tiles of cells."""
    step(t, Call(time, batch, *known), before, after, raw)


@triton.jit
def step_of_projection(t, call, before, after, raw):
    """h = P o h(c), for a tile of the features that leave."""
    at = features_at(t, call.size.output, call)
    settle(projected(raw, at, call), HIDDEN, before, after, at, call)


@triton.jit(do_not_specialize=["t", "time", "batch"])
def project(t, time, batch, known, before, after, raw):
    """What a projection adds to step t. Grid: tiles of sequences, tiles of features."""
    step_of_projection(t, Call(time, batch, *known), before, after, raw)
