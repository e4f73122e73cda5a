"""Writes the pages that are made from the package itself: `make docs`. A test holds them current."""

import runpy
from collections.abc import Callable
from math import prod
from pathlib import Path

from carousel.cells import ALIASES, SQUASHES, VARIANTS, Cell, Open, bibliography, citation, equations, latex
from carousel.cells.layout import Sizes, parameters

DOCS = Path(__file__).parent
SIZES = Sizes(inputs=64, hidden=128)

INTRODUCTION = """# Cells

Every cell that carousel computes, from the one table that describes them. A name or a short name goes wherever a
cell is named: `carousel.LSTM(..., cell="peephole")`, `carousel.SequenceClassifier(cell="cifg")`,
`carousel cells peephole`. How to add a row: [adding a cell](adding/cell.md).

Symbols: $x_t$ input, $h_t$ hidden state, $c_t$ cell state; gates $i$ input, $f$ forget, $z$ candidate, $o$ output;
$W$ input weights, $R$ recurrent weights, $p$ peephole weights, $G$ gate to gate weights, $b$ bias;
$\\odot$ elementwise product, $\\sigma$ logistic sigmoid.

This page is made by `make docs`; a test holds it current.
"""


def cells_page() -> str:
    """The page docs/cells.md."""
    sections = [_section(name, cell) for name, cell in VARIANTS.items()]
    return "\n".join([INTRODUCTION, _table(), *sections, _squashes(), _sources()])


def _table() -> str:
    weights = f"weights for {SIZES.inputs} inputs, {SIZES.hidden} units"
    columns = ["cell", "short names", "learned gates", "peepholes", "recurs", weights, "source"]
    head = f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n"
    return head + "".join(_row(name, cell) for name, cell in VARIANTS.items())


def _row(name: str, cell: Cell) -> str:
    short = ", ".join(f"`{alias}`" for alias in _aliases(name))
    peepholes = ", ".join(cell.peepholes)
    return (
        f"| [`{name}`](#{name}) | {short} | {', '.join(cell.learned)} | {peepholes} | {_recurs(cell)} "
        f"| {_weights(cell):,} | [{cell.source}](#{cell.source}) |\n"
    )


def _aliases(name: str) -> list[str]:
    return [alias for alias, row in ALIASES.items() if row == name]


def _recurs(cell: Cell) -> str:
    return " and ".join(["$c$" if cell.reads_cell else "$h$", *(["gates"] if cell.full_gate_recurrence else [])])


def _weights(cell: Cell) -> int:
    return sum(prod(shape) for shape in parameters(cell, SIZES).values())


def _section(name: str, cell: Cell) -> str:
    aligned = " \\\\\n".join(line.replace(" = ", " &= ", 1) for line in latex(cell))
    text = "\n".join(f"    {line}" for line in equations(cell))
    sources = "\n".join(f"- {line}" for line in citation(cell))
    return f"""## {name}

{_difference(name, cell)}

```math
\\begin{{aligned}}
{aligned}
\\end{{aligned}}
```

{text}

{sources}
"""


def _difference(name: str, cell: Cell) -> str:
    """One sentence: what sets the cell apart from the two that all others start from."""
    if name == "lstm":
        return "The default: the cell of `torch.nn.LSTM`."
    base = "peephole" if cell.peepholes and name != "peephole" else "lstm"
    changed = set(equations(cell)) - set(equations(VARIANTS[base]))
    lines = "; ".join(f"`{line}`" for line in equations(cell) if line in changed)
    opened = [gate for gate in ("input", "forget", "output") if isinstance(getattr(cell, gate), Open)]
    always = f" The {' and '.join(opened)} gate is always open." if opened else ""
    return f"Beside [`{base}`](#{base}): {lines}.{always}"


def _squashes() -> str:
    head = "## Squashing functions\n\n| name | formula | slope, from the value $y$ |\n|---|---|---|\n"
    rows = [f"| `{name}` | `{squash.formula}` | `{squash.slope}` |\n" for name, squash in SQUASHES.items()]
    return head + "".join(rows).replace("|x|", "abs(x)").replace("|y|", "abs(y)")


def _sources() -> str:
    entries = "\n".join(
        f'- <a id="{key}"></a>`{key}` {fields["author"]} ({fields["year"]}). {fields["title"]}. {fields["where"]}.'
        for key, fields in bibliography().items()
    )
    return f"## Sources\n\n{entries}\n"


def torch_page() -> str:
    """The page docs/torch.md, measured live."""
    return runpy.run_path(str(DOCS / "torch_table.py"))["page"]()


def papers_page() -> str:
    """The page docs/papers.md, from what each paper's last full run has measured."""
    return runpy.run_path(str(DOCS.parent / "papers" / "page.py"))["page"]()


PAGES: dict[str, Callable[[], str]] = {"cells.md": cells_page, "papers.md": papers_page, "torch.md": torch_page}


def main() -> None:
    """Write every generated page."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
