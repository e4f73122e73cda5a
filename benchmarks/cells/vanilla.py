"""Plain `lstm`: against torch.nn.LSTM, against the machine's own matrix products, and in bfloat16."""

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from benchmarks.cells import cases, timing
from benchmarks.cells.cases import INFERENCE, OURS, TORCH, TRAINING, Contestant
from benchmarks.cells.records import Answer, Figure, Row, geometric_mean
from benchmarks.cells.timing import Effort
from carousel.testing import Problem, for_benchmarks

THREADS = (1, 2)
MM, BFLOAT16, CONVERTED = "torch.mm", "carousel, autocast", "carousel, .bfloat16()"
TORCH_BFLOAT16 = "nn.LSTM, autocast"
SHARES = {INFERENCE: 0.9, TRAINING: 0.8}


def lstm(effort: Effort, problems: Sequence[Problem] | None = None, threads: Sequence[int] = THREADS) -> Answer:
    """Training and inference in float32, against torch's padded layer."""
    rows = []
    for work, problem in product(cases.WORKS, cases.chosen(problems or for_benchmarks(), effort)):
        module, x = cases.ours(problem), cases.inputs(problem)
        contestants = {OURS: Contestant(module), TORCH: Contestant(cases.theirs(module))}
        for count in threads:
            row = cases.compared(Row(problem.name, work, count), contestants, x, effort)
            cases.against(row, TORCH, 0.95)
            rows.append(row)
    ratios = [figure.value for row in rows for figure in row.figures]
    return Answer(
        "lstm",
        "The plain LSTM, beside torch.nn.LSTM",
        "float32, all sequences of full length. A training step is forward and backward, to the gradients of all "
        "weights and of the inputs.",
        rows,
        [Figure("geometric mean against nn.LSTM", geometric_mean(ratios), 1.25)],
    )


def share(effort: Effort, problems: Sequence[Problem] | None = None, threads: Sequence[int] = THREADS) -> Answer:
    """How much of the rate of torch.mm is left in our layer."""
    large = [problem for problem in for_benchmarks() if problem.hidden >= 128 and problem.batch >= 32]
    rows = [
        _share(problem, work, count, effort)
        for work in cases.WORKS
        for problem in cases.chosen(problems or large, effort)
        for count in threads
    ]
    return Answer(
        "share",
        "Share of the machine's own matrix rate",
        "Operations of the matrix products a second, as a part of those of torch.mm of (time · batch, inputs) and "
        "(inputs, 4 · hidden) in the same run, which has nothing else to do. A training step counts three times the "
        "products of inference.",
        rows,
    )


def _share(problem: Problem, work: str, count: int, effort: Effort) -> Row:
    module, x = cases.ours(problem), cases.inputs(problem)
    contestants = {OURS: Contestant(module), TORCH: Contestant(cases.theirs(module))}
    row = cases.compared(Row(problem.name, work, count), contestants, x, effort, beside={MM: product_of(problem)})
    if not row.timings:
        return row
    rate = 2.0 * problem.time * problem.batch * problem.inputs * 4 * problem.hidden / row.median(MM)
    operations = cases.operations(problem) * (3 if work == TRAINING else 1)
    for name, target in ((OURS, SHARES[work]), (TORCH, None)):
        part = 100 * operations / row.median(name) / rate
        row.figures.append(Figure(f"share, {name}", part, target and 100 * target, unit=" %"))
    row.note = f"torch.mm: {rate / 1e9:.0f} GFLOP/s"
    return row


def product_of(problem: Problem) -> timing.Work:
    """The product of all inputs and the weights of four gates, into memory that is there."""
    rows, columns = problem.time * problem.batch, 4 * problem.hidden
    a, b, out = torch.randn(rows, problem.inputs), torch.randn(problem.inputs, columns), torch.empty(rows, columns)

    def work() -> Tensor:
        return torch.mm(a, b, out=out)

    return work


def bfloat16(effort: Effort, problems: Sequence[Problem] | None = None, threads: Sequence[int] = THREADS) -> Answer:
    """Inference in bfloat16, against ours in float32."""
    wide = [problem for problem in for_benchmarks() if problem.hidden >= 256]
    rows = [
        _bfloat16(problem, count, effort)
        for problem in cases.chosen(problems or wide, effort)
        for count in threads
    ]  # fmt: skip
    return Answer(
        "bfloat16",
        "bfloat16, beside our float32",
        "Inference under torch.autocast, and of a module converted with .bfloat16(); results may differ by 4 % of the "
        "largest.",
        rows,
        notes=[f"Instructions for bfloat16 in this processor: {'yes' if _has_bfloat16() else 'no'}."],
    )


def _bfloat16(problem: Problem, count: int, effort: Effort) -> Row:
    module, x = cases.ours(problem), cases.inputs(problem)
    converted = cases.ours(problem).bfloat16()
    contestants = {
        OURS: Contestant(module),
        BFLOAT16: Contestant(module, _autocast),
        CONVERTED: Contestant(converted, lambda module, x: module(x.bfloat16())[0]),
        TORCH_BFLOAT16: Contestant(cases.theirs(module), _autocast),
    }
    loose = cases.TOLERANCE[torch.bfloat16]
    row = cases.compared(Row(problem.name, INFERENCE, count), contestants, x, effort, right=OURS, allowed=loose)
    if row.timings:
        row.figures = [
            Figure(f"gain of {name}", row.median(OURS) / row.median(name), target)
            for name, target in ((BFLOAT16, 1.5), (CONVERTED, None), (TORCH_BFLOAT16, None))
        ]
    return row


def _autocast(module: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return module(x)[0]


def _has_bfloat16() -> bool:
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
