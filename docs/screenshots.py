"""Pictures of pages as a person sees them: `python docs/screenshots.py runs/demo/report.html`, after `make demo`, and
`python docs/screenshots.py http://127.0.0.1:8000/`, beside `carousel demo ink --port 8000`."""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.browser import Browser

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "docs" / "figures"
VIEWS = {"desktop": (1200, 2600, False), "dark": (1200, 1500, True), "phone": (390, 1700, False)}
INK_VIEWS = {"light": (1100, 900, False), "dark": (1100, 900, True), "phone": (390, 844, False)}
WRITTEN = "20754"


def report(page: Path) -> None:
    """Write report-desktop.png, report-dark.png and report-phone.png to docs/figures."""
    browser = _browser()
    for name, (width, height, dark) in VIEWS.items():
        browser.screenshot(page, FIGURES / f"report-{name}.png", width, height, dark=dark)


def ink(url: str) -> None:
    """Write demo-light.png, demo-dark.png and demo-phone.png: digits of PenDigits, drawn with the mouse."""
    for name, (width, height, dark) in INK_VIEWS.items():
        with _browser().visit(url, width=width, height=height, dark=dark) as visit:
            visit.until("document.documentElement.dataset.ready")
            for stroke in _strokes(WRITTEN, width):
                visit.drag(stroke)
            visit.until(f"document.getElementById('text').textContent === 'Read: {WRITTEN}'")
            time.sleep(2)
            (FIGURES / f"demo-{name}.png").write_bytes(visit.png(full=not dark))


def _strokes(text: str, width: int) -> list[list[tuple[float, float]]]:
    """Digits side by side where the page's paper lies, each a stroke."""
    import numpy as np

    from carousel.data.corpora import pendigits

    digits, size = pendigits("test"), min(0.12 * width, 110)
    strokes = []
    for place, digit in enumerate(text):
        points = digits.points[np.flatnonzero(digits.labels == int(digit))[3 + place]] / 100
        left, top = 0.13 * width + 1.2 * size * place, 260
        strokes.append([(left + size * x, top + size * (1 - y)) for x, y in points])
    return strokes


def _browser() -> "Browser":
    from tests.browser import Browser

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("chromium is not installed: it takes the pictures")
    return Browser(chromium, lambda: Path(tempfile.mkdtemp()))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    given = sys.argv[1]
    ink(given) if given.startswith("http") else report(Path(given))
