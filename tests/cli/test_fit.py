"""`carousel fit`: from a file to a run, in every task and container."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from carousel import load
from carousel.cli.findings import read_findings
from carousel.cli.fit import _help
from carousel.tasks import TASKS
from tests.cli.calls import QUICK, Call, names, write_rows

COMPLETE = {
    "config.json",
    "config.yaml",
    "history.json",
    "model.safetensors",
    "preprocessing.json",
    "report.html",
    "report.json",
}


def test_a_folder_of_classes_becomes_a_run(call: Call, classes: Path, here: Path) -> None:
    found = call("fit", "classify", classes, "--out", "runs/c", *QUICK)
    assert found.exit_code == 0, found.stderr
    assert names(here / "runs" / "c") == COMPLETE
    assert found.stderr == ""
    assert "majority class" in found.stdout
    assert "report  runs/c/report.html" in found.stdout
    assert sorted(load("runs/c").classes_) == ["down", "up"]


def test_the_run_is_named_after_the_data(call: Call, classes: Path, here: Path) -> None:
    assert call("fit", "classify", classes, *QUICK).exit_code == 0
    assert (here / "runs" / "classes" / "report.html").is_file()


def test_the_result_for_programs_is_one_json_object(call: Call, classes: Path) -> None:
    found = call("fit", "classify", classes, "--json", *QUICK)
    outcome = json.loads(found.stdout)
    assert outcome["metric"] == "accuracy"
    assert outcome["outcome"] in ("wins", "loses", "level")
    assert set(outcome["scores"]) == {"LSTM", "majority class", "1-nearest neighbour"}
    assert outcome["epochs"] == 2
    assert outcome["stopped"] == "all epochs are done"
    assert found.stderr == ""


def test_quiet_says_nothing(call: Call, classes: Path) -> None:
    found = call("fit", "classify", classes, "--quiet", *QUICK)
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", "")


def test_numbers_and_labels_of_a_long_table(call: Call, steps: Path) -> None:
    columns = ("--series", "who", "--time", "when")
    number = call(
        "fit", "regress", steps, *columns, "--label", "total", "--ignore", "sign", "--out", "r", "--json", *QUICK
    )
    assert json.loads(number.stdout)["metric"] == "mae", number.stderr
    label = call(
        "fit", "label", steps, *columns, "--label", "sign", "--ignore", "total", "--out", "l", "--json", *QUICK
    )
    assert set(json.loads(label.stdout)["scores"]) >= {"LSTM", "majority class"}, label.stderr
    assert list(load("l").feature_names_in_) == ["x"]


def test_a_table_of_one_series_a_row(call: Call, here: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [[*rng.normal(size=5).round(3), number % 2] for number in range(20)]
    path = write_rows(here / "wide.csv", [["1", "2", "3", "4", "5", "kind"], *rows])
    assert call("fit", "classify", path, "--label", "kind", "--out", "r", *QUICK).exit_code == 0
    assert load("r").channels_ == 1


def test_npz_ts_and_parquet(call: Call, here: Path, steps: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(here / "a.npz", X=rng.normal(size=(20, 6, 2)), y=np.arange(20) % 2)
    lines = [f"{','.join(map(str, rng.normal(size=5).round(2)))}:{'ab'[number % 2]}" for number in range(20)]
    (here / "b.ts").write_text("\n".join(["@classLabel true a b", "@data", *lines]), encoding="utf-8")
    pl.read_csv(steps).write_parquet(here / "c.parquet")
    assert call("fit", "classify", "a.npz", *QUICK).exit_code == 0
    assert call("fit", "classify", "b.ts", *QUICK).exit_code == 0
    columns = ("--series", "who", "--time", "when", "--label", "sign", "--ignore", "total")
    assert call("fit", "label", "c.parquet", *columns, *QUICK).exit_code == 0


def test_test_data_of_its_own_are_the_held_out_part(call: Call, classes: Path) -> None:
    found = call("fit", "classify", classes, "--test", classes, "--json", *QUICK)
    assert found.exit_code == 0
    report = json.loads(Path("runs/classes/report.json").read_text(encoding="utf-8"))["findings"]
    assert [(part["name"], part["series"]) for part in report["data"]["parts"]] == [("training", 24), ("test", 24)]


def test_the_seed_decides_everything(call: Call, classes: Path) -> None:
    for run, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert call("fit", "classify", classes, "--out", run, "--seed", seed, *QUICK).exit_code == 0
    one, same, other = (Path(run, "model.safetensors").read_bytes() for run in "abc")
    assert one == same
    assert one != other


def test_the_resolved_settings_do_it_again(call: Call, classes: Path) -> None:
    first = call("fit", "classify", classes, "--out", "a", "--set", "lstm_options.zoneout=0.1", "--cell", "np", *QUICK)
    assert first.exit_code == 0, first.stderr
    written = yaml.safe_load(Path("a/config.yaml").read_text(encoding="utf-8"))
    assert (written["task"], written["data"]["path"], written["lstm_options"]) == (
        "classify",
        "classes",
        {"zoneout": 0.1},
    ) or (written["data"]["path"] == str(classes))
    assert call("fit", "classify", "--config", "a/config.yaml", "--out", "b").exit_code == 0
    assert Path("a/model.safetensors").read_bytes() == Path("b/model.safetensors").read_bytes()


@pytest.mark.parametrize("method", ["tbptt", "rtrl", "rule1997"])
def test_a_method_is_enough_and_what_it_settles_is_written_down(call: Call, classes: Path, method: str) -> None:
    found = call("fit", "classify", classes, "--out", "r", "--method", method, *QUICK)
    assert found.exit_code == 0, found.stderr
    written = yaml.safe_load(Path("r/config.yaml").read_text(encoding="utf-8"))
    told = read_findings(Path("r")).settings
    assert written["bidirectional"] is told["bidirectional"] is load("r").bidirectional is False
    both = call("fit", "classify", classes, "--out", "s", "--method", method, "--bidirectional", *QUICK)
    assert both.exit_code == 1 and "bidirectional=False" in both.stderr


@pytest.mark.parametrize("task", TASKS)
def test_the_help_lists_the_methods_of_the_task(call: Call, task: str) -> None:
    shown = " ".join(call("fit", task, "--help").stdout.replace("│", " ").split())
    *most, last = TASKS[task]._methods()  # pyright: ignore[reportPrivateUsage]
    assert f"How the network learns: {', '.join(most)} or {last}." in shown


@pytest.mark.parametrize("more", [("--set", "method_options.population=1000000000"), ("--hidden-size", "10000000000")])
def test_memory_that_cannot_be_had_is_named(call: Call, classes: Path, here: Path, more: tuple[str, str]) -> None:
    found = call("fit", "classify", classes, "--out", "r", "--method", "evolution", *more)
    assert found.exit_code == 1 and found.stderr.startswith("error: not enough memory: ")
    assert more[1].removeprefix("--set ") in found.stderr and "take less of one of these" in found.stderr
    assert not (here / "r").exists()


def test_options_win_over_the_file(call: Call, classes: Path, here: Path) -> None:
    (here / "small.yaml").write_text("hidden_size: 3\nlearning_rate: 1e-2\nmax_epochs: 9\n", encoding="utf-8")
    words = ("--config", "small.yaml", "--set", "max_epochs=1", "--hidden-size", "5", "--bidirectional")
    assert call("fit", "classify", classes, "--out", "r", *words).exit_code == 0
    model = load("r")
    assert (model.hidden_size, model.learning_rate, model.max_epochs, model.bidirectional) == (5, 0.01, 1, True)


def test_a_run_is_not_overwritten_by_chance(call: Call, classes: Path, here: Path) -> None:
    assert call("fit", "classify", classes, "--out", "r", *QUICK).exit_code == 0
    again = call("fit", "classify", classes, "--out", "r", *QUICK)
    assert again.exit_code == 2
    assert "--out r holds a run already; go on with it by --resume, replace it by --force" in again.stderr
    assert (
        call("fit", "classify", classes, "--out", "r", "--force", "--hidden-size", 3, "--max-epochs", 1).exit_code == 0
    )
    assert load("r").hidden_size == 3
    assert names(here / "r") == COMPLETE


def test_files_that_are_no_run_are_left_alone(call: Call, classes: Path, here: Path) -> None:
    write_rows(here / "papers" / "thesis.csv", [["a"]])
    found = call("fit", "classify", classes, "--out", "papers", "--force", *QUICK)
    assert found.exit_code == 2
    assert "--out papers holds files that are no run" in found.stderr
    assert names(here / "papers") == {"thesis.csv"}


@pytest.mark.parametrize("package", ["jinja2", "plotly.offline"])
def test_without_the_extra_the_fit_succeeds(
    call: Call, classes: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    found = call("fit", "classify", classes, "--out", "r", *QUICK)
    assert found.exit_code == 0
    assert found.stdout.count("carousel-lstm[report]") == 1
    assert not Path("r/report.html").exists()
    assert load("r").hidden_size == 4


def test_every_parameter_of_every_estimator_is_a_setting() -> None:
    from dataclasses import fields

    from carousel.cli.recipe import sections

    for task, estimator in TASKS.items():
        found = sections(task)
        names = [name for section in found.values() for name in section]
        assert len(names) == len(set(names)), "two settings share an option"
        assert {field.name for field in fields(estimator)} - set(names) == {"random_state", "verbose"}
        assert all(setting.help and setting.kinds for section in found.values() for setting in section.values())


@pytest.mark.parametrize("task", TASKS)
def test_the_help_of_a_task_lists_its_settings(call: Call, task: str) -> None:
    shown = call("fit", task, "--help").stdout
    for option in ("--hidden-size", "--config", "--resume", "--seed", "--method"):
        assert option in shown


def test_the_kalman_filter_by_name(call: Call, classes: Path, here: Path) -> None:
    found = call("fit", "classify", classes, "--method", "dekf", "--set", "method_options.groups=layer", *QUICK)
    assert found.exit_code == 0, found.stderr
    history = json.loads((here / "runs" / "classes" / "history.json").read_text(encoding="utf-8"))
    assert "innovation" in str(history)


def test_each_task_says_in_the_imperative_what_it_does() -> None:
    """Assign, estimate, write down: no verb of a third person."""
    verbs = {name: _help(task).split()[0] for name, task in TASKS.items()}
    assert not [name for name, verb in verbs.items() if verb.endswith("s")]
