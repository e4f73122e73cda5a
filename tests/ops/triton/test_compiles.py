"""The kernels compile for a graphics processor; this needs Triton, and no such processor."""

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch

from carousel.testing import CELLS, Problem
from tests.ops.triton.interpreter import needs_compiler

pytestmark = [needs_compiler, pytest.mark.slow]

HOPPER = ("cuda", 90, 32)
TYPES = {
    torch.float32: "fp32", torch.float64: "fp64", torch.bfloat16: "bf16", torch.float16: "fp16",
    torch.int64: "i64", torch.uint8: "u8",
}  # fmt: skip
EVERYTHING = Problem("all", 9, 5, 3, 6, projection=2, ragged=True, reset=True, reverse=True, noise=True)
PLAIN = Problem("plain", 9, 5, 3, 6)


SHARED = 227 * 1024
"""Bytes of shared memory that a program can have there."""


def kernel_size(kernel: Any, *arguments: Any) -> int:
    """Bytes of the machine code for these arguments."""
    return len(compiled(kernel, *arguments).asm["cubin"])


def compiled(kernel: Any, *arguments: Any, warps: int = 4) -> Any:
    """The kernel for these arguments."""
    from triton import compile as made  # pyright: ignore[reportAttributeAccessIssue]
    from triton.backends.compiler import GPUTarget  # pyright: ignore[reportMissingImports]
    from triton.compiler import ASTSource  # pyright: ignore[reportMissingImports]

    constants: dict[tuple[int, ...], Any] = {}
    named = zip(kernel.arg_names, arguments, strict=True)
    signature = {name: signed(value, (at,), constants) for at, (name, value) in enumerate(named)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="TRITON_DEFAULT_FP_FUSION")
        source = ASTSource(kernel, signature=signature, constexprs=constants)
        return made(source, target=GPUTarget(*HOPPER), options={"num_warps": warps})


def signed(value: Any, path: tuple[int, ...], constants: dict[tuple[int, ...], Any]) -> Any:
    """The type of an argument as Triton writes it; what is known when it compiles goes into the constants."""
    if isinstance(value, torch.Tensor):
        return f"*{TYPES[value.dtype]}"
    if isinstance(value, tuple):
        return type(value)(*(signed(each, (*path, at), constants) for at, each in enumerate(value)))
    if isinstance(value, int) and not isinstance(value, bool):
        return "i32"
    constants[path] = getattr(value, "value", value)
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
    assert kernel_size(backward.retreat, 2, 3, call, flow, raw, False)
    assert kernel_size(backward.finish, 3, call, flow)
    if cell.projection:
        assert kernel_size(forward.project, 3, call, loop.initial, after, raw)
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
    call, raw, flow = loop.call(saved), torch.empty_like(loop.initial.cell), flow_of(loop, [None, *loop.initial])
    there = compiled(whole.forwards, *loop.counts, call, loop.empty_states(), warps=loop.warps)
    back = compiled(whole.backwards, *loop.counts, call, flow, raw, warps=loop.warps)
    assert max(there.metadata.shared, back.metadata.shared) <= SHARED


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
