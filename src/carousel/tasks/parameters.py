"""An estimator's parameters: dataclass fields described once, checked from that description."""

import dataclasses
import numbers
import types
import typing
from typing import Any

_KINDS: dict[type, tuple[type, ...]] = {
    bool: (bool,),
    int: (numbers.Integral,),  # type: ignore[dict-item]
    float: (numbers.Real,),  # type: ignore[dict-item]
}
_WORDS = {
    int: "an integer",
    float: "a number",
    str: "a name",
    bool: "True or False",
    dict: "a dictionary",
    type(None): "None",
}


def parameter(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A field of an estimator: its default, one line of help and the values that it takes.

    `minimum` is allowed itself, `above` and `below` are not. The type comes from the annotation.
    """
    limits = {"minimum": minimum, "above": above, "below": below, "choices": choices}
    metadata = {"help": help, **{name: limit for name, limit in limits.items() if limit is not None}}
    return dataclasses.field(default=default, metadata=metadata)


def redefault(owner: type, name: str, default: Any) -> Any:
    """The field of a parent class with another default and the same description."""
    field = next(field for field in dataclasses.fields(owner) if field.name == name)
    return dataclasses.field(default=default, metadata=field.metadata)


def check_parameters(estimator: Any) -> None:
    """Raise TypeError or ValueError for the first parameter that its field does not allow."""
    hints = typing.get_type_hints(type(estimator))
    for field in dataclasses.fields(estimator):
        value = getattr(estimator, field.name)
        _check_type(field.name, value, hints[field.name])
        if value is not None:
            _check_limits(field, value)


def _kinds(hint: Any) -> tuple[Any, ...]:
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if union else (hint,)


def matches(value: Any, hint: Any) -> bool:
    """Whether the value is of the annotated type; True is no number, and an integer is a float."""
    return any(kind is Any or _is_a(value, kind) for kind in _plain(hint))


def _plain(hint: Any) -> list[Any]:
    return [typing.get_origin(kind) or kind for kind in _kinds(hint)]


def _check_type(name: str, value: Any, hint: Any) -> None:
    if not matches(value, hint):
        allowed = " or ".join(_WORDS.get(kind, f"a {kind.__name__}") for kind in _plain(hint))
        raise TypeError(f"{name} is {value!r}; it takes {allowed}")


def _is_a(value: Any, kind: type) -> bool:
    if isinstance(value, bool) and kind is not bool:
        return False
    return isinstance(value, _KINDS.get(kind, (kind,)))


def _check_limits(field: dataclasses.Field[Any], value: Any) -> None:
    limits = field.metadata
    if "choices" in limits and isinstance(value, str) and value not in limits["choices"]:
        raise ValueError(f"{field.name} is {value!r}; it can be {', '.join(map(repr, limits['choices']))}")
    if not isinstance(value, numbers.Real):
        return
    if "minimum" in limits and not value >= limits["minimum"]:
        raise ValueError(f"{field.name} is {value}; it must be {limits['minimum']} or more")
    if "above" in limits and not value > limits["above"]:
        raise ValueError(f"{field.name} is {value}; it must be more than {limits['above']}")
    if "below" in limits and not value < limits["below"]:
        raise ValueError(f"{field.name} is {value}; it must be less than {limits['below']}")
