"""Gate order, parameter shapes, and permutations to other people's orders.

No other file splits a tensor into gates by position.
"""

from dataclasses import dataclass

from carousel.cells.cell import ORDER, Cell, CellError

FOREIGN_ORDERS = {
    "torch": ("input", "forget", "candidate", "output"),
    "keras": ("input", "forget", "candidate", "output"),
    "onnx": ("input", "output", "forget", "candidate"),
    "tensorflow1": ("input", "candidate", "forget", "output"),
}


@dataclass(frozen=True)
class Sizes:
    """The sizes a layer is built for: features in, cells, and features out (`projection` or 0)."""

    inputs: int
    hidden: int
    projection: int = 0

    @property
    def output(self) -> int:
        """How many features leave the layer and recur."""
        return self.projection or self.hidden


def units(cell: Cell, gate: str, hidden: int) -> int:
    """How many rows a gate has: one a cell for the candidate, one a block for the others."""
    if hidden % cell.block:
        raise CellError(f"{hidden} cells do not fall into memory cell blocks of {cell.block}; choose a multiple")
    return hidden if gate == "candidate" else hidden // cell.block


def rows(cell: Cell, hidden: int, predecessors: int = 1) -> dict[str, slice]:
    """Where each learned gate lies in the pre-activations; on a grid, "forget" spans all its copies."""
    return _spans(
        {gate: units(cell, gate, hidden) * (predecessors if gate == "forget" else 1) for gate in cell.learned}
    )


def recurrent_rows(cell: Cell, hidden: int) -> dict[str, slice]:
    """Where each gate lies in the recurrent matrix R, which holds only the gates that recur."""
    return _spans({gate: units(cell, gate, hidden) for gate in cell.recurrent})


def sent_rows(cell: Cell, hidden: int) -> dict[str, slice]:
    """Where each gate lies among the gate activations that full gate recurrence hands on."""
    return _spans({gate: units(cell, gate, hidden) for gate in cell.sending})


def peephole_rows(cell: Cell, predecessors: int = 1) -> dict[str, slice]:
    """Which rows of p belong to a gate: one a predecessor it peeps at, in the order i f z o."""
    return _spans({gate: predecessors if cell.gate(gate).peephole == "previous" else 1 for gate in cell.peepholes})


def read_width(cell: Cell, hidden: int, output: int) -> int:
    """How many numbers R reads: the output's, or the cell state's in the matrix form."""
    return hidden if cell.reads_cell else output


def total(spans: dict[str, slice]) -> int:
    """How many rows the spans cover."""
    return sum(span.stop - span.start for span in spans.values())


def parameters(cell: Cell, sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Shapes of all parameters of one layer and direction, by role; absent roles are not in the dict.

    W (rows, inputs), R (recurrent rows, output), b (rows,), p (peepholes, hidden), G (sent rows, sent
    rows), P (projection, hidden), and for layer norm gain and bias pairs: norm_input (2, rows),
    norm_recurrent (2, recurrent rows), norm_cell (2, hidden).
    """
    learned, recurrent = total(rows(cell, sizes.hidden)), total(recurrent_rows(cell, sizes.hidden))
    sent, peepholes = total(sent_rows(cell, sizes.hidden)), total(peephole_rows(cell))
    shapes: dict[str, tuple[int, ...]] = {"W": (learned, sizes.inputs)}
    if recurrent:
        shapes["R"] = (recurrent, read_width(cell, sizes.hidden, sizes.output))
    shapes["b"] = (learned,)
    if peepholes:
        shapes["p"] = (peepholes, sizes.hidden)
    if cell.full_gate_recurrence:
        shapes["G"] = (sent, sent)
    if cell.projection:
        shapes["P"] = (sizes.projection, sizes.hidden)
    if cell.norm:
        shapes |= {"norm_input": (2, learned), "norm_cell": (2, sizes.hidden)}
        shapes |= {"norm_recurrent": (2, recurrent)} if recurrent else {}
    return shapes


def order_in(foreign: str) -> tuple[int, ...]:
    """For each gate of a foreign order, its place in ours."""
    return tuple(ORDER.index(gate) for gate in FOREIGN_ORDERS[foreign])


def _spans(sizes: dict[str, int]) -> dict[str, slice]:
    spans, start = {}, 0
    for gate, size in sizes.items():
        spans[gate] = slice(start, start + size)
        start += size
    return spans
