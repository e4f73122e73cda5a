"""What a training step over long sequences holds in memory, and what it costs in time to hold less."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.cells import cases
from benchmarks.cells.cases import OURS, TORCH, TRAINING, Contestant
from benchmarks.cells.records import Answer, Figure, Row
from benchmarks.cells.timing import Effort
from benchmarks.environment import ROOT
from carousel.testing import Problem

LONG = ("1000-8-64-64", "2000-32-128-128")
FEW = "carousel, recompute"
KINDS = (OURS, FEW, TORCH)
MB = 1e6
STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def memory(effort: Effort, problems: Sequence[Problem] | None = None) -> Answer:
    """Peak memory and time of a training step with everything kept, with recompute="auto", and of torch's."""
    chosen = cases.chosen(problems or [*map(cases.shape, LONG)], effort)
    return Answer(
        "memory",
        "Long sequences in less memory",
        'float32 training step; "recompute" is carousel.LSTM(…, recompute="auto"), which keeps a state for each of '
        "about √time segments and runs every segment again on the way back. Memory is measured in a process of its "
        "own, in its first step at that size, as what it has beyond what it had before the step: what is held when "
        "the forward pass is over and the gradients are still to come, outputs included, and the peak of the step.",
        [_row(problem, effort) for problem in chosen],
        notes=[] if FORGET.exists() else [f"No memory was measured: this system has no {FORGET}."],
    )


def _row(problem: Problem, effort: Effort) -> Row:
    contestants = {kind: Contestant(_module(kind, problem)) for kind in KINDS}
    row = cases.compared(Row(problem.name, TRAINING, 1), contestants, cases.inputs(problem), effort)
    if row.timings:
        longer = row.median(FEW) / row.median(OURS)
        row.figures.append(Figure("time of recompute, against all kept", longer, lower=True))
    if row.timings and FORGET.exists():
        row.figures += _figures({kind: measured(kind, problem.name) for kind in KINDS})
    return row


def _figures(found: dict[str, dict[str, float]]) -> list[Figure]:
    against = found[FEW]["peak"] / found[OURS]["peak"]
    return [
        Figure("peak of recompute, against all kept", against, lower=True),
        *(Figure(f"held by {kind}", each["held"], lower=True, unit=" MB") for kind, each in found.items()),
        *(Figure(f"peak of {kind}", each["peak"], lower=True, unit=" MB") for kind, each in found.items()),
    ]


def _module(kind: str, problem: Problem) -> nn.Module:
    module = cases.ours(problem, **({"recompute": "auto"} if kind == FEW else {}))
    return cases.theirs(module) if kind == TORCH else module


def measured(kind: str, problem: str) -> dict[str, float]:
    """Megabytes {"held", "peak"} of a training step in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.cells.memory", kind, problem]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)


def main(kind: str, name: str) -> None:
    """Print what a step holds, the second one: the first, over two time steps, loads what is loaded once."""
    torch.set_num_threads(1)
    problem = cases.shape(name)
    module, x = _module(kind, problem), cases.inputs(problem)
    step_of(module, x[:2].clone())
    print(json.dumps(step_of(module, x)))


def step_of(module: nn.Module, x: Tensor) -> dict[str, float]:
    """Megabytes that are held between a forward and a backward pass, and at the worst moment of both."""
    module.zero_grad(set_to_none=True)
    x.requires_grad_()
    gradient = torch.ones(*x.shape[:2], int(module.hidden_size))  # type: ignore[arg-type]
    FORGET.write_text("5", encoding="ascii")  # the peak so far
    before = _resident("VmRSS")
    output = module(x)[0]
    held = _resident("VmRSS") - before
    output.backward(gradient)
    return {"held": held, "peak": _resident("VmHWM") - before}


def _resident(field: str) -> float:
    """Megabytes of memory that this process has now (VmRSS), or had at most (VmHWM)."""
    found = re.search(rf"^{field}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / MB


if __name__ == "__main__":
    main(*sys.argv[1:])
