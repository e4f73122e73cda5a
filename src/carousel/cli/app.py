"""The command `carousel`: its commands, and what happens to their errors."""

import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from carousel.cli.cells import cells
from carousel.cli.demo import demo
from carousel.cli.errors import report as report_error
from carousel.cli.evaluate import evaluate
from carousel.cli.fit import TaskGroup
from carousel.cli.gradients import gradients
from carousel.cli.info import info
from carousel.cli.predict import predict
from carousel.cli.report import report
from carousel.cli.spot import spot
from carousel.cli.transcribe import transcribe


class Root(TyperGroup):
    """The outermost command: every error leaves as one line on stderr and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The commands in the order of work."""
        return sorted(super().list_commands(ctx), key=lambda name: name != "fit")

    def main(self, *given: Any, **named: Any) -> NoReturn:
        """Run the command line on typer's arguments, `args` first, and exit."""
        listed = named.pop("args", None) if not given else given[0]
        arguments = list(sys.argv[1:] if listed is None else listed)
        name = named.pop("prog_name", None) or "carousel"
        try:
            code = super().main(arguments, name, **{**named, "standalone_mode": False})
        except (Exception, KeyboardInterrupt) as error:
            code = report_error(error, debug="--debug" in arguments)
        sys.exit(code if isinstance(code, int) else 0)


app = typer.Typer(
    name="carousel",
    cls=Root,
    help="Long short-term memory, complete: train on a file of sequences, predict, and see how good it is.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
tasks = typer.Typer(cls=TaskGroup)
app.add_typer(tasks, name="fit", help="Train an LSTM on your data; writes a model and a report.")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"carousel {version('carousel-lstm')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the trace of an error; works behind any command.")
    ] = False,
) -> None:
    """Long short-term memory, complete: train on a file of sequences, predict, and see how good it is."""
    if context.invoked_subcommand is None:
        print(context.get_help())


for command in (predict, transcribe, spot, evaluate, report, cells, gradients, info):
    app.command()(command)
app.add_typer(demo, name="demo", help="See a network at work, on a page of this computer.")


def main() -> None:
    """The entry point of the command `carousel`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]
    app()
