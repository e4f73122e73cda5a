"""`carousel cells` and `carousel info`."""

import json
from types import SimpleNamespace

import pytest

from carousel.cells import ALIASES, VARIANTS, equations
from tests.cli.calls import Call


def test_the_table_has_a_line_for_each_cell(call: Call) -> None:
    lines = call("cells").stdout.splitlines()
    for name, cell in VARIANTS.items():
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert cell.source in line
    assert "np" in next(line for line in lines if line.split()[:1] == ["lstm"])


@pytest.mark.parametrize("name", [*VARIANTS, *ALIASES, "LSTM"])
def test_each_cell_is_described_in_full(call: Call, name: str) -> None:
    found = json.loads(call("cells", name, "--json").stdout)
    cell = VARIANTS[ALIASES.get(name.lower(), name.lower())]
    assert found["equations"] == equations(cell)
    assert found["sources"]
    assert found["backends"]["reference"]["why"]
    assert any(entry["runs"] for entry in found["backends"].values())


def test_shapes_are_in_units_and_inputs(call: Call) -> None:
    parameters = json.loads(call("cells", "peephole", "--json").stdout)["parameters"]
    assert {name: entry["shape"] for name, entry in parameters.items()} == {
        "W": "(4H, I)",
        "R": "(4H, H)",
        "b": "(4H)",
        "p": "(3, H)",
    }


def test_a_cell_is_shown_to_people(call: Call) -> None:
    shown = call("cells", "peephole").stdout
    assert "c_t = f_t ⊙ c_{t-1} + i_t ⊙ z_t" in shown
    assert "Learning Precise Timing" in shown
    assert "reference" in shown


def test_an_unknown_cell_is_answered_with_those_there_are(call: Call) -> None:
    found = call("cells", "gru")
    assert found.exit_code == 1
    assert "no cell is called 'gru'; the table has lstm, lstm1997" in found.stderr


def test_info_says_what_runs_here(call: Call) -> None:
    found = json.loads(call("info", "--json").stdout)
    assert found["versions"]["torch"]
    assert found["backends"]["reference"]["why"]
    assert found["threads"] >= 1
    assert found["devices"][0] == "cpu"
    assert "threads" in call("info").stdout


def test_info_says_which_kernels_run(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    built = SimpleNamespace(target=lambda: "avx2", TARGETS=["avx2", "baseline"], runtime=lambda: "GOMP_parallel of x")
    monkeypatch.setattr("carousel.ops.cpu.extension.module", built)
    monkeypatch.setattr("carousel.cli.info.backends", dict)
    found = json.loads(call("info", "--json").stdout)["kernels"]
    assert found == {"built": True, "uses": "avx2", "usable": ["avx2", "baseline"], "runtime": "GOMP_parallel of x"}
    assert "kernels avx2 (of avx2, baseline); threads: GOMP_parallel of x" in call("info").stdout


def test_info_says_why_there_are_no_kernels(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carousel.ops.cpu.extension.module", None)
    monkeypatch.setattr("carousel.ops.cpu.extension.missing", "no compiler")
    assert json.loads(call("info", "--json").stdout)["kernels"] == {"built": False, "why": "no compiler"}
    assert "kernels none: no compiler" in call("info").stdout


def test_info_names_the_extra_of_what_is_missing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carousel.cli.info.PACKAGES", {"plotly-of-nobody": "report"})
    assert "not installed; extra `report`" in call("info").stdout
