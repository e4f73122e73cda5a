"""Settings of a run: described once by dataclass fields, typed by pydantic, given in YAML and in options."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from carousel.cli.errors import UsageError
from carousel.cli.yaml_text import read_value

_WORDS = {int: "an integer", float: "a number", str: "text", bool: "true or false", dict: "a mapping", None: "null"}
_PLAIN = (bool, int, float, str, type(None))


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting: what it is called, what it takes, what it means.

    kinds: the plain types of its values; a tuple type is (tuple, item) and None is None.
    """

    name: str
    default: Any
    help: str
    kinds: tuple[Any, ...]
    choices: tuple[str, ...] = ()

    @property
    def is_flag(self) -> bool:
        """Whether it is switched on and off."""
        return bool in self.kinds and self._items <= {bool, None}

    @property
    def is_text(self) -> bool:
        """Whether its values are taken as they are written, never as numbers."""
        return self._items <= {str, None}

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        return any(isinstance(kind, tuple) for kind in self.kinds)

    @property
    def _items(self) -> set[Any]:
        return {kind[1] if isinstance(kind, tuple) else kind for kind in self.kinds}

    @property
    def has_option(self) -> bool:
        """Whether it has an option of its own; mappings are set by `--set name.key=value`."""
        return self._items != {dict, None}

    def words(self) -> str:
        """What it takes, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}" + (", or null" if None in self.kinds else "")
        return " or ".join(
            f"a list of {_WORDS[kind[1]].split()[-1]}s" if isinstance(kind, tuple) else _WORDS[kind]
            for kind in self.kinds
        )

    def metavar(self) -> str:
        """What it takes, in one word for a page of help."""
        if self.choices:
            return "|".join(self.choices)
        word = {int: "INTEGER", float: "NUMBER", str: "TEXT", bool: "yes|no", dict: "MAPPING"}
        return "|".join(word[kind] for kind in word if kind in self._items) + (",..." if self.is_list else "")

    def parse(self, texts: list[str]) -> Any:
        """The value of an option as it was written; several for a list, which may also be separated by commas."""
        if self.is_list:
            items = [item.strip() for text in texts for item in text.split(",")]
            return items if self.is_text else [read_value(item) for item in items]
        return texts[-1] if self.is_text else read_value(texts[-1])


def settings_of(described: type, without: Iterable[str] = ()) -> dict[str, Setting]:
    """The settings that a dataclass describes: types from its annotations, words and choices from its metadata."""
    hints = typing.get_type_hints(described)
    found = {}
    for field in dataclasses.fields(described):
        if field.name not in without:
            kinds, metadata = _kinds(hints[field.name], field.default), field.metadata
            words = (metadata.get("help", ""), kinds, metadata.get("choices", ()))
            found[field.name] = Setting(field.name, field.default, *words)
    return found


def _kinds(hint: Any, default: Any) -> tuple[Any, ...]:
    """The plain types of an annotation; what cannot be written in a file is left out.

    A list without a type of its items has items like its default's, or else names.
    """
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    found: list[Any] = []
    for member in typing.get_args(hint) if union else (hint,):
        origin = typing.get_origin(member)
        if member in _PLAIN:
            found.append(None if member is type(None) else member)
        elif tuple in (member, origin) or list in (member, origin):
            items = typing.get_args(member) or (type(default[0]) if isinstance(default, tuple | list) else str,)
            found.append((tuple, items[0]))
        elif origin is dict:
            found.append(dict)
        elif origin is typing.Literal:
            found += [
                kind for kind in (str, None) if any(isinstance(a, kind or type(None)) for a in typing.get_args(member))
            ]
    return tuple(dict.fromkeys(found))


def schema(name: str, described: Mapping[str, Setting], **more: Any) -> type[BaseModel]:
    """A pydantic model of these settings and of `more` fields: strict in types, closed against unknown names."""
    fields: dict[str, Any] = {
        setting.name: (_annotation(setting), Field(_plain(setting.default), description=setting.help))
        for setting in described.values()
    }
    return create_model(name, __config__=ConfigDict(extra="forbid", strict=True), **more, **fields)


def _annotation(setting: Setting) -> Any:
    members = [_member(kind) for kind in setting.kinds]
    union = typing.Union[tuple(members)]  # noqa: UP007
    return Annotated[union, BeforeValidator(_as_items)] if setting.is_list else union


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def _member(kind: Any) -> Any:
    if isinstance(kind, tuple):
        return list[kind[1]]  # pyright: ignore[reportInvalidTypeArguments]
    return dict[str, Any] if kind is dict else kind


def _as_items(value: Any) -> Any:
    """A single item where a list is expected stands for a list of one."""
    return [value] if isinstance(value, str | int | float) else value


def checked(model: type[BaseModel], values: Mapping[str, Any], words: Mapping[str, Setting], where: str) -> BaseModel:
    """The values as the model's; UsageError names the setting, what came, and what would do.

    words: the settings by their dotted names.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        raise UsageError(f"{where} has no setting {name!r}; {_nearest(name, words)}") from None
    known = max((known for known in words if f"{name}.".startswith(f"{known}.")), key=len, default="")
    if not known:
        raise UsageError(f"{where}: {name} is {fault['input']!r}; it takes a mapping of settings") from None
    value = _at(values, known)
    setting = words[known]
    raise UsageError(f"{known} is {value!r}; it takes {setting.words()} ({setting.help})") from None


def _nearest(name: str, words: Mapping[str, Setting]) -> str:
    near = difflib.get_close_matches(name, words, n=1) or [
        known for known in words if known.rpartition(".")[2] == name.rpartition(".")[2]
    ]
    return f"did you mean {near[0]!r}?" if near else f"it has {', '.join(words)}"


def _at(values: Mapping[str, Any], name: str) -> Any:
    found: Any = values
    for part in name.split("."):
        found = found[part]
    return found


def assign(values: dict[str, Any], name: str, value: Any) -> None:
    """Set `a.b.c` in nested mappings, making those that are missing.

    Raises UsageError where a part of the name holds something else than a mapping.
    """
    *parents, last = name.split(".")
    for position, parent in enumerate(parents):
        if values.get(parent) is None:
            values[parent] = {}
        values = values[parent]
        if not isinstance(values, dict):
            raise UsageError(f"{'.'.join(parents[: position + 1])} is {values!r}; it has no setting {last!r} inside")
    values[last] = value


def assignments(texts: Iterable[str]) -> dict[str, Any]:
    """The values that `--set a.b=c` gives, by dotted names."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set {text}: write it as name=value, such as --set hidden_size=128")
        found[name.strip()] = read_value(value)
    return found
