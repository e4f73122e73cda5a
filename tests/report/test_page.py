"""The page: one file, safe with hostile names, readable without the figures."""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from carousel import report
from carousel.report.sections import sections
from tests.report import samples

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&</script>{{ 7*7 }}%{y}"


class _Outline(HTMLParser):
    """Headings, header cells, identifiers and addresses in the page's markup."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.scopes: list[str | None] = []
        self.names: list[str] = []
        self.links: list[str] = []
        self.scripts = 0
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        self.scripts += tag == "script"
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "th":
            self.scopes.append(found.get("scope"))
        self.names += [found["id"] or ""] if "id" in found else []
        self.links += [found[key] or "" for key in ("href", "src") if key in found]


@pytest.mark.parametrize("name", samples.ALL)
def test_the_outline_is_in_order(name: str) -> None:
    outline = _Outline(report.render(samples.ALL[name]()))
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))
    assert set(outline.scopes) == {"col", "row"}
    assert len(set(outline.names)) == len(outline.names)
    assert all(link.startswith(("#", "data:")) for link in outline.links)
    assert {link[1:] for link in outline.links if link.startswith("#")} <= set(outline.names)


def _words(findings: report.Findings) -> str:
    """The page without plotly.js: what a person reads, and the figures' data."""
    page = report.render(findings)
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_every_task_shows_its_own_sections() -> None:
    forecast, classify = _words(samples.forecast()), _words(samples.classification())
    regress, label = _words(samples.regression()), _words(samples.labelling())
    assert "Error by horizon" in forecast
    assert "Interval coverage by horizon" in forecast
    assert "Confusion matrix" in classify
    assert "Error by horizon" not in classify
    assert "Predicted against true" in regress
    assert "Accuracy along a sequence" in label
    for page in (forecast, classify, regress, label):
        for heading in (
            "The data",
            "Learning",
            "Results against baselines",
            "Worst cases",
            "Inside the memory",
            "The cell",
        ):
            assert f">{heading}</h2>" in page


def test_a_baseline_that_wins_is_said_first() -> None:
    page = _words(samples.losing())
    assert page.index("A baseline wins: linear autoregression is 3.9\u202f% better than this model") < page.index("<h2")
    assert 'class="verdict loses"' in page


def test_hostile_text_stays_text() -> None:
    sample = samples.classification()
    data = replace(sample.data, features=(HOSTILE,), source=HOSTILE, example=(report.Line(HOSTILE, (1.0, 2.0)),))
    cell = replace(sample.cell, name=HOSTILE, equations=(HOSTILE,), sources=(HOSTILE,))
    findings = replace(
        sample, title=HOSTILE, command=HOSTILE, created=HOSTILE, data=data, cell=cell,
        classes=report.ClassFindings((HOSTILE, "b"), ((1, 0), (0, 1))),
        worst=(report.WorstCase(HOSTILE, (report.Line(HOSTILE, (1.0,)),), predicted=HOSTILE, truth=HOSTILE),),
        settings={HOSTILE: HOSTILE}, versions={HOSTILE: HOSTILE},
    )  # fmt: skip
    page = report.render(findings)
    outline = _Outline(page)
    assert outline.scripts == 3
    assert "img" not in outline.tags
    assert "{{ 7*7 }}" in page
    figures = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', page, flags=re.DOTALL)
    assert not set("<>&") & set(figures[0])


def test_text_that_is_no_unicode_is_written_all_the_same(tmp_path: Path) -> None:
    page = report.write(replace(samples.classification(), command="fit \udcff.csv"), tmp_path / "report.html")
    assert "fit ?.csv" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("package", ["jinja2", "plotly.offline"])
def test_a_missing_package_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(report.ReportError, match=re.escape('pip install "carousel-lstm[report]"')):
        report.render(samples.classification())


def test_nothing_is_left_where_the_page_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        report.write(samples.classification(), tmp_path / "missing" / "report.html")
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError):
        report.write(samples.classification(), tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_bare_findings_make_a_page() -> None:
    bare = report.Findings(
        title="Nothing yet", task="regress", created="today",
        data=report.DataSummary((), ()), learning=report.Learning(),
        results=report.Results((report.Score("LSTM", {"RMSE": None}, is_model=True),), "RMSE", lower_is_better=True),
        cell=report.cell_findings("lstm"),
    )  # fmt: skip
    assert "Training failed" in report.render(bare)


def test_results_are_ranked_and_what_is_not_finite_comes_last() -> None:
    scores = [("broken", float("nan")), ("mean", 3.0), ("naive", 1.0), ("LSTM", 2.0)]
    rows = tuple(report.Score(name, {"MAE": value}, is_model=name == "LSTM") for name, value in scores)
    for lower_is_better, order in ((True, "naive LSTM mean broken"), (False, "mean LSTM naive broken")):
        results = report.Results(rows, "MAE", lower_is_better)
        (section,) = (part for part in sections(replace(samples.forecast(), results=results)) if part.name == "results")
        assert [str(row[0]).removesuffix(" (this model)") for row in section.tables[0].rows] == order.split()
        assert section.tables[0].marked == 1
