"""All steps in one launch of many programs: each holds the weights of its cells, and tells the others their state.

Programs of the same sequences wait for each other at every step, so that all must run at once. What is said lies in
memory twice, one step's beside the next's: nobody writes a step's again before all have read it.
"""

import triton
import triton.language as tl

from carousel.ops.triton.kernels.backward import again, kept_of, undone
from carousel.ops.triton.kernels.flow import of_outputs, of_read, owner, put_aside, sent_at, through_zoneout
from carousel.ops.triton.kernels.forward import computed, given_to_all, settled
from carousel.ops.triton.kernels.memory import Call, States, back_again, cells_at, forth, index, moved, put_back
from carousel.ops.triton.kernels.products import (
    deep,
    gates_of,
    given_at,
    height_of,
    matrix_of,
    multiply,
    no_parts,
    read,
    rows_of,
    summed,
    weights_into,
    weights_out_of,
)
from carousel.ops.triton.kernels.row import CELL, GATES, HIDDEN, LEARNED
from carousel.ops.triton.kernels.whole import loaded, sent_put_back, store, write_all_sent

POLLS = tl.constexpr(hasattr(tl, "atomic_poll"))
"""Whether Triton can wait for a number by itself."""


@triton.jit
def said(flags, n):
    """Tell the programs of the same sequences that this one has done its n-th step."""
    tl.debug_barrier()
    tl.atomic_add(flags + n * tl.num_programs(0) + tl.program_id(0), 1, sem="release")


@triton.jit
def wait(flags, n):
    """Until all programs of the same sequences have done their n-th step."""
    flag = flags + n * tl.num_programs(0) + tl.program_id(0)
    if POLLS:
        tl.atomic_poll(flag, tl.num_programs(1))
    else:
        while tl.atomic_add(flag, 0, sem="acquire") < tl.num_programs(1):
            pass
    tl.debug_barrier()


@triton.jit
def held_there(source: tl.constexpr, call):
    """The weights of the program's cells for one source."""
    rows, there = rows_of(source, call)
    held = ()
    for chunk in tl.static_range(call.plan.chunks[source]):
        d = deep(chunk * call.plan.split * call.plan.depth, call)
        held = held + (weights_into(source, d, rows, there, call),)
    return held


@triton.jit
def add_held(parts, source: tl.constexpr, held, said_before, at, call):
    """The parts of the gates' product, and what one source adds; all of it is read before anything is multiplied."""
    values = ()
    for chunk in tl.static_range(call.plan.chunks[source]):
        values = values + (read(said_before, source, deep(chunk * call.plan.split * call.plan.depth, call), at, call),)
    for chunk in tl.static_range(call.plan.chunks[source]):
        parts = multiply(parts, values[chunk], held[chunk], call)
    return parts


@triton.jit
def held_back(source: tl.constexpr, k, call):
    """The weights that bring gradients back to the units k of a source."""
    held = ()
    for chunk in tl.static_range(call.plan.chunks[source]):
        r = deep(chunk * call.plan.split * call.plan.depth, call)
        held = held + (weights_out_of(matrix_of(source, call), height_of(source, call), source, r, k, call),)
    return held


@triton.jit
def back_held(source: tl.constexpr, held, flow, at, call):
    """The gradient of what was read at a step, given those of all its pre-activations."""
    gradients = flow.gates + at.t.to(tl.int64) * call.batch * call.size.rows
    values = ()
    for chunk in tl.static_range(call.plan.chunks[source]):
        r = deep(chunk * call.plan.split * call.plan.depth, call)
        values = values + (given_at(gradients, call.size.rows, source, r, at, call),)
    parts = no_parts(call.plan.cells, call)
    for chunk in tl.static_range(call.plan.chunks[source]):
        parts = multiply(parts, values[chunk], held[chunk], call)
    return summed(parts)


@triton.jit
def side(states, n, call):
    """Where lies what was said before the n-th step: one side of the memory or the other; h's for gates not sent."""
    many = (n % 2) * call.batch
    h, c = states.hidden + many * call.size.output, states.cell + many * call.size.hidden
    return States(h, c, states.gates + many * call.size.sent if call.row.full else h)


@triton.jit
def say(h, c, gates, states, at, call):
    """Write what others read of the state, the gates i f o included."""
    if call.row.reads.hidden:
        tl.store(states.hidden + index(at, call.size.output), h, at.here)
    if call.row.reads.cell:
        tl.store(states.cell + index(at, call.size.hidden), c, at.here)
    write_all_sent(gates, states, at, call)


@triton.jit
def forwards_through(call, both, after, flags):
    """From the initial state, which is what was said first, to the state `after`."""
    at = cells_at(forth(0, call), call)
    h, c, i, f, o = loaded(call.given.initial, at, at, call)
    hidden, cell, gates = held_there(HIDDEN, call), held_there(CELL, call), held_there(GATES, call)
    given = given_to_all(at, call)
    for n in range(call.time):
        at = cells_at(forth(n, call), call)
        before = side(both, n, call)
        parts = no_parts(4 * call.plan.cells, call)
        parts = add_held(parts, HIDDEN, hidden, before, at, call)
        parts = add_held(parts, CELL, cell, before, at, call)
        parts = add_held(parts, GATES, gates, before, at, call)
        h = put_back(h, call.given.fresh.hidden, call.size.hidden, at, call)
        c = put_back(c, call.given.fresh.cell, call.size.hidden, at, call)
        new_i, new_f, new_o, new_c, new_h = computed(given, gates_of(parts), c, at, call)
        if call.row.full:
            i = tl.where(at.lives[:, None], new_i, sent_put_back(call.row.input, i, at, call))
            f = tl.where(at.lives[:, None], new_f, sent_put_back(call.row.forget, f, at, call))
            o = tl.where(at.lives[:, None], new_o, sent_put_back(call.row.output, o, at, call))
        c, h = settled(new_c, CELL, c, at, call), settled(new_h, HIDDEN, h, at, call)
        say(h, c, (i, f, o), side(both, n + 1, call), at, call)
        said(flags, n)
        given = given_to_all(cells_at(forth(n + 1, call), call), call)
        wait(flags, n)
    store(h, c, (i, f, o), after, at, at, call)


@triton.jit
def sent_held(gate, at, call):
    """The weights that bring gradients back to a gate's activation."""
    if call.row.full and gate.kind == LEARNED:
        return held_back(GATES, sent_at(gate, at.t, at, call).k, call)
    else:
        return ()


@triton.jit
def left(gate, value, held, flow, at, call):
    """The gradient of a gate's activation before the step: what passed it by, and what the gates give back."""
    if call.row.full and gate.kind == LEARNED:
        there = sent_at(gate, at.t, at, call)
        written = moved(there, at.t, there.k, owner(gate, at, call))
        total = put_aside(
            back_held(GATES, held, flow, at, call), flow.fresh.gates, index(there, call.size.sent), written, call
        )
        return tl.where(at.lives[:, None], 0.0, value) + total
    else:
        return value


@triton.jit
def backwards_through(call, flow, flags):
    """From the gradients of the last state to those of the initial one, in place of what is carried."""
    at = cells_at(back_again(0, call), call)
    d_h, d_c, d_i, d_f, d_o = loaded(flow.carried, at, at, call)
    hidden, cell = held_back(HIDDEN, at.k, call), held_back(CELL, at.k, call)
    held_i, held_f = sent_held(call.row.input, at, call), sent_held(call.row.forget, at, call)
    held_o = sent_held(call.row.output, at, call)
    kept, outside = kept_of(at, call), of_outputs(flow, at, call)
    for n in range(call.time):
        at = cells_at(back_again(n, call), call)
        made = again(kept, at, call)
        given, d_h = through_zoneout(d_h + outside, HIDDEN, flow, at, call)
        _, _, _, _, d_c = undone(made, given, d_c, (d_i, d_f, d_o), flow, at, call)
        said(flags, n)
        earlier = cells_at(back_again(n + 1, call), call)
        kept, outside = kept_of(earlier, call), of_outputs(flow, earlier, call)
        wait(flags, n)
        if call.row.reads.hidden:
            d_h += of_read(back_held(HIDDEN, hidden, flow, at, call), HIDDEN, flow, at, call)
        if call.row.reads.cell:
            d_c += of_read(back_held(CELL, cell, flow, at, call), CELL, flow, at, call)
        d_i = left(call.row.input, d_i, held_i, flow, at, call)
        d_f = left(call.row.forget, d_f, held_f, flow, at, call)
        d_o = left(call.row.output, d_o, held_o, flow, at, call)
    store(d_h, d_c, (d_i, d_f, d_o), flow.carried, at, at, call)


@triton.jit(do_not_specialize=["time", "batch"])
def forwards(time, batch, known, both, after, flags):
    """All steps from the initial state to the state `after`, said by way of `both` (2, batch, …).

    `flags` (steps, tiles of sequences) are zero. Grid: tiles of sequences, tiles of cells; all programs run at once.
    """
    forwards_through(Call(time, batch, *known), both, after, flags)


@triton.jit(do_not_specialize=["time", "batch"])
def backwards(time, batch, known, flow, flags):
    """All steps back, with flags and a grid like those of the way there."""
    backwards_through(Call(time, batch, *known), flow, flags)
