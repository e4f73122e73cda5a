"""One sequence, whole or step by step, at rest: what serving a model costs."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

import carousel
from benchmarks.cells import cases, onnx_peer, timing
from benchmarks.cells.cases import OURS, TORCH
from benchmarks.cells.records import Answer, Figure, Row
from benchmarks.cells.timing import Effort
from carousel.testing import Problem

SEQUENCES = ("100-1-64-64", "100-1-256-256")
SEQUENCE, STEP = "sequence", "one step"
CELL, TORCH_CELL = "carousel.LSTMCell", "nn.LSTMCell"
ONNX = onnx_peer.NAME
TARGETS = {SEQUENCE: {TORCH: 1.5, ONNX: 1.0}, STEP: {TORCH: 4.0, ONNX: 1.0, TORCH_CELL: None}}

State = tuple[Tensor, Tensor]
Advance = Callable[[Tensor, State], tuple[Tensor, State]]


def streaming(effort: Effort, problems: Sequence[Problem] | None = None) -> Answer:
    """A sequence of batch 1, and one step with the state carried on."""
    rows = []
    for problem in cases.chosen(problems or [*map(cases.shape, SEQUENCES)], effort):
        rows += [_row(problem, SEQUENCE, _sequences(problem), effort), _row(problem, STEP, _steps(problem), effort)]
    notes = [] if onnx_peer.installed() else [onnx_peer.MISSING]
    return Answer(
        "streaming",
        "One sequence, and one step",
        "float32 inference at batch 1, one thread, in inference mode. A step carries the state of the step before; "
        "ours there is the faster of carousel.LSTM at one step and carousel.LSTMCell.",
        rows,
        notes=notes,
    )


def _row(problem: Problem, work: str, works: Mapping[str, timing.Work], effort: Effort) -> Row:
    row = Row(problem.name, work, 1)
    with timing.threads(1), torch.inference_mode():
        try:
            cases.check(works, TORCH, cases.TOLERANCE[torch.float32])
        except cases.Wrong as error:
            row.note, row.wrong = f"wrong, and not timed: {error}", True
            return row
        row.timings = timing.interleaved(works, effort)
    best = min(timing.median for timing in row.timings if timing.name in (OURS, CELL))
    row.figures = [
        Figure(f"against {peer}", row.median(peer) / best, target)
        for peer, target in TARGETS[work].items()
        if peer in works
    ]
    return row


def _sequences(problem: Problem) -> dict[str, timing.Work]:
    module, x = cases.ours(problem).eval(), cases.inputs(problem)
    torch_module = cases.theirs(module).eval()
    works: dict[str, timing.Work] = {OURS: lambda: [module(x)[0]], TORCH: lambda: [torch_module(x)[0]]}
    if onnx_peer.installed():
        works[ONNX] = onnx_peer.sequence(module, x, 1)
    return works


def _steps(problem: Problem) -> dict[str, timing.Work]:
    module, x = cases.ours(problem).eval(), cases.inputs(problem)
    named = {name.removesuffix("_l0"): value for name, value in module.state_dict().items()}
    cells = carousel.LSTMCell(problem.inputs, problem.hidden), nn.LSTMCell(problem.inputs, problem.hidden)
    for cell in cells:
        cell.load_state_dict(named)
    whole, single = x[:1], x[0]
    layers = {OURS: module, TORCH: cases.theirs(module).eval()}
    works = {name: _carried(layer, whole, (1, problem.batch, problem.hidden)) for name, layer in layers.items()}
    for name, cell in zip((CELL, TORCH_CELL), cells, strict=True):
        works[name] = _carried(_as_layer(cell), single, (problem.batch, problem.hidden))
    if onnx_peer.installed():
        works[ONNX] = onnx_peer.steps(module, whole, 1)
    return works


def _as_layer(cell: nn.Module) -> Callable[[Tensor, State], tuple[Tensor, State]]:
    def advance(x: Tensor, state: State) -> tuple[Tensor, State]:
        after = cell(x, state)
        return after[0], after

    return advance


def _carried(advance: Callable[..., tuple[Tensor, State]], x: Tensor, size: tuple[int, ...]) -> timing.Work:
    """A step from where the last one ended. All contestants have taken one step when they are checked."""
    state = (torch.zeros(size), torch.zeros(size))

    def work() -> list[Tensor]:
        nonlocal state
        output, state = advance(x, state)
        return [output.view(-1), state[1].view(-1)]

    return work
