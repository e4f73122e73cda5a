"""A page and its answers, served to this computer alone."""

import json
import os
import secrets
import sys
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from carousel.cli.demo.page import page
from carousel.cli.demo.reading import Reader
from carousel.data import DataError

LOOPBACK = "127.0.0.1"
LARGEST = 1 << 20
SKIPPED = 1 << 25
"""Bytes of a refused body that are read all the same, so that whoever is still sending hears why."""
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Refused(Exception):
    """A request that gets no answer but a status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class InkServer(ThreadingHTTPServer):
    """Serves the page at `/` and reads drawings at `/read`, on the loopback interface only.

    port: 0 takes a free one. Raises OSError for a port that is taken.
    """

    daemon_threads = True
    allow_reuse_address = os.name != "nt"

    def __init__(self, port: int, reader: Reader, *, debug: bool = False) -> None:
        self.reader, self.debug = reader, debug
        self.nonce = secrets.token_urlsafe(16)
        self.page = page(reader.facts(), self.nonce).encode()
        super().__init__((LOOPBACK, port), Handler)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server_address[1]

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{LOOPBACK}:{self.port}/"

    @property
    def ended(self) -> bool:
        """Whether it is closed; browsers open connections ahead of need, and none is answered then."""
        return self.socket.fileno() < 0

    @property
    def names(self) -> set[str]:
        """What a browser on this computer calls it; any other name leads here by someone's DNS."""
        return {f"{name}:{self.port}" for name in (LOOPBACK, "localhost")}

    def serve_until_interrupted(self) -> None:
        """Serve until Ctrl-C."""
        try:
            self.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            return

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that broke off, unless debugging."""
        if self.debug:
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "carousel", ""
    timeout = 20
    _unread = 0

    @property
    def _server(self) -> InkServer:
        return cast(InkServer, self.server)

    def do_GET(self) -> None:
        """The page."""
        self._answered(self._page)

    def do_POST(self) -> None:
        """A drawing, read."""
        self._answered(self._reading)

    def _answered(self, answer: Any) -> None:
        self.close_connection = True  # an answer a connection
        if self._server.ended:
            return
        self._unread = self._length()
        try:
            self._check_caller()
            answer()
        except Refused as refused:
            self.send_error(refused.status, str(refused))

    def _check_caller(self) -> None:
        """Raise Refused for a request that came by another name, or from another page."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        if host.lower() not in self._server.names:
            raise Refused(403, f"this page is served to its own computer as {self._server.url}, not as {host!r:.80}")
        if origin is not None and origin.lower().removeprefix("http://") not in self._server.names:
            raise Refused(403, f"a page of {origin!r:.80} asks; only {self._server.url} may")

    def _page(self) -> None:
        if self.path.partition("?")[0] != "/":
            raise Refused(404, f"there is nothing at {self.path!r:.80}; the page is at /")
        nonce = f"'nonce-{self._server.nonce}'"
        policy = f"default-src 'none'; script-src {nonce}; style-src {nonce}; img-src data:; connect-src 'self'"
        rest = "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        self._send(200, self._server.page, "text/html; charset=utf-8", {"Content-Security-Policy": policy + rest})

    def _reading(self) -> None:
        if self.path != "/read":
            raise Refused(404, f"there is nothing at {self.path!r:.80}; drawings go to /read")
        given = self._json()
        part, backward = given.get("show", "cell"), given.get("backward", False)
        if not isinstance(part, str) or not isinstance(backward, bool):
            raise Refused(400, "show is a word, such as cell, and backward is true or false")
        try:
            found = self._server.reader.read(given.get("strokes"), part, backward)
        except DataError as error:
            raise Refused(400, str(error)) from None
        except Exception as error:
            if self._server.debug:
                traceback.print_exc()
            raise Refused(500, f"{type(error).__name__}: {error}; this is a fault of carousel") from None
        self._send_json(200, found)

    def _json(self) -> dict[str, Any]:
        """The body, a JSON object. Raises Refused."""
        if self.headers.get_content_type() != "application/json":
            raise Refused(415, "send application/json")
        try:
            found = json.loads(self._body())
        except (ValueError, RecursionError) as error:
            raise Refused(400, f"the body is no JSON: {error}"[:200]) from None
        if not isinstance(found, dict):
            raise Refused(400, 'send an object, such as {"strokes": [[[0, 0], [10, 10]]]}')
        return found

    def _body(self) -> bytes:
        if self._unread < 0:
            raise Refused(411, "send the length of the body, as Content-Length")
        if self._unread > LARGEST:
            raise Refused(413, f"the body has {self._unread} bytes; {LARGEST} are the most")
        length, self._unread = self._unread, 0
        found = self.rfile.read(length)
        if len(found) < length:
            raise Refused(400, f"the body ended after {len(found)} of {length} bytes")
        return found

    def _length(self) -> int:
        """Bytes of the body; -1 where that is not said."""
        said = self.headers.get("Content-Length", "")
        return int(said[:15]) if said.isascii() and said.isdigit() else -1

    def _skip(self) -> None:
        """Read what is left of the body, and forget it."""
        left = min(self._unread, SKIPPED)
        while left > 0 and (piece := self.rfile.read(min(left, 1 << 16))):
            left -= len(piece)
        self._unread = 0

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A status and a sentence, as JSON; the connection ends, since a body may be left unread."""
        self.close_connection = True
        self._skip()
        self._send_json(code, {"error": message or self.responses.get(code, ("refused", ""))[0]})

    def _send_json(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content, ensure_ascii=False, allow_nan=False).encode(errors="replace")
        self._send(status, body, "application/json; charset=utf-8", {})

    def _send(self, status: int, body: bytes, kind: str, more: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **HEADERS, **more}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *given: Any) -> None:
        """A line on stderr for each request, when debugging."""
        if self._server.debug:
            print(format % given, file=sys.stderr)
