"""Which tier runs, by the table; this needs neither Triton nor a graphics processor."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from carousel.cells import Cell, find
from carousel.ops import Operands
from carousel.ops.operands import State
from carousel.ops.triton import Triton, backend, extension, tiers
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
    assert tiers.together(cell, given) is None
    shared = Triton(tiers.TOGETHER)
    assert shared._refuses_loop(cell, given) is not None
    assert shared._refuses_loop(find("lstm"), operands(find("lstm"), 64)) is None


@pytest.mark.parametrize(
    ("options", "hidden", "dtype", "words"),
    [
        ({"block": 24}, 240, torch.float32, None),
        ({"block": 200}, 400, torch.float32, "blocks have 200 cells, no power of two"),
        ({"block": 3, "norm": "ba2016"}, 150, torch.float32, "a tile holds 128 cells, not 150"),
        ({"block": 4, "norm": "ba2016"}, 152, torch.float32, None),
        ({"block": 256}, 512, torch.float32, None),
        ({"block": 512}, 512, torch.bfloat16, None),
        ({"block": 256}, 512, torch.float64, "one of 256 cells is too large"),
        ({"block": 1024}, 1024, torch.float64, "one of 1024 cells is too large"),
    ],
)
def test_blocks_that_no_tile_holds_are_refused(
    options: dict[str, Any], hidden: int, dtype: torch.dtype, words: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(extension, "interprets", lambda: True)
    monkeypatch.setattr(extension, "missing", lambda: None)
    cell = find("lstm").with_options(**options)
    refused = Triton().refuses(cell, operands(cell, hidden, dtype))
    assert refused is None if words is None else words in str(refused)


def test_one_program_refuses_what_it_cannot_hold() -> None:
    whole = Triton(tiers.WHOLE)
    found = [whole._refuses_loop(find("lstm"), operands(find("lstm"), hidden)) for hidden in (64, 256)]
    assert found == [None, "one program cannot hold the weights of 256 cells for all steps"]


def test_a_chip_with_less_memory_has_fewer_cells_in_one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    cell, most = find("lstm"), ROOM["bfloat16"]
    given = operands(cell, most, torch.bfloat16)
    assert tiers.choose(cell, given).number == tiers.WHOLE
    monkeypatch.setattr(tiers, "chip", lambda _: tiers.Chip(128, 99 * 1024, 24 * 1024**3))
    assert tiers.choose(cell, given).number == tiers.STEPS
    assert tiers.choose(cell, operands(cell, most // 2, torch.bfloat16)).number == tiers.WHOLE


@pytest.mark.parametrize(("capability", "refused"), [((7, 5), True), ((8, 0), False), ((12, 0), False)])
def test_an_older_chip_is_refused_by_name(
    capability: tuple[int, int], refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(extension, "missing", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "an old one")
    there: Any = SimpleNamespace(device=torch.device("cuda", 1))
    assert ("an old one is older" in str(backend._refuses_device([there, None]))) == refused


def test_tensors_of_two_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extension, "interprets", lambda: True)
    given = operands(find("lstm"), 4)
    given = replace(given, state=State(*(each if each is None else each.to("meta") for each in given.state)))  # type: ignore[arg-type]
    assert "of one device; there are cpu, meta" in str(Triton().refuses(find("lstm"), given))


@pytest.mark.parametrize(
    ("version", "refused"),
    [("3.4.0", True), ("3.5.1", True), ("3.6.0", False), ("3.7rc1", False), ("3.10.0+git12", False), ("4.0.0", False)],
)
def test_an_older_triton_is_refused_by_name(version: str, refused: bool) -> None:
    assert (version in str(extension.too_old(version))) == refused


def test_tf32_has_a_row_of_its_own() -> None:
    assert tiers.precision_of(torch.float32) == "float32"
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        assert tiers.precision_of(torch.float32) == "tf32"
    finally:
        torch.set_float32_matmul_precision(before)


def test_tf32_is_asked_for_by_either_setting_of_torch() -> None:
    """Its older getter raises an error where the newer setting was used."""
    word = "from carousel.ops.triton.tiers import precision_of; print(precision_of(torch.float32))"
    for setting in ("backends.cuda.matmul.fp32_precision = 'tf32'", "backends.cuda.matmul.allow_tf32 = True"):
        code = f"import torch; torch.{setting}; {word}"
        found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
        assert found.stdout == "tf32\n"


def test_explain_names_the_tier_and_where_the_choice_comes_from() -> None:
    cell = find("lstm")
    told = Triton().way(cell, operands(cell, 4))
    assert told.startswith("runs, all steps in one launch")
    assert tiers.bounds_of("any").source in told
    assert Triton(tier=0).way(cell, operands(cell, 4)) == "runs, a launch for each step in CUDA graphs, as asked for"


def test_launches_are_gathered_where_a_graph_takes_little_memory() -> None:
    """Unless they are asked for: a graph keeps copies of what it reads and writes."""
    cell = find("lstm")
    few, many = (Problem("any", 64, batch, 0, 512).operands(cell) for batch in (16, 1024))
    assert [tiers.choose(cell, each).graphs for each in (few, many)] == [True, False]
    assert tiers.choose(cell, many, graphs=True).graphs


def test_what_was_measured_is_written_beside_what_was_not(tmp_path: Path) -> None:
    path = tmp_path / "tiers.json"
    path.write_text(tiers.TABLE.read_text())
    measured = tiers.Bounds("measured with one step", {"float32": 48}, True, {"float32": 16})
    assert tiers.bounds_of("a processor", path) != measured
    tiers.write("a processor", measured, path)
    assert tiers.bounds_of("a processor", path) == measured
    assert tiers.bounds_of("another", path) == tiers.bounds_of("any")
