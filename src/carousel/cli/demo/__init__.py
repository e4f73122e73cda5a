"""`carousel demo`: local pages on which a person sees a network at work."""

import typer

from carousel.cli.demo.command import ink

demo = typer.Typer()


@demo.callback()
def start() -> None:
    """See a network at work, on a page of this computer."""


demo.command()(ink)

__all__ = ["demo"]
