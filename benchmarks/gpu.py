"""`python -m benchmarks.gpu`: check and measure the kernels for graphics processors, all in one call.

Each question is asked in processes of its own, which write every row as soon as they have it: a row that fails, hangs
or takes the processor down loses no other. What there is no time for within --minutes is left out, and said to be.
--write puts what was found of the tiers into the table by which they are chosen, for the questions behind it too.

With --quick the shapes are tiny, all in one process: for a first look, and with TRITON_INTERPRET=1 for a machine that
has no such processor, where only the checks mean anything. Nothing of a quick run is kept.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks import machine
from benchmarks.cells import page, records
from benchmarks.cells.records import Answer, Figure, Row, Timing
from benchmarks.gpu_cases import Bench, Case
from benchmarks.gpu_questions import QUESTIONS, bounds
from carousel.ops.triton import Triton, tiers

FOLDER = Path("build") / "gpu"
GRACE = 30.0
"""Seconds that a process may take longer than it was given, for the row that it is at."""
TRIES = 20
"""How often a question's process is started again when it died."""
CHOOSING = "tiers"
"""The question by whose answer tiers are chosen."""
WARMERS = 16
"""How many processes compile at once at most: each takes memory of the device."""
WARMING = 0.3
"""The share of the time that is left in which kernels may be compiled beforehand."""
QUICK = 2
"""Cases of a question in a quick run."""
Start = Callable[[list[str], Path, float], bool]


def ask(name: str, bench: Bench, into: Path, deadline: float, part: tuple[int, int] = (0, 1)) -> list[Row]:
    """Every n-th case of a question, but for those that `into` has; each row is written before the next case begins."""
    found = QUESTIONS[name].cases(bench)[part[0] :: part[1]]
    kept = _read(into)
    for at, case in enumerate(found[:QUICK] if bench.quick else found):
        if at in kept:
            if kept[at] is None:
                _append(into, at, Row(case.label, case.kind, note="failed: its process died or hung", wrong=True))
            continue
        _append(into, at, None)
        _append(into, at, _row(case, deadline))
        bench.synchronize()
    return [row for row in _read(into).values() if row is not None]


def _row(case: Case, deadline: float) -> Row:
    if time.time() > deadline:
        return Row(case.label, case.kind, note="left out: no time was left")
    try:
        return case.work()
    except Exception as error:
        return Row(case.label, case.kind, note=f"failed: {type(error).__name__}: {str(error)[:300]}", wrong=True)


def _append(into: Path, at: int, row: Row | None) -> None:
    """One line: the case's number, and its row or, when it begins, none."""
    into.parent.mkdir(parents=True, exist_ok=True)
    with into.open("a", encoding="utf-8") as file:
        file.write(json.dumps([at, None if row is None else asdict(row)]) + "\n")


def _read(into: Path) -> dict[int, Row | None]:
    lines = into.read_text(encoding="utf-8").splitlines() if into.exists() else []
    return {at: None if row is None else _as_row(row) for at, row in map(json.loads, lines)}


def _as_row(kept: dict[str, list[dict[str, object]]]) -> Row:
    timings, figures = [Timing(**each) for each in kept["timings"]], [Figure(**each) for each in kept["figures"]]  # type: ignore[arg-type]
    return Row(**{**kept, "timings": timings, "figures": figures})  # type: ignore[arg-type]


def answers(bench: Bench, names: Sequence[str], end: float, folder: Path, start: Start | None) -> Iterator[Answer]:
    """The answers to questions, each in its share of the seconds left; without `start` in this process."""
    for at, name in enumerate(names):
        if start is not None:
            warm(_soon(names, at), time.time() + WARMING * max(0.0, end - time.time()), folder, start)
        load, begun, question = machine.load(), time.time(), QUESTIONS[name]
        share = question.share / sum(QUESTIONS[each].share for each in names[at:])
        deadline = begun + share * max(0.0, end - begun)
        if start is None:
            rows = ask(name, bench, folder / f"{name}.jsonl", deadline)
        else:
            rows = _in_processes(name, folder, deadline, start)
        answer = Answer(f"gpu-{name}", question.title, question.protocol, rows, question.summary(rows))
        answer.machine, answer.load = _described(bench), [load, machine.load()]
        answer.seconds = round(time.time() - begun, 1)
        yield answer


def _soon(names: Sequence[str], at: int) -> Sequence[str]:
    """The questions for which kernels are compiled before the one at hand: some choose by what "tiers" finds."""
    cut = names.index(CHOOSING) + 1 if CHOOSING in names else 0
    return names[cut:] if at == cut else names[:cut] if at == 0 else []


def warm(names: Sequence[str], deadline: float, folder: Path, start: Start) -> None:
    """Compile what questions will time, on all cores at once: they have no time for it."""
    asked = [name for name in names if QUESTIONS[name].warm]
    shares, words = sum(QUESTIONS[name].share for name in asked), []
    for name in asked:
        count = max(1, round(min(WARMERS, len(os.sched_getaffinity(0))) * QUESTIONS[name].share / shares))
        into = [str(folder / "warm" / f"{name}-{part}.jsonl") for part in range(count)]
        words += [[name, "--warm", "--part", f"{part}/{count}", "--into", into[part]] for part in range(count)]
    if words:
        start_all(words, deadline, start, fresh=False)


def _in_processes(name: str, folder: Path, deadline: float, start: Start) -> list[Row]:
    """The rows of a question's processes; one that died goes on behind the case at which it did."""
    count = QUESTIONS[name].workers
    files = [folder / f"{name}-{part}.jsonl" for part in range(count)]
    for _ in range(TRIES):
        words = [[name, "--part", f"{part}/{count}", "--into", str(into)] for part, into in enumerate(files)]
        if start_all(words, deadline, start, fresh=QUESTIONS[name].fresh):
            break
    return [row for into in files for row in _read(into).values() if row is not None]


def start_all(words: Sequence[list[str]], deadline: float, start: Start, *, fresh: bool) -> bool:
    """Start processes side by side; whether all ended well."""
    from concurrent.futures import ThreadPoolExecutor

    with tempfile.TemporaryDirectory() as cache, ThreadPoolExecutor(len(words)) as pool:
        where = Path(cache) if fresh else Path()
        return all(pool.map(lambda each: start(each, where, deadline), words))


def process(words: list[str], cache: Path, deadline: float) -> bool:
    """Start this script for one part of a question; whether it ended well and in time."""
    environment = dict(os.environ) | ({"TRITON_CACHE_DIR": str(cache)} if cache != Path() else {})
    command = [sys.executable, "-m", "benchmarks.gpu", "--question", *words, "--until", str(deadline)]
    try:
        done = subprocess.run(command, env=environment, timeout=max(1.0, deadline - time.time()) + GRACE, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _described(bench: Bench) -> dict[str, str | int | float]:
    about = machine.described() | {"backend": Triton.name, "instructions": bench.device}
    if bench.device == "cuda":
        found = torch.cuda.get_device_properties(0)
        about |= {"processor": found.name, "cores": found.multi_processor_count}
        about["instructions"] = f"CUDA {found.major}.{found.minor}, cuDNN {torch.backends.cudnn.version()}"
    return about


def _words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny shapes; printed and not kept")
    parser.add_argument("--minutes", type=float, default=8.5, help="how long it may take, about")
    parser.add_argument("--only", nargs="+", choices=list(QUESTIONS), help="these questions alone")
    parser.add_argument("--write", action="store_true", help="choose tiers by what was measured here from now on")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where rows go as they come")
    parser.add_argument("--question", choices=list(QUESTIONS), help=argparse.SUPPRESS)
    parser.add_argument("--warm", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--part", default="0/1", help=argparse.SUPPRESS)
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--until", type=float, help=argparse.SUPPRESS)
    return parser


def main(words: list[str]) -> None:
    """Ask, print, and keep what was measured on a graphics processor."""
    parser = _words()
    given = parser.parse_args(words)
    bench = Bench("cuda" if torch.cuda.is_available() else "cpu", given.quick, given.warm)
    if given.question:
        part, count = map(int, given.part.split("/"))
        ask(given.question, bench, given.into, given.until, (part, count))
        return
    if bench.device == "cpu" and not given.quick:
        parser.error("there is no graphics processor here; with --quick and TRITON_INTERPRET=1 the checks run without")
    right, end = True, time.time() + 60 * given.minutes
    names = given.only or list(QUESTIONS)
    for left in (*given.folder.glob("*.jsonl"), *given.folder.glob("warm/*.jsonl")):
        left.unlink()
    for answer in answers(bench, names, end, given.folder, None if given.quick else process):
        print(page.section(answer), flush=True)
        right = right and not any(row.wrong for row in answer.rows)
        if not given.quick:
            records.keep([answer])
            _write(answer, write=given.write)
    if not given.quick:
        page.write()
    sys.exit(0 if right else "a result was wrong, or failed; its row says which")


def _write(answer: Answer, *, write: bool) -> None:
    if write and answer.name == f"gpu-{CHOOSING}":
        source = f"measured by benchmarks.gpu: {answer.protocol}"
        tiers.write(torch.cuda.get_device_name(), bounds(answer.rows, source))


if __name__ == "__main__":
    main(sys.argv[1:])
