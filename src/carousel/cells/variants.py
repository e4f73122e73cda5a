"""The table: one row a named cell, with its source. A cell is described here, once."""

from dataclasses import replace

from carousel.cells.cell import Cell, CellError, Complement, Gate, Open

_PREVIOUS = Gate(peephole="previous")
_FROM_CELL = Gate(recurrent="cell")

_LSTM = Cell(source="gers2000")
_PEEPHOLE = Cell(_PREVIOUS, _PREVIOUS, Gate("tanh"), Gate(peephole="current"), source="gers2002")
_MATRIX = Cell(_FROM_CELL, _FROM_CELL, Gate("tanh", recurrent=None), _FROM_CELL, squash="identity", source="gers2001")
_GREFF = replace(_PEEPHOLE, source="greff2017")

VARIANTS: dict[str, Cell] = {
    "lstm": _LSTM,
    "lstm1997": Cell(forget=Open(), candidate=Gate("g1997"), squash="h1997", source="hochreiter1997"),
    "peephole": _PEEPHOLE,
    "peephole_matrix": _MATRIX,
    "peephole_matrix_tanh": replace(_MATRIX, squash="tanh"),
    "coupled": replace(_GREFF, forget=Complement("input")),
    "no_input_gate": replace(_GREFF, input=Open()),
    "no_forget_gate": replace(_GREFF, forget=Open()),
    "no_output_gate": replace(_GREFF, output=Open()),
    "no_input_activation": replace(_GREFF, candidate=Gate("identity")),
    "no_output_activation": replace(_GREFF, squash="identity"),
    "full_gate_recurrence": replace(_GREFF, full_gate_recurrence=True),
}

ALIASES = {
    "nig": "no_input_gate",
    "nfg": "no_forget_gate",
    "nog": "no_output_gate",
    "niaf": "no_input_activation",
    "noaf": "no_output_activation",
    "cifg": "coupled",
    "np": "lstm",
    "fgr": "full_gate_recurrence",
}


def find(cell: str | Cell) -> Cell:
    """The cell of that name or alias; a `Cell` is returned as it is."""
    if isinstance(cell, Cell):
        return cell
    if not isinstance(cell, str):
        raise CellError(f"cell is {cell!r}; it can be a name ({', '.join(VARIANTS)}) or a carousel.Cell")
    name = ALIASES.get(cell.lower(), cell.lower())
    if name not in VARIANTS:
        raise CellError(
            f"no cell is called {cell!r}; the table has {', '.join(VARIANTS)}, and {', '.join(ALIASES)} for short"
        )
    return VARIANTS[name]


def name_of(cell: Cell) -> str:
    """The row's name, "lstm+norm" for a row with options, or "custom"."""
    bare = replace(cell, block=1, projection=False, norm=None)
    options = [f"block{cell.block}"] if cell.block > 1 else []
    options += ["projection"] if cell.projection else []
    options += [f"norm-{cell.norm}"] if cell.norm else []
    row = next((name for name, row in VARIANTS.items() if row == bare), "custom")
    return "+".join([row, *options])
