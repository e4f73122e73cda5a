"""What was measured, in the form in which it is kept: one JSON for each machine."""

import json
import re
from dataclasses import asdict, dataclass, field
from math import exp, log
from pathlib import Path
from typing import Any

from benchmarks.results import CELLS, RESULTS
from carousel.data import atomic_path


@dataclass
class Timing:
    """Seconds that one contestant takes for one unit of work: the median and spread of interleaved samples."""

    name: str
    median: float
    p5: float
    p95: float
    samples: int


@dataclass
class Figure:
    """A number that answers the question, beside the target if it has one.

    `lower` says that less is better; `unit` is written behind the number.
    """

    name: str
    value: float
    target: float | None = None
    lower: bool = False
    unit: str = "×"

    @property
    def met(self) -> bool | None:
        """Whether the target is met, None if there is none."""
        if self.target is None:
            return None
        return self.value <= self.target if self.lower else self.value >= self.target


@dataclass
class Row:
    """One case of a question. `note` says why there is no figure, or what else is to be known."""

    label: str
    work: str = ""
    threads: int | None = None
    timings: list[Timing] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    note: str = ""
    wrong: bool = False

    def median(self, name: str) -> float:
        """The seconds of a contestant."""
        return next(timing.median for timing in self.timings if timing.name == name)


@dataclass
class Answer:
    """One question: its rows, what they come to, and how they were measured."""

    name: str
    title: str
    protocol: str
    rows: list[Row]
    summary: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    load: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def figures(self) -> list[Figure]:
        """All figures with a target, those of the summary first."""
        rows = [figure for row in self.rows for figure in row.figures]
        return [figure for figure in [*self.summary, *rows] if figure.target is not None]


def geometric_mean(values: list[float]) -> float:
    """The mean of ratios; NaN of none."""
    return exp(sum(map(log, values)) / len(values)) if values else float("nan")


def word(machine: dict[str, Any]) -> str:
    """What a machine's file is called: its processor and how many cores."""
    name = re.sub(r"\([^)]*\)|@.*|\bCPU\b", "", str(machine["processor"]))
    return "-".join([*re.findall(r"[a-z0-9]+", name.lower()), str(machine["cores"])])


def keep(answers: list[Answer], folder: Path = RESULTS) -> None:
    """Write answers into the file of their machine, atomically; other questions' answers stay."""
    path = folder / f"{CELLS}{word(answers[0].machine)}.json"
    kept = {answer.name: answer for answer in (_read(path) if path.exists() else [])}
    kept |= {answer.name: answer for answer in answers}
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(answer) for answer in kept.values()], indent=1, ensure_ascii=False)
    with atomic_path(path) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")


def read_all(folder: Path = RESULTS) -> dict[str, list[Answer]]:
    """The answers of each machine, by its word."""
    return {path.stem.removeprefix(CELLS): _read(path) for path in sorted(folder.glob(f"{CELLS}*.json"))}


def _read(path: Path) -> list[Answer]:
    return [_answer(found) for found in json.loads(path.read_text(encoding="utf-8"))]


def _answer(found: dict[str, Any]) -> Answer:
    rows = [_row(row) for row in found["rows"]]
    return Answer(**{**found, "rows": rows, "summary": [Figure(**figure) for figure in found["summary"]]})


def _row(found: dict[str, Any]) -> Row:
    timings = [Timing(**timing) for timing in found["timings"]]
    return Row(**{**found, "timings": timings, "figures": [Figure(**figure) for figure in found["figures"]]})
