"""Findings check themselves and travel as JSON."""

import json
from typing import Any

import numpy as np
import pytest

from carousel import report
from carousel.report import Epoch, Findings, Line, ReportError, Results, Score, from_json, to_json
from tests.report import samples


@pytest.mark.parametrize("name", samples.ALL)
def test_findings_survive_json(name: str) -> None:
    findings = samples.ALL[name]()
    assert from_json(to_json(findings)) == findings


def test_arrays_become_plain_numbers_and_what_is_not_finite_null() -> None:
    line = Line("x", np.array([1, np.nan, np.inf, -np.inf, 2.5], dtype=np.float32), start=np.int64(3))  # type: ignore[arg-type]
    assert line.values == (1.0, None, None, None, 2.5)
    assert type(line.start) is int
    assert Epoch(1, float("inf")).loss is None
    assert Epoch(1, 10**400).loss is None


def test_json_has_no_constant_that_is_not_json() -> None:
    findings = samples.losing()
    broken = Findings(**{**vars(findings), "settings": {"limit": float("inf"), "path": object}})
    assert "Infinity" not in to_json(broken)
    assert from_json(to_json(broken)).settings["limit"] is None


def _edited(*path: Any, value: Any) -> str:
    body = json.loads(to_json(samples.classification()))
    inner = body
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(body)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "no findings"),
        ('{"format": 1, "findings": {"x": NaN}}', "NaN is not JSON"),
        (_edited("format", value=2), "format 2, this version of carousel reads up to 1"),
        (_edited("format", value=True), "format is True"),
        (_edited("findings", "colour", value=1), "unknown field 'colour'"),
        (_edited("findings", "learning", "epochs", 0, "lost", value=1), "unknown field 'lost'"),
        (_edited("findings", "title", value=3), "Findings.title is 3; it must be text"),
        (_edited("findings", "task", value="guess"), "'guess'; it must be one of 'forecast', 'classify'"),
        (_edited("findings", "learning", "epochs", 0, "loss", value="low"), "a number or null"),
        (_edited("findings", "learning", "epochs", 0, "epoch", value=1.5), "a whole number"),
        (_edited("findings", "learning", "epochs", 0, "epoch", value=True), "a whole number"),
        (_edited("findings", "results", "lower_is_better", value=0), "true or false"),
        (_edited("findings", "classes", "labels", value="abc"), "it must be a list"),
        (_edited("findings", "versions", value=[1]), "a mapping"),
        (_edited("findings", "cell", value=None), "it must be a CellFindings"),
        (_edited("findings", "classes", "confusion", 0, value=[1]), "labels has 9, columns has 1"),
    ],
)
def test_strange_json_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(ReportError, match=words.replace("(", r"\(")):
        from_json(text)


def test_a_missing_field_is_named() -> None:
    body = json.loads(to_json(samples.classification()))
    del body["findings"]["results"]["metric"]
    with pytest.raises(ReportError, match="lacks the field 'metric' of Results"):
        from_json(json.dumps(body))


def test_settings_cannot_be_nested_without_end() -> None:
    settings: dict[str, Any] = {}
    settings["self"] = settings
    with pytest.raises(ReportError, match="nested more than 20 deep"):
        Findings(**{**vars(samples.losing()), "settings": settings})


def test_results_name_one_model_and_the_metric() -> None:
    with pytest.raises(ReportError, match="exactly one Score"):
        Results((Score("a", {"MAE": 1.0}),), "MAE", lower_is_better=True)
    with pytest.raises(ReportError, match="'b' lacks the metric that decides, 'MAE'"):
        Results((Score("a", {"MAE": 1.0}, True), Score("b", {"RMSE": 1.0})), "MAE", lower_is_better=True)


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ReportError, match="forecast 'a': truth has 2, predicted has 1 values"):
        report.ForecastExample("a", [1.0], [1.0, 2.0], [1.0])  # type: ignore[arg-type]
    with pytest.raises(ReportError, match="truth has 1, predicted has 2 values"):
        report.RegressionFindings((1.0,), (1.0, 2.0))


def test_the_best_epoch_and_the_duration_are_found_in_the_history() -> None:
    rows = [
        {"epoch": 1, "loss": 2.0, "validation": 3.0, "seconds": 1.0, "learning_rate": 0.1},
        {"epoch": 2, "loss": 1.0, "validation": 2.5, "seconds": 2.0},
        {"epoch": 3, "loss": 0.5, "validation": None, "seconds": 3.5},
    ]
    found = report.learning(rows)
    assert (found.best_epoch, found.seconds, len(found.epochs)) == (2, 3.5, 3)


def test_summarise_counts_and_draws_the_first_series() -> None:
    found = report.summarise([np.arange(2400.0).reshape(1200, 2), np.zeros((3, 2))], source="x.csv")
    assert found.lengths == (1200, 3)
    assert [line.name for line in found.example] == ["feature 1", "feature 2"]
    assert len(found.example[0].values) == 1000
    assert found.example[1].values[-1] == 2399.0


def test_cell_findings_take_a_name_or_a_description() -> None:
    from carousel.cells import Cell

    assert report.cell_findings("peephole").sources
    assert report.cell_findings(Cell()).name == "own description"
