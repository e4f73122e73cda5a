"""Which tier runs, by the table; this needs neither Triton nor a graphics processor."""

from pathlib import Path
from typing import Any

import pytest
import torch

from carousel.cells import Cell, find
from carousel.ops import Operands
from carousel.ops.triton import Triton, tiers
from carousel.testing import Problem

ROOM, NEVER = tiers.bounds_of("any").cells, tiers.bounds_of("any").together


def operands(cell: Cell, hidden: int, dtype: torch.dtype = torch.float32) -> Operands:
    return Problem("any", 3, 2, 2, hidden).operands(cell, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_table_says_how_many_cells_run_in_one_program(dtype: torch.dtype) -> None:
    cell, most = find("peephole"), ROOM[tiers.precision_of(dtype)]
    few, many = (tiers.choose(cell, operands(cell, hidden, dtype)) for hidden in (most - 1, most + 1))
    assert (few.number, many.number) == (tiers.WHOLE, tiers.STEPS)
    assert few.reason.startswith("all steps in one launch: a program holds 4 matrices of up to")
    assert many.reason.startswith("a launch for each step")


def test_a_row_with_more_matrices_has_fewer_cells() -> None:
    cell, most = find("full_gate_recurrence"), ROOM["bfloat16"]
    chosen = [tiers.choose(cell, operands(cell, hidden, torch.bfloat16)) for hidden in (most // 2, most)]
    assert [tier.number for tier in chosen] == [tiers.WHOLE, tiers.STEPS]
    assert "this one has 13" in chosen[1].reason


@pytest.mark.parametrize(
    ("cell", "hidden", "projection", "tile", "held"),
    [
        (find("lstm"), 3, 0, 16, 4),
        (find("lstm"), 17, 0, 32, 4),
        (find("lstm"), 64, 0, 64, 4),
        (find("lstm"), 8, 20, 32, 5),
        (find("coupled"), 8, 0, 16, 4),
        (find("full_gate_recurrence"), 8, 0, 16, 13),
    ],
)
def test_what_a_program_holds(cell: Cell, hidden: int, projection: int, tile: int, held: int) -> None:
    problem = Problem("any", 3, 2, 2, hidden, projection)
    assert tiers.tile(cell, problem.operands(cell)) == tile
    assert tiers.held(problem.cell(cell)) == held


def test_launches_of_steps_alone_are_gathered_in_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the table, or as asked for."""
    cell = find("lstm")
    given = operands(cell, 4)
    for measured in (False, True):
        bounds = tiers.Bounds("here", ROOM, measured, NEVER)
        monkeypatch.setattr(tiers, "bounds_of", lambda device, bounds=bounds: bounds)
        found = [tiers.choose(cell, given, tiers.STEPS, graphs) for graphs in (None, False, True)]
        assert [tier.graphs for tier in found] == [measured, False, True]
        assert found[2].reason == "a launch for each step in CUDA graphs, as asked for"
        assert not tiers.choose(cell, given, tiers.WHOLE, True).graphs


def test_programs_take_steps_together_only_where_they_were_measured_to_be_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    cell = find("lstm")
    wide, few = (operands(cell, hidden) for hidden in (300, 16))
    assert tiers.choose(cell, wide).number == tiers.STEPS
    for most, number in ((1, tiers.STEPS), (2, tiers.TOGETHER)):
        monkeypatch.setattr(
            tiers, "bounds_of", lambda _, most=most: tiers.Bounds("here", ROOM, True, {"float32": most})
        )
        found = tiers.choose(cell, wide)
        assert (found.number, found.graphs) == (number, number == tiers.STEPS)
    assert found.reason == "all steps in one launch, by programs together: they hold all weights between them (here)"
    assert tiers.choose(cell, few).number == tiers.WHOLE


@pytest.mark.parametrize(
    ("options", "hidden", "batch"),
    [({"projection": True}, 64, 2), ({"norm": "ba2016"}, 64, 2), ({}, 2000, 2), ({}, 512, 200)],
)
def test_programs_together_refuse_what_they_cannot_hold_or_wait_for(
    options: dict[str, Any], hidden: int, batch: int
) -> None:  # fmt: skip
    cell = find("lstm").with_options(**options)
    given = Problem("any", 3, batch, 2, hidden).operands(cell)
    assert tiers.together(cell, given, tiers.PROCESSORS) is None
    backend = Triton(tiers.TOGETHER)
    assert backend._refuses_loop(cell, given) is not None
    assert backend._refuses_loop(find("lstm"), operands(find("lstm"), 64)) is None


def test_tf32_has_a_row_of_its_own() -> None:
    assert tiers.precision_of(torch.float32) == "float32"
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        assert tiers.precision_of(torch.float32) == "tf32"
    finally:
        torch.set_float32_matmul_precision(before)


def test_explain_names_the_tier_and_where_the_choice_comes_from() -> None:
    cell = find("lstm")
    told = Triton().way(cell, operands(cell, 4))
    assert told.startswith("runs, all steps in one launch")
    assert tiers.bounds_of("any").source in told
    assert Triton(tier=0).way(cell, operands(cell, 4)) == "runs, a launch for each step, as asked for"


def test_what_was_measured_is_written_beside_what_was_not(tmp_path: Path) -> None:
    path = tmp_path / "tiers.json"
    path.write_text(tiers.TABLE.read_text())
    measured = tiers.Bounds("measured with one step", {"float32": 48}, True, {"float32": 16})
    assert tiers.bounds_of("a processor", path) != measured
    tiers.write("a processor", measured, path)
    assert tiers.bounds_of("a processor", path) == measured
    assert tiers.bounds_of("another", path) == tiers.bounds_of("any")
