"""A cell as compile-time constants: what a kernel is specialised for, and where each gate's rows lie."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import triton
import triton.language as tl

from carousel.cells import Cell, Complement, Gate, Open
from carousel.cells.cell import ORDER
from carousel.ops.triton.kernels.squash import NAMES

HIDDEN, CELL, GATES = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
"""What a product reads, by its place in a state: h, c (the matrix-form peephole), or the gates that are sent on."""
PREVIOUS, CURRENT = tl.constexpr(1), tl.constexpr(2)
BA2016, TORCH_SAMPLE = tl.constexpr(1), tl.constexpr(2)
LEARNED, OPEN, COMPLEMENT = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)

_READS = {None: 0, "hidden": 0, "cell": 1}
_PEEPHOLES = {None: 0, "previous": 1, "current": 2}
_NORMS = {None: 0, "ba2016": 1, "torch_sample": 2}


class Place(NamedTuple):
    """Where a gate's rows begin: behind so many gates that a block shares, and behind the candidate or not."""

    shared: Any
    cells: Any


class Sources(NamedTuple):
    """Something of each source of a product."""

    hidden: Any
    cell: Any
    gates: Any


class GateRow(NamedTuple):
    """One gate: what it is, what recurs into it, and its place in the pre-activations, in R, and among gates sent on.

    `recurs` says whether R has rows for it, which read `reads`, and `receives` the same of each source.
    """

    kind: Any
    squash: Any
    reads: Any
    recurs: Any
    peephole: Any
    peephole_at: Any
    shares: Any
    receives: Sources
    place: Place
    recurrent: Place
    sent: Place


class Row(NamedTuple):
    """One cell: its gates, which sources anything reads, and whether their matrices' rows lie as gradients do.

    `halves` says that a block's cells are a power of two.
    """

    input: GateRow
    forget: GateRow
    candidate: GateRow
    output: GateRow
    squash: Any
    block: Any
    halves: Any
    full: Any
    projection: Any
    norm: Any
    peepholes: Any
    reads: Sources
    straight: Sources


@cache
def constants(cell: Cell) -> Row:
    """The cell for a kernel."""
    numbers = (
        NAMES.index(cell.squash), cell.block, cell.block & (cell.block - 1) == 0, cell.full_gate_recurrence,
        cell.projection, _NORMS[cell.norm], len(cell.peepholes),
    )  # fmt: skip
    reads = "hidden" in cell.reads, "cell" in cell.reads, cell.full_gate_recurrence
    straight = _straight(cell, "hidden"), _straight(cell, "cell"), _lie_alike(cell.sending, cell.learned)
    gates = (_gate(cell, name) for name in ORDER)
    return Row(*gates, *_constants(numbers), Sources(*_constants(reads)), Sources(*_constants(straight)))


def _gate(cell: Cell, name: str) -> GateRow:
    gate = getattr(cell, name)
    kind = {Gate: 0, Open: 1, Complement: 2}[type(gate)]
    learned = gate if isinstance(gate, Gate) else Gate("identity", None)
    peephole_at = cell.peepholes.index(name) if name in cell.peepholes else 0
    numbers = (
        kind, NAMES.index(learned.squash), _READS[learned.recurrent], name in cell.recurrent,
        _PEEPHOLES[learned.peephole], peephole_at, name != "candidate",
    )  # fmt: skip
    receives = (
        learned.recurrent == "hidden", learned.recurrent == "cell",
        cell.full_gate_recurrence and name in cell.sending,
    )  # fmt: skip
    places = (_place(gates, name) for gates in (cell.learned, cell.recurrent, cell.sending))
    return GateRow(*_constants(numbers), Sources(*_constants(receives)), *places)


def _constants(numbers: Iterable[int]) -> Iterable[Any]:
    return map(tl.constexpr, map(int, numbers))


def _straight(cell: Cell, source: str) -> bool:
    """Whether all rows of R read the source and are the first gradients, in their order."""
    return cell.reads == (source,) and (bool(cell.norm) or _lie_alike(cell.recurrent, cell.learned))


def _lie_alike(gates: Sequence[str], among: Sequence[str]) -> bool:
    return all(_place(gates, name) == _place(among, name) for name in gates)


def _place(gates: Sequence[str], name: str) -> Place:
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
