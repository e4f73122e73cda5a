"""Few sequences and large weights: threads share the units of every step, and nothing of it shows in the results."""

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

import carousel
from tests.ops.cpu.extension import needs_extension, threads

pytestmark = needs_extension


def results(cell: str, batch: int, hidden: int, time: int) -> list[Tensor]:
    """Inference and a training step of both directions, over ragged sequences with resets."""
    torch.manual_seed(0)
    lstm = carousel.LSTM(40, hidden, cell=cell, bidirectional=True)
    x = torch.randn(time, batch, 40, requires_grad=True)
    lengths, reset = torch.arange(time, time - batch, -1), torch.rand(time, batch) < 0.1
    with torch.no_grad():
        inferred, _ = lstm(x, lengths=lengths, reset=reset)
    outputs, (h, c) = lstm(x, lengths=lengths, reset=reset)
    wanted = outputs.square().sum() + h.sum() + c.square().sum()
    return [inferred, outputs, h, c, *torch.autograd.grad(wanted, [x, *lstm.parameters()])]


@pytest.mark.parametrize("cell", ["lstm", "lstm1997", "peephole", "coupled", "no_output_gate"])
@pytest.mark.parametrize(("batch", "hidden", "time"), [(1, 256, 30), (1, 200, 110), (2, 320, 9), (3, 500, 7)])
def test_the_same_bits_for_any_number_of_threads(cell: str, batch: int, hidden: int, time: int) -> None:
    with threads(1):
        expected = results(cell, batch, hidden, time)
    for count in (2, 3, 4):
        with threads(count):
            found = results(cell, batch, hidden, time)
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_agrees_with_the_reference() -> None:
    with threads(2):
        found = results("peephole", 2, 320, 9)
    with carousel.ops.only("reference"):
        expected = results("peephole", 2, 320, 9)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-4)


CROWDED = """
import multiprocessing, os, torch
from tests.ops.cpu.test_teams import results

def spin():
    while True:
        pass

if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    others = [multiprocessing.get_context("fork").Process(target=spin, daemon=True) for _ in range(2)]
    torch.set_num_threads(1)
    expected = results("lstm", 1, 256, 60)
    for other in others:
        other.start()
    torch.set_num_threads(2)
    for _ in range(2):
        assert all(torch.equal(a, b) for a, b in zip(expected, results("lstm", 1, 256, 60), strict=True))
    print("the same")
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to one core")
def test_a_team_that_shares_one_core_with_others_breaks_up() -> None:
    """Two threads and two busy processes on one core: members come late, and one thread makes the rest."""
    ran = subprocess.run([sys.executable, "-c", CROWDED], capture_output=True, text=True, timeout=300, check=False)
    assert ran.stdout == "the same\n", ran.stderr
