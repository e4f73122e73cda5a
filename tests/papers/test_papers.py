"""Every paper in its small size, and the ground that they share: resuming, comparing, tables."""

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carousel.training.workers import Processes
from papers import claims, experiment, page
from papers.__main__ import main
from papers.experiment import ROOT, Experiment, keys
from papers.progress import Progress


@pytest.mark.parametrize("key", keys())
def test_the_small_size_gives_what_is_expected(key: str, tmp_path: Path) -> None:
    small = Experiment(key, True, tmp_path)
    results, _ = small.results()
    wrong = [str(row) for row in claims.verdicts(key, small.claims(results), size=small.size) if not row.holds]
    assert not wrong


@pytest.mark.parametrize("key", keys())
def test_each_paper_has_all_its_files(key: str) -> None:
    names = {path.name for path in (ROOT / key).iterdir()}
    assert {"README.md", "experiment.toml", "expected.json", "run.py", "figure.png"} <= names
    assert page.with_table(key) == (ROOT / key / "README.md").read_text(encoding="utf-8"), "stale; run with --write"
    assert all(claim["runs"] for claim in claims.expected(key)["claims"].values())


def test_all_papers_end_within_five_hours_on_two_cores() -> None:
    minutes = sum(claims.expected(key)["minutes"] for key in keys())
    waiting = 20  # at the ends of papers, for their last part: less than half of the longest part of each
    assert 0 < minutes / 2 + waiting < 5 * 60, "two cores run parts of one paper at a time"
    assert f"All {len(keys())} together take {minutes:.0f} minutes on one core" in page.page()


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


def test_other_code_of_another_paper_begins_anew(toy: Any) -> None:
    run, ran = toy()
    texts = {"toy/run": "from papers.other import nets", "other/nets": "from papers import pool", "pool": ""}
    (experiment.ROOT / "other").mkdir()
    for name, text in texts.items():
        (experiment.ROOT / f"{name}.py").write_text(text, encoding="utf-8")
    run.results()
    run.results()
    (experiment.ROOT / "other" / "unused.py").write_text("", encoding="utf-8")
    run.results()
    (experiment.ROOT / "pool.py").write_text("changed = True\n", encoding="utf-8")
    run.results()
    assert ran == [0, 1, 2] * 2


def test_a_claim_that_does_not_hold_ends_with_an_error(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    toy()
    with pytest.raises(SystemExit) as ended:
        main(["toy"])
    assert ended.value.code == 0
    assert "ok    mean: 2, expected 2.0" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="does not hold"):
        main(["toy", "--small"])
    assert "WRONG mean: 1.5, expected 2.0" in capsys.readouterr().out


def test_all_papers_run_and_the_end_says_which_missed(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    toy()
    good = (experiment.ROOT / "toy" / "expected.json").read_text(encoding="utf-8")
    for key, text in (("broken", good), ("missing", good.replace("2.0", "7.0")), ("toy", good)):
        (experiment.ROOT / key).mkdir(exist_ok=True)
        (experiment.ROOT / key / "run.py").write_text("", encoding="utf-8")
        (experiment.ROOT / key / "expected.json").write_text(text, encoding="utf-8")
        settings = "[full]\nbase = 1.0\n" if key != "broken" else "[full]\n"
        (experiment.ROOT / key / "experiment.toml").write_text(settings, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main([])
    lines = str(ended.value.code).splitlines()
    assert lines == [
        "a claim does not hold; its line says WRONG",
        "broken: broke off (KeyError: 'base')",
        "missing: mean",
    ]
    shown = capsys.readouterr()
    assert "ok    mean: 2, expected 2.0" in shown.out
    assert "toy: 2, 0.0 s; paper 3 of 3, about a minute left" in shown.err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_with_the_time_left(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = toy()
    row = json.loads((experiment.ROOT / "toy" / "expected.json").read_text(encoding="utf-8")) | {"minutes": 180.0}
    (experiment.ROOT / "toy" / "expected.json").write_text(json.dumps(row), encoding="utf-8")
    minutes, shown = [0.0], Terminal()
    monkeypatch.setattr("papers.progress.time.perf_counter", lambda: 60 * minutes[0])
    progress = Progress([run], shown)
    left = [progress.left()]

    def say(text: str) -> None:
        minutes[0] += 90
        progress.part(run, text)
        left.append(progress.left())

    run.results(say)
    assert left == pytest.approx([180, 180, 90, 0]), "parts of 60 minutes on a machine that takes 90 for each"
    assert "toy: 0, 0.0 s; paper 1 of 1, about 3 h 0 min left" in shown.getvalue()
    assert "\n" not in shown.getvalue()
    assert Progress([run]).left() == 0, "what was done before is not to come"


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
    full = "takes the full size"
    for words, answer in (
        (["nobody"], "no paper nobody"),
        (["--write", "--small"], full),
        (["--long", "--small"], full),
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert answer in capsys.readouterr().err
    with pytest.raises(ValueError, match="only one of run.py and expected.json has other"):
        claims.verdicts("toy", {"mean": [2.0], "other": [1.0]}, size="full")


def test_a_claim_may_begin_at_a_greater_size(toy: Any) -> None:
    toy()
    path = claims.ROOT / "toy" / "expected.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    told["claims"]["far"] = told["claims"]["mean"] | {"since": "long"}
    path.write_text(json.dumps(told), encoding="utf-8")
    near = {"mean": [2.0]}
    assert [row.name for row in claims.verdicts("toy", near, size="full")] == ["mean"]
    assert [row.name for row in claims.verdicts("toy", near | {"far": [2.0]}, size="long")] == ["mean", "far"]
    with pytest.raises(ValueError, match="only one of run.py and expected.json has far"):
        claims.verdicts("toy", near, size="long")


def test_what_never_happened_has_no_figure(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = toy()
    monkeypatch.setattr(run.code, "claims", lambda results: {"mean": [float("nan")]})
    with pytest.raises(SystemExit) as ended:
        main(["toy", "--write"])
    assert ended.value.code == 0
    assert "| Parts | 2 (as recalled) | none |  |" in page.table("toy")
    assert not claims.verdicts("toy", {"mean": [2.0]}, size="full")[0].holds


def test_a_part_begins_anew_where_its_own_arguments_change(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = toy()
    ran: list[str] = []

    def part(name: str, value: float) -> dict[str, float]:
        ran.append(name)
        return {"value": value}

    def parts(settings: dict[str, Any]) -> dict[str, Any]:
        return {"base": partial(part, "base", settings["base"]), "fixed": partial(part, "fixed", 3)}

    monkeypatch.setattr(run.code, "parts", parts)
    run.results()
    assert Experiment("toy", True, run.kept).results()[0] == {"base": {"value": 0.5}, "fixed": {"value": 3}}
    assert run.results()[0]["base"] == {"value": 1.0}
    assert ran == ["base", "fixed", "base"]


def test_the_long_size_goes_on_from_the_full_one(toy: Any) -> None:
    run, ran = toy()
    first, _ = run.results()
    longer = experiment.Experiment("toy", False, run.kept, long=True)
    assert (run.settings()["long"], longer.settings()["long"]) == (False, True)
    assert longer.results()[0] == first
    assert ran == [0, 1, 2]


def test_the_small_size_can_have_a_figure_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = {"ours": 0.9, "tolerance": 0.01, "small_tolerance": 0.05, "small_ours": 0.3}
    monkeypatch.setattr(claims, "expected", lambda key: {"claims": {"a": claim}})
    cases = ((0.9, "full"), (0.3, "full"), (0.9, "small"), (0.32, "small"))
    held = [claims.verdicts("toy", {"a": [value]}, size=size)[0].holds for value, size in cases]
    assert held == [True, False, False, True]


def test_a_claim_may_be_about_the_best_of_its_runs(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = toy()
    path = claims.ROOT / "toy" / "expected.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    told["claims"]["mean"]["figure"] = "greatest"
    path.write_text(json.dumps(told), encoding="utf-8")
    monkeypatch.setattr(run.code, "claims", lambda results: {"mean": [1.0, 9.0, 3.0]})
    with pytest.raises(SystemExit) as ended:
        main(["toy", "--write"])
    assert ended.value.code == 0
    assert "| Parts | 2 (as recalled) | 9 | 3 |" in page.table("toy")
    assert not claims.verdicts("toy", {"mean": [9.5, 9.5]}, size="full")[0].holds


def test_figures_of_low_confidence_are_not_shown() -> None:
    claim = {"published": 3.5}
    shown = [page._published(claim | {"tag": tag}) for tag in ("V", "M+", "M", "M-")]
    assert shown == ["3.5", "3.5", "3.5 (as recalled)", ""]


def test_workers_give_the_same_results_and_keep_each(tmp_path: Path) -> None:
    alone, several = (Experiment("siegelmann1995", True, tmp_path / name) for name in ("alone", "several"))
    expected, _ = alone.results()
    said: list[str] = []
    with Processes(2) as workers:
        found, _ = several.results(said.append, workers)
        assert found == expected
        assert len(said) == len(expected)
        assert several.results(said.append, workers)[0] == expected
    assert len(said) == len(expected)
