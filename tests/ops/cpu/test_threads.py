"""Any number of threads gives the same bits, from any thread of Python, and after a fork."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from carousel.cells import find
from carousel.ops import LayerOperands
from carousel.ops.cpu import CPU
from carousel.testing import Problem
from tests.ops.cpu.extension import from_inputs, leaves, needs_extension, results, threads

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
