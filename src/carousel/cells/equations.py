"""A cell as LaTeX and as plain text, one line an equation, in the symbols of the papers."""

from dataclasses import dataclass

from carousel.cells.cell import ORDER, SYMBOLS, Cell, Complement, Open
from carousel.cells.squash import SQUASHES


@dataclass(frozen=True)
class _Script:
    """How one way of writing spells the pieces of an equation."""

    times: str
    sub: str
    squash: dict[str, str]
    norm: str
    one_before: str

    def symbol(self, letter: str, index: str) -> str:
        return f"{letter}{self.sub.format(index)}"

    def apply(self, squash: str, argument: str) -> str:
        name = self.squash[squash]
        return f"{name}({argument})" if name else argument

    def normalised(self, on: bool, argument: str) -> str:
        return f"{self.norm}({argument})" if on else argument


_TEX = _Script(r" \odot ", "_{{{}}}", {name: squash.latex for name, squash in SQUASHES.items()}, r"\mathrm{LN}", "t-1")
_TEXT = _Script(
    " ⊙ ",
    "_{}",
    {name: "" if name == "identity" else "σ" if name == "sigmoid" else name for name in SQUASHES},
    "LN",
    "{t-1}",
)


def latex(cell: Cell) -> list[str]:
    """The cell's equations in LaTeX (the body of each line, without math delimiters)."""
    return _write(cell, _TEX)


def equations(cell: Cell) -> list[str]:
    """The cell's equations as plain text."""
    return _write(cell, _TEXT)


def _write(cell: Cell, script: _Script) -> list[str]:
    before_cell = [_gate(cell, name, script) for name in ORDER if name != "output"]
    return [*before_cell, _cell_state(cell, script), _gate(cell, "output", script), *_outputs(cell, script)]


def _gate(cell: Cell, name: str, script: _Script) -> str:
    gate, letter = getattr(cell, name), SYMBOLS[name]
    left = script.symbol(letter, "t")
    if isinstance(gate, Open):
        return f"{left} = 1"
    if isinstance(gate, Complement):
        return f"{left} = 1 - {script.symbol(SYMBOLS[gate.of], 't')}"
    return f"{left} = {script.apply(gate.squash, ' + '.join(_terms(cell, name, script)))}"


def _terms(cell: Cell, name: str, script: _Script) -> list[str]:
    gate, letter, last = cell.gate(name), SYMBOLS[name], script.one_before
    terms = [script.normalised(bool(cell.norm), f"{script.symbol('W', letter)} {script.symbol('x', 't')}")]
    if gate.recurrent:
        reads = script.symbol("h" if gate.recurrent == "hidden" else "c", last)
        terms.append(script.normalised(bool(cell.norm), f"{script.symbol('R', letter)} {reads}"))
    if cell.full_gate_recurrence and name != "candidate":
        terms += [
            f"{script.symbol('G', letter + SYMBOLS[other])} {script.symbol(SYMBOLS[other], last)}"
            for other in cell.sending
        ]
    if gate.peephole:
        seen = script.symbol("c", "t" if gate.peephole == "current" else last)
        terms.append(f"{script.symbol('p', letter)}{script.times}{seen}")
    return [*terms, script.symbol("b", letter)]


def _cell_state(cell: Cell, script: _Script) -> str:
    new, last = script.symbol("c", "t"), script.symbol("c", script.one_before)
    kept = last if isinstance(cell.forget, Open) else f"{script.symbol('f', 't')}{script.times}{last}"
    candidate = script.symbol("z", "t")
    written = candidate if isinstance(cell.input, Open) else f"{script.symbol('i', 't')}{script.times}{candidate}"
    return f"{new} = {script.normalised(cell.norm == 'torch_sample', f'{kept} + {written}')}"


def _outputs(cell: Cell, script: _Script) -> list[str]:
    state = script.normalised(cell.norm == "ba2016", script.symbol("c", "t"))
    squashed = script.apply(cell.squash, state)
    open_gate = isinstance(cell.output, Open)
    value = squashed if open_gate else f"{script.symbol('o', 't')}{script.times}{squashed}"
    output = script.symbol("h", "t")
    if cell.projection:
        before = script.symbol("m", "t")
        return [f"{before} = {value}", f"{output} = P {before}"]
    return [f"{output} = {value}"]
