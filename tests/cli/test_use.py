"""`carousel predict`, `evaluate` and `report`: what a run is good for."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from carousel import load
from tests.cli.calls import QUICK, Call, write_rows


@pytest.fixture
def run(call: Call, classes: Path) -> Path:
    assert call("fit", "classify", classes, "--out", "r", *QUICK).exit_code == 0
    return Path("r")


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_predictions_are_those_of_the_estimator(call: Call, run: Path, classes: Path) -> None:
    found = call("predict", run, classes, "-o", "p.csv")
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", "predictions  p.csv\n")
    rows = table(Path("p.csv").read_text(encoding="utf-8"))
    assert [row["series"] for row in rows][:2] == ["down/00.csv", "down/02.csv"]
    values = [np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2) for path in sorted(classes.rglob("*.csv"))]
    assert [row["predicted"] for row in rows] == list(load(run).predict(values))
    assert all(float(row["probability down"]) + float(row["probability up"]) == pytest.approx(1) for row in rows)


def test_predictions_go_to_stdout_as_csv_or_json(call: Call, run: Path, classes: Path) -> None:
    rows = table(call("predict", run, classes).stdout)
    found = json.loads(call("predict", run, classes, "--json").stdout)
    assert [row["predicted"] for row in rows] == found["predicted"]


def test_quiet_predictions(call: Call, run: Path, classes: Path) -> None:
    assert call("predict", run, classes, "-o", "p.csv", "--quiet").stderr == ""


def test_tables_are_read_by_the_columns_of_the_training(call: Call, steps: Path, here: Path) -> None:
    columns = ("--series", "who", "--time", "when", "--label", "sign", "--ignore", "total")
    assert call("fit", "label", steps, *columns, "--out", "r", *QUICK).exit_code == 0
    write_rows(here / "new.csv", [["x", "who", "other", "when"], [0.5, "n", "text", 0], [-0.5, "n", "text", 1]])
    rows = table(call("predict", "r", "new.csv").stdout)
    assert [(row["series"], row["step"]) for row in rows] == [("n", "0"), ("n", "1")]
    write_rows(here / "less.csv", [["y", "who", "when"], [0.5, "n", 0]])
    found = call("predict", "r", "less.csv")
    assert found.exit_code == 1
    assert "less.csv has no column 'x'" in found.stderr


def test_numbers_are_predicted(call: Call, steps: Path) -> None:
    columns = ("--series", "who", "--time", "when", "--label", "total", "--ignore", "sign")
    assert call("fit", "regress", steps, *columns, "--out", "r", *QUICK).exit_code == 0
    rows = table(call("predict", "r", steps).stdout)
    assert len(rows) == 12
    assert all(np.isfinite(float(row["predicted"])) for row in rows)


def test_an_evaluation_scores_known_answers(call: Call, run: Path, classes: Path) -> None:
    found = json.loads(call("evaluate", run, classes, "--json").stdout)
    assert found["metric"] == "accuracy"
    assert 0 <= found["scores"]["LSTM"]["accuracy"] <= 1
    assert call("evaluate", run, classes).stdout.startswith("24 series of ")


def test_a_report_is_made_again(call: Call, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    found = call("report", run, "--open", "no")
    assert (found.exit_code, found.stdout) == (0, "r/report.html\n")
    assert (run / "report.html").read_bytes() == first
    call("report", run)
    assert not opened, "opened a browser where nobody watches"
    call("report", run, "--open", "yes")
    assert opened == [(run / "report.html").resolve().as_uri()]
    assert call("report", run, "--open", "perhaps").exit_code == 2


def test_the_report_says_how_it_was_made(call: Call, run: Path) -> None:
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))["findings"]
    assert report["settings"]["task"] == "classify"
    assert report["versions"]["torch"]
    assert report["memory"]["gates"]
    assert report["classes"]["labels"] == ["down", "up"]
    assert [part["name"] for part in report["data"]["parts"]] == ["training", "test"]
