"""What a cell is: a description in plain data that drives every backend, document and test."""

from carousel.cells.cell import Cell, CellError, Complement, Gate, Open
from carousel.cells.equations import equations, latex
from carousel.cells.references import bibliography, citation
from carousel.cells.squash import SQUASHES, Squash
from carousel.cells.variants import ALIASES, VARIANTS, find, name_of

__all__ = [
    "ALIASES",
    "SQUASHES",
    "VARIANTS",
    "Cell",
    "CellError",
    "Complement",
    "Gate",
    "Open",
    "Squash",
    "bibliography",
    "citation",
    "equations",
    "find",
    "latex",
    "name_of",
]
