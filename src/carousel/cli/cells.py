"""`carousel cells`: the table of cells, and one cell in full."""

from typing import Annotated, Any

import typer

from carousel.cells import ALIASES, VARIANTS, Cell, Complement, Open, citation, equations, find
from carousel.cells.cell import SYMBOLS
from carousel.cells.layout import Sizes, parameters
from carousel.cli.console import table, write_json
from carousel.cli.options import Debug, Json

ROLES = {
    "W": "input weights, gates in the order i f z o",
    "R": "recurrent weights",
    "b": "bias",
    "p": "peepholes, in the order i f o",
    "G": "from gate to gate, one step later",
}


def cells(
    name: Annotated[
        str | None, typer.Argument(help="A cell: its equations, parameters, sources and backends.", show_default=False)
    ] = None,
    *,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List all cells, or describe one."""
    described = describe(find(name), ALIASES.get(name.lower(), name.lower())) if name else overview()
    if json:
        write_json(described)
    elif name:
        _show(described)
    else:
        rows = described["cells"]
        table(tuple(rows[0]), (tuple(row.values()) for row in rows))
        print("squash: of the candidate z and of the cell state; weights: per unit, at 64 inputs and 64 units")
        print("`carousel cells NAME` shows one in full")


def overview() -> dict[str, Any]:
    """All cells, a line each."""
    short = {name: alias for alias, name in ALIASES.items()}
    return {
        "cells": [
            {
                "cell": name,
                "short": short.get(name, ""),
                "gates": _gates(cell),
                "squash": f"{cell.candidate.squash} {cell.squash}",
                "peepholes": " ".join(letter for gate, letter in SYMBOLS.items() if gate in cell.peepholes),
                "weights": f"{_weights(cell) / 64:.0f}",
                "source": cell.source,
            }
            for name, cell in VARIANTS.items()
        ]
    }


def describe(cell: Cell, name: str) -> dict[str, Any]:
    """One cell in full: equations, parameter shapes in symbols, sources, and what each backend says to it."""
    from carousel.ops import example, explain

    choices = explain(cell, example(cell, time=32, batch=8, sizes=Sizes(16, 16 * cell.block)))
    return {
        "cell": name,
        "equations": equations(cell),
        "parameters": {role: {"shape": shape, "what": ROLES.get(role, role)} for role, shape in _symbols(cell).items()},
        "sources": citation(cell),
        "backends": {choice.backend: {"runs": choice.runs, "why": choice.reason} for choice in choices},
    }


def _gates(cell: Cell) -> str:
    """Which gates there are, as "i f z o"; 1 where a gate is always open, and 1-i for a complement."""
    words = []
    for letter, gate in zip("ifzo", (cell.input, cell.forget, cell.candidate, cell.output), strict=True):
        words.append("1" if isinstance(gate, Open) else f"1-{gate.of[0]}" if isinstance(gate, Complement) else letter)
    return " ".join(words)


def _weights(cell: Cell) -> int:
    total = 0
    for shape in parameters(cell, Sizes(64, 64)).values():
        size = 1
        for axis in shape:
            size *= axis
        total += size
    return total


def _symbols(cell: Cell) -> dict[str, str]:
    """Shapes in terms of H units and I inputs, read off two sizes that share no factor."""
    inputs, hidden = 10007, 1009 * cell.block
    named = {inputs: "I"} | {hidden * times: f"{times}H" if times > 1 else "H" for times in range(1, 9)}
    shapes = parameters(cell, Sizes(inputs, hidden)).items()
    return {role: f"({', '.join(named.get(axis, str(axis)) for axis in shape)})" for role, shape in shapes}


def _show(described: dict[str, Any]) -> None:
    print(described["cell"])
    print(*(f"  {line}" for line in described["equations"]), sep="\n")
    parameters = described["parameters"].items()
    table(
        ("parameter", "shape", "what"),
        ((role, entry["shape"], entry["what"]) for role, entry in parameters),
        "H units, I inputs",
    )
    backends = described["backends"].items()
    table(
        ("backend", "here", "why"), ((name, "yes" if entry["runs"] else "no", entry["why"]) for name, entry in backends)
    )
    print(*described["sources"], sep="\n")
