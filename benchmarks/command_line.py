"""The same task once more, through the command line."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.environment import ROOT
from benchmarks.machine import THREADS
from benchmarks.results import Entry

RUNS = ROOT / "runs" / "benchmarks"


def fit_and_evaluate(
    fit: tuple[str | Path, ...], test: Path, run: Path, options: Mapping[str, Any] | None = None
) -> Entry:
    """Fit as `carousel fit` is told, then score the run on test data by `carousel evaluate`: an entry of one seed."""
    shutil.rmtree(run, ignore_errors=True)
    settings = [word for name, value in (options or {}).items() for word in ("--set", f"{name}={json.dumps(value)}")]
    _carousel("fit", *fit, *settings, "--out", run)
    found = _carousel("evaluate", run, test)
    scores = {metric: [value] for metric, value in next(iter(found["scores"].values())).items()}
    shown = " ".join(Path(word).name if isinstance(word, Path) else word for word in (*fit, *settings))
    return Entry(
        "the command line",
        "command line",
        scores,
        note=f"`carousel fit {shown} --out RUN`, `carousel evaluate RUN {test.name} --json`",
    )


def _carousel(*words: str | Path) -> dict[str, Any]:
    """What a command prints as JSON. Raises RuntimeError with its error otherwise."""
    command = [sys.executable, "-m", "carousel", *map(str, words), "--json"]
    settings = {"OMP_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | settings)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[2:])} ended with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)
