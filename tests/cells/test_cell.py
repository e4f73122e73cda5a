"""The vocabulary refuses what is no cell, and answers what a cell has."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import pytest

from carousel.cells import VARIANTS, Cell, CellError, Complement, Gate, Open, find

NONSENSE: dict[str, tuple[Callable[[], object], str]] = {
    "squash of a gate": (lambda: Gate("sigmoidal"), "squash is 'sigmoidal'; it can be 'sigmoid', 'tanh'"),
    "recurrent": (lambda: Gate(recurrent="input"), "recurrent is 'input'; it can be 'hidden', 'cell', None"),  # type: ignore[arg-type]
    "peephole": (lambda: Gate(peephole="next"), "peephole is 'next'; it can be 'previous', 'current', None"),  # type: ignore[arg-type]
    "squash of a cell": (lambda: Cell(squash="logistic"), "squash is 'logistic'"),
    "norm": (lambda: Cell(norm="batch"), "norm is 'batch'; it can be 'ba2016', 'torch_sample', None"),  # type: ignore[arg-type]
    "a gate that is none": (lambda: Cell(input="sigmoid"), "input is 'sigmoid'; a gate is Gate"),  # type: ignore[arg-type]
    "open candidate": (lambda: Cell(candidate=Open()), "candidate is Open.*must be a Gate"),  # type: ignore[arg-type]
    "coupled candidate": (lambda: Cell(candidate=Complement("input")), "candidate is .*must be a Gate"),  # type: ignore[arg-type]
    "own complement": (lambda: Cell(input=Complement("input")), "input is the complement of input"),
    "coupled output": (lambda: Cell(output=Complement("input")), "output is the complement of input; only"),
    "two complements": (lambda: Cell(Complement("forget"), Complement("input")), "which is not learned"),
    "complement of an open gate": (lambda: Cell(Open(), Complement("input")), "complement of input, which is not"),
    "early peephole": (lambda: Cell(input=Gate(peephole="current")), "input gate peeps at the current cell state"),
    "early candidate": (
        lambda: Cell(candidate=Gate("tanh", peephole="current")),
        "candidate gate peeps",
    ),
    "block of none": (lambda: Cell(block=0), "block is 0; it counts"),
    "block of a half": (lambda: Cell(block=1.5), "block is 1.5"),  # type: ignore[arg-type]
    "block of truth": (lambda: Cell(block=True), "block is True"),
    "no gate to recur": (lambda: Cell(Open(), Open(), Gate("tanh"), Open(), full_gate_recurrence=True), "at least one"),
    "projection of two kinds": (
        lambda: Cell(input=Gate(recurrent="cell"), projection=True),
        "cannot have a proj",
    ),
    "no such option": (lambda: Cell().with_options(peepholes=True), "a cell has no .*peepholes.*; it has .*block"),
    "what follows": (lambda: Cell().with_options(learned=()), r"a cell has no \['learned'\]"),
    "no such name": (lambda: find("gru"), "no cell is called 'gru'; the table has lstm, .*nig"),
    "no name at all": (lambda: find(7), "cell is 7; it can be a name"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", NONSENSE)
def test_what_is_no_cell_is_refused(what: str) -> None:
    make, words = NONSENSE[what]
    with pytest.raises(CellError, match=words):
        make()


def test_a_cell_error_is_a_value_error() -> None:
    assert issubclass(CellError, ValueError)


def test_rows_are_immutable_and_hashable() -> None:
    with pytest.raises(FrozenInstanceError):
        find("lstm").block = 2  # type: ignore[misc]
    assert len({*VARIANTS.values()}) == len(VARIANTS)


def test_a_row_says_what_it_learns() -> None:
    assert find("coupled").learned == ("input", "candidate", "output")
    assert find("peephole_matrix").recurrent == ("input", "forget", "output")
    assert find("no_forget_gate").peepholes == ("input", "output")
    assert find("fgr").sending == ("input", "forget", "output")
    assert find("fgr").state == ("hidden", "cell", "gates")
    assert find("lstm").state == ("hidden", "cell")
    assert [name for name, cell in VARIANTS.items() if cell.reads_cell] == ["peephole_matrix", "peephole_matrix_tanh"]


def test_options_leave_the_row_itself_alone() -> None:
    cell = find("peephole").with_options(block=4)
    assert (cell.block, find("peephole").block) == (4, 1)
    assert cell.peepholes == find("peephole").peepholes


def test_asking_an_open_gate_for_its_squash() -> None:
    with pytest.raises(CellError, match="the forget gate of this cell is Open.*nothing in it is learned"):
        find("lstm1997").gate("forget")


def test_what_is_remembered_of_a_row_goes_with_the_row() -> None:
    cell = find("peephole")
    assert cell.learned
    assert replace(cell, input=Open()).learned == ("forget", "candidate", "output")
