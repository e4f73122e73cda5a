"""A cell as small integers: what an operator's schema, C++ and Triton receive."""

from carousel.cells.cell import NORMS, ORDER, AnyGate, Cell, Complement, Gate, Open
from carousel.cells.squash import SQUASHES

_SQUASHES = tuple(SQUASHES)
_RECURRENT = (None, "hidden", "cell")
_PEEPHOLE = (None, "previous", "current")
_NORMS = (None, *NORMS)
_GATE, _OPEN, _COMPLEMENT = range(3)
WIDTH = 4
"""Integers a gate takes: kind, squash, recurrent, peephole."""


def encode(cell: Cell) -> list[int]:
    """The cell as integers: four a gate in the order i f z o, then squash, block, fgr, projection, norm."""
    gates = [number for name in ORDER for number in _encode_gate(getattr(cell, name))]
    return [
        *gates,
        _SQUASHES.index(cell.squash),
        cell.block,
        int(cell.full_gate_recurrence),
        int(cell.projection),
        _NORMS.index(cell.norm),
    ]


def decode(numbers: list[int]) -> Cell:
    """The cell that `encode` turned into these integers (its source is not among them)."""
    input_, forget, candidate, output = (
        _decode_gate(name, numbers[at * WIDTH : (at + 1) * WIDTH]) for at, name in enumerate(ORDER)
    )
    squash, block, full, projection, norm = numbers[len(ORDER) * WIDTH :]
    return Cell(
        input_, forget, candidate, output,  # type: ignore[arg-type]
        squash=_SQUASHES[squash], block=block, full_gate_recurrence=bool(full),
        projection=bool(projection), norm=_NORMS[norm],  # type: ignore[arg-type]
    )  # fmt: skip


def _encode_gate(gate: AnyGate) -> tuple[int, int, int, int]:
    if isinstance(gate, Gate):
        return _GATE, _SQUASHES.index(gate.squash), _RECURRENT.index(gate.recurrent), _PEEPHOLE.index(gate.peephole)
    return (_OPEN if isinstance(gate, Open) else _COMPLEMENT), 0, 0, 0


def _decode_gate(name: str, numbers: list[int]) -> AnyGate:
    kind, squash, recurrent, peephole = numbers
    if kind == _OPEN:
        return Open()
    if kind == _COMPLEMENT:
        return Complement("forget" if name == "input" else "input")
    return Gate(_SQUASHES[squash], _RECURRENT[recurrent], _PEEPHOLE[peephole])  # type: ignore[arg-type]
