"""The kernels compile for a graphics processor; this needs Triton, and no such processor."""

import warnings
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch

from carousel.testing import CELLS, Problem
from tests.ops.triton.interpreter import needs_compiler

pytestmark = [needs_compiler, pytest.mark.slow]

HOPPER = ("cuda", 90, 32)
TYPES = {
    torch.float32: "fp32", torch.float64: "fp64", torch.bfloat16: "bf16", torch.float16: "fp16",
    torch.int64: "i64", torch.int32: "i32", torch.uint8: "u8",
}  # fmt: skip
EVERYTHING = Problem("all", 9, 5, 3, 6, projection=2, ragged=True, reset=True, reverse=True, noise=True)
PLAIN = Problem("plain", 9, 5, 3, 6)


SHARED = 227 * 1024
"""Bytes of shared memory that a program can have there."""


def kernel_size(kernel: Any, *arguments: Any) -> int:
    """Bytes of the machine code for these arguments."""
    return len(compiled(kernel, *arguments).asm["cubin"])


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
    from carousel.ops.triton.gradients import flow_of
    from carousel.ops.triton.kernels import backward, forward
    from carousel.ops.triton.loop import Loop, kept

    cell = problem.cell(CELLS[name])
    loop = Loop(cell, problem.operands(cell, dtype=dtype))
    saved = kept(loop, training=True)
    call, after, raw = loop.call(saved), loop.empty_states(), torch.empty_like(loop.initial.cell)
    flow = flow_of(loop, [saved.outputs, *loop.initial])
    assert kernel_size(forward.advance, 3, call, loop.initial, after, raw)
    call = loop.call_back(saved)
    assert kernel_size(backward.retreat, 2, 3, call, flow, raw, False)
    assert kernel_size(backward.finish, 3, call, flow)
    if cell.projection:
        assert kernel_size(forward.project, 3, loop.call(saved), loop.initial, after, raw)
        assert kernel_size(backward.collect, 2, 3, call, flow, False)


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
    from carousel.ops.triton import tiers
    from carousel.ops.triton.gradients import flow_of
    from carousel.ops.triton.kernels import whole
    from carousel.ops.triton.loop import Loop, kept

    most = tiers.bounds_of("any").cells[tiers.precision_of(dtype)] // share
    problem = replace(EVERYTHING, hidden=most, projection=most // 2 if share > 1 else 0)
    cell = problem.cell(CELLS[name])
    operands = problem.operands(cell, dtype=dtype)
    assert tiers.choose(cell, operands).number == tiers.WHOLE
    loop = Loop(cell, operands, tiers.WHOLE)
    saved = kept(loop, training=True)
    raw, flow = torch.empty_like(loop.initial.cell), flow_of(loop, [None, *loop.initial])
    call, warps = loop.call(saved), loop.there.warps
    there = compiled(whole.forwards, *loop.counts, call, loop.empty_states(), warps=warps)
    back = compiled(whole.backwards, *loop.counts, loop.call_back(saved), flow, raw, warps=warps)
    assert max(there.metadata.shared, back.metadata.shared) <= SHARED


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
    """What a product reads in its loop is copied to shared memory stages before it is needed, and nothing else is."""
    from carousel.ops.triton.gradients import flow_of
    from carousel.ops.triton.kernels import backward, forward
    from carousel.ops.triton.loop import Loop, kept

    cell = CELLS[name]
    loop = Loop(cell, Problem("wide", 3, batch, 16, hidden).operands(cell, dtype=dtype))
    saved, after = kept(loop, training=True), loop.empty_states()
    call, flow = loop.call_back(saved), flow_of(loop, [saved.outputs, *loop.initial])
    there = loop.call(saved), loop.initial, after, None
    for made in (
        compiled(forward.advance, 1, *there, warps=loop.there.warps, stages=loop.there.stages),
        compiled(backward.retreat, 1, 2, call, flow, None, False, warps=loop.back.warps, stages=loop.back.stages),
    ):
        body = inside_loops(made.asm["ttgir"])
        assert "async_copy_global_to_local" in body
        assert "tt.load" not in body
        assert made.metadata.shared <= SHARED


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
    """Weights are read once, before the loop; in it nothing but what others say comes from behind the first cache."""
    from carousel.ops.triton import tiers, tiles
    from carousel.ops.triton.gradients import flow_of
    from carousel.ops.triton.kernels import together
    from carousel.ops.triton.kernels.memory import States
    from carousel.ops.triton.loop import Loop, kept

    cell = CELLS[name]
    operands = Problem("wide", 3, batch, 16, hidden).operands(cell, dtype=dtype)
    loop = Loop(cell, operands, tiers.TOGETHER)
    saved, after, flags = kept(loop, training=True), loop.empty_states(), loop.flags(loop.there)
    both = States(*(None if part is None else part.to(dtype) for part in loop.initial))
    flow, warps = flow_of(loop, [saved.outputs, *loop.initial]), loop.there.warps
    there = compiled(together.forwards, *loop.counts, loop.call(saved), both, after, flags, warps=warps, stages=1)
    back = compiled(together.backwards, *loop.counts, loop.call_back(saved), flow, flags, warps=warps, stages=1)
    weights = f"{loop.there.split}x{loop.there.depth}x"
    for made, works in zip((there, back), tiles.works(cell, operands), strict=True):
        body = inside_loops(made.asm["ttgir"])
        assert not [line for line in body.splitlines() if "tt.load" in line and weights in line]
        assert "atomic_poll" in body and "cg" in body
        assert made.metadata.shared <= SHARED
        assert made.metadata.shared <= tiles.bytes_held(works, loop.there) + 32 * 1024


def inside_loops(code: str) -> str:
    """The bodies of the loops in Triton's own code."""
    bodies = code.split("scf.for")[1:]
    return "\n".join(body.split("scf.yield")[0] for body in bodies)


def test_nothing_is_compiled_anew_for_other_numbers_of_steps_and_sequences() -> None:
    from carousel.ops.triton.kernels import whole
    from carousel.ops.triton.loop import Loop, kept

    cell = CELLS["lstm"]
    sizes = []
    for problem in (PLAIN, replace(PLAIN, time=16, batch=16), replace(PLAIN, time=1, batch=1)):
        loop = Loop(cell, problem.operands(cell), 1)
        sizes.append(loop.call(kept(loop, training=False)).size)
    assert sizes[0] == sizes[1] == sizes[2]
    kernels: list[Any] = [whole.forwards, whole.backwards]
    for kernel in kernels:
        assert [each.name for each in kernel.params if each.do_not_specialize] == ["time", "batch"]


@pytest.mark.parametrize(("name", "predecessors"), [("peephole", 2), ("lstm with ba2016", 1)])
def test_the_step_compiles(name: str, predecessors: int) -> None:
    from carousel.ops.triton.kernels.grid import Made, take, take_back
    from carousel.ops.triton.step import back_of, grid_of
    from carousel.testing.problems import StepProblem

    cell = CELLS[name]
    operands = StepProblem("a map", 2, 4, predecessors, (3, 4), everywhere=True).operands(cell)
    grid = grid_of(cell, operands)
    made = Made(operands.previous[0], operands.previous[0], operands.pre)
    assert kernel_size(take, grid, made)
    assert kernel_size(take_back, grid, back_of(operands, grid, made))
