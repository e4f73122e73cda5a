"""What `benchmarks.gpu` asks: cases of each question, each checked before it is timed."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import product, takewhile
from math import inf
from random import Random
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import carousel
from benchmarks.cells import cases, timing
from benchmarks.cells.cases import INFERENCE, OURS, REFERENCE, ROWS, TRAINING, WORKS, Contestant
from benchmarks.cells.peers import PEERS
from benchmarks.cells.records import Figure, Row, geometric_mean
from benchmarks.gpu_cases import NONE, PRECISIONS, Bench, Case, Question, precision, tolerance
from carousel.cells import Cell, find
from carousel.ops import Operands, only
from carousel.ops.triton import Triton, graphs, tiers, tiles
from carousel.testing import CELLS, Problem, compare
from carousel.testing.problems import PROBLEMS, STEPS

Options = Mapping[str, Any]

CUDNN, STEP, PLAIN = "cuDNN, nn.LSTM", "compiled step", "our lstm"
RAGGED = "different lengths"
FLASHRNN = {INFERENCE: 4.87e-3, TRAINING: 13.61e-3}
"""Seconds of FlashRNN's fused kernel on an H100: 1024 steps of 16 sequences, 768 cells, bfloat16, by its authors."""
WAYS = {
    "a launch a step": Triton(tiers.STEPS, graphs=False), "in CUDA graphs": Triton(tiers.STEPS, graphs=True),
    "all steps in one launch": Triton(tiers.WHOLE), "by programs together": Triton(tiers.TOGETHER),
}  # fmt: skip
CELLS_OF_A_PROGRAM, SEQUENCES = (16, 32, 64, 128, 256), (1, 16, 32, 64)
FIRST = Problem("first", 4, 20, 0, 20)
TILES = 4
"""How many tiles are tried for a step."""
MANY_CELLS = 512
"""Cells of which programs may hold all weights between them, in every precision."""
EVERYTHING = next(problem for problem in PROBLEMS if problem.name == "everything")
UNADORNED = replace(EVERYTHING, name="odd sizes", time=5, hidden=18, projection=0, reverse=False, noise=False)


def agreement(bench: Bench) -> list[Case]:
    """Every cell in every tier against the reference in float64, on poisoned memory, and every step.

    In an order in which any beginning stands for the whole.
    """
    found, names = [], ["lstm", "peephole"] if bench.quick else list(CELLS)
    ways = {name: way for name, way in WAYS.items() if not way.graphs}
    some = [*product([EVERYTHING], (torch.float64, *dict.fromkeys(PRECISIONS.values()))), (UNADORNED, torch.float32)]
    for (problem, dtype), (way, backend), name in product(some[:1] if bench.quick else some, ways.items(), names):
        label = f"{name}, {way}, {problem.name}, {dtype}"
        asked = replace(problem, projection=0) if backend.tier == tiers.TOGETHER else problem
        found.append(Case(label, partial(_agrees, label, backend, name, asked, dtype, bench)))
    for problem, name in product(STEPS[:1] if bench.quick else STEPS, names):
        if problem.suits(CELLS[name]):
            label = f"{name}, {problem.name}"
            found.append(Case(label, partial(_agrees, label, Triton(), name, problem, torch.float32, bench)))
    for name in [] if bench.quick else ["lstm", "full_gate_recurrence", "lstm with ba2016"]:
        found.append(Case(f"{name}, in CUDA graphs", partial(_replays, name, bench)))
    Random(0).shuffle(found)
    return found


def _agrees(label: str, backend: Triton, name: str, problem: Any, dtype: torch.dtype, bench: Bench) -> Row:
    found = compare(backend, name, problem, dtype=dtype, device=bench.device)
    return Row(label, note=str(found.refused or found), wrong=not found.holds)


class _Others(Problem):
    """The same shapes as another problem, with other numbers."""

    def operands(self, cell: Cell, *, dtype: torch.dtype = torch.float32, seed: int = 1) -> Operands:
        return super().operands(cell, dtype=dtype, seed=seed)


def _replays(name: str, bench: Bench) -> Row:
    """A replay reads what it is given: other numbers of the same shapes went before, often enough to be captured."""
    backend, others = WAYS["in CUDA graphs"], _Others(**asdict(EVERYTHING))
    for _ in range(graphs.SIGHTS):
        compare(backend, name, others, device=bench.device)
    return _agrees(f"{name}, in CUDA graphs", backend, name, EVERYTHING, torch.float32, bench)


def compilation(bench: Bench) -> list[Case]:
    """Seconds of the first call of a cell and dtype, forwards and back."""
    names = ["lstm"] if bench.quick else [*CELLS]
    dtypes = dict.fromkeys(PRECISIONS.values())
    return [
        Case(f"{name}, {dtype}, {way}", partial(_first_call, name, dtype, way, bench))
        for dtype, name, way in product(dtypes, names, [name for name in WAYS if not WAYS[name].graphs])
        if WAYS[way].tier != tiers.TOGETHER or tiles.together(CELLS[name], FIRST.operands(CELLS[name]), bench.chip)
    ]


def _first_call(name: str, dtype: torch.dtype, way: str, bench: Bench) -> Row:
    operands = FIRST.operands(CELLS[name], dtype=dtype)
    tensors = [each if each is None else each.to(bench.device).requires_grad_() for each in operands.tensors()]
    start = time.perf_counter()
    outputs, _ = WAYS[way].recurrence(CELLS[name], Operands.gather(tensors, reverse=False))
    outputs.sum().backward()
    bench.synchronize()
    figure = Figure("first call", time.perf_counter() - start, 10.0, lower=True, unit=" s")
    return Row(f"{name}, {dtype}, {way}", figures=[figure])


def choice(bench: Bench) -> list[Case]:
    """The tiers beside each other, which fills their table: for few cells, and for many of some sequences."""
    few = [(f"{word}, {cells} cells", word, 16, cells) for cells, word in product(CELLS_OF_A_PROGRAM, PRECISIONS)]
    many = [(f"{word}, {batch} sequences", word, batch, MANY_CELLS) for batch, word in product(SEQUENCES, PRECISIONS)]
    return [
        Case(label, partial(_tiers, label, word, batch, cells, bench)) for label, word, batch, cells in [*few, *many]
    ]


def _tiers(label: str, word: str, batch: int, cells: int, bench: Bench) -> Row:
    row = Row(label, TRAINING)
    problem = Problem("tiny", 2, 2, 0, 3) if bench.quick else Problem("a loop", 128, batch, 0, cells)
    with precision(word) as dtype:
        works, told, operands = {}, [], usual(problem, dtype)
        for name, backend in WAYS.items():
            work = _loop(backend, operands, bench)
            try:
                if why := backend.refuses(find("lstm"), _at(bench.device, operands)):
                    raise RuntimeError(why)
                work()
                bench.synchronize()
            except Exception as error:
                told.append(f"{name}: {type(error).__name__}: {str(error)[:100]}")
            else:
                works[name] = work
        row = bench.timed(row, works, next(iter(works)), tolerance(dtype))
    row.note = "; ".join(filter(None, [row.note, *told]))
    return row


def usual(problem: Problem, dtype: torch.dtype = torch.float32) -> Operands:
    """A plain cell's operands with R as large as torch's at first: a larger one magnifies rounding over many steps."""
    given = problem.operands(find("lstm"), dtype=dtype)
    R = given.weights.R
    return given if R is None else replace(given, weights=given.weights._replace(R=R * (3 * problem.hidden) ** -0.5))


def _at(device: str, operands: Operands) -> Operands:
    return Operands.gather([each if each is None else each.to(device) for each in operands.tensors()], reverse=False)


def _loop(backend: Triton, operands: Operands, bench: Bench) -> timing.Work:
    cell, given = find("lstm"), _at(bench.device, operands).tensors()
    given = [each if each is None else each.requires_grad_() for each in given]
    leaves = [tensor for tensor in given if tensor is not None]

    def work() -> list[Tensor]:
        outputs, _ = backend.recurrence(cell, Operands.gather(given, reverse=False))
        return [outputs, *torch.autograd.grad(outputs, leaves, torch.ones_like(outputs))]

    return work


def bounds(rows: Sequence[Row], source: str) -> tiers.Bounds:
    """The table's row: where each way of all steps in one launch took no longer, and whether graphs were faster."""
    step, gathered, whole, together = WAYS
    gains = [
        row.median(step) / row.median(gathered) for row in rows if {step, gathered} <= {t.name for t in row.timings}
    ]
    cells = dict(tiers.bounds_of("any").cells) | _won(rows, whole, "cells")
    sequences = dict(tiers.bounds_of("any").together) | _won(rows, together, "sequences")
    return tiers.Bounds(source, cells, bool(gains) and geometric_mean(gains) > 1, sequences)


def _won(rows: Sequence[Row], way: str, of: str) -> dict[str, int]:
    """Up to how many cells or sequences of each precision a way took no longer than any other."""
    most = {}
    for word in PRECISIONS:
        found = {_count(row): row for row in rows if row.label.startswith(f"{word}, ") and row.label.endswith(of)}
        timed = {count: {each.name: each.median for each in row.timings} for count, row in sorted(found.items())}
        won = takewhile(lambda count, of=timed: of[count].get(way, inf) <= min(of[count].values(), default=0), timed)
        if any(row.timings or row.wrong for row in found.values()):
            most[word] = max(won, default=0)
    return most


def _count(row: Row) -> int:
    return int(row.label.split(", ")[1].split()[0])


def shapes_of_tiles(bench: Bench) -> list[Case]:
    """The tile that arithmetic chooses for a step beside those that it holds for next best."""
    shapes = [(16, 512), (16, 1024), (64, 512), (256, 1024), (1, 1024)]
    return [Case(f"{b} sequences, {h} cells", partial(_tile, b, h, bench), INFERENCE) for b, h in shapes]


def _tile(batch: int, hidden: int, bench: Bench) -> Row:
    row, cell = Row(f"{batch} sequences, {hidden} cells", INFERENCE), find("lstm")
    problem = Problem("tiny", 2, 2, 0, 3) if bench.quick else Problem("a loop", 128, batch, 0, hidden)
    operands = usual(problem, torch.bfloat16 if bench.device == "cuda" else torch.float32)
    tensors = [each if each is None else each.to(bench.device) for each in operands.tensors()]
    work = tiles.there(problem.batch, problem.hidden, problem.hidden, operands.like.element_size())
    ranked = sorted(tiles.possible(work, 1, bench.chip), key=partial(tiles.nanoseconds, work, chip=bench.chip))[:TILES]

    kept = {tile: graphs.Graphs() for tile in ranked}

    def step(tile: tiles.Tile) -> Tensor:
        with patch.object(tiles, "best", lambda *_: tile), patch.object(graphs, "KEPT", kept[tile]):
            return WAYS["in CUDA graphs"].recurrence(cell, Operands.gather(tensors, reverse=False))[0]

    works = {f"{tile.batch} × {tile.cells}": partial(step, tile) for tile in ranked}
    return bench.timed(row, works, next(iter(works)), tolerance(operands.like.dtype))


def launches(bench: Bench) -> list[Case]:
    """What a launch costs: steps of so few cells that nothing else takes time."""
    return [Case(name, partial(_launch, name, bench), INFERENCE) for name in ("a launch a step", "in CUDA graphs")]


def _launch(name: str, bench: Bench) -> Row:
    steps = 4 if bench.quick else 256
    work = _loop(WAYS[name], usual(Problem("launches", steps, 1, 0, 16)), bench)
    row = bench.timed(Row(name, TRAINING), {name: work}, name, 0.0)
    row.figures.append(Figure("a step there and back", 1e6 * row.median(name) / steps, unit=" µs"))
    return row


def cudnn(bench: Bench) -> list[Case]:
    """Plain `lstm` against cuDNN, in an order in which any beginning stands for the whole."""
    shapes = list(product(PRECISIONS, (128, 256, 512, 768, 1024), (1, 16, 64, 256), WORKS))
    Random(0).shuffle(shapes)
    return [_beside_cudnn(bench, (256, batch, hidden), word, kind) for word, hidden, batch, kind in shapes]


def others(bench: Bench) -> list[Case]:
    """What cuDNN does slowly: projection, two layers, both directions, sequences of different lengths."""
    shape, asked = (256, 64, 512), {
        "two layers": {"num_layers": 2}, "bidirectional": {"bidirectional": True},
        "projection": {"proj_size": 2 if bench.quick else 256}, RAGGED: {},
    }  # fmt: skip
    every = product(asked.items(), ("tf32", "bfloat16"), WORKS)
    return [_beside_cudnn(bench, shape, word, kind, label, options) for (label, options), word, kind in every]


def flashrnn(bench: Bench) -> list[Case]:
    """The published figure of FlashRNN, beside ours."""

    def beside(case: Case) -> Row:
        row = case.work()
        if row.timings:
            row.figures.append(Figure("against FlashRNN's figure", FLASHRNN[case.kind] / row.median(OURS), 1.0))
        return row

    made = [_beside_cudnn(bench, (1024, 16, 768), "bfloat16", kind) for kind in WORKS]
    return [replace(case, work=partial(beside, case)) for case in made]


def _beside_cudnn(
    bench: Bench, shape: tuple[int, int, int], word: str, kind: str, label: str = "", options: Options = NONE
) -> Case:  # fmt: skip
    problem = bench.problem(*shape)
    name = ", ".join(filter(None, [label, problem.name, word]))

    def work() -> Row:
        with precision(word) as dtype:
            torch.manual_seed(0)
            ours, theirs = (
                made(problem.inputs, problem.hidden, **options).to(bench.device, dtype)
                for made in (carousel.LSTM, nn.LSTM)
            )
            theirs.load_state_dict(ours.state_dict())
            run = _packed(problem) if label == RAGGED else _outputs
            contestants = {OURS: Contestant(ours, partial(_on_triton, run)), CUDNN: Contestant(theirs, run)}
            return bench.row(name, kind, contestants, cases.inputs(problem, dtype).to(bench.device), CUDNN)

    return Case(name, work, kind)


def _packed(problem: Problem) -> cases.Run:
    torch.manual_seed(3)
    lengths = torch.randint(problem.time // 2, problem.time, (problem.batch,)) + 1

    def run(module: nn.Module, x: Tensor) -> Tensor:
        return module(pack_padded_sequence(x, lengths, enforce_sorted=False))[0].data

    return run


def _on_triton(run: cases.Run, module: nn.Module, x: Tensor) -> Tensor:
    with only("triton"):
        return run(module, x)


def variants(bench: Bench) -> list[Case]:
    """Every other row against our own lstm, and against loops in eager torch, of many cells and of few."""
    return [
        Case(f"{name}, {hidden} cells", partial(_variant, bench, hidden, name, kind), kind)
        for hidden, name, kind in product((512, 64), ROWS, WORKS)
    ]


def _variant(bench: Bench, hidden: int, name: str, kind: str) -> Row:
    problem, run = bench.problem(256, 64, hidden), partial(_on_triton, _outputs)
    with precision("tf32"):
        module, plain = (cases.ours(problem, **options).to(bench.device) for options in (ROWS[name], {}))
        x = cases.inputs(problem).to(bench.device)
        contestants = {OURS: Contestant(module, run), REFERENCE: Contestant(module, cases.referred())}
        beside = {PLAIN: Contestant(plain.train(kind == TRAINING), run).work(kind, x)}
        row = bench.row(f"{name}, {hidden} cells", kind, contestants, x, REFERENCE, beside)
    if row.timings:
        row.figures.append(Figure("against our lstm", row.median(PLAIN) / row.median(OURS), 0.9))
    return row


def _outputs(module: nn.Module, x: Tensor) -> Tensor:
    return module(x)[0]


def compiled(bench: Bench) -> list[Case]:
    """Some cells against a loop over a step that torch.compile has compiled."""
    return [Case(name, partial(_compiled, bench, name), TRAINING) for name in PEERS]


def _compiled(bench: Bench, name: str) -> Row:
    problem, run = bench.problem(256, 64, 512), partial(_on_triton, _outputs)
    peer, x = PEERS[name], cases.inputs(problem).to(bench.device)
    with precision("tf32"):
        module = cases.ours(problem, **ROWS[name]).to(bench.device)
        loop = peer.eager() if bench.quick else peer.compiled_step()
        contestants = {OURS: Contestant(module, run), STEP: Contestant(module, peer.run(loop))}
        return bench.row(f"{name}, {problem.name}", TRAINING, contestants, x, STEP)


def over(peer: str, target: float) -> Callable[[Sequence[Row]], list[Figure]]:
    """A summary: the geometric mean against a peer."""

    def summary(rows: Sequence[Row]) -> list[Figure]:
        gains = [figure.value for row in rows for figure in row.figures if figure.name == f"against {peer}"]
        return [Figure(f"geometric mean against {peer}", geometric_mean(gains), target)]

    return summary


QUESTIONS = {
    "agreement": Question(
        "Agreement with the reference", "Values and all gradients, beside float64.", agreement, 6, workers=16
    ),
    "launches": Question("What a launch costs", "256 steps of one sequence, 16 cells.", launches, 0.5),
    "tiers": Question(
        "The tiers beside each other", "lstm, 128 steps: of 16 sequences, and of 512 cells.", choice, 3, warm=True
    ),
    "flashrnn": Question(
        "Beside FlashRNN's published figures",
        "bfloat16, 1024 steps of 16 sequences, 768 cells; theirs on an H100, without the input product.", flashrnn, 1,
        warm=True,
    ),
    "cudnn": Question("The plain LSTM, beside cuDNN", "256 steps.", cudnn, 6, over(CUDNN, 1.0), warm=True),
    "others": Question(
        "What cuDNN does slowly", "256 steps of 64 sequences, 512 cells.", others, 2, over(CUDNN, 1.2), warm=True
    ),
    "variants": Question(
        "Every other cell", "tf32, 256 steps of 64 sequences.", variants, 4, over(REFERENCE, 20.0), warm=True
    ),
    "tiles": Question("What a program takes", "bfloat16, 128 steps.", shapes_of_tiles, 2, warm=True),
    "compilation": Question(
        "The first call", "There and back, into an empty cache.", compilation, 3, workers=4, fresh=True
    ),
    "compiled": Question(
        "Some cells, beside a compiled step", "tf32, 256 steps of 64 sequences, 512 cells.", compiled, 2,
        over(STEP, 5.0), warm=True,
    ),
}  # fmt: skip
