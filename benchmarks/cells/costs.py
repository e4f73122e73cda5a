"""What it costs to have carousel: to import it, and to build it."""

import subprocess
import sys
import tempfile
import time
from statistics import median

from benchmarks.cells.records import Answer, Figure, Row
from benchmarks.cells.timing import Effort, timing
from benchmarks.environment import ROOT

IMPORT = "import torch, time; start = time.perf_counter(); import carousel; print(time.perf_counter() - start)"


def costs(effort: Effort) -> Answer:
    """Seconds of `import carousel` beyond `import torch`, and of `pip wheel`."""
    samples = [float(_output(sys.executable, "-c", IMPORT)) for _ in range(effort.rounds + 1)][1:]
    beyond = Figure("import, beyond torch", median(samples), 0.15, lower=True, unit=" s")
    rows = [Row("import carousel", timings=[timing("seconds", samples)], figures=[beyond])]
    if not effort.quick:
        rows.append(_build())
    return Answer(
        "costs",
        "Import and build",
        "Fresh processes that have imported torch; `pip wheel . --no-deps` into an empty folder, what it downloads "
        "for the build included.",
        rows,
        notes=["Left out of a quick run: the build."] if effort.quick else [],
    )


def _build() -> Row:
    row, start = Row("pip wheel"), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, str(ROOT)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        row.note = f"failed: {done.stderr.strip().splitlines()[-1]}"
        return row
    taken = time.perf_counter() - start
    row.timings = [timing("seconds", [taken])]
    row.figures = [Figure("build", taken, 180.0, lower=True, unit=" s")]
    return row


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
