"""`carousel fit forecast` and what follows it: from a table to forecasts of the days after it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carousel import load
from tests.cli.calls import Call, names, write_rows

QUICK = ("--horizon", "5", "--context", "14", "--hidden-size", "4", "--max-epochs", "2", "--windows-per-epoch", "64")
FORECAST = ("fit", "forecast", "demand.csv", "--target", "demand", "--out", "r", *QUICK)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def run(call: Call, demand: Path) -> Path:
    found = call(*FORECAST)
    assert found.exit_code == 0, found.stderr
    return Path("r")


def findings(run: Path) -> dict[str, Any]:
    return json.loads((run / "report.json").read_text(encoding="utf-8"))["findings"]


def test_the_last_tenth_is_held_out_and_measured(call: Call, run: Path) -> None:
    found = findings(run)
    parts = {part["name"]: part["steps"] for part in found["data"]["parts"]}
    assert parts == {"training": 108, "test, the last rows": 12}
    assert found["results"]["metric"] == "mae"
    assert {score["name"] for score in found["results"]["scores"]} >= {
        "LSTM",
        "seasonal naive",
        "linear autoregression",
    }
    assert len(found["forecast"]["coverage"][0]["observed"]) == 5
    assert found["forecast"]["examples"][0]["time"][-1] <= "2024-04-29"
    assert found["worst"]
    assert found["memory"]["gates"]


def test_training_never_sees_what_is_held_out(call: Call, demand: Path, run: Path) -> None:
    lines = demand.read_text(encoding="utf-8").splitlines()
    changed = [*lines[:-12], *(f"{line.split(',')[0]},1000" for line in lines[-12:])]
    Path("demand.csv").write_text("\n".join(changed), encoding="utf-8")
    words = [word if word != "r" else "other" for word in FORECAST]
    assert call(*words).exit_code == 0
    assert (Path("other") / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    scalings = [json.loads((Path(run) / "preprocessing.json").read_text(encoding="utf-8")) for run in ("r", "other")]
    assert scalings[0] == scalings[1]


def test_forecasts_follow_the_table(call: Call, run: Path, demand: Path) -> None:
    assert call("predict", run, demand, "-o", "f.csv").exit_code == 0
    rows = table(Path("f.csv").read_text(encoding="utf-8"))
    assert [row["time"] for row in rows] == [f"2024-04-{day}" for day in (30,)] + [
        f"2024-05-0{day}" for day in range(1, 5)
    ]
    assert list(rows[0]) == ["time", "demand", "demand-q0.1", "demand-q0.9"]
    assert all(float(row["demand-q0.1"]) <= float(row["demand"]) <= float(row["demand-q0.9"]) for row in rows)


def test_a_table_is_evaluated(call: Call, run: Path, demand: Path) -> None:
    found = json.loads(call("evaluate", run, demand, "--json").stdout)
    assert set(found["scores"]) >= {"LSTM", "seasonal naive"}
    assert "coverage" in found["scores"]["LSTM"]


def test_many_series_with_covariates_of_every_kind(call: Call, here: Path) -> None:
    rows: list[list[Any]] = [["shop", "day", "sales", "visits", "holiday", "kind"]]
    rng = np.random.default_rng(0)
    for shop in ("a", "b", "c"):
        days = np.arange("2024-01-01", "2024-04-01", dtype="M8[D]")
        for number, day in enumerate(days):
            known = number < len(days) - 5
            values = [10 + rng.normal(), 100 + rng.normal()] if known else ["", ""]
            rows.append([shop, day, *values, int(number % 7 == 6), "large" if shop == "a" else "small"])
    write_rows(here / "shops.csv", rows)
    columns = ("--target", "sales", "--series", "shop", "--time", "day", "--past", "visits", "--future", "holiday")
    found = call("fit", "forecast", "shops.csv", *columns, "--static", "kind", "--out", "r", "--json", *QUICK)
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["metric"] == "mase"
    assert list(load("r").past_exog) == ["visits"]
    rows_ahead = table(call("predict", "r", "shops.csv").stdout)
    assert [row["shop"] for row in rows_ahead] == [shop for shop in "abc" for _ in range(5)]
    assert rows_ahead[0]["day"] == "2024-03-27"


def test_a_killed_forecast_goes_on_by_its_own_settings(
    call: Call, demand: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    from tests.cli.test_runs import at_update

    with monkeypatch.context() as patch:
        at_update(patch, 1, lambda: signal.raise_signal(signal.SIGINT))
        assert call(*FORECAST).exit_code == 130
    assert call("predict", "r", demand).exit_code == 0
    assert call("fit", "forecast", "--out", "r", "--resume").exit_code == 0
    words = [word if word != "r" else "whole" for word in FORECAST]
    assert call(*words).exit_code == 0
    assert Path("r/model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()


def edited(old: str, new: str) -> Any:
    """A change of some words; no words change nothing."""
    return lambda text: text.replace(old, new) if old else text


def lines(change: Any) -> Any:
    """A change of the list of lines."""
    return lambda text: "\n".join(change(text.splitlines()))


BAD: dict[str, tuple[Any, tuple[str, ...], str]] = {
    "NaN": (lambda text: text.replace(text.splitlines()[30], "2024-01-30,"), (), "has NaN at row 29, column 'demand'"),
    "infinity": (lambda text: text.replace(text.splitlines()[30], "2024-01-30,inf"), (), "column 'demand'"),
    "text": (lambda text: text.replace(text.splitlines()[30], "2024-01-30,much"), (), "has text 'much' at line 31"),
    "too short": (lines(lambda rows: rows[:16]), (), "fewer than context + horizon = 14 + 5"),
    "no target": (edited("demand", "load"), (), "has no column 'demand'; it has 'day', 'load'"),
    "a name almost right": (edited("day,demand", "day,demands"), (), "did you mean 'demands'?"),
    "column twice": (edited("day,demand", "demand,demand"), (), "demand"),
    "unsorted": (lines(lambda rows: [*rows[:5], rows[6], rows[5], *rows[7:]]), (), "is not sorted"),
    "a day twice": (lines(lambda rows: [*rows[:6], *rows[5:]]), (), "twice, at line"),
    "a gap": (lines(lambda rows: [*rows[:9], *rows[11:]]), (), "leaves out 2 of its steps"),
    "mixed time zones": (
        lines(lambda rows: [rows[0], *(row.replace(",", "T00:00+01:00,", 1) for row in rows[1:9]),
                            *(row.replace(",", "T00:00+02:00,", 1) for row in rows[9:])]),
        (),
        "different time zones",
    ),
    "no dates": (lines(lambda rows: [rows[0], "soon,3", *rows[2:]]), ("--time", "day"), "'soon' is not a date"),
    "a column in two roles": (edited("", ""), ("--past", "demand"), "is named as a target and as a covariate"),
    "a covariate that is missing": (edited("", ""), ("--past", "weather"), "has no column 'weather'"),
    "a step that cannot be": (edited("", ""), ("--step", "0"), "step is 0"),
    "a share that cannot be": (edited("", ""), ("--test-fraction", "1.5"), "test_fraction is 1.5"),
    "quantiles that cannot be": (edited("", ""), ("--quantiles", "0.1,2"), "quantiles"),
    "a horizon of nothing": (edited("", ""), ("--horizon", "0"), "horizon is 0; it must be 1 or more"),
    "a strategy that is not there": (edited("", ""), ("--strategy", "guess"), "strategy is 'guess'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_forecast_says_what_is_wrong(call: Call, demand: Path, here: Path, case: str) -> None:
    change, words, sentence = BAD[case]
    text = demand.read_text(encoding="utf-8")
    demand.write_text(change(text), encoding="utf-8")
    found = call(*FORECAST, *words)
    assert sentence in found.stderr
    assert found.stderr.count("\n") == 1
    assert found.exit_code in (1, 2)
    assert names(here) == {"demand.csv"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (edited("day,demand", "day,load"), "demand"),
        (lines(lambda rows: rows[:8]), "series 'series' has 7 rows"),
        (lines(lambda rows: rows[:1]), "has a header but no rows"),
    ],
)
def test_new_rows_that_do_not_fit_the_run(call: Call, run: Path, demand: Path, change: Any, sentence: str) -> None:
    demand.write_text(change(demand.read_text(encoding="utf-8")), encoding="utf-8")
    found = call("predict", run, demand, "-o", "f.csv")
    assert found.exit_code == 1
    assert sentence in found.stderr
    assert not Path("f.csv").exists()
