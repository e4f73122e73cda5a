"""`carousel report`: the page of a run, made again and opened."""

import sys
from typing import Annotated

import typer

from carousel.cli.errors import UsageError
from carousel.cli.options import Debug, Run

Open = Annotated[
    str | None,
    typer.Option(help="Open the page in a browser. Default: yes on a terminal.", metavar="yes|no", show_default=False),
]


def report(run: Run, *, open: Open = None, debug: Debug = False) -> None:
    """Write the report of a run again from its findings, and open it."""
    from carousel.cli.findings import PAGE, read_findings
    from carousel.report import write

    if open not in (None, "yes", "no"):
        raise UsageError(f"--open is {open!r}; it takes yes or no")
    page = write(read_findings(run), run / PAGE)
    print(page)
    if open == "yes" or (open is None and sys.stdout.isatty()):
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
