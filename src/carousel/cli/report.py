"""`carousel report`: the page of a run, made again and opened."""

import sys
from typing import Annotated

import typer

from carousel.cli.options import Debug, Run


def report(
    run: Run,
    *,
    open: Annotated[
        bool | None,
        typer.Option("--open", parser=None, help="Open the page in a browser, yes or no. Default: yes on a terminal."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write the report of a run again from its findings, and open it."""
    from carousel.cli.findings import PAGE, read_findings
    from carousel.report import write

    page = write(read_findings(run), run / PAGE)
    print(page)
    if open if open is not None else sys.stdout.isatty():
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
