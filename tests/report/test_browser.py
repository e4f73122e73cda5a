"""The page as a browser shows it: drawn, offline, dark, and on a phone."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from carousel import report
from tests.browser import Browser, View
from tests.report import samples
from tests.report.test_page import HOSTILE

PROBE = """<script>addEventListener("load", () => setTimeout(() => {
  const plots = [...document.querySelectorAll(".plot")];
  const root = document.documentElement;
  document.body.append(Object.assign(document.createElement("pre"), {id: "probe", textContent: JSON.stringify({
    wide: root.scrollWidth - root.clientWidth,
    plots: plots.length,
    drawn: plots.filter((plot) => plot.querySelector("svg.main-svg .subplot, svg.main-svg .xy")).length,
    page: getComputedStyle(document.body).backgroundColor,
    ink: plots[0].querySelector(".xtick text").style.fill,
    line: plots[0].querySelector("path.js-line").style.stroke,
    tall: plots.filter((plot) => plot.querySelector(".main-svg").clientHeight > plot.clientHeight + 1).length,
    texts: plots.map((plot) => plot.textContent).join(" "),
  })}));
}, 3000));</script></body>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


def _seen(chromium: Browser, findings: report.Findings, folder: Path, **look: Any) -> tuple[dict[str, Any], View]:
    """What the probe measured on a copy of the page that lets the probe's script run."""
    page = folder / "probed.html"
    html = re.sub(r"<meta http-equiv=.Content-Security-Policy.*?>\n", "", report.render(findings), count=1)
    page.write_text(html.replace("</body>", PROBE), encoding="utf-8")
    view = chromium.look(page, **look)
    probe = re.search(r'<pre id="probe">(.*?)</pre>', view.html, flags=re.DOTALL)
    assert probe, view.errors
    return json.loads(unescape(probe[1])), view


def _outside(view: View) -> list[str]:
    return [url for url in view.requests if not url.startswith(("file:", "data:"))]


def test_the_page_as_written_draws_everything_offline(chromium: Browser, folder: Path) -> None:
    view = chromium.look(report.write(samples.forecast(), folder / "report.html"))
    plots = len(re.findall(r'<div class="plot[ "]', view.html))
    assert plots == 15
    assert re.findall(r'data-drawn="(\d+)"', view.html) == [str(plots)]
    assert (view.errors, _outside(view)) == ([], [])


@pytest.mark.parametrize("name", ["classify", "regress", "label", "transcribe"])
def test_a_phone_shows_it_without_scrolling_sideways(name: str, chromium: Browser, folder: Path) -> None:
    seen, view = _seen(chromium, samples.ALL[name](), folder, width=390, height=844)
    assert seen["wide"] == 0
    assert seen["drawn"] == seen["plots"] > 5
    assert seen["tall"] == 0
    assert (view.errors, _outside(view)) == ([], [])


def test_dark_mode_changes_page_and_figures(chromium: Browser, folder: Path) -> None:
    light, _ = _seen(chromium, samples.forecast(), folder, width=390, height=844)
    dark, _ = _seen(chromium, samples.forecast(), folder, dark=True)
    assert light["wide"] == 0
    for part in ("page", "ink", "line"):
        assert light[part] != dark[part], part
    assert light["line"] == "rgb(0, 114, 178)"
    assert dark["line"] == "rgb(86, 180, 233)"


def test_hostile_names_are_shown_as_they_are(chromium: Browser, folder: Path) -> None:
    sample = samples.classification()
    name = HOSTILE[:50]
    findings = report.Findings(**{
        **vars(sample),
        "title": HOSTILE,
        "classes": report.ClassFindings((name, "@ink"), ((1, 0), (0, 1))),
        "data": report.DataSummary((2,), (HOSTILE,), example=(report.Line(name, (1.0, 2.0)),)),
    })  # fmt: skip
    seen, view = _seen(chromium, findings, folder)
    assert (view.errors, _outside(view)) == ([], [])
    assert name in seen["texts"]
    assert "@ink" in seen["texts"]
    assert "<img src=" not in view.html
