"""Kernels as a launch finds them: everything but the processor itself, for which something stands that never runs."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch

from benchmarks.gpu_compiler import HOPPER
from carousel.ops.operands import State
from carousel.ops.triton import extension, tiers
from carousel.testing import CELLS, Problem
from tests.ops.triton.interpreter import needs_compiler

pytestmark = [needs_compiler, pytest.mark.slow]

PLAIN = Problem("plain", 3, 5, 3, 48)
Launches = list[tuple[str, str]]


class Nowhere:
    """A driver without a processor: kernels are compiled for an H100."""

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget  # pyright: ignore[reportMissingImports]

        return GPUTarget(*HOPPER)

    def get_current_device(self) -> int:
        return 99

    def get_current_stream(self, device: int) -> int:
        return 0


@dataclass
class Again:
    """A kernel that was compiled, to be launched again without a look at its arguments: they must be for that one."""

    hash: str
    look: Callable[..., "Again"]

    def __getitem__(self, grid: tuple[int, int, int]) -> Callable[..., None]:
        def launch(*arguments: Any) -> None:
            assert self.look(grid[:2], *arguments).hash == self.hash

        return launch


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Launches]:
    """The names and hashes of the kernels that were launched."""
    import triton  # pyright: ignore[reportMissingImports]

    found: Launches = []

    def launch(kernel: Any, grid: Any, *arguments: Any, warps: int, stages: int, at_once: bool = False) -> Any:
        options = {"num_warps": warps, "num_stages": stages, "launch_cooperative_grid": at_once}
        made = kernel.warmup(*arguments, grid=grid, **options)
        found.append((kernel.fn.__name__, made.hash))
        return Again(made.hash, partial(launch, kernel, warps=warps, stages=stages, at_once=at_once))

    monkeypatch.setattr(extension, "launch", launch)
    monkeypatch.setattr(triton.runtime.driver, "_active", Nowhere())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="TRITON_DEFAULT_FP_FUSION")
        yield found


def there_and_back(name: str, problem: Problem, tier: int, dtype: torch.dtype = torch.float32) -> None:
    from carousel.ops.triton.gradients import gradients
    from carousel.ops.triton.loop import Loop, run

    cell = problem.cell(CELLS[name])
    operands = problem.operands(cell, dtype=dtype)
    saved, state = run(Loop(cell, operands, tier), training=True)
    gradients(Loop(cell, operands, tier), saved, [saved.outputs, *state])


@pytest.mark.parametrize(
    ("tier", "names"),
    [
        (tiers.STEPS, ["advance"] * 3 + ["retreat"] * 3 + ["finish"]),
        (tiers.WHOLE, ["forwards", "backwards"]),
        (tiers.TOGETHER, ["forwards", "backwards"]),
    ],
)
def test_a_tier_launches_few_kernels(tier: int, names: list[str], launched: Launches) -> None:
    """The step at which the way back begins has a kernel of its own."""
    there_and_back("peephole_matrix", PLAIN, tier, torch.bfloat16)
    assert [name for name, _ in launched] == names
    assert len(set(launched)) == len(set(names)) + (tier == tiers.STEPS)


@pytest.mark.parametrize("name", ["lstm", "full_gate_recurrence"])
def test_a_step_with_a_projection_is_two_launches(name: str, launched: Launches) -> None:
    there_and_back(name, replace(PLAIN, projection=20, time=1), tiers.STEPS)
    assert [each for each, _ in launched] == ["advance", "project", "collect", "retreat", "finish"]


def test_products_under_layer_norm_are_launches_of_their_own(launched: Launches) -> None:
    there_and_back("lstm with ba2016", replace(PLAIN, time=2), tiers.STEPS)
    names = [each for each, _ in launched]
    assert names == ["recur", "advance"] * 2 + ["retreat", "recur_back", "retreat", "recur_back", "finish"]


@pytest.mark.parametrize("tier", [tiers.STEPS, tiers.WHOLE, tiers.TOGETHER])
def test_other_numbers_of_steps_and_sequences_compile_nothing(tier: int, launched: Launches) -> None:
    for time, batch in ((3, 5), (16, 16), (2, 1), (32, 7)):
        there_and_back("lstm", replace(PLAIN, time=time, batch=batch), tier)
    assert len(set(launched)) == (4 if tier == tiers.STEPS else 2)


@pytest.mark.parametrize("name", ["lstm", "full_gate_recurrence", "lstm with ba2016"])
def test_a_kernel_is_launched_again_only_for_what_it_was_compiled_for(name: str, launched: Launches) -> None:
    """The initial state lies where numbers cannot be read several at once; those after it do not."""
    from carousel.ops.triton.gradients import gradients
    from carousel.ops.triton.loop import Loop, run

    problem = replace(PLAIN, time=6, projection=20)
    cell = problem.cell(CELLS[name])
    operands = problem.operands(cell, dtype=torch.bfloat16)
    state = State(*(part if part is None else _elsewhere(part) for part in operands.state))  # type: ignore[arg-type]
    loop = Loop(cell, replace(operands, state=state), tiers.STEPS)
    saved, last = run(loop, training=True)
    gradients(Loop(cell, loop.operands, tiers.STEPS), saved, [saved.outputs, *last])
    steps = [hash for kernel, hash in launched if kernel == "advance"]
    assert steps[0] != steps[1]
    assert set(steps[1:]) == {steps[1]}


def _elsewhere(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers, behind another one."""
    return torch.cat([tensor.new_zeros(1), tensor.flatten()])[1:].view(tensor.shape)
