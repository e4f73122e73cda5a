"""A place to call the command line from, with small data of every kind in it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from carousel.cli import app
from tests.cli.calls import Call, write_rows


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a plain terminal of fixed width."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("COLUMNS", "100"), ("NO_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def call(here: Path) -> Call:
    """Call the command line inside this process: `call("fit", "classify", ...)` has exit_code, stdout and stderr."""
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def process(here: Path) -> Call:
    """Start the command line as a process of its own."""

    def start(*words: Any, **more: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "carousel", *map(str, words)]
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, **{**streams, **more})

    return start


@pytest.fixture
def classes(here: Path) -> Path:
    """A folder of 24 sequence files of two classes, told apart by their slope."""
    for number in range(24):
        label = "up" if number % 2 else "down"
        noise = np.random.default_rng(number).normal(size=(6 + number % 3, 2))
        values = noise + (np.arange(len(noise)) * (1 if number % 2 else -1))[:, None]
        write_rows(here / "classes" / label / f"{number:02}.csv", [["a", "b"], *values.round(3).tolist()])
    return here / "classes"


@pytest.fixture
def steps(here: Path) -> Path:
    """A long table: 12 series, a label a step (`sign`) and a number a series (`total`)."""
    rows: list[list[Any]] = [["who", "when", "x", "sign", "total"]]
    for number in range(12):
        values = np.random.default_rng(number).normal(size=7).round(3)
        total = round(float(values.sum()), 3)
        rows += [[f"s{number}", step, value, "pos" if value > 0 else "neg", total] for step, value in enumerate(values)]
    return write_rows(here / "steps.csv", rows)


@pytest.fixture
def demand(here: Path) -> Path:
    """A daily series of 120 rows with a week in it."""
    days = np.arange("2024-01-01", "2024-04-30", dtype="M8[D]")
    values = 10 + np.sin(2 * np.pi * np.arange(len(days)) / 7) + 0.1 * np.random.default_rng(0).normal(size=len(days))
    return write_rows(here / "demand.csv", [["day", "demand"], *zip(days, values.round(3), strict=True)])
