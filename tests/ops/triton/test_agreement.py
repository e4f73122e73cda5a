"""The Triton kernels agree with the reference, in values and all gradients, as far as the interpreter tells."""

from dataclasses import replace

import pytest
import torch

import carousel
from carousel.cells import find
from carousel.ops import Noise, Operands, Reference, Steps, only
from carousel.ops.triton import Triton
from carousel.testing import CELLS, Problem, check, compare
from carousel.testing.problems import PROBLEMS, STEPS
from tests.ops.triton.interpreter import needs_interpreter

pytestmark = needs_interpreter

EVERYTHING = next(problem for problem in PROBLEMS if problem.name == "everything")
FORWARDS = replace(
    EVERYTHING, name="without masks, forwards", time=5, hidden=18, projection=0, reverse=False, noise=False
)
TIERS = (0, 1)
SEVERAL_TILES = Problem("several tiles", 5, 19, 2, 21, projection=17, ragged=True, reset=True, noise=True)
EMPTY = [problem for problem in PROBLEMS if problem.name.startswith("no ")]
EMPTY_STEP = next(problem for problem in STEPS if problem.batch == 0)


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("problem", [EVERYTHING, FORWARDS], ids=lambda problem: problem.name)
@pytest.mark.parametrize("name", CELLS)
def test_every_cell(name: str, problem: Problem, tier: int) -> None:
    (found,) = check(Triton(tier), cells=[name], problems=[problem], dtype=torch.float64)
    assert found.refused is None


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["peephole_matrix", "full_gate_recurrence", "lstm with ba2016"])
def test_all_steps_in_several_programs(name: str, reverse: bool) -> None:
    assert compare(Triton(1), name, replace(SEVERAL_TILES, reverse=reverse), dtype=torch.float64).holds


def test_what_is_kept_under_layer_norm() -> None:
    from carousel.ops.triton.loop import Loop, run

    cell = find("lstm").with_options(norm="ba2016")
    operands = Problem("small", 4, 2, 2, 3).operands(cell)
    for tier, steps in zip(TIERS, (1, 0), strict=True):
        loop = Loop(cell, operands, tier)
        assert [run(loop, training=training)[0].products.shape[0] for training in (True, False)] == [4, steps]


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["lstm", "peephole_matrix", "full_gate_recurrence", "lstm with ba2016"])
def test_every_dtype(name: str, dtype: torch.dtype, tier: int) -> None:
    assert compare(Triton(tier), name, EVERYTHING, dtype=dtype).holds


@pytest.mark.parametrize("name", CELLS)
def test_every_step(name: str) -> None:
    found = check(Triton(), cells=[name], problems=STEPS, dtype=torch.float64)
    assert {finding.refused for finding in found} == {None}


@pytest.mark.parametrize("tier", TIERS)
def test_no_steps_and_no_sequences(tier: int) -> None:
    check(Triton(tier), cells=["peephole", "full_gate_recurrence"], problems=[*EMPTY, EMPTY_STEP], dtype=torch.float64)


@pytest.mark.parametrize("tier", TIERS)
def test_a_block_that_is_no_power_of_two(tier: int) -> None:
    cell = find("peephole").with_options(block=3)
    assert compare(Triton(tier), "threes", Problem("three", 3, 2, 2, 9), cell=cell, dtype=torch.float64).holds


def test_second_derivatives_go_through_the_reference() -> None:
    cell, problem = find("peephole"), Problem("small", 3, 2, 2, 3)
    given = problem.operands(cell, dtype=torch.float64)

    def gradient(backend: Triton | Reference) -> torch.Tensor:
        gates = given.gates.clone().requires_grad_()
        outputs, _ = backend.recurrence(cell, replace(given, gates=gates))
        (first,) = torch.autograd.grad(outputs.square().sum(), gates, create_graph=True)
        return torch.autograd.grad(first.square().sum(), gates)[0]

    torch.testing.assert_close(gradient(Triton()), gradient(Reference()))


def test_a_module_runs_on_it() -> None:
    torch.manual_seed(0)
    module, x = carousel.LSTM(3, 5, num_layers=2, bidirectional=True), torch.randn(4, 2, 3)
    with only("triton"):
        assert [choice.backend for choice in module.explain()] == ["triton"]
        outputs, _ = module(x)
    with only("reference"):
        torch.testing.assert_close(outputs, module(x)[0])


def test_masks_that_want_a_gradient_are_refused() -> None:
    cell = find("lstm")
    given: Operands = replace(EVERYTHING, projection=0).operands(cell)
    masks = given.noise._replace(drop_candidate=torch.ones(1, 1, 1, requires_grad=True))
    assert "a gradient is wanted" in str(Triton().refuses(cell, replace(given, noise=masks)))


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    ("name", "norm"),
    [
        ("full_gate_recurrence", "torch_sample"),
        ("peephole in blocks", "torch_sample"),
        ("full gate recurrence in blocks", "ba2016"),
    ],
)
def test_layer_norm_beside_blocks_and_gates_that_recur(name: str, norm: str, tier: int) -> None:
    """Rows that a block of cells shares count once; what gates send on is added behind the norm."""
    cell = CELLS[name].with_options(norm=norm)
    assert compare(Triton(tier), name, EVERYTHING, cell=cell, dtype=torch.float64).holds


@pytest.mark.slow
@pytest.mark.parametrize("norm", [None, "ba2016"])
@pytest.mark.parametrize("block", [3, 8, 24])
def test_blocks_of_other_sizes(block: int, norm: str | None) -> None:
    """A block of a power of two is summed over in another way, and a wide one fills a tile by itself."""
    cell = CELLS["peephole in blocks"].with_options(block=block, norm=norm)
    several, step = replace(SEVERAL_TILES, hidden=2 * block, projection=0), replace(STEPS[0], hidden=2 * block)
    for tier in TIERS:
        assert compare(Triton(tier), "peephole in blocks", several, cell=cell, dtype=torch.float64).holds
    assert compare(Triton(), "peephole in blocks", step, cell=cell, dtype=torch.float64).holds


@pytest.mark.parametrize("tier", TIERS)
def test_zoneout_adds_to_the_state_by_little_at_a_time(tier: int) -> None:
    """What it adds to h at a step is less than bfloat16 can tell apart."""
    cell = find("lstm")
    given = Problem("long", 60, 2, 0, 8).operands(cell, dtype=torch.bfloat16)
    share = torch.full((1, 1, 1), 0.99, dtype=torch.bfloat16)
    given = replace(given, noise=Noise(share, share, None, None))
    wide = [each if each is None else each.double() for each in given.tensors()]
    outputs, _ = Triton(tier).recurrence(cell, given)
    expected, _ = Reference().recurrence(cell, Operands.gather(wide, reverse=False))
    torch.testing.assert_close(outputs.double(), expected, atol=1e-2, rtol=0)


def test_lengths_need_not_be_dense() -> None:
    cell = find("lstm")
    given = Problem("small", 4, 3, 0, 4).operands(cell, dtype=torch.float64)
    lengths = torch.tensor([[4, 0], [1, 0], [2, 0]])[:, 0]
    given = replace(given, steps=Steps(lengths))
    torch.testing.assert_close(Triton().recurrence(cell, given)[0], Reference().recurrence(cell, given)[0])


TOGETHER = [name for name, cell in CELLS.items() if not (cell.norm or cell.projection)]
SHARED = Problem("shared cells", 5, 19, 2, 20, ragged=True, reset=True, noise=True)


@pytest.mark.slow
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", TOGETHER)
def test_programs_together(name: str, reverse: bool) -> None:
    """Several programs of two groups at once, in an order of their accesses to memory that nobody chose."""
    from tests.ops.triton.at_once import programs_at_once

    with programs_at_once(int(reverse)):
        assert compare(Triton(2), name, replace(SHARED, reverse=reverse), dtype=torch.float64).holds


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_programs_together_in_every_dtype(dtype: torch.dtype) -> None:
    from tests.ops.triton.at_once import programs_at_once

    with programs_at_once(0):
        assert compare(Triton(2), "peephole_matrix", SHARED, dtype=dtype).holds


def test_programs_that_wait_for_what_nobody_says_are_found_out() -> None:
    from carousel.ops.triton.kernels import together
    from tests.ops.triton.at_once import Deadlock, programs_at_once

    with pytest.MonkeyPatch.context() as patch, programs_at_once(0), pytest.raises(Exception, match=Deadlock.__name__):
        patch.setattr(together, "said", lambda flags, n: None)
        compare(Triton(2), "lstm", SHARED, dtype=torch.float64)
