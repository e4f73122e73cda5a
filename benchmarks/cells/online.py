"""Nets of the early papers, which learn after every step of a stream: what a net and step takes."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.cells import cases, timing
from benchmarks.cells.cases import OURS, REFERENCE
from benchmarks.cells.records import Answer, Figure, Row
from benchmarks.cells.timing import Effort
from carousel.cells import find
from carousel.data.synthetic import continual_reber
from carousel.ops.cpu import extension
from carousel.ops.cpu.online import CompiledOnline
from carousel.ops.online import RESET, TARGET, UPDATE, OnlineNet, OnlineRule, OnlineRunner, OnlineStream
from carousel.ops.online_reference import ReferenceOnline

CELLS = ("lstm1997", "lstm")
CASES = ((4, 2, 8), (4, 1, 8), (8, 1, 8), (8, 1, 1))
"""Cells of a net, how many of them share their gates, and how many nets learn side by side."""
EARLY = ("lstm1997", 4, 2, 8)
"""The net of temporal order (Hochreiter & Schmidhuber 1997): eight hidden units, four cells and their four gates."""
STEPS, TOLERANCE, SYMBOLS = 1000, 1e-9, len(continual_reber.SYMBOLS)
Runner = Callable[[OnlineNet, OnlineRule, Tensor], OnlineRunner]


def online(effort: Effort, given: Sequence[tuple[int, int, int]] = CASES, steps: int = STEPS) -> Answer:
    """The compiled loops against the same written with torch's operations, a step at a time."""
    effort = replace(effort, seconds=effort.seconds / 5, rounds=min(effort.rounds, 3))  # a stream is many steps
    wanted = [(cell, *case) for cell in CELLS for case in given] if extension.module else []
    return Answer(
        "online",
        "Learning after every step",
        f"A stream of {steps} symbols of embedded Reber strings, read by nets of seven inputs and outputs: at each "
        "step forwards, the rule of 1997 and an update of all weights, float64. Nets side by side are independent; "
        "cells in blocks of two share their gates, and two such blocks are the net of temporal order (Hochreiter & "
        "Schmidhuber 1997), eight hidden units with its gates, for which the target is. "
        "The reference does the same by torch's operations, all nets at once.",
        [_row(*each, steps, effort) for each in wanted],
        notes=[] if extension.module else ["Without compiled kernels there is nothing to measure."],
    )


def _row(cell: str, hidden: int, block: int, nets: int, steps: int, effort: Effort) -> Row:
    size = f"{hidden} cells" if block == 1 else f"{hidden // block} blocks of {block} cells"
    row = Row(f"{cell}, {size}, {nets} {'net' if nets == 1 else 'nets'}", "learning", 1)
    net = OnlineNet(replace(find(cell), block=block), SYMBOLS, hidden, SYMBOLS)
    works = {name: _work(runner, net, nets, steps) for name, runner in RUNNERS.items()}
    if cases.measured(row, works, REFERENCE, TOLERANCE, effort).wrong:
        return row
    target = 0.2 if (cell, hidden, block, nets) == EARLY else None
    microseconds = 1e6 * row.median(OURS) / (steps * nets)
    row.figures.append(Figure("a net and step", microseconds, target, lower=True, unit=" µs"))
    cases.against(row, REFERENCE)
    return row


RUNNERS: dict[str, Runner] = {OURS: CompiledOnline, REFERENCE: ReferenceOnline}


def _work(make: Runner, net: OnlineNet, nets: int, steps: int) -> timing.Work:
    """Outputs of the stream, each before what is learned at its step; every run begins with the same weights."""
    weights = 0.2 * torch.rand(nets, net.weights, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rates, still = torch.full((nets,), 0.1, dtype=torch.float64), torch.zeros(nets, dtype=torch.float64)
    drawn = continual_reber.continual_reber(steps, np.random.default_rng(0))
    flags = torch.full((steps, nets), TARGET + UPDATE, dtype=torch.uint8)
    flags[0] += RESET
    stream = OnlineStream(drawn.inputs[:steps, None], drawn.targets[:steps, None].double(), flags)

    runner = make(net, OnlineRule("rule1997", False, rates, still, None), weights.clone())

    def run() -> list[Tensor]:
        runner.set_weights(weights)
        return [runner.run(stream)]

    return run
