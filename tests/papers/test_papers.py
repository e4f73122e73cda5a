"""Every paper in its small size, and the ground that they share: resuming, comparing, tables."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from papers import claims, experiment, page
from papers.__main__ import main
from papers.experiment import ROOT, Experiment, keys


@pytest.mark.parametrize("key", keys())
def test_the_small_size_gives_what_is_expected(key: str, tmp_path: Path) -> None:
    small = Experiment(key, True, tmp_path)
    results, _ = small.results()
    wrong = [str(row) for row in claims.verdicts(key, small.claims(results), small=True) if not row.holds]
    assert not wrong


@pytest.mark.parametrize("key", keys())
def test_each_paper_has_all_its_files(key: str) -> None:
    names = {path.name for path in (ROOT / key).iterdir()}
    assert {"README.md", "experiment.toml", "expected.json", "run.py", "figure.png"} <= names
    assert page.with_table(key) == (ROOT / key / "README.md").read_text(encoding="utf-8"), "stale; run with --write"
    assert all(claim["runs"] for claim in claims.expected(key)["claims"].values())


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[Experiment, list[int]]]:
    """A paper with two parts and one claim, in a folder of its own; its second list says which parts ran."""
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "experiment.toml").write_text("[full]\nbase = 1.0\n[small]\nbase = 0.5\n", encoding="utf-8")
    row = {
        "says": "Parts",
        "published": 2,
        "tag": "M",
        "ours": 2.0,
        "low": 1.5,
        "high": 2.5,
        "runs": 2,
        "tolerance": 0.1,
    }
    text = json.dumps({"minutes": 0.1, "claims": {"mean": row}})
    (tmp_path / "toy" / "expected.json").write_text(text, encoding="utf-8")
    (tmp_path / "toy" / "run.py").write_text("", encoding="utf-8")
    (tmp_path / "toy" / "README.md").write_text(f"# Toy\n\nA claim.\n\n{page.BEGIN}\n{page.END}\n", encoding="utf-8")
    ran: list[int] = []

    def part(index: int, settings: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        return lambda: ran.append(index) or {"value": settings["base"] + index}

    code = SimpleNamespace(
        parts=lambda settings: {str(k): part(k, settings) for k in (0, 1, 2)},
        claims=lambda results: {"mean": [row["value"] for row in results.values()]},
        draw=lambda results, path: path.write_text("drawn", encoding="utf-8"),
    )
    monkeypatch.setattr(Experiment, "code", code)
    for module in (experiment, claims, page):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr("papers.__main__.ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return lambda: (Experiment("toy", False, tmp_path / "kept"), ran)


def test_a_stopped_run_goes_on(toy: Any) -> None:
    run, ran = toy()
    first, _ = run.results()
    (kept,) = (run.kept / "toy").iterdir()
    text = kept.read_text(encoding="utf-8")
    kept.write_text(text[: len(text) - 9], encoding="utf-8")
    assert run.results()[0] == first == run.results()[0]
    assert ran == [0, 1, 2, 2]


def test_other_settings_and_other_code_begin_anew(toy: Any) -> None:
    run, ran = toy()
    run.results()
    Experiment("toy", True, run.kept).results()
    (experiment.ROOT / "toy" / "run.py").write_text("changed = True\n", encoding="utf-8")
    run.results()
    run.forget()
    run.results()
    assert ran == [0, 1, 2] * 4


def test_a_claim_that_does_not_hold_ends_with_an_error(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    toy()
    with pytest.raises(SystemExit) as ended:
        main(["toy"])
    assert ended.value.code == 0
    assert "ok    mean: 2, expected 2.0" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="does not hold"):
        main(["toy", "--small"])
    assert "WRONG mean: 1.5, expected 2.0" in capsys.readouterr().out


def test_results_become_the_expected_ones_by_write(toy: Any) -> None:
    toy()
    with pytest.raises(SystemExit):
        main(["toy", "--write"])
    written = claims.expected("toy")["claims"]["mean"]
    assert (written["ours"], written["low"], written["high"], written["runs"]) == (2, 1, 3, 3)
    readme = (page.ROOT / "toy" / "README.md").read_text(encoding="utf-8")
    assert "| Parts | 2 (as recalled) | 2 (1 to 3) | 3 |" in readme
    assert (page.ROOT / "toy" / "figure.png").exists()
    assert "## Toy\n\nA claim.\n\n| claim |" in page.page()


def test_wrong_calls_are_refused(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    toy()
    for words, answer in ((["nobody"], "no paper nobody"), (["--write", "--small"], "takes the full size")):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert answer in capsys.readouterr().err
    with pytest.raises(ValueError, match="only one of run.py and expected.json has other"):
        claims.verdicts("toy", {"mean": [2.0], "other": [1.0]}, small=False)


def test_the_small_size_can_have_a_figure_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = {"ours": 0.9, "tolerance": 0.01, "small_tolerance": 0.05, "small_ours": 0.3}
    monkeypatch.setattr(claims, "expected", lambda key: {"claims": {"a": claim}})
    cases = ((0.9, False), (0.3, False), (0.9, True), (0.32, True))
    held = [claims.verdicts("toy", {"a": [value]}, small=small)[0].holds for value, small in cases]
    assert held == [True, False, False, True]


def test_figures_of_low_confidence_are_not_shown() -> None:
    claim = {"published": 3.5}
    shown = [page._published(claim | {"tag": tag}) for tag in ("V", "M+", "M", "M-")]
    assert shown == ["3.5", "3.5", "3.5 (as recalled)", ""]
