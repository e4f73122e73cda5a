"""A measured result, and its file: one JSON for each data set."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from carousel.data import atomic_path

RESULTS = Path(__file__).parent / "results"
OURS = "carousel"
CELLS = "cells-"
"""How the files begin that hold the speed of cells; those of no beginning hold what estimators do on data."""
METHODS = "methods-"
"""How the files begin that hold what the ways to learn come to."""


@dataclass
class Entry:
    """One contestant: its scores by metric and its seconds by step, a figure for each seed.

    kind: "ours", "baseline", "rival", "command line", or "published" for figures that were not measured here.
    """

    name: str
    kind: str
    scores: dict[str, list[float]]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""

    def mean(self, metric: str) -> float:
        """The mean over seeds."""
        return fmean(self.scores[metric])


@dataclass
class Result:
    """All contestants on one data set. The first metric decides."""

    name: str
    title: str
    data: str
    protocol: str
    metrics: list[str]
    lower_is_better: bool
    entries: list[Entry]
    command: str
    machine: dict[str, Any]
    load: list[float]
    notes: list[str] = field(default_factory=list)

    @property
    def ours(self) -> Entry:
        """Our estimator."""
        return next(entry for entry in self.entries if entry.kind == "ours")

    @property
    def ranked(self) -> list[Entry]:
        """The contestants by the deciding metric, the best first."""
        sign = 1 if self.lower_is_better else -1
        return sorted(self.entries, key=lambda entry: sign * entry.mean(self.metrics[0]))

    def write(self, folder: Path = RESULTS) -> None:
        """Write the file, atomically."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False, default=float)
        with atomic_path(folder / f"{self.name}.json") as temporary:
            temporary.write_text(f"{text}\n", encoding="utf-8")


def read_all(folder: Path = RESULTS) -> list[Result]:
    """All results in the order of their names."""
    return [_read(path) for path in sorted(folder.glob("*.json")) if not path.name.startswith((CELLS, METHODS))]


def _read(path: Path) -> Result:
    found = json.loads(path.read_text(encoding="utf-8"))
    return Result(**{**found, "entries": [Entry(**entry) for entry in found["entries"]]})
