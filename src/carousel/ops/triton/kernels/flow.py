"""What flows backwards, and how a step takes it up and passes it on."""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from carousel.ops.triton.kernels.memory import States, begins, in_time, index, inside, mask_of, moved, nothing
from carousel.ops.triton.kernels.norm import leads
from carousel.ops.triton.kernels.products import back, projected_back, width_of
from carousel.ops.triton.kernels.row import GATES, HIDDEN, LEARNED, first, unit


class Flow(NamedTuple):
    """Gradients: of the outputs, of the state (carried on, and put aside where a reset takes it), of what was computed.

    `gates` (time, batch, rows) and, under layer norm, `products` (time, batch, recurrent rows) are those of the
    pre-activations and of R h; `read` is what R gives back of the latter, and `raw` (batch, hidden) what P does, both
    computed between steps. `projected` (time, batch, output) is that of P's product. p and the norms have a sum for
    each sequence.
    """

    outputs: Any
    carried: States
    fresh: States
    gates: Any
    products: Any
    read: States
    raw: Any
    projected: Any
    p: Any
    norm_recurrent: Any
    norm_cell: Any


@triton.jit
def add_to(sums, where, value, here):
    """Add to memory that no other program writes; threads wait for what others of this one wrote there."""
    tl.debug_barrier()
    tl.store(sums + where, tl.load(sums + where, here, 0.0) + value, here)


@triton.jit
def put_aside(value, fresh, where, at, call):
    """The gradient of the state before a step, without what a reset takes: that goes to the fresh state."""
    if call.given.reset is not None:
        new = begins(at, call)[:, None]
        if fresh is not None:
            add_to(fresh, where, tl.where(new, value, 0.0), at.here & new)
        return tl.where(new, 0.0, value)
    else:
        return value


@triton.jit
def of_read(given, source: tl.constexpr, flow, at, call):
    """The gradient of a part of the state before a step, from that of what R read: some was dropped, some put back."""
    if source != GATES and call.given.masks.drop_hidden.data is not None:
        given = given * mask_of(call.given.masks.drop_hidden, at)
    return put_aside(given, flow.fresh[source], index(at, width_of(source, call)), at, call)


@triton.jit
def through_product(total, source: tl.constexpr, later, flow, call):
    """total + the gradient that reaches a part of the state through the product at the later step."""
    if source != GATES and call.row.norm:
        where = index(later, width_of(source, call))
        given = tl.load(flow.read[source] + where, later.here, 0.0)
    else:
        given = back(flow, source, later, call)
    return total + of_read(given, source, flow, later, call)


@triton.jit
def of_state(source: tl.constexpr, later, flow, LAST: tl.constexpr, call):
    """The gradient of a part of the state, from what is carried and, unless it is the last, from the later step."""
    total = tl.load(flow.carried[source] + index(later, width_of(source, call)), later.here, 0.0)
    if call.row.reads[source] and not LAST:
        return through_product(total, source, later, flow, call)
    else:
        return total


@triton.jit
def owner(gate, at, call):
    """The units of the tile that write for their blocks."""
    return at.here & leads(gate, at.k, call)[None, :]


@triton.jit
def sent_at(gate, t, at, call):
    """The tile's units of a gate among those sent on."""
    return moved(at, t, unit(gate, at.k, call.row) + first(gate.sent, call.size), at.here)


@triton.jit
def of_sent(gate, later, flow, LAST: tl.constexpr, at, call):
    """The gradient of a gate's activation through the gates of the later step; zero without full gate recurrence."""
    if call.row.full and gate.kind == LEARNED:
        there = sent_at(gate, later, at, call)
        where = index(there, call.size.sent)
        total = tl.load(flow.carried.gates + where, at.here, 0.0)
        if not LAST:
            given = back(flow, GATES, there, call)
            written = moved(there, later, there.k, owner(gate, at, call))
            total += put_aside(given, flow.fresh.gates, where, written, call)
        return total
    else:
        return nothing(call)


@triton.jit
def leave(gate, value, flow, at, call):
    """Pass the gradient of a gate's activation on behind a sequence's end; inside, it has been used."""
    if call.row.full and gate.kind == LEARNED:
        where = index(sent_at(gate, at.t, at, call), call.size.sent)
        tl.store(flow.carried.gates + where, tl.where(at.lives[:, None], 0.0, value), owner(gate, at, call))


@triton.jit
def through_zoneout(value, source: tl.constexpr, flow, at, call):
    """The gradient of the new value inside a sequence, and what passes the step by: the old value's."""
    if call.given.masks[source].data is not None:
        kept = tl.where(at.lives[:, None], value * mask_of(call.given.masks[source], at).to(value.dtype), 0.0)
        where = index(at, width_of(source, call))
        passed = put_aside(kept, flow.fresh[source], where, at, call)
        return tl.where(at.lives[:, None], value - kept, 0.0), tl.where(at.lives[:, None], passed, value)
    else:
        return tl.where(at.lives[:, None], value, 0.0), tl.where(at.lives[:, None], 0.0, value)


@triton.jit
def of_outputs(flow, at, call):
    """The gradient of the step's output, from outside."""
    if flow.outputs is not None:
        return tl.load(flow.outputs + in_time(at, call.size.output, call), inside(at), 0.0)
    else:
        return nothing(call)


@triton.jit
def arriving(later, flow, LAST: tl.constexpr, at, call):
    """The gradient of h_t before zoneout, inside a sequence; what passes the step by is carried on."""
    outside = of_outputs(flow, at, call)
    total = outside + of_state(HIDDEN, moved(at, later, at.k, at.here), flow, LAST, call)
    new, passed = through_zoneout(total, HIDDEN, flow, at, call)
    tl.store(flow.carried.hidden + index(at, call.size.output), passed, at.here)
    return new


@triton.jit
def unprojected(flow, at, call):
    """The gradient of o h(c), given that of P's product."""
    if flow.raw is not None:
        return tl.load(flow.raw + index(at, call.size.hidden), inside(at), 0.0)
    else:
        return projected_back(flow, at, call)
