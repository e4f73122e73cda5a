"""`python -m tests.ops.triton.without_a_chip DRIVER`: what Triton's launcher hands to a driver, as JSON.

For each tier the launches there and back: tiles of sequences and of cells, whether all programs run at once, and the
number of the step or, where all are taken at once, of steps.
"""

import json
import sys
from ctypes import CDLL, POINTER, RTLD_GLOBAL, c_uint
from dataclasses import replace
from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
from triton.backends.compiler import GPUTarget  # pyright: ignore[reportMissingImports]
from triton.backends.nvidia import driver as nvidia  # pyright: ignore[reportMissingImports]

from benchmarks.gpu_compiler import HOPPER
from carousel.ops.triton.gradients import gradients
from carousel.ops.triton.loop import Loop, run
from carousel.testing import CELLS, Problem

PROBLEM = Problem("plain", 5, 20, 3, 24)


class Driver(nvidia.CudaDriver):
    """Triton's own, but for what it asks torch."""

    def __init__(self) -> None:
        self.utils, self.launcher_cls = nvidia.CudaUtils(), nvidia.CudaLauncher

    def get_current_target(self) -> Any:
        return GPUTarget(*HOPPER)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int = 0) -> int:
        return 0


def main(path: str) -> None:
    below = CDLL(path, mode=RTLD_GLOBAL)
    below.launched.restype = POINTER(c_uint)
    triton.runtime.driver.set_active(Driver())
    found, seen = {}, 0
    for name, problem, tier in [
        *(("lstm", PROBLEM, tier) for tier in range(3)),
        ("full_gate_recurrence", replace(PROBLEM, projection=8, ragged=True, reset=True, noise=True, reverse=True), 0),
        ("lstm with ba2016", PROBLEM, 0),
    ]:
        cell = problem.cell(CELLS[name])
        operands = problem.operands(cell, dtype=torch.bfloat16)
        saved, state = run(Loop(cell, operands, tier), training=True)
        gradients(Loop(cell, operands, tier), saved, [saved.outputs, *state])
        found[f"{name}, {tier}"] = [below.launched(n)[:4] for n in range(seen, below.launches())]
        seen = below.launches()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
