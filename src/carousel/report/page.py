"""Findings as one HTML file that works offline: template, style, script, figures and plotly.js inside it."""

import base64
import hashlib
import json
import math
from pathlib import Path
from typing import Any

from carousel.data import write_atomically
from carousel.report.errors import ReportError
from carousel.report.findings import Findings
from carousel.report.mathml import to_mathml
from carousel.report.sections import Section, sections, tiles
from carousel.report.verdict import verdict
from carousel.report.wording import moment

TEMPLATES = Path(__file__).parent / "templates"
DIGITS = 6
"""Significant digits that the figures keep: more than a screen can show, a third of the size."""


def write(findings: Findings, path: str | Path) -> Path:
    """Write the page to that file, whole or not at all; returns the path.

    Raises:
        ReportError: jinja2 or plotly is missing.
        OSError: the file cannot be written.
    """
    path = Path(path)
    write_atomically(path, render(findings).encode("utf-8", errors="replace"))
    return path


def render(findings: Findings) -> str:
    """The page as text.

    Raises:
        ReportError: jinja2 or plotly is missing, or an equation cannot be drawn.
    """
    template, plotly = _template(), _plotly()
    parts = sections(findings)
    script = (TEMPLATES / "page.js").read_text(encoding="utf-8")
    return template.render(
        findings=findings, created=moment(findings.created), verdict=verdict(findings), tiles=tiles(findings),
        sections=parts,
        equations=[to_mathml(line) for line in findings.cell.latex],
        style=(TEMPLATES / "style.css").read_text(encoding="utf-8"), figures=_figures(parts),
        plotly=plotly, script=script, hashes=[_hash(plotly), _hash(script)],
    )  # fmt: skip


def _template() -> Any:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise _missing("jinja2") from None
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")


def _plotly() -> str:
    """The source of plotly.js as the plotly package ships it."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise _missing("plotly") from None
    return get_plotlyjs().replace("</script", "<\\/script")


def _missing(package: str) -> ReportError:
    return ReportError(f'the HTML report needs {package}; install it with: pip install "carousel-lstm[report]"')


def _hash(script: str) -> str:
    """The script's name in the page's content security policy: no other script runs."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _figures(parts: list[Section]) -> str:
    """All figures as JSON that is safe inside a script element."""
    drawn = [drawing for part in parts for drawing in (*part.drawings, *(own.drawing for own in part.passages))]
    figures = {drawing.name: _rounded(drawing.figure) for drawing in drawn if drawing is not None}
    body = json.dumps(figures, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return body.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_rounded(item) for item in value]
    return value
