"""The demo's server: what it answers, and whom it refuses."""

import http.client
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from carousel.cli.demo.server import LARGEST, Handler, InkServer
from carousel.tasks import Transcriber
from tests.cli.demo.conftest import serving

GOOD = {"strokes": [[[10, 10], [60, 10], [30, 80]]]}
JSON = {"Content-Type": "application/json"}


def asked(
    server: InkServer, method: str, path: str, body: str | bytes | None = None, **headers: str
) -> tuple[int, Any, Any]:
    """The status, the headers and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    is_json = (answer.headers.get("Content-Type") or "").startswith("application/json")
    return answer.status, answer.headers, json.loads(content) if is_json else content.decode()


def read(server: InkServer, question: Any, **headers: str) -> tuple[int, Any]:
    body = question if isinstance(question, str | bytes) else json.dumps(question)
    status, _, found = asked(server, "POST", "/read", body, **{"Content_Type": "application/json", **headers})
    return status, found


def test_a_drawing_is_read(server: InkServer) -> None:
    status, found = read(server, GOOD)
    assert status == 200, found
    assert found["text"] == found["readings"][0]["text"] == "".join(own["symbol"] for own in found["symbols"])
    frames = len(found["places"])
    assert frames > 5 and found["begins"] == [0]
    assert len(found["memory"]) == frames and {len(column) for column in found["memory"]} == {6}
    assert all(-1 <= value <= 1 for column in found["memory"] for value in column)
    assert found["places"][0] == [10, 10] and found["places"][-1] == [30, 80]
    chances = [own["probability"] for own in found["readings"]]
    assert chances == sorted(chances, reverse=True) and 0 < sum(chances) <= 1.001
    assert all(len(shares) == frames for shares in found["says"].values())


def test_gates_and_both_directions_can_be_seen(server: InkServer) -> None:
    seen = [read(server, {**GOOD, "show": "forget", "backward": way})[1]["memory"] for way in (False, True)]
    assert seen[0] != seen[1]
    assert all(0 <= value <= 1 for columns in seen for column in columns for value in column)


def test_the_page_needs_nothing_from_elsewhere(server: InkServer) -> None:
    status, headers, page = asked(server, "GET", "/")
    assert status == 200
    assert not re.findall(r"\[\[[A-Z]+\]\]", page)
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy
    (nonce,) = {*re.findall(r'nonce="([^"]+)"', page)}
    assert f"'nonce-{nonce}'" in policy
    for method, path in (("GET", "/?again"), ("POST", "/read")):
        status, headers, _ = asked(server, method, path, json.dumps(GOOD) if method == "POST" else None, **JSON)
        assert (status, headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == (200, "DENY", "nosniff"), path
        assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer"), path


def test_no_two_servers_share_a_nonce(server: InkServer, hasty: Path) -> None:
    with serving(Transcriber.load(hasty)) as other:
        assert other.nonce != server.nonce and len(other.nonce) > 16


def test_it_listens_on_the_loopback_alone(server: InkServer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.port}/"


STROKE = [[0, 0], [5, 9]]
REFUSED: dict[str, tuple[Any, str]] = {
    "half": ('{"strokes": ', "the body is no JSON"),
    "no utf-8": (b"\xff\xfe{", "the body is no JSON"),
    "deep": ("[" * 200_000, "the body is no JSON"),
    "list": ([], "send an object"),
    "none": ({}, "strokes must be a list"),
    "words": ({"strokes": "ab"}, "strokes must be a list"),
    "flat": ({"strokes": [1, 2]}, "strokes must be a list"),
    "empty": ({"strokes": []}, "has no stroke"),
    "no points": ({"strokes": [STROKE, []]}, "stroke 1 of the ink has shape"),
    "one number": ({"strokes": [[[1], [2]]]}, "stroke 0 of the ink has shape"),
    "ragged": ({"strokes": [[[1, 2], [2]]]}, "holds no numbers"),
    "letters": ({"strokes": [[["a", "b"]]]}, "holds no numbers"),
    "nan": ('{"strokes": [[[0, 0], [NaN, 1]]]}', "NaN or infinity at point 1"),
    "infinite": ('{"strokes": [[[0, 0], [1, 1], [1e999, 1]]]}', "NaN or infinity at point 2"),
    "nothing": ({"strokes": [[[None, 1]]]}, "NaN or infinity at point 0"),
    "great": ({"strokes": [[[10**400, 1]]]}, "holds no numbers"),
    "far": ({"strokes": [[[0, 0], [1e9, 1]]]}, "farther out than 100000"),
    "long": ({"strokes": [[[x, x % 2] for x in range(0, 90_000, 9)]]}, "too long for its height"),
    "many": ({"strokes": [[[x, 1] for x in range(20_001)]]}, "20000 are the most"),
    "strokes": ({"strokes": [STROKE] * 501}, "there are 501 strokes"),
    "part": ({"strokes": [STROKE], "show": "weights"}, "this network has cell, input, forget, output, hidden"),
    "kind": ({"strokes": [STROKE], "show": 3}, "show is a word"),
    "way": ({"strokes": [STROKE], "backward": "yes"}, "backward is true or false"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_drawing_is_refused_with_a_sentence(name: str, server: InkServer) -> None:
    question, sentence = REFUSED[name]
    status, found = read(server, question)
    assert (status, list(found)) == (400, ["error"]), found
    assert sentence in found["error"]
    assert read(server, GOOD)[0] == 200


def test_a_tap_and_a_level_line_are_ink(server: InkServer) -> None:
    for strokes in ([[[5, 5]]], [[[5, 5]], [[5, 5]]], [[[0, 7], [40, 7]]]):
        status, found = read(server, {"strokes": strokes})
        assert status == 200, found
        assert len(found["memory"]) == len(found["places"])


def test_other_names_and_other_pages_are_refused(server: InkServer) -> None:
    name = f"carousel.example:{server.port}"
    for method, path in (("GET", "/"), ("POST", "/read")):
        status, _, found = asked(
            server, method, path, json.dumps(GOOD) if method == "POST" else None, Host=name, **JSON
        )
        assert status == 403 and "carousel.example" in found["error"], path
    for origin in ("https://example.org", "null", f"http://{name}"):
        status, found = read(server, GOOD, Origin=origin)
        assert status == 403 and "only http://127.0.0.1" in found["error"], origin
    for own in ("localhost", "127.0.0.1"):
        assert read(server, GOOD, Host=f"{own}:{server.port}", Origin=f"http://{own}:{server.port}")[0] == 200


def test_a_page_elsewhere_cannot_ask_without_being_asked_back(server: InkServer) -> None:
    """A form, or a script's simple request, comes in another type: it is refused before it is read."""
    status, found = read(server, GOOD, Content_Type="text/plain")
    assert (status, found["error"]) == (415, "send application/json")


def test_bodies_without_end_are_refused(server: InkServer) -> None:
    status, found = read(server, b" " * (LARGEST + 1))
    assert status == 413 and f"{LARGEST} are the most" in found["error"]
    for length, expected in (("-5", 411), ("many", 411), ("²", 411)):
        status, _, _ = asked(server, "POST", "/read", None, Content_Length=length.encode().decode("latin-1"), **JSON)
        assert status == expected, length
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("POST", "/read")
    for name, value in {**JSON, "Transfer-Encoding": "chunked"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


def test_a_body_that_never_comes_is_not_waited_for(server: InkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as caller:
        head = f"POST /read HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        caller.sendall(f"{head}Content-Length: 99\r\n\r\n{{".encode())
        assert caller.recv(1000) == b""
    assert read(server, GOOD)[0] == 200


def test_a_connection_that_was_opened_ahead_gets_no_answer_after_the_end(hasty: Path) -> None:
    with serving(Transcriber.load(hasty)) as server:
        kept = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(2)]
        asked(server, "GET", "/")
        question = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode()
        with kept[0]:
            kept[0].sendall(question)
            assert kept[0].recv(9) == b"HTTP/1.1 "
    with kept[1]:
        kept[1].sendall(question)
        assert kept[1].recv(9) == b""


def test_there_is_nothing_else(server: InkServer) -> None:
    for method, path, expected in (
        ("GET", "/report/style.css", 404),
        ("GET", "/../../etc/passwd", 404),
        ("POST", "/", 404),
        ("DELETE", "/read", 501),
    ):
        status, _, found = asked(server, method, path, **JSON)
        assert status == expected and found["error"], path


def test_a_reader_that_fails_says_so(server: InkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no memory left")

    monkeypatch.setattr(server.reader, "read", broken)
    status, found = read(server, GOOD)
    assert status == 500 and found["error"] == "RuntimeError: no memory left; this is a fault of carousel"
