"""`carousel gradients`: fresh nets, a run, a picture, and wrong calls."""

import json
from pathlib import Path

import pytest

from carousel.cells import VARIANTS
from carousel.cli.findings import read_findings
from carousel.tasks import TASKS
from tests.cli.calls import QUICK, Call
from tests.tasks.samples import begun

SMALL = ("--lags", "6", "--hidden-size", "3")


def test_fresh_nets_are_shown_with_the_carousel(call: Call) -> None:
    shown = call("gradients", *SMALL).stdout
    (line,) = [line for line in shown.splitlines() if line.split()[:2] == ["lstm1997", "carousel"]]
    assert line.split()[2:] == ["1", "1", "1", "1"]
    assert "rnn" in shown
    assert "∂c_T / ∂c_{T-q}" in shown


def test_all_means_the_plain_rnn_and_every_cell(call: Call) -> None:
    found = json.loads(call("gradients", "--cell", "all", "--lags", "2", "--hidden-size", "2", "--json").stdout)
    assert [net["net"] for net in found["nets"]] == ["rnn", *VARIANTS]
    assert found["nets"][1]["cell"]["spectral"][0] == 1
    assert found["nets"][0]["lags"] == [0, 1, 2]


def test_a_picture_is_written(call: Call, here: Path) -> None:
    assert call("gradients", "--cell", "lstm", *SMALL, "--out", "flow.svg").exit_code == 0
    assert "<svg" in (here / "flow.svg").read_text(encoding="utf-8")


def test_a_run_is_followed_on_the_sequence_of_its_report(call: Call, classes: Path) -> None:
    assert call("fit", "classify", classes, "--out", "runs/c", *QUICK).exit_code == 0
    found = json.loads(call("gradients", "runs/c", "--cell", "rnn", "--json").stdout)
    assert [net["net"] for net in found["nets"]] == ["c", "rnn"]
    assert found["inputs"].startswith("held-out series")
    memory = read_findings(Path("runs/c")).memory
    assert memory is not None
    drawn = {row.name: list(row.values) for row in memory.jacobians}
    assert found["nets"][0]["cell"]["spectral"] == pytest.approx(drawn["cell"], rel=1e-3)


@pytest.mark.parametrize("task", TASKS)
def test_the_net_of_any_saved_estimator_is_followed_on_noise(call: Call, task: str, here: Path) -> None:
    begun(task).save(here / "saved")
    found = json.loads(call("gradients", "saved", "--lags", "3", "--json").stdout)
    assert [net["net"] for net in found["nets"]] == ["saved"]
    assert found["inputs"] == "normal noise" and found["nets"][0]["lags"] == [0, 1, 2, 3]


def test_memory_that_cannot_be_had_is_named(call: Call) -> None:
    found = call("gradients", "--hidden-size", "100000000", "--cell", "rnn")
    assert found.exit_code == 1
    assert found.stderr == (
        "error: not enough memory: 80 PB were asked for at once, with lags=100, hidden_size=100000000; "
        "take less of one of these\n"
    )


def test_wrong_calls_are_answered_in_a_line(call: Call) -> None:
    assert "no cell is called 'gru'" in call("gradients", "--cell", "gru").stderr
    assert "there is no folder nowhere" in call("gradients", "--out", "nowhere/flow.png").stderr
    assert call("gradients", "--lags", "0").exit_code == 2
