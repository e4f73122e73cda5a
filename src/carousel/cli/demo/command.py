"""`carousel demo ink`: write by hand and see it read."""

from pathlib import Path
from typing import Annotated, Any

import typer

from carousel.cli.console import say, write_json
from carousel.cli.errors import UsageError
from carousel.cli.options import Debug


def ink(
    *,
    run: Annotated[
        Path | None,
        typer.Option(help="A Transcriber of pen strokes; else one of digits is trained.", show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(help="Where the page is served; 0 takes a free port.", min=0, max=65535)] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser; the address is printed.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the address as JSON on stdout.")] = False,
    debug: Debug = False,
) -> None:
    """Write with mouse or finger, see it read, and see the network's memory move.

    The page is served to this computer alone, until Ctrl-C.
    """
    from carousel.cli.demo.reading import Reader
    from carousel.cli.demo.server import InkServer

    reader = Reader(_transcriber(run))
    with _listening(InkServer, port, reader, debug) as server:
        if json:
            write_json({"url": server.url, "run": None if run is None else str(run)})
        else:
            print(f"{server.url}  (Ctrl-C ends it)", flush=True)
        if not no_browser:
            _open(server.url)
        server.serve_until_interrupted()
    say("\nended")


def _transcriber(run: Path | None) -> Any:
    from carousel.cli.demo.digits import digit_reader
    from carousel.tasks import Transcriber

    if run is None:
        return digit_reader()
    return Transcriber.load(run)


def _listening(server: Any, port: int, reader: Any, debug: bool) -> Any:
    try:
        return server(port, reader, debug=debug)
    except OSError as error:
        raise UsageError(f"port {port} cannot be listened on: {error.strerror}; give another --port, or none") from None


def _open(url: str) -> None:
    import webbrowser

    try:
        webbrowser.open(url)
    except webbrowser.Error:
        say("no browser could be opened; open the address by hand")
