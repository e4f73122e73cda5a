"""`carousel demo ink`: where it listens, what it says, how it ends."""

import http.client
import json
import signal
import socket
import webbrowser
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import pytest

from carousel.cli.demo.reading import Reader
from carousel.cli.errors import UsageError
from carousel.tasks import SequenceClassifier, Transcriber
from tests.cli.calls import Call


def page_of(url: str) -> str:
    address = urlparse(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    connection.request("GET", "/")
    found = connection.getresponse().read().decode()
    connection.close()
    return found


def test_it_serves_until_it_is_interrupted(process: Call, hasty: Path) -> None:
    running = process("demo", "ink", "--run", hasty, "--no-browser", "--json")
    lines: list[str] = []
    while not lines or lines[-1] != "}\n":
        lines.append(running.stdout.readline())
        assert lines[-1], running.communicate()
    said = json.loads("".join(lines))
    assert said["run"] == str(hasty)
    assert "<title>Ink · carousel demo</title>" in page_of(said["url"])
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (0, "", "\nended\n")


def test_a_browser_is_opened_unless_it_should_not(call: Call, hasty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("carousel.cli.demo.server.InkServer.serve_until_interrupted", lambda server: None)
    monkeypatch.setattr("webbrowser.open", opened.append)
    found = call("demo", "ink", "--run", hasty)
    assert found.exit_code == 0 and found.stdout.startswith(opened[0])
    call("demo", "ink", "--run", hasty, "--no-browser")
    assert len(opened) == 1

    def missing(url: str) -> None:
        raise webbrowser.Error("there is none")

    monkeypatch.setattr("webbrowser.open", missing)
    found = call("demo", "ink", "--run", hasty)
    assert found.exit_code == 0 and "open the address by hand" in found.stderr


def test_a_port_that_is_taken(call: Call, hasty: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = call("demo", "ink", "--run", hasty, "--port", port, "--no-browser")
    assert found.exit_code == 2
    assert found.stderr.startswith(f"error: port {port} cannot be listened on: ") and "another --port" in found.stderr


def test_runs_that_read_something_else(call: Call, here: Path) -> None:
    rng = np.random.default_rng(0)
    X: list[Any] = [rng.normal(size=(9, 2)) for _ in range(8)]
    quick: dict[str, Any] = {"hidden_size": 2, "max_epochs": 1}
    Transcriber(**quick).fit(X, ["a"] * 8).save(here / "features")
    SequenceClassifier(**quick).fit(X, ["a", "b"] * 4).save(here / "classes")
    for run, sentence in (
        ("features", "reads features, not pen strokes"),
        ("classes", "holds a SequenceClassifier, not a Transcriber"),
        ("nothing", "nothing"),
    ):
        found = call("demo", "ink", "--run", run, "--no-browser")
        assert found.exit_code in (1, 2) and sentence in found.stderr, run
        assert found.stderr.count("\n") == 1


def test_what_a_reader_says_of_its_network(hasty: Path) -> None:
    facts = Reader(Transcriber.load(hasty)).facts()
    assert facts["symbols"] == list("0123456789")
    assert (facts["layers"], facts["units"], facts["bidirectional"]) == (1, 6, True)
    assert list(facts["parts"]) == ["cell", "input", "forget", "output", "hidden"]
    with pytest.raises(UsageError, match="reads speech, not pen strokes"):
        Reader(Transcriber(frontend="speech"))
