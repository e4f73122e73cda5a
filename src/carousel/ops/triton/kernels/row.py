"""A cell as compile-time constants: what a kernel is specialised for, and where each gate's rows lie."""

from functools import cache
from typing import Any, NamedTuple

import triton
import triton.language as tl

from carousel.cells import Cell, Complement, Gate, Open
from carousel.cells.cell import ORDER
from carousel.ops.triton.kernels.squash import NAMES

HIDDEN, CELL, GATES = tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)
"""What a product reads: h, c (the matrix-form peephole), or the gates that full gate recurrence sends on."""
PREVIOUS, CURRENT = tl.constexpr(1), tl.constexpr(2)
BA2016, TORCH_SAMPLE = tl.constexpr(1), tl.constexpr(2)
LEARNED, OPEN, COMPLEMENT = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)

_READS = {None: 0, "hidden": 1, "cell": 2}
_PEEPHOLES = {None: 0, "previous": 1, "current": 2}
_NORMS = {None: 0, "ba2016": 1, "torch_sample": 2}


class Place(NamedTuple):
    """Where a gate's rows begin: behind so many gates that a block shares, and behind the candidate or not."""

    shared: Any
    cells: Any


class GateRow(NamedTuple):
    """One gate: what it is, and its place in the pre-activations, in R, and among the gates sent on."""

    kind: Any
    squash: Any
    reads: Any
    peephole: Any
    peephole_at: Any
    shares: Any
    place: Place
    recurrent: Place
    sent: Place


class Row(NamedTuple):
    """One cell."""

    input: GateRow
    forget: GateRow
    candidate: GateRow
    output: GateRow
    squash: Any
    block: Any
    full: Any
    projection: Any
    norm: Any
    reads_hidden: Any
    reads_cell: Any


@cache
def constants(cell: Cell) -> Row:
    """The cell for a kernel."""
    numbers = (
        NAMES.index(cell.squash), cell.block, cell.full_gate_recurrence, cell.projection, _NORMS[cell.norm],
        "hidden" in cell.reads, "cell" in cell.reads,
    )  # fmt: skip
    return Row(*(_gate(cell, name) for name in ORDER), *map(tl.constexpr, map(int, numbers)))


def _gate(cell: Cell, name: str) -> GateRow:
    gate = getattr(cell, name)
    kind = {Gate: 0, Open: 1, Complement: 2}[type(gate)]
    learned = gate if isinstance(gate, Gate) else Gate("identity", None)
    peephole_at = cell.peepholes.index(name) if name in cell.peepholes else 0
    numbers = (
        kind, NAMES.index(learned.squash), _READS[learned.recurrent], _PEEPHOLES[learned.peephole], peephole_at,
        name != "candidate",
    )  # fmt: skip
    places = (_place(gates, name) for gates in (cell.learned, cell.recurrent, cell.sending))
    return GateRow(*map(tl.constexpr, map(int, numbers)), *places)


def _place(gates: tuple[str, ...], name: str) -> Place:
    before = gates[: gates.index(name)] if name in gates else ()
    cells = before.count("candidate")
    return Place(tl.constexpr(len(before) - cells), tl.constexpr(cells))


@triton.jit
def first(place, size):
    """The first row of a gate."""
    return place.shared * size.shared + place.cells * size.hidden


@triton.jit
def unit(gate, k, cell):
    """Which unit of a gate belongs to cell k: its own, or its block's."""
    if gate.shares:
        return k // cell.block
    else:
        return k
