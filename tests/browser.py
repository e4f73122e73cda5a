"""A headless Chromium that tests look through: real phone widths, dark mode, script errors, requests."""

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-pipe", "--allow-pre-commit-input",
)  # fmt: skip
TIMEOUT = 120.0


@dataclass
class View:
    """What a page showed: its HTML after scripts ran, a PNG, script errors, and the addresses it asked for."""

    html: str
    png: bytes
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Browser:
    """Opens local pages, each in a browser of its own."""

    executable: str
    profiles: Callable[[], Path]

    def look(self, page: Path, *, width: int = 1200, height: int = 900, dark: bool = False, full: bool = False) -> View:
        """Load a local page and let its scripts run; `full` takes the picture down to the page's end."""
        with _Session(self.executable, self.profiles()) as session:
            return session.view(page.resolve().as_uri(), (width, height), dark=dark, full=full)

    @contextmanager
    def visit(self, url: str, *, width: int = 1200, height: int = 900, dark: bool = False) -> Iterator["Visit"]:
        """Open a page that a server gives, to be used with hands; yields when it has loaded."""
        with _Session(self.executable, self.profiles()) as session:
            session.open(url, (width, height), dark=dark)
            yield Visit(session)

    def screenshot(self, page: Path, png: Path, width: int, height: int, *, dark: bool = False) -> None:
        """Write a picture of the page; a height of 0 takes the whole page."""
        view = self.look(page, width=width, height=height or 900, dark=dark, full=height == 0)
        png.write_bytes(view.png)

    def dump_dom(self, page: Path) -> str:
        """The page's HTML after its scripts ran."""
        return self.look(page).html


@dataclass(frozen=True)
class Visit:
    """A page in a browser, with a mouse, a finger, and eyes."""

    session: "_Session"

    def value(self, expression: str) -> Any:
        """What an expression of the page's language is worth."""
        return self.session.value(expression)

    def until(self, expression: str, seconds: float = 60.0) -> Any:
        """Wait until an expression is true, and return it. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while not (found := self.value(expression)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{expression} is {found!r} after {seconds:.0f} s")
            time.sleep(0.05)
        return found

    def drag(self, points: Sequence[tuple[float, float]]) -> None:
        """Press the mouse at the first point of the window, move it over the others, and let go."""
        self.hold(points)
        self.let_go(points[-1:])

    def hold(self, points: Sequence[tuple[float, float]]) -> None:
        """Press the mouse at the first point, move it over the others, and keep it pressed."""
        self._mouse("mousePressed", points[0])
        for point in points[1:]:
            self._mouse("mouseMoved", point)

    def let_go(self, points: Sequence[tuple[float, float]]) -> None:
        """Move the pressed mouse over the points, and let go at the last."""
        for point in points:
            self._mouse("mouseMoved", point)
        self._mouse("mouseReleased", points[-1])

    def _mouse(self, kind: str, point: tuple[float, float]) -> None:
        x, y = point
        pressed = {"button": "left", "buttons": 0 if kind == "mouseReleased" else 1, "clickCount": 1}
        self.session.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **pressed)

    def swipe(self, points: Sequence[tuple[float, float]]) -> None:
        """Touch the first point of the window with a finger, move it over the others, and lift it."""
        for kind, (x, y) in (("touchStart", points[0]), *(("touchMove", point) for point in points[1:])):
            self.session.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        self.session.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def press(self, key: str) -> None:
        """Press a key, such as "Tab" or "Enter", and let it go."""
        text = {"text": "\r"} if key == "Enter" else {}
        code = {"Enter": 13, "Tab": 9}[key]
        for kind in ("keyDown", "keyUp"):
            self.session.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text
            )

    def png(self, *, full: bool = True) -> bytes:
        """A picture of the page, down to its end."""
        return self.session.picture(full)

    @property
    def errors(self) -> list[str]:
        """What scripts threw or complained of."""
        return self.session.errors()

    @property
    def requests(self) -> list[str]:
        """The addresses that it asked for."""
        return self.session.requests()


class _Session:
    """One browser process, spoken to in the DevTools protocol over a pair of pipes."""

    def __init__(self, executable: str, profile: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        command = [executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", *command],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer = b""
        self._sent = 0
        self._session: dict[str, str] = {}
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> "_Session":
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(TIMEOUT)
        os.close(self._in)
        os.close(self._out)

    def open(self, url: str, size: tuple[int, int], *, dark: bool) -> None:
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        width, height = size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setScrollbarsHidden", hidden=True)
        self.call("Page.navigate", url=url)
        self._wait_for("Page.loadEventFired")

    def view(self, url: str, size: tuple[int, int], *, dark: bool, full: bool) -> View:
        self.open(url, size, dark=dark)
        self.call("Emulation.setVirtualTimePolicy", policy="advance", budget=5000)
        self._wait_for("Emulation.virtualTimeBudgetExpired")
        html = self.value("document.documentElement.outerHTML")
        return View(html, self.picture(full), self.errors(), self.requests())

    def value(self, expression: str) -> Any:
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def picture(self, full: bool) -> bytes:
        png = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full, **self._clip(full))
        return base64.b64decode(png["data"])

    def _clip(self, full: bool) -> dict[str, Any]:
        if not full:
            return {}
        content = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": content["width"], "height": content["height"], "scale": 1}}

    def errors(self) -> list[str]:
        thrown = [event["params"]["exceptionDetails"] for event in self._named("Runtime.exceptionThrown")]
        logged = [event["params"] for event in self._named("Runtime.consoleAPICalled")]
        return [str(details.get("exception", {}).get("description", details["text"])) for details in thrown] + [
            json.dumps(entry["args"]) for entry in logged if entry["type"] == "error"
        ]

    def requests(self) -> list[str]:
        return [event["params"]["request"]["url"] for event in self._named("Network.requestWillBeSent")]

    def _named(self, method: str) -> list[dict[str, Any]]:
        return [event for event in self._events if event.get("method") == method]

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params, **self._session}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answer = self._until(lambda message: message.get("id") == self._sent)
        if "error" in answer:
            raise RuntimeError(f"Chromium refused {method}: {answer['error']['message']}")
        return answer["result"]

    def _wait_for(self, event: str) -> None:
        if not self._named(event):
            self._until(lambda message: message.get("method") == event)

    def _until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT
        while True:
            message = self._receive(deadline)
            if "method" in message:
                self._events.append(message)
            if wanted(message):
                return message

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self._in, 1 << 20) if ready else b""
            if not chunk:
                raise TimeoutError(f"Chromium did not answer within {TIMEOUT:.0f} s, or it ended")
            self._buffer += chunk
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)
