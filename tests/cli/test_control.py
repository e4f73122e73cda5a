"""`carousel fit control` and what follows: an environment in place of a file."""

import json
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from carousel import load
from carousel.cli.flags import values_of
from carousel.cli.recipe import sections
from tests.cli.calls import Call, names, write_rows
from tests.cli.test_fit import COMPLETE
from tests.training.corridor import Corridor

QUICK = [
    "--hidden-size",
    "4",
    "--max-epochs",
    "2",
    "--updates-per-epoch",
    "2",
    "--batch-size",
    "4",
    "--rollout",
    "8",
    "--validation-episodes",
    "2",
    "--episodes",
    "6",
]
NAME = "carousel/Corridor-v0"


@pytest.fixture(autouse=True)
def _registered() -> None:
    if NAME not in gymnasium.registry:
        gymnasium.register(NAME, entry_point=lambda **_: Corridor())


@pytest.fixture
def run(call: Call) -> Path:
    found = call("fit", "control", NAME, "--method", "ppo", "--hide", "1", "--out", "r", *QUICK)
    assert found.exit_code == 0, found.stderr
    return Path("r")


def test_an_environment_becomes_a_run(run: Path, call: Call) -> None:
    assert names(run) == COMPLETE
    assert load(run).hide == [1]
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Return by epoch" in page and "An episode" in page and "Inside the memory" in page
    found = json.loads((run / "report.json").read_text(encoding="utf-8"))["findings"]
    assert [line["name"] for line in found["control"]["episode"]] == ["observation 0", "action", "reward"]
    assert found["task"] == "control" and found["data"]["source"] == NAME
    assert call("report", run, "--open", "no").exit_code == 0


def test_the_outcome_stands_beside_policies_without_sense(call: Call) -> None:
    outcome = json.loads(call("fit", "control", NAME, "--json", *QUICK).stdout)
    assert outcome["metric"] == "return" and not outcome["lower_is_better"]
    assert outcome["scores"].keys() >= {"LSTM", "random actions"} and len(outcome["scores"]) == 3
    assert outcome["run"] == "runs/Corridor-v0"
    own = outcome["scores"]["LSTM"]
    assert own["95% low"] <= own["return"] <= own["95% high"]


def test_a_run_is_evaluated_where_it_learned(run: Path, call: Call) -> None:
    first, again = (json.loads(call("evaluate", run, *more, "--json").stdout) for more in ([], [NAME]))
    assert first["scores"] == again["scores"]
    assert (first["data"], again["data"]) == (None, NAME)


def test_actions_are_predicted_step_by_step(run: Path, call: Call) -> None:
    rows = [[1, 0], [0, 0], [0, 0], [0, 1]]
    found = json.loads(call("predict", run, write_rows(Path("seen.csv"), [["sign", "end"], *rows]), "--json").stdout)
    model, state, expected = load(run), None, []
    for row in rows:
        action, state = model.act(np.array(row), state)
        expected.append(action)
    assert found == {"step": [0, 1, 2, 3], "action": expected}


def test_other_runs_still_need_data(call: Call, classes: Path) -> None:
    assert call("fit", "classify", classes, "--out", "c", "--hidden-size", "4", "--max-epochs", "1").exit_code == 0
    found = call("evaluate", "c")
    assert (found.exit_code, found.stderr.startswith("error: there is no data: name a file")) == (2, True)


def test_evolution_by_name(call: Call) -> None:
    found = call("fit", "control", NAME, "--method", "evolution", "--set", "method_options.population=6", *QUICK)
    assert found.exit_code == 0, found.stderr
    assert load("runs/Corridor-v0").network_.critic is None


def test_workers_are_given_by_number_or_by_name() -> None:
    settings = sections("control")["estimator"]
    assert [values_of(settings, {"workers": [text]}) for text in ("2", "ray")] == [{"workers": 2}, {"workers": "ray"}]
    assert settings["workers"].metavar() == "INTEGER|TEXT"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_on_a_cluster_is_the_same(call: Call) -> None:
    ray = pytest.importorskip("ray", reason="for Ray, pip install 'carousel-lstm[ray]'", exc_type=ImportError)
    ray.init(num_cpus=2, include_dashboard=None, log_to_driver=False, logging_level="warning")
    try:
        for out, more in (("alone", []), ("apart", ["--workers", "ray"])):
            found = call("fit", "control", "CartPole-v1", "--out", out, "--json", *more, *QUICK)
            assert found.exit_code == 0, found.stderr
            assert json.loads(found.stdout)["run"] == out
    finally:
        ray.shutdown()
    assert "workers: ray\n" in Path("apart/config.yaml").read_text(encoding="utf-8")
    assert load("apart").workers == "ray"
    weights = (Path(out, "model.safetensors").read_bytes() for out in ("alone", "apart"))
    assert next(weights) == next(weights)


def test_calls_that_make_no_sense(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, sentence in (
        ("Nowhere-v7", "there is no environment 'Nowhere-v7'"),
        (f"{NAME} --method bptt", "method 'bptt' learns from data, and an environment has none"),
        (f"{NAME} --workers many", "workers is 'many'; give 1 or more, or 'ray'"),
        (f"{NAME} --episodes 0", "episodes is 0; at least one is measured"),
    ):
        found = call("fit", "control", *words.split(), *(QUICK[:-2]))
        assert (found.exit_code, sentence in found.stderr) == (1, True), found.stderr
        assert not Path("runs").exists()
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    found = call("fit", "control", "CartPole-v1")
    assert (found.exit_code, 'pip install "carousel-lstm[control]"' in found.stderr) == (1, True)
