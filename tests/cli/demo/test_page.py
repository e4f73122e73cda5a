"""The demo's page in a browser: real pointer events, what is read, and a memory that moves."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from carousel.cli.demo.server import InkServer
from carousel.data.corpora import pendigits
from tests.browser import Browser, Visit
from tests.cli.demo.conftest import learned, serving

READ = "document.getElementById('text').textContent"
ROW = "document.querySelector('#readings td').textContent"
Points = list[tuple[float, float]]


@pytest.fixture(scope="module")
def server() -> Iterator[InkServer]:
    """A server of a network that reads two digits well enough."""
    with serving(learned(1200, 8, 32)) as found:
        yield found


def place(visit: Visit, name: str) -> tuple[float, float, float, float]:
    """Left, top, width and height of an element in the window."""
    box = f"document.getElementById('{name}').getBoundingClientRect()"
    return tuple(visit.value(f"(() => {{const b = {box}; return [b.left, b.top, b.width, b.height]}})()"))


def written(visit: Visit, text: str, seed: int = 0) -> list[Points]:
    """Digits of the test part, one stroke each, where the page's paper lies in the window."""
    left, top, width, height = place(visit, "paper")
    digits, rng, size = pendigits("test"), np.random.default_rng(seed), 0.5 * height
    strokes = []
    for number, digit in enumerate(text):
        points = digits.points[rng.choice(np.flatnonzero(digits.labels == int(digit)))] / 100
        x = left + 0.1 * width + 1.3 * size * number
        strokes.append([(x + size * right, top + 0.2 * height + size * (1 - up)) for right, up in points])
    return strokes


def pixels(visit: Visit, canvas: str) -> int:
    """A number that another picture on a canvas would hardly have."""
    data = f"document.getElementById('{canvas}').getContext('2d')"
    return visit.value(
        f"(() => {{const c = {data}; const d = c.getImageData(0, 0, c.canvas.width, c.canvas.height).data;"
        "let sum = 0; for (let i = 0; i < d.length; i += 1) sum = (31 * sum + d[i]) % 1000003; return sum})()"
    )


def settled(visit: Visit) -> None:
    """Wait until what is on the paper has been read, and the memory has moved there."""
    visit.until("document.getElementById('status').textContent.startsWith('read in')")
    visit.until("new Promise((done) => { const before = document.documentElement.dataset.read;"
                "setTimeout(() => done(document.documentElement.dataset.read === before), 700); })")  # fmt: skip


@pytest.mark.parametrize(("hand", "width"), [("drag", 1200), ("swipe", 390)])
def test_digits_that_are_drawn_are_read(hand: str, width: int, chromium: Browser, server: InkServer) -> None:
    with chromium.visit(server.url, width=width, height=844) as visit:
        visit.until("document.documentElement.dataset.ready")
        empty, seven = pixels(visit, "strip"), written(visit, "73")
        getattr(visit, hand)(seven[0])
        settled(visit)
        assert visit.value(READ) == "Read: 7"
        first = pixels(visit, "strip"), pixels(visit, "paper")
        getattr(visit, hand)(seven[1])
        visit.until(f"{READ} === 'Read: 73'")
        settled(visit)
        assert visit.value(ROW) == "73"
        assert len({empty, first[0], pixels(visit, "strip")}) == 3, "the memory does not move"
        assert pixels(visit, "paper") != first[1]
        assert visit.value("document.querySelectorAll('#symbols li').length") == 2
        assert visit.value("document.documentElement.scrollWidth - innerWidth") <= 0
        assert visit.errors == []
        assert all(url.startswith((server.url, "data:")) for url in visit.requests)


def test_the_network_reads_while_the_pen_is_down(chromium: Browser, server: InkServer) -> None:
    with chromium.visit(server.url) as visit:
        visit.until("document.documentElement.dataset.ready")
        points = written(visit, "3")[0]
        visit.value("document.getElementById('paper').addEventListener('pointerup', () => { window.up = true; })")
        visit.hold(points[:5])
        visit.until(f"{READ} !== ''")
        assert not visit.value("window.up")
        visit.let_go(points[5:])
        visit.until(f"window.up && {READ} === 'Read: 3'")


def test_clear_is_reached_by_the_keyboard(chromium: Browser, server: InkServer) -> None:
    with chromium.visit(server.url) as visit:
        visit.until("document.documentElement.dataset.ready")
        blank = pixels(visit, "paper"), pixels(visit, "strip")
        visit.drag(written(visit, "5")[0])
        settled(visit)
        assert pixels(visit, "paper") != blank[0]
        for _ in range(3):
            visit.press("Tab")
            if visit.value("document.activeElement.id") == "clear":
                break
        visit.press("Enter")
        assert (pixels(visit, "paper"), pixels(visit, "strip")) == blank
        assert visit.value(READ) == "" and visit.value(ROW) == ""
        visit.drag(written(visit, "8")[0])
        settled(visit)
        assert visit.value(READ) == "Read: 8"


def test_another_part_and_unit_of_the_memory(chromium: Browser, server: InkServer) -> None:
    choose = "(() => {{const s = document.getElementById('{}'); s.value = '{}'; s.dispatchEvent(new Event('{}'));}})()"
    with chromium.visit(server.url, dark=True) as visit:
        visit.until("document.documentElement.dataset.ready")
        visit.drag(written(visit, "2")[0])
        settled(visit)
        seen = [pixels(visit, "strip")]
        for name, value, event in (("part", "forget", "change"), ("backward", "1", "change"), ("unit", "3", "input")):
            visit.value(choose.format(name, value, event))
            settled(visit)
            seen.append(pixels(visit, "strip"))
        assert len(set(seen)) == 4
        visit.value("document.getElementById('strip').scrollIntoView({behavior: 'instant', block: 'end'})")
        left, top, _, height = place(visit, "strip")
        visit.drag([(left + 20, top + 0.9 * height)])
        assert visit.value("document.getElementById('unit-name').textContent") == "29"
        visit.value("document.getElementById('replay').click()")
        visit.until("document.getElementById('replay').textContent === 'Stop'")
        visit.until("document.getElementById('replay').textContent === 'Replay'")
        assert visit.errors == []


def test_the_page_says_when_its_server_is_gone(chromium: Browser, hasty: Path) -> None:
    from carousel.tasks import Transcriber

    with serving(Transcriber.load(hasty)) as server, chromium.visit(server.url) as visit:
        visit.until("document.documentElement.dataset.ready")
        server.shutdown()
        server.server_close()
        visit.drag([(100, 300), (200, 400)])
        visit.until("document.getElementById('status').textContent.startsWith('the demo does not answer any more')")
