"""All steps in one program, for few cells: it holds the weights and the state of its sequences from step to step."""

import triton
import triton.language as tl

from carousel.ops.triton.kernels.backward import again, kept_of, of_products, show, undone
from carousel.ops.triton.kernels.flow import of_outputs, of_read, owner, put_aside, sent_at, through_zoneout
from carousel.ops.triton.kernels.forward import computed, given_to_all, settled
from carousel.ops.triton.kernels.held import (
    add_sent,
    all_sent_into,
    given_back,
    into,
    out_of,
    product,
    product_back,
    projecting,
    projecting_back,
    sent_out_of_all,
)
from carousel.ops.triton.kernels.memory import (
    Call,
    back_again,
    cells_at,
    features_at,
    forth,
    in_time,
    index,
    inside,
    mask_of,
    moved,
    nothing,
    put_back,
)
from carousel.ops.triton.kernels.norm import keep_product, normalized_gates
from carousel.ops.triton.kernels.products import multiply
from carousel.ops.triton.kernels.row import CELL, HIDDEN, LEARNED


@triton.jit
def sent_of(gate, states, at, call):
    """A gate's activation among those sent on, or its gradient."""
    if call.row.full and gate.kind == LEARNED:
        where = index(sent_at(gate, at.t, at, call), call.size.sent)
        return tl.load(states.gates + where, at.here, 0.0).to(nothing(call).dtype)
    else:
        return nothing(call)


@triton.jit
def write_sent(gate, value, states, at, call):
    """Write it."""
    if call.row.full and gate.kind == LEARNED:
        where = index(sent_at(gate, at.t, at, call), call.size.sent)
        tl.store(states.gates + where, value, owner(gate, at, call))


@triton.jit
def loaded(states, at, out, call):
    """The program's part of a state, or of its gradient: h, c and the gates i f o."""
    h = tl.load(states.hidden + index(out, call.size.output), out.here, 0.0).to(nothing(call).dtype)
    c = tl.load(states.cell + index(at, call.size.hidden), at.here, 0.0)
    i, f = sent_of(call.row.input, states, at, call), sent_of(call.row.forget, states, at, call)
    return h, c, i, f, sent_of(call.row.output, states, at, call)


@triton.jit
def write_all_sent(gates, states, at, call):
    """Write the gates i f o."""
    write_sent(call.row.input, gates[0], states, at, call)
    write_sent(call.row.forget, gates[1], states, at, call)
    write_sent(call.row.output, gates[2], states, at, call)


@triton.jit
def store(h, c, gates, states, at, out, call):
    """Write the program's part of a state, or of its gradient."""
    tl.store(states.hidden + index(out, call.size.output), h, out.here)
    tl.store(states.cell + index(at, call.size.hidden), c, at.here)
    write_all_sent(gates, states, at, call)


@triton.jit
def sent_put_back(gate, value, at, call):
    """A gate's activation before a step."""
    if call.row.full and gate.kind == LEARNED:
        return put_back(value, call.given.fresh.gates, call.size.sent, sent_at(gate, at.t, at, call), call)
    else:
        return value


@triton.jit
def dropped(value, at, call):
    """A part of the state as R reads it."""
    if call.given.masks.drop_hidden.data is not None:
        return value * mask_of(call.given.masks.drop_hidden, at)
    else:
        return value


@triton.jit
def recurring(h, c, held, at, out, call):
    """What recurs into the gates i f z o, from the state before."""
    if call.row.reads.hidden:
        h = dropped(h, out, call)
    if call.row.reads.cell:
        c = dropped(c, at, call)
    i, f = product(call.row.input, h, c, held[0], call), product(call.row.forget, h, c, held[1], call)
    z, o = product(call.row.candidate, h, c, held[2], call), product(call.row.output, h, c, held[3], call)
    if call.row.norm:
        keep_product(call.row.input, i, at, call)
        keep_product(call.row.forget, f, at, call)
        keep_product(call.row.candidate, z, at, call)
        keep_product(call.row.output, o, at, call)
        i, f, z, o = normalized_gates(i, f, z, o, at, call)
    return i, f, z, o


@triton.jit
def of_product(source: tl.constexpr, given, held, flow, at, call):
    """The gradient that reaches a part of the state through the products with R, from the gates i f z o."""
    total = product_back(nothing(call), source, call.row.input, given[0], held[0], call)
    total = product_back(total, source, call.row.forget, given[1], held[1], call)
    total = product_back(total, source, call.row.candidate, given[2], held[2], call)
    total = product_back(total, source, call.row.output, given[3], held[3], call)
    return of_read(total, source, flow, at, call)


@triton.jit
def left(sender, value, given, held, flow, at, call):
    """The gradient of a gate's activation before the step: what passed it by, and what the gates i f o give back."""
    if call.row.full and sender.kind == LEARNED:
        there = sent_at(sender, at.t, at, call)
        total = given_back(sender, given[0], given[1], given[2], held, call)
        written = moved(there, at.t, there.k, owner(sender, at, call))
        total = put_aside(total, flow.fresh.gates, index(there, call.size.sent), written, call)
        return tl.where(at.lives[:, None], 0.0, value) + total
    else:
        return value


@triton.jit
def forwards_through(call, after):
    """From the initial state to the state `after`."""
    at, out = cells_at(forth(0, call), call), features_at(0, call.size.output, call)
    h, c, i, f, o = loaded(call.given.initial, at, out, call)
    held = (
        into(call.row.input, at, call), into(call.row.forget, at, call),
        into(call.row.candidate, at, call), into(call.row.output, at, call),
    )  # fmt: skip
    held_i, held_f = all_sent_into(call.row.input, at, call), all_sent_into(call.row.forget, at, call)
    held_o, P = all_sent_into(call.row.output, at, call), projecting(at, out, call)
    given = given_to_all(at, call)
    for n in range(call.time):
        t = forth(n, call)
        at, out = cells_at(t, call), features_at(t, call.size.output, call)
        later = given_to_all(cells_at(forth(n + 1, call), call), call)
        h = put_back(h, call.given.fresh.hidden, call.size.output, out, call)
        c = put_back(c, call.given.fresh.cell, call.size.hidden, at, call)
        recurs = recurring(h, c, held, at, out, call)
        if call.row.full:
            i, f = sent_put_back(call.row.input, i, at, call), sent_put_back(call.row.forget, f, at, call)
            o = sent_put_back(call.row.output, o, at, call)
            recurs_i = add_sent(recurs[0], call.row.input, i, f, o, held_i, call)
            recurs_f = add_sent(recurs[1], call.row.forget, i, f, o, held_f, call)
            recurs_o = add_sent(recurs[3], call.row.output, i, f, o, held_o, call)
            recurs = recurs_i, recurs_f, recurs[2], recurs_o
        new_i, new_f, new_o, new_c, m = computed(given, recurs, c, at, call)
        if call.row.full:
            i, f = tl.where(at.lives[:, None], new_i, i), tl.where(at.lives[:, None], new_f, f)
            o = tl.where(at.lives[:, None], new_o, o)
        c = settled(new_c, CELL, c, at, call)
        if call.row.projection:
            m = multiply(nothing(call), tl.where(inside(at), m, 0.0), P, call)
        h = settled(m, HIDDEN, h, out, call)
        given = later
    store(h, c, (i, f, o), after, at, out, call)


@triton.jit
def backwards_through(call, flow, raw):
    """From the gradients of the last state to those of the initial one, in place of what is carried."""
    at, out = cells_at(back_again(0, call), call), features_at(back_again(0, call), call.size.output, call)
    d_h, d_c, d_i, d_f, d_o = loaded(flow.carried, at, out, call)
    held = (
        out_of(call.row.input, at, call), out_of(call.row.forget, at, call),
        out_of(call.row.candidate, at, call), out_of(call.row.output, at, call),
    )  # fmt: skip
    held_i, held_f = sent_out_of_all(call.row.input, at, call), sent_out_of_all(call.row.forget, at, call)
    held_o, P = sent_out_of_all(call.row.output, at, call), projecting_back(at, out, call)
    kept, outside = kept_of(at, call), of_outputs(flow, out, call)
    for n in range(call.time):
        t = back_again(n, call)
        at, out = cells_at(t, call), features_at(t, call.size.output, call)
        t = back_again(n + 1, call)
        earlier = kept_of(cells_at(t, call), call)
        earlier_outside = of_outputs(flow, features_at(t, call.size.output, call), call)
        made = again(kept, at, call)
        given, d_h = through_zoneout(d_h + outside, HIDDEN, flow, out, call)
        if call.row.projection:
            tl.store(flow.projected + in_time(out, call.size.output, call), given, out.here)
            given = tl.where(inside(at), multiply(nothing(call), given, P, call), 0.0)
            show(made, raw, at, call)
        i, f, z, o, d_c = undone(made, given, d_c, (d_i, d_f, d_o), flow, at, call)
        given = of_products(i, f, z, o, flow, at, call)
        if call.row.reads.hidden:
            d_h += of_product(HIDDEN, given, held, flow, out, call)
        if call.row.reads.cell:
            d_c += of_product(CELL, given, held, flow, at, call)
        if call.row.full:
            d_i = left(call.row.input, d_i, (i, f, o), held_i, flow, at, call)
            d_f = left(call.row.forget, d_f, (i, f, o), held_f, flow, at, call)
            d_o = left(call.row.output, d_o, (i, f, o), held_o, flow, at, call)
        kept, outside = earlier, earlier_outside
    store(d_h, d_c, (d_i, d_f, d_o), flow.carried, at, out, call)


@triton.jit(do_not_specialize=["time", "batch"])
def forwards(time, batch, known, after):
    """All steps from the initial state to the state `after`. Grid: tiles of sequences, 1."""
    forwards_through(Call(time, batch, *known), after)


@triton.jit(do_not_specialize=["time", "batch"])
def backwards(time, batch, known, flow, raw):
    """All steps back; a projection writes o h(c) to `raw` (time, batch, hidden). Grid: tiles of sequences, 1."""
    backwards_through(Call(time, batch, *known), flow, raw)
