"""Pictures of a report as a person sees it: `python docs/screenshots.py runs/demo/report.html`, after `make demo`."""

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "docs" / "figures"
VIEWS = {"desktop": (1200, 2600, False), "dark": (1200, 1500, True), "phone": (390, 1700, False)}


def main(page: Path) -> None:
    """Write report-desktop.png, report-dark.png and report-phone.png to docs/figures."""
    sys.path.insert(0, str(ROOT))
    from tests.browser import Browser

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("chromium is not installed: it takes the pictures")
    browser = Browser(chromium, lambda: Path(tempfile.mkdtemp()))
    for name, (width, height, dark) in VIEWS.items():
        browser.screenshot(page, FIGURES / f"report-{name}.png", width, height, dark=dark)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
