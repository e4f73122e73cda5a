"""`carousel fit TASK`: one command for each task in the registry, its options read off the estimator's fields."""

import inspect
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from carousel.cli.options import Debug, Json, Quiet


class TaskGroup(TyperGroup):
    """The commands below `fit`, made when they are asked for: the registry imports torch."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The tasks of the registry."""
        from carousel.tasks import TASKS

        return list(TASKS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a task, None where there is no such task."""
        from carousel.tasks import TASKS

        if cmd_name not in TASKS:
            return None
        app = typer.Typer(add_completion=False, context_settings={"help_option_names": ["-h", "--help"]})
        app.command(cmd_name, help=_help(TASKS[cmd_name]))(command_of(cmd_name))
        return typer.main.get_command(app)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of the task that is asked for; a wrong name is answered with those there are."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            ctx.fail(f"there is no task {args[0]!r}; there are {', '.join(self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


@dataclass(frozen=True)
class FitCall:
    """The options that every fit has, beside the settings."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Directory of the run. Default: runs/ and the name of the data.", show_default=False
        ),
    ] = None
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings, such as the config.yaml of a run.", show_default=False)
    ] = None
    set: Annotated[
        list[str] | None,
        typer.Option(
            help="Any setting, also inside others: --set lstm_options.zoneout=0.1. Repeat it for more.",
            metavar="NAME=VALUE",
            show_default=False,
        ),
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out, exactly where it stopped.")] = (
        False
    )
    force: Annotated[bool, typer.Option("--force", help="Replace the run in --out.")] = False
    json: Json = False
    quiet: Quiet = False
    debug: Debug = False


def command_of(task: str) -> Any:
    """The function behind `carousel fit TASK`; its signature lists the task's settings as options."""
    from carousel.cli.fitting import fit
    from carousel.cli.flags import argument, options, parameter
    from carousel.cli.recipe import sections
    from carousel.tasks import SequenceEstimator

    found = sections(task)
    settings = {name: setting for section in found.values() for name, setting in section.items()}
    path = found["data"].pop("path")
    common = [found["estimator"].pop(field.name) for field in fields(SequenceEstimator) if field.name in settings]

    def command(**values: Any) -> None:
        call = FitCall(**{field.name: values[field.name] for field in fields(FitCall)})
        fit(task, call, {name: values[name] for name in values.keys() & settings if values[name] is not None})

    annotations = inspect.get_annotations(FitCall, eval_str=True)
    parameters = [
        argument(path, "DATA"),
        *(parameter(field.name, annotations[field.name], field.default) for field in fields(FitCall)),
        *options(found["run"].values(), "Options"),
        *options(found["data"].values(), "Data"),
        *options(found["estimator"].values(), f"To {task}"),
        *options(common, "Network and training"),
    ]
    command.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    return command


def _help(estimator: type) -> str:
    return (inspect.getdoc(estimator) or "").split("\n", 1)[0].replace(", in scikit-learn's manner", "")
