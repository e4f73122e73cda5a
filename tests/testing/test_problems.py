"""The list of problems covers what a loop has to cope with, and draws the same operands for the same seed."""

import pytest
import torch

from carousel.cells import VARIANTS, find
from carousel.ops import recurrence, step
from carousel.testing import (
    PROBLEMS,
    STEPS,
    Problem,
    StepProblem,
    for_benchmarks,
    for_tests,
    poisoned_memory,
    poisoned_padding,
)
from carousel.testing.problems import SMALL


def loops() -> list[Problem]:
    return [problem for problem in for_tests() if isinstance(problem, Problem)]


def test_names_are_different() -> None:
    assert len({problem.name for problem in (*PROBLEMS, *STEPS)}) == len(PROBLEMS) + len(STEPS)


def test_every_problem_is_tested_or_measured() -> None:
    assert {*for_tests(), *for_benchmarks()} == {*PROBLEMS, *STEPS}
    assert for_benchmarks()


@pytest.mark.parametrize("flag", ["ragged", "reset", "reverse", "noise", "projection"])
def test_everything_a_loop_copes_with_is_there(flag: str) -> None:
    assert any(getattr(problem, flag) for problem in loops())
    assert not all(getattr(problem, flag) for problem in loops())


@pytest.mark.parametrize("problem", loops(), ids=lambda problem: problem.name)
def test_operands_fit_every_cell(problem: Problem) -> None:
    for cell in VARIANTS.values():
        row = problem.cell(cell)
        given = problem.operands(cell)
        outputs, _ = recurrence(row, given.gates, given.weights, given.state, steps=given.steps, noise=given.noise)
        assert outputs.shape == (problem.time, problem.batch, problem.projection or problem.hidden)


@pytest.mark.parametrize("problem", STEPS, ids=lambda problem: problem.name)
def test_operands_of_a_step_fit_every_cell(problem: StepProblem) -> None:
    for cell in filter(problem.suits, VARIANTS.values()):
        given = problem.operands(cell)
        took = step(cell, given.pre, given.previous, p=given.p, norm=given.norm)
        assert took.hidden.shape == (problem.batch, problem.hidden, *problem.space)


def test_a_seed_draws_the_same_and_disturbs_nobody() -> None:
    problem = next(problem for problem in PROBLEMS if problem.name == "everything")
    before = torch.get_rng_state()
    first, again, other = (problem.operands(find("fgr"), seed=seed).tensors() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True) if a is not None and b is not None)
    assert first[0] is not None
    assert other[0] is not None
    assert not torch.equal(first[0], other[0])


def test_lengths_have_every_edge() -> None:
    lengths = next(problem for problem in PROBLEMS if problem.name == "ragged").operands(find("lstm")).steps.lengths
    assert lengths is not None
    assert {0, 1, 5} <= set(lengths.tolist())


def test_poisoned_memory_is_nan_inside_and_as_before_outside() -> None:
    with poisoned_memory():
        assert torch.empty(5).isnan().all()
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


def test_poisoned_memory_ends_with_an_error_too() -> None:
    with pytest.raises(RuntimeError, match="fault"), poisoned_memory():
        raise RuntimeError("fault")
    assert not torch.are_deterministic_algorithms_enabled()


def test_poisoned_padding_is_nan_behind_the_end_alone() -> None:
    problem = next(problem for problem in PROBLEMS if problem.name == "ragged")
    given = problem.operands(find("lstm"))
    poisoned = poisoned_padding(given)
    assert given.steps.lengths is not None
    for b, length in enumerate(given.steps.lengths.tolist()):
        assert poisoned.gates[length:, b].isnan().all()
        assert torch.equal(poisoned.gates[:length, b], given.gates[:length, b])
    whole = SMALL.operands(find("lstm"))
    assert poisoned_padding(whole) is whole
