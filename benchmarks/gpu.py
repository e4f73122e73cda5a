"""`python -m benchmarks.gpu`: check and measure the kernels for graphics processors, all in one call.

With --quick the shapes are tiny: for a first look, and with TRITON_INTERPRET=1 for a machine without such a processor,
where only the checks mean anything. Nothing of a quick run is kept.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

import carousel
from benchmarks import machine
from benchmarks.cells import cases, page, records, timing
from benchmarks.cells.cases import INFERENCE, OURS, REFERENCE, ROWS, TRAINING, WORKS, Contestant
from benchmarks.cells.records import Answer, Figure, Row, geometric_mean
from carousel.ops import Operands, only
from carousel.ops.triton import Triton
from carousel.testing import CELLS, Disagreement, Problem, check

CUDNN = "cuDNN, nn.LSTM"
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
FLASHRNN = {INFERENCE: 4.87e-3, TRAINING: 13.61e-3}
"""Seconds of FlashRNN's fused kernel on an H100: 1024 steps of 16 sequences, 768 cells, bfloat16, by its authors."""


@dataclass(frozen=True)
class Bench:
    """Where and how much is measured."""

    device: str
    quick: bool

    @property
    def effort(self) -> timing.Effort:
        """Rounds and seconds of a case."""
        return timing.Effort(0.0, 1, 1) if self.quick else timing.Effort(1.0, 7)

    def problem(self, time: int, batch: int, hidden: int) -> Problem:
        """A shape, or a tiny one."""
        sizes = (3, min(batch, 2), 4, 4) if self.quick else (time, batch, hidden, hidden)
        return Problem("-".join(map(str, sizes)), *sizes, measured=True)

    def row(self, label: str, kind: str, contestants: dict[str, Contestant], x: Tensor, right: str) -> Row:
        """The contestants in turn, checked first; each waits until the processor has finished."""
        row, works = Row(label, kind), {}
        for name, contestant in contestants.items():
            contestant.module.train(kind == TRAINING)
            works[name] = self._finished(contestant.work(kind, x))
        try:
            cases.check(works, right, _tolerance(x.dtype))
        except cases.Wrong as error:
            row.note, row.wrong = f"wrong, and not timed: {error}", True
            return row
        row.timings = timing.interleaved(works, self.effort)
        for name in contestants:
            if name != OURS:
                cases.against(row, name)
        return row

    def _finished(self, work: timing.Work) -> timing.Work:
        def run() -> object:
            made = work()
            if self.device == "cuda":
                torch.cuda.synchronize()
            return made

        return run


def agreement(bench: Bench) -> Answer:
    """Every cell and problem against the reference in float64, on poisoned memory."""
    rows = []
    for dtype in (torch.float64, *DTYPES):
        cells = ["lstm", "peephole"] if bench.quick else list(CELLS)
        problems = [cases.shape("3-2-3-4")] if bench.quick else None
        row = Row(str(dtype))
        try:
            found = check(Triton(), cells=cells, problems=problems, dtype=dtype, device=bench.device)
            row.note = f"{len(found)} agree, {sum(each.refused is not None for each in found)} are refused"
        except Disagreement as error:
            row.note, row.wrong = str(error), True
        rows.append(row)
    return Answer("gpu-agreement", "Agreement with the reference", "All cells, problems and gradients.", rows)


def cudnn(bench: Bench) -> Answer:
    """Plain `lstm` against cuDNN."""
    rows = []
    for dtype, hidden, batch in product(DTYPES, (128, 256, 512, 768, 1024), (1, 16, 64, 256)):
        problem = bench.problem(256, batch, hidden)
        rows += [_beside_cudnn(bench, problem, dtype, kind) for kind in WORKS]
        if bench.quick:
            break
    return Answer(
        "gpu-lstm", "The plain LSTM, beside cuDNN", "256 steps; tf32 as torch allows it.", rows,
        [Figure(f"geometric mean against {CUDNN}", geometric_mean(_gains(rows, CUDNN)), 1.0)],
    )  # fmt: skip


def others(bench: Bench) -> Answer:
    """What cuDNN does slowly: projection, two layers, both directions, sequences of different lengths."""
    problem, rows = bench.problem(256, 64, 512), []
    for label, options in {
        "two layers": {"num_layers": 2},
        "bidirectional": {"bidirectional": True},
        "projection": {"proj_size": problem.hidden // 2},
    }.items():
        rows += [_beside_cudnn(bench, problem, torch.float32, kind, label, **options) for kind in WORKS]
    return Answer(
        "gpu-others", "What cuDNN does slowly", "float32, 256 steps of 64 sequences, 512 cells.", rows,
        [Figure(f"geometric mean against {CUDNN}", geometric_mean(_gains(rows, CUDNN)), 1.2)],
    )  # fmt: skip


def variants(bench: Bench) -> Answer:
    """Every other row against our own lstm, and against an eager loop."""
    problem, rows = bench.problem(256, 64, 512), []
    names = ["peephole"] if bench.quick else [*ROWS]
    for name, kind in product(names, WORKS):
        x = cases.inputs(problem).to(bench.device)
        module = cases.ours(problem, **ROWS[name]).to(bench.device)
        contestants = {
            OURS: Contestant(module, _on_triton), REFERENCE: Contestant(module, cases.referred()),
        }  # fmt: skip
        row = bench.row(name, kind, contestants, x, REFERENCE)
        plain = bench.row("lstm", kind, {OURS: Contestant(_plain(problem, bench), _on_triton)}, x, OURS)
        if row.timings:
            row.figures.append(Figure("against our lstm", plain.median(OURS) / row.median(OURS), 0.9))
        rows.append(row)
    return Answer(
        "gpu-variants", "Every other cell", "float32, 256 steps of 64 sequences, 512 cells.", rows,
        [Figure("geometric mean against an eager loop", geometric_mean(_gains(rows, REFERENCE)), 20.0)],
    )  # fmt: skip


def flashrnn(bench: Bench) -> Answer:
    """The published figure of FlashRNN, beside ours."""
    problem, rows = bench.problem(1024, 16, 768), []
    for kind in WORKS:
        row = _beside_cudnn(bench, problem, torch.bfloat16, kind)
        if row.timings:
            row.figures.append(Figure("against FlashRNN's figure", FLASHRNN[kind] / row.median(OURS), 1.0))
        rows.append(row)
    return Answer("gpu-flashrnn", "Beside FlashRNN's published figures", "bfloat16; theirs are of an H100.", rows)


def compilation(bench: Bench) -> Answer:
    """Seconds of the first call of a cell and dtype."""
    rows = []
    for name, dtype in product(["lstm"] if bench.quick else [*CELLS], DTYPES):
        problem = Problem("first", 4, 20, 0, 20)
        cell = problem.cell(CELLS[name])
        operands = problem.operands(cell, dtype=dtype)
        tensors = [t if t is None else t.to(bench.device) for t in operands.tensors()]
        start = time.perf_counter()
        Triton().recurrence(cell, Operands.gather(tensors, reverse=False))
        figure = Figure("first call", time.perf_counter() - start, 10.0, lower=True, unit=" s")
        rows.append(Row(f"{name}, {dtype}", figures=[figure]))
    return Answer("gpu-compilation", "The first call", "Forwards; what is on disk already counts as compiled.", rows)


QUESTIONS: dict[str, Callable[[Bench], Answer]] = {
    "agreement": agreement, "compilation": compilation, "cudnn": cudnn, "others": others, "variants": variants,
    "flashrnn": flashrnn,
}  # fmt: skip


def _on_triton(module: nn.Module, x: Tensor) -> Tensor:
    with only("triton"):
        return module(x)[0]


def _plain(problem: Problem, bench: Bench) -> carousel.LSTM:
    return cases.ours(problem).to(bench.device)


def _beside_cudnn(
    bench: Bench, problem: Problem, dtype: torch.dtype, kind: str, label: str = "", **options: Any
) -> Row:  # fmt: skip
    torch.manual_seed(0)
    module = carousel.LSTM(problem.inputs, problem.hidden, **options).to(bench.device, dtype)
    theirs = nn.LSTM(problem.inputs, problem.hidden, **options).to(bench.device, dtype)
    theirs.load_state_dict(module.state_dict())
    x = cases.inputs(problem, dtype).to(bench.device)
    contestants = {OURS: Contestant(module, _on_triton), CUDNN: Contestant(theirs)}
    return bench.row(", ".join(filter(None, [label, problem.name, str(dtype)])), kind, contestants, x, CUDNN)


def _gains(rows: Sequence[Row], peer: str) -> list[float]:
    return [figure.value for row in rows for figure in row.figures if figure.name == f"against {peer}"]


def _tolerance(dtype: torch.dtype) -> float:
    return {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 8e-2}[dtype]


def answers(bench: Bench) -> Iterator[Answer]:
    """The answers to all questions, with their machine and seconds."""
    for question in QUESTIONS.values():
        load, start = machine.load(), time.perf_counter()
        answer = question(bench)
        answer.machine, answer.load = _described(bench), [load, machine.load()]
        answer.seconds = round(time.perf_counter() - start, 1)
        yield answer


def _described(bench: Bench) -> dict[str, str | int | float]:
    about = machine.described() | {"backend": Triton.name, "instructions": bench.device}
    if bench.device == "cuda":
        found = torch.cuda.get_device_properties(0)
        about |= {"processor": found.name, "cores": found.multi_processor_count}
        about["instructions"] = f"CUDA {found.major}.{found.minor}"
    return about


def main(words: list[str]) -> None:
    """Ask, print, and keep what was measured on a graphics processor."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny shapes; printed and not kept")
    given = parser.parse_args(words)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not given.quick:
        parser.error("there is no graphics processor here; with --quick and TRITON_INTERPRET=1 the checks run without")
    right = True
    for answer in answers(Bench(device, given.quick)):
        print(page.section(answer), flush=True)
        right = right and not any(row.wrong for row in answer.rows)
        if not given.quick:
            records.keep([answer])
    if not given.quick:
        page.write()
    sys.exit(0 if right else "a result was wrong; its row says which")


if __name__ == "__main__":
    main(sys.argv[1:])
