"""Every other cell: beside our own lstm, and beside what users have for it."""

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch._inductor.utils import fresh_cache

from benchmarks.cells import cases, timing
from benchmarks.cells.cases import INFERENCE, OURS, REFERENCE, ROWS, TRAINING, Contestant
from benchmarks.cells.peers import PEERS, Loop
from benchmarks.cells.records import Answer, Figure, Row, geometric_mean
from benchmarks.cells.timing import Effort
from carousel.testing import Problem

BESIDE_OURS = ("100-1-64-64", "100-32-64-128", "100-64-256-256")
BESIDE_LOOPS = ("100-1-64-64", "100-32-64-128", "100-32-256-256")
COMPILED = ("100-32-64-128",)
EAGER, SCRIPT, STEP, WHOLE = "eager loop", "TorchScript loop", "compiled step", "compiled loop"
GENERIC = "our reference"
WORDS = {"peephole": (STEP, WHOLE), "norm": (STEP,)}
"""What is compiled: the whole loop of one cell alone, because that takes minutes."""


@dataclass
class _Column:
    """One shape: what all rows took, and what they multiplied."""

    problem: Problem
    operations: dict[str, float] = field(default_factory=dict)
    timed: dict[str, timing.Timing] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)


def variants(effort: Effort, problems: Sequence[Problem] | None = None, names: Sequence[str] = tuple(ROWS)) -> Answer:
    """Each row of the table, and lstm with options, against our own lstm."""
    rows: list[Row] = []
    for work in cases.WORKS:
        found = cases.chosen(problems or [*map(cases.shape, BESIDE_OURS)], effort)
        columns = [_column(problem, work, names, effort) for problem in found]
        rows += [_cell_row(name, work, columns) for name in ("lstm", *names)]
    return Answer(
        "variants",
        "Every other cell, beside our own lstm",
        "float32, one thread, all cells in turn. A figure is the time of lstm over the time of the cell; a cell that "
        "has more products than lstm (full gate recurrence multiplies the gates too) is given the time that its "
        "products would take at lstm's rate.",
        rows,
    )


def _column(problem: Problem, work: str, names: Sequence[str], effort: Effort) -> _Column:
    column, x, works = _Column(problem), cases.inputs(problem), {}
    for name in ("lstm", *names):
        module = cases.ours(problem, **ROWS.get(name, {})).train(work == TRAINING)
        mine = Contestant(module).work(work, x)
        beside = {name: mine, REFERENCE: Contestant(module, cases.referred()).work(work, x)}
        column.operations[name] = cases.operations(problem, module)
        with timing.threads(1):
            try:
                cases.check(beside, REFERENCE, cases.tolerance(module, x.dtype))
                works[name] = mine
            except cases.Wrong as error:
                column.wrong[name] = str(error)
    with timing.threads(1):
        column.timed = {each.name: each for each in timing.interleaved(works, effort)} if works else {}
    return column


def _cell_row(name: str, work: str, columns: Sequence[_Column]) -> Row:
    row = Row(name, work, 1)
    for column in columns:
        if name in column.wrong:
            row.note, row.wrong = f"wrong at {column.problem.name}: {column.wrong[name]}", True
        elif name in column.timed:
            own = column.timed[name]
            row.timings.append(timing.Timing(column.problem.name, own.median, own.p5, own.p95, own.samples))
            if name != "lstm" and "lstm" in column.timed:
                more = max(column.operations[name] / column.operations["lstm"], 1)
                ratio = column.timed["lstm"].median * more / own.median
                row.figures.append(Figure(f"at {column.problem.name}", ratio, 0.85))
    return row


def peers(effort: Effort, problems: Sequence[Problem] | None = None, names: Sequence[str] = tuple(ROWS)) -> Answer:
    """Each row against Python loops."""
    found = cases.chosen(problems or [*map(cases.shape, BESIDE_LOOPS)], effort)
    named = [name for name in names if not effort.quick or name in PEERS]
    rows = [_beside_loops(problem, name, TRAINING, effort) for problem in found for name in named]
    rows += [_beside_loops(problem, name, INFERENCE, effort) for problem in found for name in named if name in PEERS]
    gains = [figure.value for row in rows for figure in row.figures]
    return Answer(
        "peers",
        "Every other cell, beside what users have for it",
        "float32, one thread. Loops for peephole, coupled and norm are written by hand, as users write them, eager "
        "and in TorchScript; the other cells run in our reference, a loop in plain torch. A figure is against the "
        "fastest of them.",
        rows,
        [Figure("geometric mean against the fastest", geometric_mean(gains), 5.0)],
    )


def _beside_loops(problem: Problem, name: str, work: str, effort: Effort) -> Row:
    contestants = _contestants(problem, name)
    if name in PEERS:
        with _deprecated():
            loops = {EAGER: PEERS[name].eager(), SCRIPT: PEERS[name].scripted()}
        contestants |= _looped(problem, name, loops)
    untimed = (GENERIC,) if name in PEERS else ()
    row, x = Row(f"{name}, {problem.name}", work, 1), cases.inputs(problem)
    with _deprecated():
        row = cases.compared(row, contestants, x, effort, right=GENERIC, untimed=untimed)
    _against_fastest(row, 2.0 if problem.batch >= 32 and problem.hidden >= 256 else None)
    return row


def compiled(effort: Effort, problems: Sequence[Problem] | None = None, names: Sequence[str] = tuple(WORDS)) -> Answer:
    """Two cells against loops that torch.compile has compiled."""
    protocol = "float32, one thread, training step; the seconds of compilation are those of the first step."
    answer = Answer("compiled", "Two cells, beside compiled loops", protocol, [])
    if effort.quick:
        answer.notes.append("Left out of a quick run: compiling takes minutes.")
        return answer
    for problem in problems or map(cases.shape, COMPILED):
        answer.rows += [_beside_compiled(problem, name, effort) for name in names]
    gains = [figure.value for row in answer.rows for figure in row.figures]
    answer.summary = [Figure("geometric mean against the fastest", geometric_mean(gains), 5.0)]
    return answer


def _beside_compiled(problem: Problem, name: str, effort: Effort) -> Row:
    contestants, x, told = _contestants(problem, name), cases.inputs(problem), []
    peer = PEERS[name]
    for word in WORDS[name]:
        loop = peer.compiled() if word == WHOLE else peer.compiled_step()
        new = _looped(problem, name, {word: loop})
        start = time.perf_counter()
        try:
            with timing.threads(1), fresh_cache():
                new[word].training(x)()
        except Exception as error:
            told.append(f"{word} failed: {str(error).splitlines()[0]}")
            continue
        told.append(f"{word}: {time.perf_counter() - start:.0f} s to compile")
        contestants |= new
    row = Row(f"{name}, {problem.name}", TRAINING, 1)
    row = cases.compared(row, contestants, x, effort, right=GENERIC, untimed=(GENERIC,))
    row.note = "; ".join(filter(None, [row.note, *told]))
    _against_fastest(row, None)
    return row


def _contestants(problem: Problem, name: str) -> dict[str, Contestant]:
    options = ROWS[name]
    reference = Contestant(cases.ours(problem, **options), cases.referred())
    return {OURS: Contestant(cases.ours(problem, **options)), GENERIC: reference}


def _looped(problem: Problem, name: str, loops: Mapping[str, Loop]) -> dict[str, Contestant]:
    peer, options = PEERS[name], ROWS[name]
    return {word: Contestant(cases.ours(problem, **options), peer.run(loop)) for word, loop in loops.items()}


def _against_fastest(row: Row, target: float | None) -> None:
    others = [timing.median for timing in row.timings if timing.name != OURS]
    if others:
        row.figures.append(Figure("against the fastest", min(others) / row.median(OURS), target))


@contextmanager
def _deprecated() -> Iterator[None]:
    """TorchScript works, and warns that it will go."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        yield
