"""Exact resume: a run killed at any moment, again and again, ends with the same bits as one left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from carousel.training import METHODS

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("killed.py")
SOURCE = Path(__file__).parents[2] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the runs left behind."""
    folder = tmp_path_factory.mktemp("runs")
    command = [sys.executable, str(SCRIPT), str(folder)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def kills(folder: Path) -> dict[str, list[int]]:
    """How often each run of each case was killed."""
    return json.loads((folder / "kills.json").read_text(encoding="utf-8"))


def test_killed_runs_end_with_the_same_bits(folder: Path, kills: dict[str, list[int]]) -> None:
    for case, times in kills.items():
        for ending in ("safetensors", "json"):
            results = {(folder / f"{case}-{run}.{ending}").read_bytes() for run in range(len(times) + 1)}
            assert len(results) == 1, f"{case}: the {ending} files differ"


def test_all_runs_were_killed_and_every_method_was_among_them(kills: dict[str, list[int]]) -> None:
    assert {f"method {name}" for name in METHODS} <= set(kills)
    assert sum(len(times) for case, times in kills.items() if not case.startswith("method ")) == 45
    assert all(times and all(times) for times in kills.values())


def test_early_stopping_was_among_them(folder: Path) -> None:
    stopped, history = json.loads((folder / "early stopping-0.json").read_text(encoding="utf-8"))
    assert stopped.startswith("the validation loss has not fallen since epoch")
    assert 3 <= len(history) < 30
