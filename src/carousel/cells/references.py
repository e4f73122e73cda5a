"""The papers behind the cells: reads references.bib, which ships beside this file."""

import re
from functools import cache
from pathlib import Path

from carousel.cells.cell import Cell

_ENTRY = re.compile(r"@\w+\{(?P<key>[^,]+),(?P<body>.*?)\n\}", re.DOTALL)
_FIELD = re.compile(r"^\s*(\w+)\s*=\s*\{(.*)\},?\s*$", re.MULTILINE)


@cache
def bibliography() -> dict[str, dict[str, str]]:
    """Key to fields (author, title, year, …) of every paper in references.bib."""
    text = (Path(__file__).parent / "references.bib").read_text(encoding="utf-8")
    return {entry["key"]: dict(_FIELD.findall(entry["body"])) for entry in _ENTRY.finditer(text)}


def citation(cell: Cell) -> list[str]:
    """The papers that a cell uses, one line each: its source, then those of its options."""
    keys = [cell.source] if cell.source else []
    keys += ["ba2016"] if cell.norm else []
    keys += ["sak2014"] if cell.projection else []
    keys += ["hochreiter1997"] if cell.block > 1 and cell.source != "hochreiter1997" else []
    return [_line(bibliography()[key]) for key in keys]


def _line(fields: dict[str, str]) -> str:
    return f"{fields['author']} ({fields['year']}). {fields['title']}. {fields['where']}."
