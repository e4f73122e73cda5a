"""Where a figure was measured, and how long it took."""

import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

THREADS = 1
"""Threads of every side of every comparison."""

Seconds = dict[str, list[float]]


@contextmanager
def timed(step: str, seconds: Seconds) -> Iterator[None]:
    """Append how long the body took to seconds["<step>_wall"] and, of the processor, to seconds["<step>_cpu"]."""
    wall, processor = time.perf_counter(), time.process_time()
    yield
    seconds.setdefault(f"{step}_wall", []).append(time.perf_counter() - wall)
    seconds.setdefault(f"{step}_cpu", []).append(time.process_time() - processor)


def described() -> dict[str, str | int | float]:
    """The processor, its cores, the threads in use, and the versions that matter."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": THREADS,
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "scikit-learn")},
    }


def load() -> float:
    """How many processes wanted a core in the last minute, ours among them."""
    return round(os.getloadavg()[0], 1)


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
