"""Records: frozen dataclasses that check every field against its annotation, and travel as JSON.

A field may be annotated str, int, bool, float, `Number`, `Setting`, another record, `X | None`, `Row[X]` (a list,
tuple or array, kept as a tuple), `dict[str, X]` or a `Literal`. NumPy scalars are taken for the plain values they hold.
In a `Number`, NaN and the infinities become None (null in JSON); in a plain float they are an error.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints, overload

from carousel.report.errors import ReportError

Number = float | None
Setting = Any  # whatever JSON can hold: the settings of a run are written down as they are
_MAX_DEPTH = 20
_Item_co = TypeVar("_Item_co", covariant=True)
_Kind = TypeVar("_Kind", bound="Record")


class Row(Protocol[_Item_co]):
    """What a list, a tuple and an array have in common; a record keeps it as a tuple."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[_Item_co]: ...
    @overload
    def __getitem__(self, key: int, /) -> _Item_co: ...
    @overload
    def __getitem__(self, key: slice, /) -> "Row[_Item_co]": ...


class Record:
    """Base of the dataclasses in findings.py: checks and converts its fields when it is built."""

    def __post_init__(self) -> None:
        for name, kind in _kinds(type(self)).items():
            object.__setattr__(self, name, convert(getattr(self, name), kind, f"{type(self).__name__}.{name}"))


@cache
def _kinds(record: type) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {field.name: hints[field.name] for field in fields(record)}


def convert(value: Any, kind: Any, where: str) -> Any:
    """The value as that kind of field holds it; ReportError naming `where` if it is something else."""
    value = value.tolist() if hasattr(value, "tolist") and not isinstance(value, type) else value
    if kind == Number:
        return _number(value, where)
    if kind is Setting:
        return _setting(value, where)
    if get_origin(kind) in (UnionType, Union):
        (inner,) = (choice for choice in get_args(kind) if choice is not NoneType)
        return None if value is None else convert(value, inner, where)
    if isinstance(kind, type) and issubclass(kind, Record):
        return value if isinstance(value, kind) else _record(value, kind, where)
    return _CONVERTERS[get_origin(kind) or kind](value, kind, where)


def _refuse(value: Any, expected: str, where: str) -> ReportError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ReportError(f"{where} is {shown}; it must be {expected}")


def _number(value: Any, where: str) -> Number:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(value, "a number or null", where)
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _float(value: Any, kind: Any, where: str) -> float:
    number = _number(value, where)
    if number is None:
        raise _refuse(value, "a finite number", where)
    return number


def _exact(value: Any, kind: Any, where: str) -> Any:
    if type(value) is not kind and not (isinstance(value, kind) and not isinstance(value, bool)):
        raise _refuse(value, {str: "text", int: "a whole number", bool: "true or false"}[kind], where)
    return kind(value)


def _tuple(value: Any, kind: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _refuse(value, "a list", where)
    inner = get_args(kind)[0]
    if inner == Number and all(type(item) is float for item in value):
        return tuple(item if math.isfinite(item) else None for item in value)
    return tuple(convert(item, inner, f"{where}[{index}]") for index, item in enumerate(value))


def _dict(value: Any, kind: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _refuse(value, "a mapping with text keys", where)
    return {str(key): convert(item, get_args(kind)[1], f"{where}[{key!r}]") for key, item in value.items()}


def _choice(value: Any, kind: Any, where: str) -> Any:
    if value not in get_args(kind):
        raise _refuse(value, f"one of {', '.join(map(repr, get_args(kind)))}", where)
    return value


_CONVERTERS: dict[Any, Callable[[Any, Any, str], Any]] = {
    str: _exact, int: _exact, bool: _exact, float: _float, Row: _tuple, dict: _dict, Literal: _choice,
}  # fmt: skip


def _setting(value: Any, where: str, depth: int = 0) -> Any:
    if depth > _MAX_DEPTH:
        raise ReportError(f"{where} is nested more than {_MAX_DEPTH} deep")
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_setting(item, where, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _setting(item, where, depth + 1) for key, item in value.items()}
    return str(value)


def _record(value: Any, kind: type[_Kind], where: str) -> _Kind:
    if not isinstance(value, Mapping):
        raise _refuse(value, f"a {kind.__name__}", where)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(value) - set(known)):
        raise ReportError(f"{where} has the unknown field {unknown[0]!r}; {kind.__name__} has {', '.join(known)}")
    needed = {name for name, field in known.items() if field.default is MISSING and field.default_factory is MISSING}
    if missing := sorted(needed - set(value)):
        raise ReportError(f"{where} lacks the field {missing[0]!r} of {kind.__name__}")
    return kind(**value)


def dumps(record: Record, *, format: int) -> str:
    """The record as JSON text that `loads` reads back, with the number of its format."""
    body = {"format": format, type(record).__name__.lower(): record}
    return json.dumps(body, default=_fields, allow_nan=False, ensure_ascii=True, indent=1)


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def loads(text: str, kind: type[_Kind], *, format: int) -> _Kind:
    """The record in that JSON text.

    Raises:
        ReportError: no JSON, a newer format, unknown or missing fields, values of the wrong type.
    """
    name = kind.__name__.lower()
    try:
        body = json.loads(text, parse_constant=_no_constant)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ReportError(f"these {name} are not valid JSON: {error}") from None
    if not isinstance(body, dict) or set(body) != {"format", name}:
        raise ReportError(f"this JSON holds no {name}: it must have the fields 'format' and {name!r}, nothing else")
    _check_format(body["format"], format, name)
    return _record(body[name], kind, name)


def _no_constant(name: str) -> None:
    raise ReportError(f"{name} is not JSON; a number that is not finite is written as null")


def _check_format(found: Any, known: int, name: str) -> None:
    if type(found) is not int or found < 1:
        raise ReportError(f"format is {found!r}; it must be a whole number from 1 to {known}")
    if found > known:
        raise ReportError(
            f"these {name} have format {found}, this version of carousel reads up to {known}; "
            "update carousel-lstm, or write the report again with this version"
        )
