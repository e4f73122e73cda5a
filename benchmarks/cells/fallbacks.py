"""What torch.nn.LSTM does slowly: sequences of different lengths, projection, float64."""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.cells import cases
from benchmarks.cells.cases import OURS, TORCH, TRAINING, Contestant
from benchmarks.cells.records import Answer, Figure, Row, geometric_mean
from benchmarks.cells.timing import Effort
from carousel.testing import Problem

PACKED, PADDED = "nn.LSTM, packed", "nn.LSTM, padded"
RAGGED = ("100-8-64-64", "100-32-64-128", "100-32-128-128", "100-32-256-256", "500-8-64-64")
PROJECTED = ("100-1-256-256", "100-32-64-128", "100-32-256-256", "100-32-512-512")
DOUBLE = ("100-1-64-64", "100-32-64-128", "100-32-256-256", "1000-8-64-64")


def ragged(effort: Effort, problems: Sequence[Problem] | None = None) -> Answer:
    """Lengths uniform between half and whole, against a PackedSequence."""
    chosen = cases.chosen(problems or [*map(cases.shape, RAGGED)], effort)
    return Answer(
        "ragged",
        "Sequences of different lengths",
        "float32 training step, lengths uniform between half and whole, in any order. Ours is given the padded batch "
        "and the lengths; torch packs, runs and pads, as it must. The padded run of torch, which is right in no row "
        "but the longest, is there to see what packing costs.",
        *_told([_ragged(problem, effort) for problem in chosen], PACKED, 4.0),
    )


def _ragged(problem: Problem, effort: Effort) -> Row:
    module, x = cases.ours(problem), cases.inputs(problem)
    lengths = torch.randint((problem.time + 1) // 2, problem.time + 1, (problem.batch,))
    lengths[0] = problem.time

    def packed(module: nn.Module, x: Tensor) -> Tensor:
        return pad_packed_sequence(module(pack_padded_sequence(x, lengths, enforce_sorted=False))[0])[0]

    contestants = {
        OURS: Contestant(module, lambda module, x: module(x, lengths=lengths)[0]),
        PACKED: Contestant(cases.theirs(module), packed),
    }
    row = Row(problem.name, TRAINING, 1)
    beside = {PADDED: Contestant(cases.theirs(module)).training(x)}
    row = cases.compared(row, contestants, x, effort, right=PACKED, beside=beside)
    cases.against(row, PACKED)
    cases.against(row, PADDED)
    return row


def projection(effort: Effort, problems: Sequence[Problem] | None = None) -> Answer:
    """Outputs projected to half the hidden size."""
    rows = []
    for problem in cases.chosen(problems or [*map(cases.shape, PROJECTED)], effort):
        module = cases.ours(problem, proj_size=0.5)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
            rows.append(_beside_torch(module, problem, effort, torch.float32))
    return Answer(
        "projection",
        "Projection",
        "float32 training step, proj_size half the hidden size.",
        *_told(rows, TORCH, 1.7),
    )


def float64(effort: Effort, problems: Sequence[Problem] | None = None) -> Answer:
    """Double precision."""
    rows = []
    for problem in cases.chosen(problems or [*map(cases.shape, DOUBLE)], effort):
        module = cases.ours(problem, torch.float64)
        rows.append(_beside_torch(module, problem, effort, torch.float64))
    return Answer("float64", "float64", "Training step in float64.", *_told(rows, TORCH, 2.0))


def _beside_torch(module: nn.Module, problem: Problem, effort: Effort, dtype: torch.dtype) -> Row:
    contestants = {OURS: Contestant(module), TORCH: Contestant(cases.theirs(module))}  # type: ignore[arg-type]
    row = cases.compared(Row(problem.name, TRAINING, 1), contestants, cases.inputs(problem, dtype), effort)
    cases.against(row, TORCH)
    return row


def _told(rows: list[Row], peer: str, target: float) -> tuple[list[Row], list[Figure]]:
    """The rows, and the geometric mean of what ours gains on the peer."""
    ratios = [figure.value for row in rows for figure in row.figures if figure.name == f"against {peer}"]
    return rows, [Figure(f"geometric mean against {peer}", geometric_mean(ratios), target)]
