"""`python -m benchmarks.gpu_compiler`: what the compiler makes of the kernels for an H100, which need not be there.

Registers, spilled bytes, shared memory, barriers and occupancy of some shapes, and how long every cell takes to compile
with an empty cache: what the first call of a cell and dtype costs before anything runs. Needs Triton.
"""

import argparse
import re
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks import machine
from benchmarks.cells import page, records
from benchmarks.cells.records import Answer, Figure, Row
from carousel.ops.triton import Triton, tiers
from carousel.ops.triton.tiles import Tile
from carousel.testing import CELLS, Problem

PROTOCOL = "Compiled for an H100, on this machine; nothing has run."
HOPPER = ("cuda", 90, 32)
"""An H100's architecture."""
REGISTERS, UNIT, MEMORY, OWN, WARPS, WARP, PROGRAMS = 65536, 8, 228 * 1024, 1024, 64, 32, 32
"""What a multiprocessor of it has: registers, given to threads by so many, bytes of shared memory, of which each
program takes some for itself, warps of so many threads, and programs."""
TYPES = {
    torch.float32: "fp32", torch.float64: "fp64", torch.bfloat16: "bf16", torch.float16: "fp16",
    torch.int64: "i64", torch.int32: "i32",
}  # fmt: skip
SHAPES = [
    ("lstm", 768, 16, torch.bfloat16), ("lstm", 1024, 1, torch.float32), ("lstm", 1024, 256, torch.float16),
    ("lstm", 128, 16, torch.bfloat16), ("lstm", 64, 16, torch.float32), ("peephole", 512, 64, torch.float32),
    ("peephole_matrix", 512, 16, torch.bfloat16), ("full_gate_recurrence", 256, 16, torch.bfloat16),
    ("lstm with ba2016", 512, 16, torch.bfloat16),
]  # fmt: skip
EVERY = Problem("every", 4, 16, 0, 64)
TARGET = 10.0
"""Seconds that the first call of a cell and dtype may take."""


def compiled(kernel: Any, *arguments: Any, warps: int = 4, stages: int = 3) -> Any:
    """The kernel for these arguments, specialised as a launch would: 1 is a constant, and multiples of 16 are known."""
    from triton import compile as made  # pyright: ignore[reportAttributeAccessIssue]
    from triton.backends.compiler import GPUTarget  # pyright: ignore[reportMissingImports]
    from triton.compiler import ASTSource  # pyright: ignore[reportMissingImports]

    known = Known({}, {})
    named = zip(kernel.params, arguments, strict=True)
    signature = {each.name: known.type(value, (each.num,), each.do_not_specialize) for each, value in named}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="TRITON_DEFAULT_FP_FUSION")
        source = ASTSource(kernel, signature=signature, constexprs=known.constants, attrs=known.multiples)
        return made(source, target=GPUTarget(*HOPPER), options={"num_warps": warps, "num_stages": stages})


class Known(NamedTuple):
    """What is known when a kernel is compiled, by the place of each argument: constants, and multiples of 16."""

    constants: dict[tuple[int, ...], Any]
    multiples: dict[tuple[int, ...], Any]

    def type(self, value: Any, path: tuple[int, ...], as_it_comes: bool) -> Any:
        """The type of an argument as Triton writes it."""
        if isinstance(value, tuple):
            return type(value)(*(self.type(each, (*path, at), as_it_comes) for at, each in enumerate(value)))
        counts = isinstance(value, int) and not isinstance(value, bool)
        if isinstance(value, torch.Tensor) or (counts and value % 16 == 0 and not as_it_comes):
            self.multiples[path] = [["tt.divisibility", 16]]
        if isinstance(value, torch.Tensor):
            return f"*{TYPES[value.dtype]}"
        if counts and (value != 1 or as_it_comes):
            return "i32"
        self.constants[path] = getattr(value, "value", value)
        return "constexpr"


def kernels(name: str, problem: Problem, dtype: torch.dtype, tier: int) -> dict[str, Any]:
    """The kernels of a tier, compiled: by steps `there` and `back`, and what else it launches."""
    from carousel.ops.triton.gradients import flow_of
    from carousel.ops.triton.kernels import backward, forward, together, whole
    from carousel.ops.triton.loop import Loop, both_sides, kept

    cell = problem.cell(CELLS[name])
    loop = Loop(cell, problem.operands(cell, dtype=dtype), tier)
    saved, after = kept(loop, training=True), loop.empty_states()
    flow, raw = flow_of(loop, [saved.outputs, *loop.initial]), loop.operands.gates.new_empty(0)
    raw = raw if cell.projection else None
    tile, tile_back = loop.there, loop.back
    call, call_back = loop.call(saved, tile), loop.call_back(saved, tile_back)
    if tier == tiers.WHOLE:
        return {
            "there": _made(tile, whole.forwards, *loop.counts, call, after),
            "back": _made(tile_back, whole.backwards, *loop.counts, call_back, flow, raw),
        }
    if tier == tiers.TOGETHER:
        both, flags = both_sides(loop), loop.flags(tile)
        return {
            "there": _made(tile, together.forwards, *loop.counts, call, both, after, flags),
            "back": _made(tile_back, together.backwards, *loop.counts, call_back, flow, flags),
        }
    rows, rows_back = loop.rows(tile), loop.rows(tile_back)
    row_call, row_call_back = loop.call(saved, rows), loop.call_back(saved, rows_back)
    found = {
        "there": _made(rows, forward.advance, 3, *loop.counts, row_call, loop.initial, after, raw),
        "back": _made(rows_back, backward.retreat, 2, *loop.counts, row_call_back, flow, raw, False),
        "last": _made(rows_back, backward.retreat, 2, *loop.counts, row_call_back, flow, raw, True),
        "finish": _made(tile_back, backward.finish, 3, *loop.counts, call_back, flow),
    }
    if loop.multiplies:
        found["recur"] = _made(tile, forward.recur, 3, *loop.counts, call, loop.initial)
        found["recur back"] = _made(tile_back, backward.recur_back, 3, *loop.counts, call_back, flow)
    if cell.projection:
        found["project"] = _made(tile, forward.project, 3, *loop.counts, call, loop.initial, after, raw)
        found["collect"] = _made(tile_back, backward.collect, 2, *loop.counts, call_back, flow, False)
    if flow.raw is not None:
        found["unproject"] = _made(tile_back, backward.unproject, 2, *loop.counts, call_back, flow)
    return found


def _made(tile: Tile, kernel: Any, *arguments: Any) -> Any:
    return compiled(kernel, *arguments, warps=tile.warps, stages=tile.stages)


class Facts(NamedTuple):
    """What a compiled kernel takes: registers and spilled bytes of a thread, shared bytes, warps, and barriers."""

    registers: int
    spilled: int
    shared: int
    warps: int
    barriers: int

    @property
    def resident(self) -> int:
        """How many of its programs one multiprocessor of an H100 runs at once, as far as there is room for them."""
        of_thread = -(-self.registers // UNIT) * UNIT
        room = REGISTERS // (WARP * self.warps * of_thread), MEMORY // (self.shared + OWN), WARPS // self.warps
        return min(*room, PROGRAMS)


def facts(made: Any) -> Facts:
    """As the compiler's own tools tell."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        usage, code = _told("cuobjdump", "-res-usage", file.name), _told("nvdisasm", "-c", file.name)
    registers, stack = (int(re.findall(rf"{word}:(\d+)", usage)[0]) for word in ("REG", "STACK"))
    barriers = len(re.findall(r"\bBAR\.SYNC", code))
    return Facts(registers, stack, made.metadata.shared, made.metadata.num_warps, barriers)


def _told(tool: str, *words: str) -> str:
    import triton.backends.nvidia as nvidia  # pyright: ignore[reportMissingImports]

    path = Path(nvidia.__file__).parent / "bin" / tool
    return subprocess.run([path, *words], capture_output=True, text=True, check=True).stdout


def ways(name: str, problem: Problem, dtype: torch.dtype) -> Iterator[int]:
    """The tiers that can run it."""
    cell = problem.cell(CELLS[name])
    operands = problem.operands(cell, dtype=dtype)
    yield tiers.STEPS
    if tiers.choose(cell, operands).number == tiers.WHOLE:
        yield tiers.WHOLE
    if tiers.together(cell, operands):
        yield tiers.TOGETHER


def shape(name: str, hidden: int, batch: int, dtype: torch.dtype) -> list[Row]:
    """What the kernels of a shape take, in every tier that can run it."""
    from carousel.ops.triton.loop import Loop

    problem, rows = Problem("shape", 4, batch, 0, hidden), []
    for tier in ways(name, problem, dtype):
        made = kernels(name, problem, dtype, tier)
        loop = Loop(CELLS[name], problem.operands(CELLS[name], dtype=dtype), tier)
        for way, tile in (("there", loop.there), ("back", loop.back)):
            found = facts(made[way])
            figures = [
                Figure("registers", found.registers, unit=""), Figure("spilled", found.spilled, unit=" B"),
                Figure("shared", found.shared, unit=" B"), Figure("barriers", found.barriers, unit=""),
                Figure("programs", prod(loop.grid(loop.rows(tile))), unit=""),
                Figure("resident", found.resident, unit=""), Figure("warps", found.warps, unit=""),
            ]  # fmt: skip
            label = f"{name}, {hidden} cells, {batch} sequences, {_word(dtype)}, {tiers.WORDS[tier]}"
            rows.append(Row(label, way, figures=figures))
    return rows


def first_call(name: str, dtype: torch.dtype) -> list[Row]:
    """Seconds to compile all that a cell's first call launches, there and back, in every tier."""
    import triton  # pyright: ignore[reportMissingImports]

    rows = []
    for tier in ways(name, EVERY, dtype):
        with tempfile.TemporaryDirectory() as cache, triton.knobs.cache.scope():
            triton.knobs.cache.dir = cache
            start = time.perf_counter()
            kernels(name, EVERY, dtype, tier)
            seconds = time.perf_counter() - start
        figure = Figure("first call", seconds, TARGET, lower=True, unit=" s")
        rows.append(Row(f"{name}, {_word(dtype)}, {tiers.WORDS[tier]}", figures=[figure]))
    return rows


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def main() -> None:
    """Compile, print, and keep what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_compiler", description=main.__doc__)
    parser.add_argument("--only", choices=list(QUESTIONS), nargs="+", default=list(QUESTIONS), help="these alone")
    for name in parser.parse_args().only:
        start, load = time.time(), machine.load()
        answer = QUESTIONS[name]()
        answer.machine = machine.described() | {"backend": Triton.name, "instructions": "compiled for an H100"}
        answer.load, answer.seconds = [load, machine.load()], round(time.time() - start, 1)
        print(page.section(answer), flush=True)
        records.keep([answer])
    page.write()


def what_they_take() -> Answer:
    """Registers, memory, barriers and occupancy."""
    protocol = f"{PROTOCOL} Programs of the launch; resident: how many of them one multiprocessor has room for at once."
    rows = [row for each in SHAPES for row in shape(*each)]
    return Answer("gpu-compiled", "What kernels for graphics processors take", protocol, rows)


def how_long_they_compile() -> Answer:
    """The first calls of all cells."""
    with ProcessPoolExecutor(2) as pool:
        found = pool.map(first_call, *zip(*product(CELLS, (torch.float32, torch.bfloat16)), strict=True))
        calls = [row for rows in found for row in rows]
    longest = max(row.figures[0].value for row in calls)
    summary = [Figure("the longest first call", longest, TARGET, lower=True, unit=" s")]
    return Answer("gpu-first-call", "How long they compile", f"{PROTOCOL} 64 cells, two at a time.", calls, summary)


QUESTIONS = {"compiled": what_they_take, "first-call": how_long_they_compile}


if __name__ == "__main__":
    main()
