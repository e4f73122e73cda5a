"""What options something has, and whether what is given for them is of their kind."""

from dataclasses import fields
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

KINDS: dict[type, tuple[type, str]] = {
    bool: (bool, "true or false"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "a word"),
    dict: (dict, "a table"),
    NoneType: (NoneType, "None"),
}
"""What stands for a type among values, and how it is called."""


def option_names(owner: type) -> list[str]:
    """The names of the options of a dataclass."""
    return [field.name for field in fields(owner) if field.init]


def check_kinds(owner: type, given: dict[str, Any]) -> None:
    """Raise TypeError for an option that is of another kind than its annotation says, where these are such as here."""
    hints = get_type_hints(owner)
    for name, value in given.items():
        hint = hints[name]
        named = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        kinds = [get_origin(kind) or kind for kind in named]
        if all(kind in KINDS for kind in kinds) and not any(_is(value, kind) for kind in kinds):
            raise TypeError(f"{name} is {value!r}; it is {' or '.join(KINDS[kind][1] for kind in kinds)}")


def _is(value: Any, kind: type) -> bool:
    """Whether it is of that kind; true and false are no numbers."""
    return isinstance(value, KINDS[kind][0]) and (kind is bool or not isinstance(value, bool))
