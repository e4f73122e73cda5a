"""Settings as typer options: the signature of a command, made from descriptions."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from carousel.cli.settings import Setting

SHORTER = {"past_exog": "--past", "future_exog": "--future"}
"""Settings that have a second, shorter option."""


def parameter(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    """A parameter of a command that typer reads."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def argument(setting: Setting, metavar: str) -> inspect.Parameter:
    """A setting as an argument that may be left out."""
    shown = typer.Argument(help=f"{_capital(setting.help)}.", metavar=metavar, show_default=False)
    return parameter(setting.name, Annotated[str | None, shown])


def options(settings: Iterable[Setting], panel: str) -> list[inspect.Parameter]:
    """Settings as options below one heading; None, the default here, means that the option was not given."""
    return [parameter(setting.name, _option(setting, panel)) for setting in settings if setting.has_option]


def values_of(settings: Mapping[str, Setting], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the options that were given, by the settings' names."""
    found = {}
    for name in settings.keys() & given.keys():
        texts = given[name]
        found[name] = texts if isinstance(texts, bool) else settings[name].parse(_listed(texts))
    return found


def _listed(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def _option(setting: Setting, panel: str) -> Any:
    named = f"--{setting.name.replace('_', '-')}"
    more: dict[str, Any] = {"help": _help(setting), "rich_help_panel": panel, "show_default": False}
    if setting.is_flag:
        return Annotated[bool | None, typer.Option(f"{named}/--no-{named[2:]}", **more)]
    names = [SHORTER[setting.name]] if setting.name in SHORTER else []
    return Annotated[list[str] | None, typer.Option(named, *names, metavar=setting.metavar(), **more)]


def _help(setting: Setting) -> str:
    default = setting.default
    if default is None or default == () or default is False:
        return f"{_capital(setting.help)}."
    text = "yes" if default is True else ",".join(map(str, default)) if isinstance(default, tuple | list) else default
    return f"{_capital(setting.help)}. Default: {text}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
