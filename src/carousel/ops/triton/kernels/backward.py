"""One step backwards: from the gradients of h and c to those of the pre-activations and of the state before."""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from carousel.ops.triton.kernels.flow import (
    add_to,
    arriving,
    leave,
    of_sent,
    of_state,
    owner,
    put_aside,
    through_zoneout,
    unprojected,
)
from carousel.ops.triton.kernels.forward import advanced, rows_at
from carousel.ops.triton.kernels.memory import (
    Call,
    cell_before,
    cells_at,
    cells_kept,
    features_at,
    in_time,
    index,
    inside,
    mask_of,
    moved,
    nothing,
    over_block,
    step_after,
)
from carousel.ops.triton.kernels.norm import (
    gain_of,
    leads,
    normalized,
    over_gates,
    product_of,
    recurrent_rows,
    standardized,
    standardized_back,
    standardized_gates,
)
from carousel.ops.triton.kernels.products import back, projected_back, width_of
from carousel.ops.triton.kernels.row import (
    BA2016,
    CELL,
    COMPLEMENT,
    CURRENT,
    GATES,
    HIDDEN,
    LEARNED,
    PREVIOUS,
    TORCH_SAMPLE,
)
from carousel.ops.triton.kernels.squash import slope, squashed


class Again(NamedTuple):
    """What a step computed: the old cell state, the gates, the new cell state (before its norm too), and squash(c)."""

    old: Any
    i: Any
    f: Any
    z: Any
    o: Any
    raw: Any
    c: Any
    s: Any


class Kept(NamedTuple):
    """What was kept of a step, as it lies in memory: the cell state before it, the initial one, and the gates."""

    cell: Any
    initial: Any
    i: Any
    f: Any
    z: Any
    o: Any


@triton.jit
def activation_kept(gate, at, call):
    """What the gate let through: 1 if it is open."""
    if gate.kind == LEARNED:
        where = in_time(rows_at(gate, at, call), call.size.rows, call)
        return tl.load(call.saved.activations + where, inside(at), 0.0)
    else:
        return nothing(call) + 1.0


@triton.jit
def kept_of(at, call):
    """What was kept of a step: read as early as can be, and needed late."""
    initial = tl.load(call.given.initial.cell + index(at, call.size.hidden), at.here, 0.0)
    i, f = activation_kept(call.row.input, at, call), activation_kept(call.row.forget, at, call)
    z, o = activation_kept(call.row.candidate, at, call), activation_kept(call.row.output, at, call)
    return Kept(cells_kept(at, call), initial, i, f, z, o)


@triton.jit
def entering(z, at, call):
    """The candidate as the input gate meets it."""
    if call.given.masks.drop_candidate.data is not None:
        return z * mask_of(call.given.masks.drop_candidate, at)
    else:
        return z


@triton.jit
def again(kept, at, call):
    """The step once more, from what was kept of it."""
    old = cell_before(kept.cell, kept.initial, at, call)
    i, f, z, o = kept.i.to(old.dtype), kept.f.to(old.dtype), kept.z.to(old.dtype), kept.o.to(old.dtype)
    if call.row.forget.kind == COMPLEMENT:
        f = 1.0 - i
    if call.row.input.kind == COMPLEMENT:
        i = 1.0 - f
    raw = f * old + i * entering(z, at, call)
    c = advanced(i, f, z, old, at, call)
    shown = normalized(c, call.given.norm_cell, at.k, call) if call.row.norm == BA2016 else c
    return Again(old, i, f, z, o, raw, c, squashed(shown, call.row.squash))


@triton.jit
def pre_activation(gate, given, sent, value, flow, at, call):
    """The gradient of the gate's pre-activation from the cells' share in that of its activation; written down."""
    if gate.kind == LEARNED:
        total = (over_block(given, call) if gate.shares else given) + sent
        total = tl.where(inside(at), total * slope(value, gate.squash), 0.0)
        where = in_time(rows_at(gate, at, call), call.size.rows, call)
        tl.store(flow.gates + where, total, owner(gate, at, call))
        return total
    else:
        return nothing(call)


@triton.jit
def through_peephole(total, gate, pre, state, flow, at, call):
    """total + the gradient of a cell state through the gate's peephole; p's is added to its sum."""
    hidden = call.size.hidden
    units = gate.peephole_at * hidden + at.k
    if flow.p is not None:
        where = at.b[:, None] * (call.row.peepholes * hidden) + units[None, :]
        add_to(flow.p, where, pre * state, inside(at))
    return total + pre * tl.load(call.given.p + units, at.k < hidden, 0.0).to(pre.dtype)[None, :]


@triton.jit
def norm_back(given, value, flow, at, call):
    """The gradient of a value before layer norm over the cells; gain's and bias's are added to their sums."""
    hidden = call.size.hidden
    gain = tl.load(call.given.norm_cell + at.k, at.k < hidden, 0.0).to(value.dtype)
    standard, factor = standardized(value, at.k, call)
    if flow.norm_cell is not None:
        where = index(at, 2 * hidden)
        add_to(flow.norm_cell, where, given * standard, inside(at))
        add_to(flow.norm_cell, where + hidden, given, inside(at))
    return standardized_back(given * gain[None, :], standard, factor, inside(at), hidden)


@triton.jit
def gained(gate, pre, standard, flow, at, call):
    """A gate's gradient times the gain; gain's and bias's are added to their sums."""
    if gate.recurs:
        if flow.norm_recurrent is not None:
            where = at.b[:, None] * (2 * call.size.recurrent) + recurrent_rows(gate, at.k, call)[None, :]
            here = inside(at) & leads(gate, at.k, call)[None, :]
            add_to(flow.norm_recurrent, where, pre * standard, here)
            add_to(flow.norm_recurrent, where + call.size.recurrent, pre, here)
        gain, _ = gain_of(gate, at.k, call)
        return pre * gain[None, :].to(pre.dtype)
    else:
        return nothing(call)


@triton.jit
def given_product(gate, value, flow, at, call):
    """The gradient of R h for a gate; written down."""
    value = tl.where(inside(at), value, 0.0)
    if gate.recurs:
        there = moved(at, at.t, recurrent_rows(gate, at.k, call), owner(gate, at, call))
        tl.store(flow.products + in_time(there, call.size.recurrent, call), value, there.here)
    return value


@triton.jit
def of_products(i, f, z, o, flow, at, call):
    """The gradients of R h, from those of the gates' pre-activations: the same but for layer norm."""
    if call.row.norm:
        return norm_gates_back(i, f, z, o, flow, at, call)
    else:
        return i, f, z, o


@triton.jit
def norm_gates_back(i, f, z, o, flow, at, call):
    """The gradients of R h before layer norm, from those of the gates' pre-activations."""
    x_i, x_f = product_of(call.row.input, at, call), product_of(call.row.forget, at, call)
    x_z, x_o = product_of(call.row.candidate, at, call), product_of(call.row.output, at, call)
    x_i, x_f, x_z, x_o, factor = standardized_gates(x_i, x_f, x_z, x_o, at, call)
    i, f = gained(call.row.input, i, x_i, flow, at, call), gained(call.row.forget, f, x_f, flow, at, call)
    z, o = gained(call.row.candidate, z, x_z, flow, at, call), gained(call.row.output, o, x_o, flow, at, call)
    mean = over_gates(i, f, z, o, at, call)[:, None]
    along, factor = over_gates(i * x_i, f * x_f, z * x_z, o * x_o, at, call)[:, None], factor[:, None]
    i = given_product(call.row.input, factor * (i - mean - x_i * along), flow, at, call)
    f = given_product(call.row.forget, factor * (f - mean - x_f * along), flow, at, call)
    z = given_product(call.row.candidate, factor * (z - mean - x_z * along), flow, at, call)
    o = given_product(call.row.output, factor * (o - mean - x_o * along), flow, at, call)
    return i, f, z, o


@triton.jit
def of_cell(d_h, d_c, pre_o, made, flow, at, call):
    """The gradient of the cell state before its norm: from h, the state after the step, and the output gate."""
    d_shown = tl.where(inside(at), d_h * made.o * slope(made.s, call.row.squash), 0.0)
    if call.row.norm == BA2016:
        d_shown = norm_back(d_shown, made.c, flow, at, call)
    d_c += d_shown
    if call.row.output.peephole == CURRENT:
        d_c = through_peephole(d_c, call.row.output, pre_o, made.c, flow, at, call)
    if call.row.norm == TORCH_SAMPLE:
        d_c = norm_back(d_c, made.raw, flow, at, call)
    return d_c


@triton.jit
def seen(total, gate, pre, old, flow, at, call):
    """total + the gradient of the old cell state through the gate's peephole, if it has one."""
    if gate.peephole == PREVIOUS:
        return through_peephole(total, gate, pre, old, flow, at, call)
    else:
        return total


@triton.jit
def undone(made, d_h, d_state, sent, flow, at, call):
    """The gradients of the pre-activations of the gates i f z o, and of the cell state before the step.

    Given are those of o h(c), of the cell state after it and of the gates i f o that were sent on.
    """
    d_c, passed = through_zoneout(d_state, CELL, flow, at, call)
    pre_o = pre_activation(call.row.output, d_h * made.s, sent[2], made.o, flow, at, call)
    d_c = of_cell(d_h, d_c, pre_o, made, flow, at, call)
    d_i, d_f, d_z = d_c * entering(made.z, at, call), d_c * made.old, entering(d_c * made.i, at, call)
    if call.row.forget.kind == COMPLEMENT:
        d_i -= d_f
    if call.row.input.kind == COMPLEMENT:
        d_f -= d_i
    pre_i = pre_activation(call.row.input, d_i, sent[0], made.i, flow, at, call)
    pre_f = pre_activation(call.row.forget, d_f, sent[1], made.f, flow, at, call)
    pre_z = pre_activation(call.row.candidate, d_z, nothing(call), made.z, flow, at, call)
    d_old = seen(d_c * made.f, call.row.output, pre_o, made.old, flow, at, call)
    d_old = seen(d_old, call.row.input, pre_i, made.old, flow, at, call)
    d_old = seen(d_old, call.row.forget, pre_f, made.old, flow, at, call)
    d_old = seen(d_old, call.row.candidate, pre_z, made.old, flow, at, call)
    where = index(at, call.size.hidden)
    d_old = put_aside(tl.where(inside(at), d_old, 0.0), flow.fresh.cell, where, at, call)
    return pre_i, pre_f, pre_z, pre_o, passed + d_old


@triton.jit
def read_back(source: tl.constexpr, t, flow, call):
    """What R gives back of the gradients of its products at step t, to one source."""
    width = width_of(source, call)
    at = features_at(t, width, call)
    tl.store(flow.read[source] + index(at, width), back(flow, source, at, call), at.here)


@triton.jit
def products_back(t, call, flow):
    """What R gives back to h and c."""
    if call.row.reads.hidden:
        read_back(HIDDEN, t, flow, call)
    if call.row.reads.cell:
        read_back(CELL, t, flow, call)


@triton.jit(do_not_specialize=["t", "time", "batch"])
def recur_back(t, time, batch, known, flow):
    """What R gives back under layer norm. Grid: tiles of sequences, the widest part's tiles."""
    products_back(t, Call(time, batch, *known), flow)


@triton.jit
def projection_back(t, call, flow):
    """What P gives back to o h(c)."""
    at = cells_at(t, call)
    tl.store(flow.raw + index(at, call.size.hidden), projected_back(flow, at, call), at.here)


@triton.jit(do_not_specialize=["t", "time", "batch"])
def unproject(t, time, batch, known, flow):
    """What P gives back under layer norm, given the gradient of its product. Grid: tiles of sequences, of cells."""
    projection_back(t, Call(time, batch, *known), flow)


@triton.jit
def step_of_projection_back(t, call, flow, LAST: tl.constexpr):
    """The gradient of P's product, for a tile of the features that left."""
    at = features_at(t, call.size.output, call)
    value = arriving(step_after(t, call), flow, LAST, at, call)
    tl.store(flow.projected + in_time(at, call.size.output, call), value, at.here)


@triton.jit(do_not_specialize=["t", "time", "batch"])
def collect(t, time, batch, known, flow, LAST: tl.constexpr):
    """The gradient of P's product at step t. Grid: tiles of sequences, tiles of features."""
    step_of_projection_back(t, Call(time, batch, *known), flow, LAST)


@triton.jit
def show(made, raw, at, call):
    """Write o h(c), which P multiplied."""
    tl.store(raw + in_time(at, call.size.hidden, call), tl.where(inside(at), made.o * made.s, 0.0), at.here)


@triton.jit
def step_back(t, call, flow, raw, LAST: tl.constexpr):
    """Undo step t; with a projection, o h(c) is written to `raw` (time, batch, hidden)."""
    at, later = cells_at(t, call), step_after(t, call)
    kept = kept_of(at, call)
    d_h = unprojected(flow, at, call) if call.row.projection else arriving(later, flow, LAST, at, call)
    made = again(kept, at, call)
    if call.row.projection:
        show(made, raw, at, call)
    sent_i = of_sent(call.row.input, later, flow, LAST, at, call)
    sent_f = of_sent(call.row.forget, later, flow, LAST, at, call)
    sent_o = of_sent(call.row.output, later, flow, LAST, at, call)
    tl.debug_barrier()
    leave(call.row.input, sent_i, flow, at, call)
    leave(call.row.forget, sent_f, flow, at, call)
    leave(call.row.output, sent_o, flow, at, call)
    d_state = of_state(CELL, moved(at, later, at.k, at.here), flow, LAST, call)
    i, f, z, o, d_old = undone(made, d_h, d_state, (sent_i, sent_f, sent_o), flow, at, call)
    of_products(i, f, z, o, flow, at, call)
    tl.store(flow.carried.cell + index(at, call.size.hidden), d_old, at.here)


@triton.jit(do_not_specialize=["t", "time", "batch"])
def retreat(t, time, batch, known, flow, raw, LAST: tl.constexpr):
    """From the gradients behind step t to those of its pre-activations, and to what is carried to the step before.

    LAST says that no step comes after t in the order of the loop. Grid: tiles of sequences, tiles of cells.
    """
    step_back(t, Call(time, batch, *known), flow, raw, LAST)


@triton.jit
def finish_part(source: tl.constexpr, later, flow, call):
    """Add what reaches a part of the initial state through the first step's product."""
    width = width_of(source, call)
    at = features_at(later, width, call)
    value = of_state(source, at, flow, False, call)
    tl.store(flow.carried[source] + index(at, width), value, at.here)


@triton.jit
def finish_parts(later, call, flow):
    """The gradients of the initial state."""
    if call.row.reads.hidden:
        finish_part(HIDDEN, later, flow, call)
    if call.row.reads.cell:
        finish_part(CELL, later, flow, call)
    if call.row.full:
        finish_part(GATES, later, flow, call)


@triton.jit(do_not_specialize=["later", "time", "batch"])
def finish(later, time, batch, known, flow):
    """The gradients of the initial state, in place of what was carried. Grid: tiles of sequences, the widest part's."""
    finish_parts(later, Call(time, batch, *known), flow)
