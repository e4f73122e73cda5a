"""Parameters and fitted attributes as plain JSON and back: a closed list of kinds, and nothing that runs."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from carousel.cells import Cell, CellError, Complement, Gate, Open
from carousel.data import Alphabet, Frontend, SpeakerNormalization, frontend_from_json
from carousel.decoding import NGram
from carousel.tasks.scaler import Scaler

_CELL_PARTS: dict[str, type] = {"Cell": Cell, "Gate": Gate, "Open": Open, "Complement": Complement}
_NUMERIC = "biuf"


def to_json(value: Any, name: str) -> Any:
    """The value as what `json.dump` takes; TypeError names the value that has no such form."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": str(value)}
    if isinstance(value, np.ndarray):
        return _array_to_json(value, name)
    if isinstance(value, Scaler):
        return {"$scaler": [value.center.tolist(), value.spread.tolist()]}
    if isinstance(value, Alphabet | Frontend):
        return {"$alphabet" if isinstance(value, Alphabet) else "$frontend": value.to_json()}
    if isinstance(value, SpeakerNormalization):
        return {"$speakers": value.to_json()}
    if isinstance(value, NGram):
        return {"$ngram": [[[list(words), *costs] for words, costs in own.items()] for own in value.entries]}
    if type(value).__name__ in _CELL_PARTS and dataclasses.is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return {"$cell": [type(value).__name__, {part: to_json(own, name) for part, own in parts.items()}]}
    if isinstance(value, list | tuple):
        return [to_json(item, name) for item in value]
    if isinstance(value, dict):
        return _dict_to_json(value, name)
    raise TypeError(
        f"{name} holds a {type(value).__name__}, which cannot be saved; use numbers, text, lists, dictionaries"
    )


def from_json(value: Any) -> Any:
    """What `to_json` wrote. Raises ValueError or TypeError for what it never writes."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    for tag, read in _READERS.items():
        if tag in value:
            if len(value) > 1:
                raise ValueError(f"{tag} stands beside other keys")
            return read(value[tag])
    return {key: from_json(item) for key, item in value.items()}


def _array_to_json(array: np.ndarray[Any, Any], name: str) -> dict[str, Any]:
    values = array.tolist()
    if array.dtype.kind not in _NUMERIC and not all(isinstance(item, str) for item in array.ravel()):
        raise TypeError(f"{name} holds labels that are neither numbers nor text, which cannot be saved")
    return {"$array": [array.dtype.str if array.dtype.kind != "O" else "object", values]}


def _dict_to_json(value: dict[Any, Any], name: str) -> Any:
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: to_json(item, name) for key, item in value.items()}
    return {"$pairs": [[to_json(key, name), to_json(item, name)] for key, item in value.items()]}


def _read_array(value: Any) -> np.ndarray[Any, Any]:
    kind, items = value
    if kind == "object":
        array = np.array(items, dtype=object)
        if not all(isinstance(item, str) for item in array.ravel()):
            raise ValueError("an array of objects holds other things than text")
        return array
    if not isinstance(kind, str) or np.dtype(kind).kind not in _NUMERIC + "U":
        raise ValueError(f"{kind!r} is no type of array that is saved")
    array = np.array(items)
    if array.size and array.dtype.kind not in (_NUMERIC if np.dtype(kind).kind in _NUMERIC else "U"):
        raise ValueError(f"an array of {kind} holds other things")
    return array.astype(kind)


def _read_scaler(value: Any) -> Scaler:
    center, spread = (np.array(numbers, dtype=np.float64) for numbers in value)
    return Scaler(center, spread)


def _read_cell(value: Any) -> Any:
    kind, parts = value
    if kind not in _CELL_PARTS:
        raise ValueError(f"{kind!r} is no part of a cell")
    try:
        return _CELL_PARTS[kind](**{name: from_json(part) for name, part in parts.items()})
    except (CellError, TypeError) as error:
        raise ValueError(f"no cell: {error}") from None


def _read_float(value: Any) -> float:
    if value not in ("nan", "inf", "-inf"):
        raise ValueError(f"{value!r} is no such number")
    return float(value)


def _read_pairs(value: Any) -> dict[Any, Any]:
    return {from_json(key): from_json(item) for key, item in value}


def _read_ngram(value: Any) -> NGram:
    orders = [{tuple(words): (float(cost), float(back)) for words, cost, back in own} for own in value]
    for order, own in enumerate(orders, 1):
        if not all(len(words) == order and all(isinstance(word, str) for word in words) for words in own):
            raise ValueError(f"an n-gram model has other entries than {order} words in its order {order}")
    if not orders or not orders[0]:
        raise ValueError("an n-gram model has no words")
    return NGram(tuple(orders))


_READERS: dict[str, Callable[[Any], Any]] = {
    "$array": _read_array,
    "$scaler": _read_scaler,
    "$cell": _read_cell,
    "$float": _read_float,
    "$pairs": _read_pairs,
    "$alphabet": Alphabet.from_json,
    "$frontend": frontend_from_json,
    "$ngram": _read_ngram,
    "$speakers": SpeakerNormalization.from_json,
}
