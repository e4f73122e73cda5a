"""Where each gate lies, and what shape each parameter has."""

import pytest

from carousel.cells import VARIANTS, CellError, Gate, Open, find, layout, row
from carousel.cells.layout import Sizes

X, H, S = 3, 8, 2
SIZES = Sizes(X, H)
GATES = dict.fromkeys(VARIANTS, 4) | dict.fromkeys(["lstm1997", "coupled", "nig", "nfg", "nog"], 3)
PEEPHOLES = dict.fromkeys(VARIANTS, 3) | dict.fromkeys(["coupled", "nig", "nfg", "nog"], 2)
for alias in ("nig", "nfg", "nog"):
    for table in (GATES, PEEPHOLES):
        table[next(name for name, cell in VARIANTS.items() if cell is find(alias))] = table.pop(alias)
NO_PEEPHOLES = ("lstm", "lstm1997", "peephole_matrix", "peephole_matrix_tanh")


@pytest.mark.parametrize("name", VARIANTS)
def test_shapes_of_a_row(name: str) -> None:
    gates, recurrent = GATES[name], GATES[name] - VARIANTS[name].reads_cell
    expected: dict[str, tuple[int, ...]] = {"W": (gates * H, X), "R": (recurrent * H, H), "b": (gates * H,)}
    if name not in NO_PEEPHOLES:
        expected["p"] = (PEEPHOLES[name], H)
    if name == "full_gate_recurrence":
        expected["G"] = (3 * H, 3 * H)
    assert layout.parameters(find(name), SIZES) == expected


@pytest.mark.parametrize("name", VARIANTS)
def test_a_block_shares_the_rows_of_its_gates(name: str) -> None:
    shapes = layout.parameters(find(name).with_options(block=S), SIZES)
    rows = H + (GATES[name] - 1) * H // S
    assert shapes["W"] == (rows, X)
    assert shapes["b"] == (rows,)
    assert shapes["R"] == (rows - H if VARIANTS[name].reads_cell else rows, H)
    assert shapes.get("p") == (None if name in NO_PEEPHOLES else (PEEPHOLES[name], H))
    if name == "full_gate_recurrence":
        assert shapes["G"] == (3 * H // S, 3 * H // S)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_projection_recurs(name: str) -> None:
    shapes = layout.parameters(find(name).with_options(projection=True), Sizes(X, H, 5))
    assert shapes["P"] == (5, H)
    assert shapes["R"][1] == (H if VARIANTS[name].reads_cell else 5)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_norm_has_a_gain_and_a_bias_a_row(name: str) -> None:
    shapes = layout.parameters(find(name).with_options(norm="ba2016"), SIZES)
    assert shapes["norm_input"] == (2, shapes["W"][0])
    assert shapes["norm_recurrent"] == (2, shapes["R"][0])
    assert shapes["norm_cell"] == (2, H)


def test_rows_lie_in_the_order_i_f_z_o() -> None:
    assert layout.rows(find("lstm"), 2) == {
        "input": slice(0, 2), "forget": slice(2, 4), "candidate": slice(4, 6), "output": slice(6, 8)
    }  # fmt: skip
    assert list(layout.rows(find("nfg"), 2)) == ["input", "candidate", "output"]
    assert layout.recurrent_rows(find("peephole_matrix"), 2)["output"] == slice(4, 6)
    assert layout.sent_rows(find("fgr"), 2) == {"input": slice(0, 2), "forget": slice(2, 4), "output": slice(4, 6)}


def test_on_a_grid_the_forget_gate_has_a_copy_for_each_predecessor() -> None:
    assert layout.rows(find("peephole"), 2, predecessors=3)["forget"] == slice(2, 8)
    spans = layout.peephole_rows(find("peephole"), predecessors=3)
    assert [spans[gate] for gate in ("input", "forget", "output")] == [slice(0, 3), slice(3, 6), slice(6, 7)]


def test_a_cell_that_nothing_recurs_into_has_no_r() -> None:
    cell = find("lstm").with_options(input=Open(), forget=Open(), output=Open(), candidate=Gate("tanh", recurrent=None))
    assert layout.parameters(cell, SIZES) == {"W": (H, X), "b": (H,)}
    assert "norm_recurrent" not in layout.parameters(cell.with_options(norm="ba2016"), SIZES)


def test_blocks_must_divide_the_cells() -> None:
    with pytest.raises(CellError, match="8 cells do not fall into memory cell blocks of 3; choose a multiple"):
        layout.parameters(find("lstm").with_options(block=3), SIZES)


def test_orders_of_others() -> None:
    assert layout.order_in("torch") == layout.order_in("keras") == (0, 1, 2, 3)
    assert layout.order_in("onnx") == (0, 3, 1, 2)
    assert layout.order_in("tensorflow1") == (0, 2, 1, 3)


OPTIONS = [{}, {"block": 3}, {"projection": True}, {"norm": "ba2016"}, {"norm": "torch_sample"}, {"squash": "softsign"}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", VARIANTS)
def test_integers_and_back(name: str, options: dict[str, object]) -> None:
    cell = find(name).with_options(**options)
    numbers = row.encode(cell)
    assert all(type(number) is int for number in numbers)
    assert row.decode(numbers) == cell.with_options(source="")


def test_integers_are_golden() -> None:
    """Kernels and saved graphs hold these: a new word goes to the end of its list."""
    assert row.encode(find("coupled")) == [0, 0, 1, 1, 2, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 2, 1, 1, 0, 0, 0]
    assert row.encode(find("peephole_matrix").with_options(block=2, norm="torch_sample"))[-5:] == [2, 2, 0, 0, 2]
