"""A cell as small integers: what an operator's schema, C++ and Triton receive.

`python -m carousel.cells.row` prints the C++ header of these integers and of the table's rows.
"""

import sys

from carousel.cells.cell import NORMS, ORDER, AnyGate, Cell, Complement, Gate, Open
from carousel.cells.squash import SQUASHES
from carousel.cells.variants import VARIANTS

_SQUASHES = tuple(SQUASHES)
_RECURRENT = (None, "hidden", "cell")
_PEEPHOLE = (None, "previous", "current")
_NORMS = (None, *NORMS)
_KINDS = ("gate", "open", "complement")
_GATE, _OPEN, _COMPLEMENT = range(len(_KINDS))
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


def header() -> str:
    """The C++ header `cells.h`: an enumeration for each integer, and the table's rows as constants."""
    enums = [*_FIELDS.items(), ("Norm", _NORMS)]
    return "\n".join(
        [*_OPENING, *(_enum(*enum) for enum in enums), *_STRUCTS, *_rows(), "}  // namespace carousel", ""]
    )


_FIELDS = {"Kind": _KINDS, "Squash": _SQUASHES, "Recurrent": _RECURRENT, "Peephole": _PEEPHOLE}
_OPENING = (
    "// Written by carousel/cells/row.py from the table of cells. Do not edit.",
    "#pragma once",
    "",
    "namespace carousel {",
    "",
)
_STRUCTS = (
    "",
    "struct Gate {",
    "    Kind kind;",
    "    Squash squash;",
    "    Recurrent recurrent;",
    "    Peephole peephole;",
    "};",
    "",
    "struct Row {",
    f"    Gate {', '.join(ORDER)};",
    "    Squash squash;",
    "    int block;",
    "    bool full_gate_recurrence;",
    "    bool projection;",
    "    Norm norm;",
    "};",
    "",
)


def _enum(name: str, values: tuple[str | None, ...]) -> str:
    return f"enum class {name} : int {{ {', '.join(value or 'none' for value in values)} }};"


def _rows() -> list[str]:
    """Each row once, with the names of all cells that it describes."""
    names: dict[tuple[int, ...], list[str]] = {}
    for name, cell in VARIANTS.items():
        names.setdefault(tuple(encode(cell)), []).append(name)
    rows = [line for numbers, cells in names.items() for line in _row(numbers, ", ".join(cells))]
    return ["inline constexpr Row kRows[] = {", *rows, "};", ""]


def _row(numbers: tuple[int, ...], names: str) -> list[str]:
    gates = [_gate(numbers[at * WIDTH : (at + 1) * WIDTH]) for at in range(len(ORDER))]
    squash, block, full, projection, norm = numbers[len(ORDER) * WIDTH :]
    rest = f"Squash::{_SQUASHES[squash]}, {block}, {_bool(full)}, {_bool(projection)}, Norm::{_NORMS[norm] or 'none'}"
    return [f"    {{  // {names}", *gates, f"        {rest},", "    },"]


def _gate(numbers: tuple[int, ...]) -> str:
    fields = zip(_FIELDS.items(), numbers, strict=True)
    written = (f"{enum}::{values[number] or 'none'}" for (enum, values), number in fields)
    return f"        {{{', '.join(written)}}},"


def _bool(number: int) -> str:
    return "true" if number else "false"


if __name__ == "__main__":
    sys.stdout.write(header())
