"""What a kernel is given, in groups, and how it reads the state."""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from carousel.ops.triton.kernels.row import Row


class Size(NamedTuple):
    """Sizes: cells, features out, units of a shared gate, and rows of the three products."""

    hidden: Any
    output: Any
    shared: Any
    rows: Any
    recurrent: Any
    sent: Any


class States(NamedTuple):
    """h (batch, output), c (batch, hidden) and the gates sent on (batch, sent), of a step or as gradients."""

    hidden: Any
    cell: Any
    gates: Any


class Mask(NamedTuple):
    """A mask, None if there is none, and its strides along time, batch and units (0 where one stands for all)."""

    data: Any
    time: Any
    batch: Any
    unit: Any


class Masks(NamedTuple):
    """The four masks of `ops.Noise`."""

    zoneout_hidden: Mask
    zoneout_cell: Mask
    drop_hidden: Mask
    drop_candidate: Mask


class Given(NamedTuple):
    """What both directions read: pre-activations (time, batch, rows), weights, lengths, resets and masks."""

    gates: Any
    R: Any
    p: Any
    G: Any
    P: Any
    norm_recurrent: Any
    norm_cell: Any
    lengths: Any
    reset: Any
    initial: States
    fresh: States
    masks: Masks


class Saved(NamedTuple):
    """What the way back reads: h and c after every step, the gates' activations, and R h under layer norm."""

    outputs: Any
    cells: Any
    activations: Any
    products: Any


class Chunks(NamedTuple):
    """In how many goes h, c and the gates sent on are read where programs hold weights; in none if nothing reads it."""

    hidden: Any
    cell: Any
    gates: Any


class Plan(NamedTuple):
    """What a kernel is compiled for: its tile of sequences and cells, cells that a tile owns, and the rest.

    A product is read in so many parts (`split`) of so many numbers (`depth`) at once. `widens` is for the interpreter,
    which cannot multiply bfloat16; `aligned` says that the rows of every gate begin at a multiple of 16.
    """

    batch: Any
    cells: Any
    split: Any
    depth: Any
    own: Any
    reverse: Any
    precision: Any
    widens: Any
    aligned: Any
    chunks: Chunks


class Known(NamedTuple):
    """What every kernel is given but for the numbers of steps and of sequences, for which nothing is compiled anew."""

    size: Size
    row: Row
    given: Given
    saved: Saved
    plan: Plan


class Call(NamedTuple):
    """All that every kernel is given."""

    time: Any
    batch: Any
    size: Size
    row: Row
    given: Given
    saved: Saved
    plan: Plan


class At(NamedTuple):
    """Where a program is: step, sequences, units, which of both exist, and which sequences the step belongs to."""

    t: Any
    b: Any
    k: Any
    here: Any
    lives: Any


@triton.jit
def forth(n, call):
    """The n-th step on the way there, or the last."""
    n = tl.minimum(n, call.time - 1)
    return call.time - 1 - n if call.plan.reverse else n


@triton.jit
def back_again(n, call):
    """The n-th step on the way back, or the last."""
    n = tl.minimum(n, call.time - 1)
    return n if call.plan.reverse else call.time - 1 - n


@triton.jit
def cells_at(t, call):
    """This program's tile of cells, whole blocks; behind them a number that is no cell."""
    return placed(t, cell_of(tl.arange(0, call.plan.cells), call), call.size.hidden, call)


@triton.jit
def cell_of(k, call):
    """The cells with those numbers in this program's tile."""
    cell = tl.program_id(1) * call.plan.own + k
    if call.plan.own == call.plan.cells:
        return cell
    else:
        return tl.where(k < call.plan.own, cell, call.size.hidden)


@triton.jit
def features_at(t, width, call):
    """This program's tile of as many features as a state has."""
    k = tl.program_id(1) * call.plan.cells + tl.arange(0, call.plan.cells)
    return placed(t, k, width, call)


@triton.jit
def placed(t, k, width, call):
    """Units k of this program's sequences."""
    b = tl.program_id(0) * call.plan.batch + tl.arange(0, call.plan.batch)
    here = (b < call.batch)[:, None] & (k < width)[None, :]
    return At(t, b, k, here, alive(t, b, call))


@triton.jit
def moved(at, t, k, here):
    """The same sequences at another step or other units."""
    return At(t, at.b, k, here, at.lives)


@triton.jit
def alive(t, b, call):
    """Whether step t belongs to the sequences b."""
    inside = b < call.batch
    if call.given.lengths is not None:
        inside = inside & (t < tl.load(call.given.lengths + b, inside, 0))
    return inside


@triton.jit
def inside(at):
    """Which units exist, of sequences that the step belongs to."""
    return at.here & at.lives[:, None]


@triton.jit
def index(at, width):
    """Where the units lie in (batch, width)."""
    return at.b[:, None] * width + at.k[None, :]


@triton.jit
def in_time(at, width, call):
    """Where they lie in (time, batch, width)."""
    return (at.t.to(tl.int64) * call.batch + at.b)[:, None] * width + at.k[None, :]


@triton.jit
def mask_of(mask, at):
    """A mask's values."""
    return mask_at(mask, at.t, at.b[:, None], at.k[None, :], at.here)


@triton.jit
def mask_at(mask, t, b, k, here):
    """A mask's values at step t, sequences b and units k; 1 where nothing is there."""
    where = t.to(tl.int64) * mask.time + b * mask.batch + k * mask.unit
    return tl.load(mask.data + where, here, 1.0)


@triton.jit
def begins(at, call):
    """Which sequences begin anew between the step and the one before it in the order of the loop."""
    t = tl.zeros_like(at.b) + (at.t + 1 if call.plan.reverse else at.t)
    there = alive(t, at.b, call) & (t < call.time)
    reset = tl.load(call.given.reset + t.to(tl.int64) * call.batch + at.b, there, 0)
    return there & (reset != 0)


@triton.jit
def put_back(value, fresh, width, at, call):
    """The state before a step, put back to `fresh` (zeros if None) where a sequence begins."""
    if call.given.reset is not None:
        new = begins(at, call)[:, None]
        if fresh is not None:
            return tl.where(new, tl.load(fresh + index(at, width), at.here, 0.0), value)
        else:
            return tl.where(new, 0.0, value)
    else:
        return value


@triton.jit
def before_step(state, fresh, width, at, call):
    """The state (batch, width) that the step starts from."""
    return put_back(tl.load(state + index(at, width), at.here, 0.0), fresh, width, at, call)


@triton.jit
def step_after(t, call):
    """The step after t in the order of the loop."""
    return t - 1 if call.plan.reverse else t + 1


@triton.jit
def step_before(at, call):
    """The step before, and which sequences it belongs to (batch, 1)."""
    earlier = tl.zeros_like(at.b) + (at.t + 1 if call.plan.reverse else at.t - 1)
    return earlier, (alive(earlier, at.b, call) & (earlier >= 0) & (earlier < call.time))[:, None]


@triton.jit
def cells_kept(at, call):
    """The cell states that were kept after the step before, on the way back."""
    earlier, follows = step_before(at, call)
    kept = (earlier.to(tl.int64) * call.batch + at.b)[:, None] * call.size.hidden + at.k[None, :]
    return tl.load(call.saved.cells + kept, at.here & follows, 0.0)


@triton.jit
def cell_before(kept, initial, at, call):
    """The cell state that the step started from: what was kept, or the initial one, or a fresh one."""
    _, follows = step_before(at, call)
    return put_back(tl.where(follows, kept, initial), call.given.fresh.cell, call.size.hidden, at, call)


@triton.jit
def nothing(call):
    """Zeros of the state's dtype, for a tile."""
    return tl.zeros([call.plan.batch, call.plan.cells], call.given.initial.cell.dtype.element_ty)


@triton.jit
def over_block(value, call):
    """The sum of a value (batch, cells) over the cells of each block, for each of them."""
    if call.row.block == 1:
        return value
    elif call.row.halves:
        blocks = tl.reshape(value, [value.shape[0], value.shape[1] // call.row.block, call.row.block])
        total = tl.broadcast_to(tl.sum(blocks, 2)[:, :, None], blocks.shape)
        return tl.reshape(total, value.shape)
    else:
        k = tl.arange(0, call.plan.cells)
        same = (k[:, None] // call.row.block == k[None, :] // call.row.block).to(value.dtype)
        return tl.dot(value, same, input_precision="ieee", out_dtype=value.dtype)
