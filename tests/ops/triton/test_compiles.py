"""The kernels compile for a graphics processor; this needs Triton, and no such processor."""

import re
from dataclasses import replace
from unittest.mock import patch

import pytest
import torch

from benchmarks.gpu_compiler import compiled, facts, kernels
from carousel.ops.triton import tiers, tiles
from carousel.testing import CELLS, Problem
from tests.ops.triton.interpreter import needs_compiler

pytestmark = [needs_compiler, pytest.mark.slow]

EVERYTHING = Problem("all", 9, 5, 3, 6, projection=2, ragged=True, reset=True, reverse=True, noise=True)
PLAIN = Problem("plain", 9, 5, 3, 6)
SHARED = 227 * 1024
"""Bytes of shared memory that a program can have there."""


@pytest.mark.parametrize(
    ("name", "dtype", "problem"),
    [
        ("lstm", torch.float32, PLAIN),
        ("peephole in blocks", torch.bfloat16, EVERYTHING),
        ("peephole_matrix", torch.float16, EVERYTHING),
        ("full_gate_recurrence", torch.float32, EVERYTHING),
        ("lstm with ba2016", torch.bfloat16, EVERYTHING),
    ],
)
def test_the_loop_compiles(name: str, dtype: torch.dtype, problem: Problem) -> None:
    made = kernels(name, problem, dtype, tiers.STEPS)
    beside = {"project", "collect"} if problem.projection else set()
    beside |= {"recur", "recur back", "unproject"} if CELLS[name].norm else set()
    assert set(made) == {"there", "back", "last", "finish"} | beside
    assert all(each.asm["cubin"] for each in made.values())


@pytest.mark.parametrize(
    ("name", "dtype", "share"),
    [
        ("lstm", torch.float64, 1),
        ("peephole in blocks", torch.float32, 1),
        ("peephole in blocks", torch.bfloat16, 1),
        ("peephole with torch_sample", torch.float16, 1),
        ("full_gate_recurrence", torch.bfloat16, 2),
    ],
)
def test_all_steps_in_one_program_fit_where_the_table_says_so(name: str, dtype: torch.dtype, share: int) -> None:
    most = tiers.bounds_of("any").cells[tiers.precision_of(dtype)] // share
    problem = replace(EVERYTHING, hidden=most, projection=most // 2 if share > 1 else 0)
    cell = problem.cell(CELLS[name])
    assert tiers.choose(cell, problem.operands(cell, dtype=dtype)).number == tiers.WHOLE
    made = kernels(name, problem, dtype, tiers.WHOLE)
    assert max(each.metadata.shared for each in made.values()) <= SHARED


@pytest.mark.parametrize(
    ("name", "hidden", "batch", "dtype"),
    [
        ("lstm", 768, 16, torch.bfloat16),
        ("lstm", 1024, 1, torch.float32),
        ("peephole", 1024, 256, torch.float16),
        ("coupled", 128, 64, torch.float32),
        ("peephole in blocks", 512, 16, torch.bfloat16),
        ("peephole_matrix", 512, 16, torch.bfloat16),
        ("full_gate_recurrence", 256, 16, torch.float16),
    ],
)
def test_products_read_ahead(name: str, hidden: int, batch: int, dtype: torch.dtype) -> None:
    """What a product reads in its loop is copied to shared memory before it is needed, several numbers at a time."""
    made = kernels(name, Problem("wide", 3, batch, 16, hidden), dtype, tiers.STEPS)
    for name in ("there", "back", "finish"):
        each = made[name]
        body = inside_loops(each.asm["ttgir"])
        assert "async_copy_global_to_local" in body
        assert "tt.load" not in body
        assert each.metadata.shared <= SHARED


@pytest.mark.parametrize(
    ("name", "hidden", "batch", "dtype"),
    [
        ("lstm", 1024, 16, torch.bfloat16),
        ("lstm", 512, 16, torch.float32),
        ("peephole in blocks", 768, 32, torch.float16),
        ("peephole_matrix", 512, 16, torch.bfloat16),
        ("full_gate_recurrence", 256, 16, torch.bfloat16),
    ],
)
def test_programs_together_hold_their_weights(name: str, hidden: int, batch: int, dtype: torch.dtype) -> None:
    """Weights are read before the loop; in it, only what others say, of which the first cache may know nothing."""
    from carousel.ops.triton.kernels.together import POLLS

    problem, cell = Problem("wide", 3, batch, 16, hidden), CELLS[name]
    operands = problem.operands(cell, dtype=dtype)
    tile = tiles.together(cell, operands)
    assert tile is not None
    made = kernels(name, problem, dtype, tiers.TOGETHER)
    for each, works in zip(made.values(), tiles.works(cell, operands), strict=True):
        body = inside_loops(each.asm["ttgir"])
        loads = [line for line in body.splitlines() if "tt.load" in line]
        weights, said = f"{tile.split}x{tile.depth}x", f"{tile.split}x{tile.batch}x{tile.depth}x"
        assert not [line for line in loads if f"tensor<{weights}" in line]
        heard = [line for line in loads if f"tensor<{said}" in line]
        assert heard
        assert all(re.search(r"cache_?[mM]odifier = cg", line) for line in heard)
        assert ("atomic_poll" if POLLS.value else "atomic_rmw") in body
        assert each.metadata.shared <= min(SHARED, tiles.bytes_held(works, tile) + 32 * 1024)


@pytest.mark.parametrize("block", [128, 512])
def test_wide_blocks_fit(block: int) -> None:
    cell = CELLS["peephole in blocks"].with_options(block=block)
    with patch.dict(CELLS, {"wide": cell}):
        made = kernels("wide", Problem("one block", 3, 16, 16, block), torch.bfloat16, tiers.STEPS)
    assert max(each.metadata.shared for each in made.values()) <= SHARED


@pytest.mark.parametrize(
    ("name", "hidden", "batch", "dtype"),
    [
        ("lstm", 1024, 256, torch.bfloat16),
        ("peephole in blocks", 512, 256, torch.float32),
        ("lstm with ba2016", 768, 64, torch.float16),
        ("peephole_matrix", 1024, 64, torch.bfloat16),
        ("lstm", 48, 16, torch.float64),
    ],
)
def test_a_smaller_chip_is_not_asked_for_more_than_it_has(
    name: str, hidden: int, batch: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    from carousel.ops.triton import loop

    small = tiles.Chip(128, 99 * 1024, 24 * 1024**3)
    for room in (loop, tiers):
        monkeypatch.setattr(room, "chip", lambda _: small)
    problem = Problem("everything", 3, batch, 16, hidden, projection=hidden // 2, reset=True, noise=True)
    problem = replace(problem, projection=0) if name == "peephole_matrix" else problem
    cell = problem.cell(CELLS[name])
    tier = tiers.choose(cell, problem.operands(cell, dtype=dtype)).number
    made = kernels(name, problem, dtype, tier)
    assert max(each.metadata.shared for each in made.values()) <= small.shared


def inside_loops(code: str) -> str:
    """The bodies of the loops in Triton's own code."""
    bodies = code.split("scf.for")[1:]
    return "\n".join(body.rsplit("scf.yield", 1)[0] for body in bodies)


def test_the_compiler_tells_what_a_kernel_takes() -> None:
    made = kernels("lstm", PLAIN, torch.float32, tiers.STEPS)["there"]
    found = facts(made)
    assert 16 <= found.registers <= 255
    assert found.shared == made.metadata.shared
    assert found.barriers > 0


@pytest.mark.parametrize(("name", "predecessors"), [("peephole", 2), ("lstm with ba2016", 1)])
def test_the_step_compiles(name: str, predecessors: int) -> None:
    from carousel.ops.triton.kernels.grid import Made, take, take_back
    from carousel.ops.triton.step import back_of, grid_of
    from carousel.testing.problems import StepProblem

    cell = CELLS[name]
    operands = StepProblem("a map", 2, 4, predecessors, (3, 4), everywhere=True).operands(cell)
    grid = grid_of(cell, operands)
    made = Made(operands.previous[0], operands.previous[0], operands.pre)
    assert compiled(take, grid, made).asm["cubin"]
    assert compiled(take_back, grid, back_of(operands, grid, made)).asm["cubin"]
