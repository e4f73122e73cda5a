"""`carousel fit TASK`: one command for each task in the registry, its options read off the estimator's fields."""

import inspect
from dataclasses import dataclass
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
    from carousel.cli.recipe import sections

    found = sections(task)
    settings = found["data"] | found["run"] | found["estimator"]

    def command(**values: Any) -> None:
        call = FitCall(**{name: values[name] for name in FitCall.__dataclass_fields__})
        given = {name: value for name, value in values.items() if name in settings and value is not None}
        fit(task, call, given)

    parameters = [_parameter("path", _data(settings["path"]))]
    parameters += [
        _parameter(name, annotation, _default(name))
        for name, annotation in inspect.get_annotations(FitCall, eval_str=True).items()
    ]
    for section, members in found.items():
        titles = {"data": "Data", "run": "Options", "estimator": "Network and training"}
        parameters += [
            _parameter(s.name, _option(s, titles[section]))
            for s in members.values()
            if s.name != "path" and s.has_option
        ]
    command.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    return command


def _parameter(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _default(name: str) -> Any:
    return FitCall.__dataclass_fields__[name].default


def _data(setting: Any) -> Any:
    return Annotated[str | None, typer.Argument(help=f"{_capital(setting.help)}.", metavar="DATA", show_default=False)]


def _option(setting: Any, panel: str) -> Any:
    """A setting as an option; None, its default here, means that it was not given."""
    named = f"--{setting.name.replace('_', '-')}"
    help = f"{_capital(setting.help)}{_shown(setting)}"
    more: dict[str, Any] = {"help": help, "rich_help_panel": panel, "show_default": False}
    if setting.is_flag:
        return Annotated[bool | None, typer.Option(f"{named}/--no-{named[2:]}", **more)]
    return Annotated[list[str] | None, typer.Option(named, metavar=setting.metavar(), **more)]


def _shown(setting: Any) -> str:
    if setting.default is None or setting.is_flag:
        return "."
    default = setting.default
    return f". Default: {','.join(map(str, default)) if isinstance(default, list | tuple) else default}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _help(estimator: type) -> str:
    return (inspect.getdoc(estimator) or "").split("\n", 1)[0].replace(", in scikit-learn's manner", "")
