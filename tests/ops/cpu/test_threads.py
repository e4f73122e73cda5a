"""Threads: any number gives the same bits, from any thread of Python, after a fork; and they stay as they were."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from carousel.cells import find
from carousel.ops import LayerOperands, Operands, State, Weights
from carousel.ops.cpu import CPU
from carousel.testing import Problem
from tests.ops.cpu.extension import TARGETS, from_inputs, leaves, needs_extension, results, target, threads

pytestmark = needs_extension
CELL = find("peephole")
LARGE = Problem("", 60, 13, 0, 64)
"""Enough work that more than one thread is worth its start."""


def problem(ragged: bool = False) -> LayerOperands:
    torch.manual_seed(3)
    large = Problem("", LARGE.time, LARGE.batch, 0, LARGE.hidden, ragged=ragged)
    return from_inputs(CELL, leaves(large.operands(CELL)), 48)


def equal(got: list[Tensor], expected: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("ragged", [False, True])
def test_every_number_of_threads_gives_the_same_bits(ragged: bool) -> None:
    given = problem(ragged)
    with threads(1):
        expected = results(CPU(), CELL, given)
    for count in (2, 3):
        with threads(count):
            assert equal(results(CPU(), CELL, given), expected)


def test_several_threads_of_python_at_once() -> None:
    given = problem()
    expected = results(CPU(), CELL, given)
    with threads(2), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: results(CPU(), CELL, given), range(12)))
    assert all(equal(got, expected) for got in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_after_a_fork() -> None:
    """As in a worker that loads data: the team of threads stayed with the parent."""
    given = problem()
    with threads(2), torch.no_grad():
        expected, _ = CPU().layer(CELL, given)
        child = os.fork()
        if child == 0:
            same = bool((CPU().layer(CELL, given)[0].numpy() == expected.numpy()).all())
            sys.stderr.flush()
            os._exit(0 if same else 1)
        assert os.waitpid(child, 0)[1] == 0


def tiny(dtype: torch.dtype, size: int = 1) -> Tensor:
    """Numbers too small to be normal."""
    return torch.full((size,), torch.finfo(dtype).smallest_normal / 4, dtype=dtype)


def still_there() -> bool:
    """Whether such numbers count, on every thread of torch's."""
    return bool((tiny(torch.float32, 2**20) * 0.5).all() and (tiny(torch.float64, 2**20) * 0.5).all())


@pytest.mark.parametrize("count", [1, 2])
def test_numbers_too_small_to_be_normal_count_again_after_a_call(count: int) -> None:
    given = problem()
    with threads(count):
        assert still_there()
        results(CPU(), CELL, given)
        assert still_there()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", TARGETS)
def test_they_are_zero_inside(name: str, dtype: torch.dtype) -> None:
    """They would slow a saturated cell down a hundredfold."""
    cell = find("lstm")
    gates = torch.tensor([-99, 99, 0, 99], dtype=dtype).view(1, 1, 4)
    state = State(torch.zeros(1, 1, dtype=dtype), tiny(dtype).view(1, 1))
    given = Operands(gates, state, Weights(R=torch.zeros(4, 1, dtype=dtype)))
    with target(name):
        _, last = CPU().recurrence(cell, given)
    assert last.cell.item() == 0


def test_who_flushes_them_flushes_them_still() -> None:
    given = problem()
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush them")
    try:
        results(CPU(), CELL, given)
        assert not (tiny(torch.float64) * 0.5).any()
    finally:
        torch.set_flush_denormal(False)
