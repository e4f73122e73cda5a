"""A headless Chromium that tests look through: real phone widths, dark mode, script errors, requests."""

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
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

    def screenshot(self, page: Path, png: Path, width: int, height: int, *, dark: bool = False) -> None:
        """Write a picture of the page; a height of 0 takes the whole page."""
        view = self.look(page, width=width, height=height or 900, dark=dark, full=height == 0)
        png.write_bytes(view.png)

    def dump_dom(self, page: Path) -> str:
        """The page's HTML after its scripts ran."""
        return self.look(page).html


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
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(TIMEOUT)
        os.close(self._in)
        os.close(self._out)

    def view(self, url: str, size: tuple[int, int], *, dark: bool, full: bool) -> View:
        for domain in ("Page", "Runtime", "Network"):
            self._call(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        width, height = size
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self._call("Emulation.setScrollbarsHidden", hidden=True)
        self._call("Page.navigate", url=url)
        self._wait_for("Page.loadEventFired")
        self._call("Emulation.setVirtualTimePolicy", policy="advance", budget=5000)
        self._wait_for("Emulation.virtualTimeBudgetExpired")
        html = self._call("Runtime.evaluate", expression="document.documentElement.outerHTML")["result"]["value"]
        png = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=full, **self._clip(full))
        return View(html, base64.b64decode(png["data"]), self._errors(), self._requests())

    def _clip(self, full: bool) -> dict[str, Any]:
        if not full:
            return {}
        content = self._call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": content["width"], "height": content["height"], "scale": 1}}

    def _errors(self) -> list[str]:
        thrown = [event["params"]["exceptionDetails"] for event in self._named("Runtime.exceptionThrown")]
        logged = [event["params"] for event in self._named("Runtime.consoleAPICalled")]
        return [str(details.get("exception", {}).get("description", details["text"])) for details in thrown] + [
            json.dumps(entry["args"]) for entry in logged if entry["type"] == "error"
        ]

    def _requests(self) -> list[str]:
        return [event["params"]["request"]["url"] for event in self._named("Network.requestWillBeSent")]

    def _named(self, method: str) -> list[dict[str, Any]]:
        return [event for event in self._events if event.get("method") == method]

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
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
