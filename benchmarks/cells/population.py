"""Many networks of one shape on one batch: evaluations a second, as evolution needs them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

import carousel
from benchmarks.cells import cases, timing
from benchmarks.cells.cases import OURS, REFERENCE
from benchmarks.cells.records import Answer, Figure, Row, geometric_mean
from benchmarks.cells.timing import Effort
from carousel.ops import only
from carousel.testing import Problem

LOOP, TORCH_LOOP, VMAP = "carousel, a loop", "nn.LSTM, a loop", "vmap, plain torch"
CASES = ((64, "100-1-2-8"), (64, "100-8-4-16"), (64, "50-16-4-32"), (64, "50-16-16-64"), (1000, "50-1-2-8"))
"""How many networks, and the shape of each: what evolution and control run, and one that is larger."""
THREADS = (1,)

Weights = dict[str, Tensor]


def population(
    effort: Effort,
    problems: Sequence[Problem] | None = None,
    threads: Sequence[int] = THREADS,
    networks: int | None = None,
) -> Answer:
    """All networks in one call, against a loop over them, against vmap over plain torch, and against torch's loop."""
    effort = replace(effort, seconds=effort.seconds / 5, rounds=min(effort.rounds, 3))  # networks are many samples
    given = [(count, cases.shape(name)) for count, name in CASES]
    if problems is not None:
        given = [(networks or CASES[0][0], problem) for problem in problems]
    chosen = [(count, problem) for count, problem in given if count * cases.operations(problem) <= effort.largest]
    rows = [_row(problem, count, number, effort) for count, problem in chosen for number in threads]
    return Answer(
        "population",
        "Populations",
        "Networks of one shape on one batch that they share, float32, without gradients. carousel: "
        "torch.vmap over the module, which is one call of its kernels. The loops call one finished module after the "
        "other; to put a network's weights there is not in their time. Plain torch is torch.func.vmap over our "
        "reference, whose products are batched over the networks. An evaluation is one network on the whole batch.",
        rows,
        [_mean(rows, name) for name in (LOOP, VMAP, TORCH_LOOP)],
        notes=[f"torch.func.vmap over nn.LSTM: {_vmap_of_torch()}."],
    )


def _row(problem: Problem, networks: int, threads: int, effort: Effort) -> Row:
    row, works = Row(f"{networks} of {problem.name}", cases.INFERENCE, threads), _works(problem, networks)
    if cases.measured(row, works, TORCH_LOOP, cases.TOLERANCE[torch.float32], effort).wrong:
        return row
    row.figures.append(Figure("evaluations a second", networks / row.median(OURS), unit=""))
    for peer in (LOOP, VMAP, TORCH_LOOP):
        cases.against(row, peer)
    return row


def _works(problem: Problem, networks: int) -> dict[str, timing.Work]:
    """Outputs (networks, time, batch, hidden), each in its own way."""
    module, x = cases.ours(problem).requires_grad_(False).eval(), cases.inputs(problem)
    torch.manual_seed(2)
    weights = {name: value + 0.1 * torch.randn(networks, *value.shape) for name, value in module.named_parameters()}
    members = [_member(module, weights, at) for at in range(networks)]
    theirs = [cases.theirs(member).requires_grad_(False).eval() for member in members]
    return {
        OURS: _quiet(lambda: _all_at_once(module, weights, x)),
        LOOP: _quiet(lambda: torch.stack([member(x)[0] for member in members])),
        VMAP: _quiet(lambda: _plain(module, weights, x)),
        TORCH_LOOP: _quiet(lambda: torch.stack([member(x)[0] for member in theirs])),
    }


def _quiet(work: Callable[[], Tensor]) -> timing.Work:
    def run() -> list[Tensor]:
        with torch.no_grad():
            return [work()]

    return run


def _member(module: carousel.LSTM, weights: Weights, at: int) -> carousel.LSTM:
    member = carousel.LSTM(module.input_size, module.hidden_size)
    member.load_state_dict({name: value[at] for name, value in weights.items()})
    return member.requires_grad_(False).eval()


def _all_at_once(module: nn.Module, weights: Weights, x: Tensor) -> Tensor:
    return torch.vmap(lambda own: functional_call(module, own, (x,))[0])(weights)


def _plain(module: nn.Module, weights: Weights, x: Tensor) -> Tensor:
    with only(REFERENCE):
        return _all_at_once(module, weights, x)


def _vmap_of_torch() -> str:
    """What comes of it."""
    module = nn.LSTM(1, 2)
    weights = {name: value.detach().expand(3, *value.shape) for name, value in module.named_parameters()}
    try:
        with torch.no_grad():
            _all_at_once(module, weights, torch.zeros(2, 1, 1))
    except RuntimeError as error:
        return f"fails ({str(error).splitlines()[0].rstrip('.')})"
    return "works"


def _mean(rows: list[Row], peer: str) -> Figure:
    found = [figure.value for row in rows for figure in row.figures if figure.name == f"against {peer}"]
    return Figure(f"geometric mean against {peer}", geometric_mean(found))
