"""The page of results says what the result files say, and every benchmark still runs, small and without a rival."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import (
    classification,
    command_line,
    environment,
    forecasting,
    labelling,
    methods,
    page,
    results,
    supervised,
)
from carousel.cli import app
from carousel.data import write_csv
from carousel.training import METHODS

TINY = {"hidden_size": 3, "max_epochs": 2}


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for runs; the command line is called inside this process."""

    def carousel(*words: str | Path) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*map(str, words), "--json"])
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    monkeypatch.setattr(command_line, "_carousel", carousel)
    monkeypatch.setattr(command_line, "RUNS", tmp_path / "runs")
    return tmp_path


def agrees(result: results.Result, metric: str) -> None:
    """The command line has the figure of the first seed, and the page shows all contestants."""
    by_command = next(entry for entry in result.entries if entry.kind == "command line")
    assert by_command.scores[metric][0] == pytest.approx(result.ours.scores[metric][0], rel=1e-6)
    assert all(entry.name in page.section(result) for entry in result.entries)


def test_the_page_is_current() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.text(), "stale; `python -m benchmarks page` writes it anew"


def test_forecasting(inside: Path) -> None:
    half_days = np.arange("2024-01-01", "2024-07-01", 12, dtype="M8[h]")
    values = np.sin(np.arange(len(half_days)) * np.pi) + np.random.default_rng(0).normal(size=len(half_days))
    write_csv(inside / "waves.csv", {"ds": half_days.astype("M8[us]"), "y": values})
    series = forecasting.Series("waves", inside / "waves.csv", 4, "12h", "noise")
    result = forecasting.measured(series, seeds=(0,), rival=False, options={**TINY, "context": 6})
    agrees(result, "mae")
    agrees(result, "pinball")
    assert {"seasonal naive", "linear autoregression"} <= {entry.name for entry in result.entries}


def test_classification(inside: Path) -> None:
    for part in ("TRAIN", "TEST"):
        (inside / f"waves_{part}.ts").write_text(_archive(12), encoding="utf-8")
    task = classification.task("waves", inside / "waves_TRAIN.ts", inside / "waves_TEST.ts", TINY)
    agrees(supervised.measured(task, seeds=(0,)), "accuracy")


def _archive(series: int) -> str:
    draw = np.random.default_rng(0)
    rows = [f"{_numbers(draw)}:{_numbers(draw)}:{'up' if at % 2 else 'down'}" for at in range(series)]
    head = ["@problemName waves", "@univariate false", "@dimensions 2", "@classLabel true down up", "@data"]
    return "\n".join([*head, *rows, ""])


def _numbers(draw: np.random.Generator) -> str:
    return ",".join(f"{value:.3f}" for value in draw.normal(size=5))


def test_labelling(inside: Path) -> None:
    people = [(subject, exercise) for subject in (1, 2, *labelling.TESTED) for exercise in ("lift", "turn")]
    np.savez(
        inside / "watch.npz",
        values=np.random.default_rng(0).normal(size=(400 * len(people), 2)),
        lengths=np.full(len(people), 400),
        exercise=np.array([exercise for _, exercise in people]),
        subject=np.array([subject for subject, _ in people]),
        side=np.zeros(len(people), dtype=int),
        channels=np.array(["ax", "ay"]),
    )
    labelling.write_sessions(inside / "watch.npz", inside / "watch")
    task = labelling.task(inside / "watch", {**TINY, "bidirectional": True})
    assert sum(map(len, task.train.sequences.values)) == 2 * 2 * 40
    agrees(supervised.measured(task, seeds=(0,)), "accuracy")


def test_truncated_backpropagation_is_compared_where_it_truncates() -> None:
    found = {one.method: one.mae for one in methods.read().learned}
    assert found["tbptt"] != found["bptt"]
    assert methods.OWN["tbptt"]["method_options"]["k2"] < methods.NETWORK["lstm_context"]


def test_the_page_of_methods_is_current_and_knows_each() -> None:
    text = methods.PAGE.read_text(encoding="utf-8")
    assert text == methods.page(), "stale; `python -m benchmarks page` writes it anew"
    assert not [name for name in METHODS if f"| `{name}` |" not in text], "`python -m benchmarks methods --method NAME`"


def test_a_method_is_measured_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def elsewhere(name: str, seed: int) -> dict[str, Any]:
        asked.append((name, seed))
        return methods.once(name, seed, bidirectional=name == "rtrl")

    monkeypatch.setattr(methods, "METHODS", {"bptt": None, "rtrl": None})
    monkeypatch.setattr(methods, "OWN", {"bptt": {"max_epochs": 1, "windows_per_epoch": 16}})
    monkeypatch.setattr(methods, "_elsewhere", elsewhere)
    methods.measure(seeds=(0,), folder=tmp_path)
    methods.measure(seeds=(0, 1), folder=tmp_path)
    assert asked == [("bptt", 0), ("rtrl", 0), ("bptt", 1)]
    found = methods.read(tmp_path)
    assert len(found.learned[0].mae) == 2
    assert found.learned[0].mae[0] > 0
    assert {"seasonal naive", "linear autoregression"} <= set(found.simple)
    text = methods.page(found)
    assert "`rtrl` trains no forecaster: " in text
    assert "| `bptt` | " in text


def test_a_loss_is_said_plainly() -> None:
    entries = [_entry("carousel.Forecaster", "ours", 2.0, 10.0), _entry("rival", "rival", 1.0, 5.0)]
    verdict = page.verdict(_result(entries))
    assert "is not best by MAE: 2 against 1 of rival" in verdict
    assert "2.0 times more processor time than rival" in verdict
    entries[0].scores["mae"] = [0.5]
    assert "Ours is best by MAE: 0.5 against 1 of rival" in page.verdict(_result(entries))
    assert "standard deviation" not in page.verdict(_result(entries))
    entries[0].scores["mae"] = [0.5, 1.3]
    assert "smaller than the standard deviation" in page.verdict(_result(entries))


def _entry(name: str, kind: str, error: float, seconds: float) -> results.Entry:
    return results.Entry(name, kind, {"mae": [error]}, {"fit_cpu": [seconds], "fit_wall": [seconds]})


def _result(entries: Sequence[results.Entry]) -> results.Result:
    return results.Result("x", "X", "x", "x", ["mae"], True, list(entries), "x", {}, [0.0])


def test_a_rival_is_asked_once(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(*command: Any, where: Path) -> None:
        asked.append(str(command[1]))
        Path(command[-1]).write_text('{"forecasts": []}', encoding="utf-8")

    monkeypatch.setattr(environment, "HOME", inside)
    monkeypatch.setattr(environment, "_run", run)
    for steps in (1, 1, 2):
        assert environment.answer("script.py", "name", {"steps": steps})["request"] == {"steps": steps}
    assert len(asked) == 2
