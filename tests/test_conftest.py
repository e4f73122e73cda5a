"""The tests' own tools do what the other tests rely on."""

from pathlib import Path

import pytest
import torch

from tests.browser import Browser

PAGE = """<!doctype html>
<meta name="viewport" content="width=device-width, initial-scale=1">
<p id="seen"></p>
<script>
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  setTimeout(() => { document.getElementById("seen").textContent = `${innerWidth} wide, dark ${dark}`; }, 500);
</script>"""


@pytest.mark.usefixtures("poisoned_memory")
def test_memory_is_poisoned() -> None:
    like = torch.zeros(3)
    for fresh in (torch.empty(3), torch.empty_like(like), like.new_empty(3), torch.empty_strided((3,), (1,))):
        assert fresh.isnan().all()


def test_the_browser_sees_a_phone_in_the_dark(chromium: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(PAGE, encoding="utf-8")
    assert "390 wide, dark true" in chromium.look(page, width=390, height=844, dark=True).html
    assert "1200 wide, dark false" in chromium.dump_dom(page)


def test_the_browser_takes_pictures(chromium: Browser, tmp_path: Path) -> None:
    page, png = tmp_path / "page.html", tmp_path / "page.png"
    page.write_text(PAGE, encoding="utf-8")
    chromium.screenshot(page, png, 390, 844)
    header = png.read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert (int.from_bytes(header[16:20]), int.from_bytes(header[20:24])) == (390, 844)


def test_the_browser_reports_errors_and_requests(chromium: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<script src='other.js'></script><script>missing()</script>", encoding="utf-8")
    view = chromium.look(page)
    assert any("missing is not defined" in error for error in view.errors)
    assert any(address.endswith("other.js") for address in view.requests)
