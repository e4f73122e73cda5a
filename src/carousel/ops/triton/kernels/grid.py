"""A single step at every place of a map, over any number of predecessors: for convolution and grids."""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from carousel.ops.triton.kernels.memory import over_block
from carousel.ops.triton.kernels.norm import normalized, standardized, standardized_back
from carousel.ops.triton.kernels.row import BA2016, COMPLEMENT, CURRENT, LEARNED, PREVIOUS, TORCH_SAMPLE, Row, unit
from carousel.ops.triton.kernels.squash import slope, squashed


class GridSize(NamedTuple):
    """Sequences, cells, units of a shared gate, rows of the pre-activations, places of the map."""

    batch: Any
    hidden: Any
    shared: Any
    rows: Any
    places: Any


class Starts(NamedTuple):
    """The first row of each gate i f z o."""

    input: Any
    forget: Any
    candidate: Any
    output: Any


class Tile(NamedTuple):
    """What the kernel is compiled for: places and cells of a tile, cells that it owns, and predecessors."""

    batch: Any
    cells: Any
    own: Any
    predecessors: Any


class Grid(NamedTuple):
    """What both directions are given: p is (peepholes, hidden, places or 1), norm_cell (2, hidden)."""

    size: GridSize
    row: Row
    rows: Starts
    peepholes: Starts
    pre: Any
    previous: Any
    p: Any
    p_places: Any
    norm_cell: Any
    plan: Tile


class Made(NamedTuple):
    """What a step makes, or its gradients: (batch, hidden, places) twice, and the activations (batch, rows, places)."""

    hidden: Any
    cell: Any
    activations: Any


class Back(NamedTuple):
    """Gradients of what a step made, and memory for those of what it was given: p's and norm's at each place."""

    given: Made
    pre: Any
    previous: Any
    p: Any
    norm: Any


class Spot(NamedTuple):
    """A tile: cells, places of all sequences one after the other, and which of them exist."""

    k: Any
    q: Any
    here: Any


@triton.jit
def cells_and_places(grid):
    """This program's tile, whole blocks of cells; behind them a number that is no cell."""
    own = tl.arange(0, grid.plan.cells)
    k = tl.where(own < grid.plan.own, tl.program_id(1) * grid.plan.own + own, grid.size.hidden)
    q = tl.program_id(0) * grid.plan.batch + tl.arange(0, grid.plan.batch)
    return Spot(k, q, (q < grid.size.batch * grid.size.places)[:, None] & (k < grid.size.hidden)[None, :])


@triton.jit
def offset(at, k, rows, grid, n=0):
    """Where rows k lie in the n-th of (batch, rows, places)."""
    places = grid.size.places
    sequence = (at.q // places).to(tl.int64) + n * grid.size.batch
    return (sequence * rows * places + at.q % places)[:, None] + k[None, :].to(tl.int64) * places


@triton.jit
def state_of(n, at, grid):
    """The cell state of the n-th predecessor."""
    return tl.load(grid.previous + offset(at, at.k, grid.size.hidden, grid, n), at.here, 0.0)


@triton.jit
def peephole_of(number, at, grid):
    """The weights of the peephole with that number, at each place."""
    start = grid.p + (number * grid.size.hidden + at.k[None, :]) * grid.p_places
    return tl.load(start + (at.q % grid.size.places % grid.p_places)[:, None], at.here, 0.0)


@triton.jit
def rows_of(gate, start, n, at, grid):
    """The gate's rows for the n-th predecessor."""
    units = grid.size.shared if gate.shares else grid.size.hidden
    return unit(gate, at.k, grid.row) + (start + n * units)


@triton.jit
def peeped(pre, gate, number, state, at, grid):
    """The pre-activation, and what the gate sees of a cell state."""
    seen = peephole_of(number, at, grid) * state
    return pre + (over_block(seen, grid) if gate.shares else seen)


@triton.jit
def pre_of(gate, start, n, at, grid):
    """What the gate is given."""
    return tl.load(grid.pre + offset(at, rows_of(gate, start, n, at, grid), grid.size.rows, grid), at.here, 0.0)


@triton.jit
def over_all(gate, start, number, at, grid):
    """The activation of a gate that sees all predecessors; 1 if it is open."""
    if gate.kind == LEARNED:
        pre = pre_of(gate, start, 0, at, grid)
        if gate.peephole == PREVIOUS:
            for n in tl.static_range(grid.plan.predecessors):
                pre = peeped(pre, gate, number + n, state_of(n, at, grid), at, grid)
        return squashed(pre, gate.squash)
    else:
        return tl.full([grid.plan.batch, grid.plan.cells], 1.0, grid.pre.dtype.element_ty)


@triton.jit
def forget_of(n, state, i, at, grid):
    """The forget gate of the n-th predecessor."""
    if grid.row.forget.kind == LEARNED:
        pre = pre_of(grid.row.forget, grid.rows.forget, n, at, grid)
        if grid.row.forget.peephole == PREVIOUS:
            pre = peeped(pre, grid.row.forget, grid.peepholes.forget + n, state, at, grid)
        return squashed(pre, grid.row.forget.squash)
    elif grid.row.forget.kind == COMPLEMENT:
        return 1.0 - i
    else:
        return tl.zeros_like(i) + 1.0


@triton.jit
def input_of(at, grid):
    """The input gate."""
    if grid.row.input.kind == COMPLEMENT:
        nothing = tl.zeros([grid.plan.batch, grid.plan.cells], grid.pre.dtype.element_ty)
        return 1.0 - forget_of(0, state_of(0, at, grid), nothing, at, grid)
    else:
        return over_all(grid.row.input, grid.rows.input, grid.peepholes.input, at, grid)


@triton.jit
def output_of(c, at, grid):
    """The output gate, which may see the new cell state."""
    if grid.row.output.kind == LEARNED and grid.row.output.peephole == CURRENT:
        pre = pre_of(grid.row.output, grid.rows.output, 0, at, grid)
        pre = peeped(pre, grid.row.output, grid.peepholes.output, c, at, grid)
        return squashed(pre, grid.row.output.squash)
    else:
        return over_all(grid.row.output, grid.rows.output, grid.peepholes.output, at, grid)


@triton.jit
def keep(made, gate, start, n, value, at, grid):
    """Write an activation."""
    if gate.kind == LEARNED:
        tl.store(made + offset(at, rows_of(gate, start, n, at, grid), grid.size.rows, grid), value, at.here)


@triton.jit
def entered(i, z, at, grid):
    """The new cell state before layer norm."""
    raw = i * z
    for n in tl.static_range(grid.plan.predecessors):
        state = state_of(n, at, grid)
        raw += forget_of(n, state, i, at, grid) * state
    return raw


class Taken(NamedTuple):
    """What a step computes: gates, the cell state before its norm and after it, squash(c)."""

    i: Any
    z: Any
    o: Any
    raw: Any
    c: Any
    s: Any


@triton.jit
def taken(at, grid):
    """The step."""
    i = input_of(at, grid)
    z = over_all(grid.row.candidate, grid.rows.candidate, grid.peepholes.candidate, at, grid)
    raw = entered(i, z, at, grid)
    c = normalized(raw, grid.norm_cell, at.k, grid) if grid.row.norm == TORCH_SAMPLE else raw
    o = output_of(c, at, grid)
    shown = normalized(c, grid.norm_cell, at.k, grid) if grid.row.norm == BA2016 else c
    return Taken(i, z, o, raw, c, squashed(shown, grid.row.squash))


@triton.jit
def take(grid, made):
    """Take the step. Grid: tiles of places, tiles of cells."""
    at = cells_and_places(grid)
    i, z, o, _, c, s = taken(at, grid)
    where = offset(at, at.k, grid.size.hidden, grid)
    tl.store(made.hidden + where, o * s, at.here)
    tl.store(made.cell + where, c, at.here)
    keep(made.activations, grid.row.input, grid.rows.input, 0, i, at, grid)
    keep(made.activations, grid.row.candidate, grid.rows.candidate, 0, z, at, grid)
    keep(made.activations, grid.row.output, grid.rows.output, 0, o, at, grid)
    for n in tl.static_range(grid.plan.predecessors):
        f = forget_of(n, state_of(n, at, grid), i, at, grid)
        keep(made.activations, grid.row.forget, grid.rows.forget, n, f, at, grid)


@triton.jit
def pre_back(gate, rows, total, value, back, at, grid):
    """The gradient of a pre-activation from the cells' share in that of its activation; written down."""
    where = offset(at, rows, grid.size.rows, grid)
    if gate.shares:
        total = over_block(total, grid)
    if back.given.activations is not None:
        total += tl.load(back.given.activations + where, at.here, 0.0)
    total = tl.where(at.here, total * slope(value, gate.squash), 0.0)
    tl.store(back.pre + where, total, at.here)
    return total


@triton.jit
def peep_back(number, pre, state, back, at, grid):
    """The gradient of a cell state through a peephole, and the peephole's own at each place."""
    tl.store(back.p + offset(at, at.k, grid.size.hidden, grid, number), pre * state, at.here)
    return pre * peephole_of(number, at, grid)


@triton.jit
def norm_back(value, raw, back, at, grid):
    """The gradient of a value before layer norm; gain's and bias's at each place."""
    hidden = grid.size.hidden
    gain = tl.load(grid.norm_cell + at.k, at.k < hidden, 0.0)
    standard, factor = standardized(raw, at.k, grid)
    tl.store(back.norm + offset(at, at.k, hidden, grid), value * standard, at.here)
    tl.store(back.norm + offset(at, at.k, hidden, grid, 1), value, at.here)
    return standardized_back(value * gain[None, :], standard, factor, at.here, hidden)


@triton.jit
def through(gate, number, pre, state, back, at, grid):
    """The gradient of a predecessor's state through the gate's peephole at it."""
    if gate.kind == LEARNED and gate.peephole == PREVIOUS:
        return peep_back(number, pre, state, back, at, grid)
    else:
        return tl.zeros_like(state)


@triton.jit
def given_of(gradient, like, at, grid):
    """The gradient of h or c that came back; zero if none did."""
    if gradient is not None:
        return tl.load(gradient + offset(at, at.k, grid.size.hidden, grid), at.here, 0.0)
    else:
        return tl.zeros_like(like)


@triton.jit
def output_back(made, back, at, grid):
    """The gradients of the cell state before its norm, and of the output gate's pre-activation."""
    d_h = given_of(back.given.hidden, made.c, at, grid)
    d_c = d_h * made.o * slope(made.s, grid.row.squash)
    if grid.row.norm == BA2016:
        d_c = norm_back(d_c, made.c, back, at, grid)
    d_c += given_of(back.given.cell, made.c, at, grid)
    pre = tl.zeros_like(d_c)
    if grid.row.output.kind == LEARNED:
        rows = rows_of(grid.row.output, grid.rows.output, 0, at, grid)
        pre = pre_back(grid.row.output, rows, d_h * made.s, made.o, back, at, grid)
        if grid.row.output.peephole == CURRENT:
            d_c += peep_back(grid.peepholes.output, pre, made.c, back, at, grid)
    if grid.row.norm == TORCH_SAMPLE:
        d_c = norm_back(d_c, made.raw, back, at, grid)
    return d_c, pre


@triton.jit
def input_back(d_c, made, back, at, grid):
    """The gradients of the pre-activations of the input gate and of the candidate."""
    pre_i, d_i = tl.zeros_like(d_c), d_c * made.z
    if grid.row.forget.kind == COMPLEMENT:
        d_i -= d_c * state_of(0, at, grid)
    if grid.row.input.kind == LEARNED:
        rows = rows_of(grid.row.input, grid.rows.input, 0, at, grid)
        pre_i = pre_back(grid.row.input, rows, d_i, made.i, back, at, grid)
    rows = rows_of(grid.row.candidate, grid.rows.candidate, 0, at, grid)
    return pre_i, pre_back(grid.row.candidate, rows, d_c * made.i, made.z, back, at, grid)


@triton.jit
def forget_back(n, state, d_c, made, back, at, grid):
    """The gradient of the n-th predecessor's state through its forget gate."""
    f = forget_of(n, state, made.i, at, grid)
    d_state = d_c * f
    if grid.row.forget.kind == LEARNED:
        d_f = d_c * state
        if grid.row.input.kind == COMPLEMENT:
            d_f -= d_c * made.z
        rows = rows_of(grid.row.forget, grid.rows.forget, n, at, grid)
        pre = pre_back(grid.row.forget, rows, d_f, f, back, at, grid)
        if grid.row.forget.peephole == PREVIOUS:
            d_state += peep_back(grid.peepholes.forget + n, pre, state, back, at, grid)
    return d_state


@triton.jit
def take_back(grid, back):
    """From the gradients of what the step made to those of what it was given. Grid: as `take`."""
    at = cells_and_places(grid)
    made = taken(at, grid)
    d_c, pre_o = output_back(made, back, at, grid)
    pre_i, pre_z = input_back(d_c, made, back, at, grid)
    for n in tl.static_range(grid.plan.predecessors):
        state = state_of(n, at, grid)
        d_state = forget_back(n, state, d_c, made, back, at, grid)
        d_state += through(grid.row.input, grid.peepholes.input + n, pre_i, state, back, at, grid)
        d_state += through(grid.row.candidate, grid.peepholes.candidate + n, pre_z, state, back, at, grid)
        d_state += through(grid.row.output, grid.peepholes.output + n, pre_o, state, back, at, grid)
        tl.store(back.previous + offset(at, at.k, grid.size.hidden, grid, n), d_state, at.here)
