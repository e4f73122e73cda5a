"""What is written to a model directory comes back the same; what is never written is refused."""

from typing import Any

import numpy as np
import pytest

from carousel.cells import VARIANTS
from carousel.tasks.codec import from_json, to_json


@pytest.mark.parametrize(
    "value", [None, True, 3, 0.5, "x", float("inf"), [1, ["a"]], {"a": 1}, {1: 2.0, "b": None}], ids=repr
)
def test_plain_values_come_back(value: Any) -> None:
    assert from_json(to_json(value, "value")) == value


@pytest.mark.parametrize("name", VARIANTS)
def test_every_cell_comes_back(name: str) -> None:
    assert from_json(to_json(VARIANTS[name], "cell")) == VARIANTS[name]


@pytest.mark.parametrize("array", [np.array([1, 2], dtype=np.int16), np.array(["a", "bc"]), np.zeros((2, 3))], ids=repr)
def test_arrays_keep_shape_and_type(array: np.ndarray) -> None:
    back = from_json(to_json(array, "array"))
    assert back.dtype == array.dtype and back.shape == array.shape
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "content",
    [
        {"$array": ["<i8", [1]], "also": 1},
        {"$array": ["<i8", ["text"]]},
        {"$array": ["<M8[s]", [1]]},
        {"$float": "1e999"},
        {"$cell": ["print", {}]},
        {"$scaler": [[0.0], [0.0]]},
        {"$scaler": [["x"], [1.0]]},
    ],
    ids=str,
)
def test_what_is_never_written_is_refused(content: Any) -> None:
    with pytest.raises(ValueError):
        from_json(content)


def test_a_value_without_such_a_form_is_named() -> None:
    with pytest.raises(TypeError, match="hook holds a function, which cannot be saved"):
        to_json({"call": lambda: None}, "hook")
    with pytest.raises(TypeError, match="classes_ holds labels that are neither numbers nor text"):
        to_json(np.array([object(), 1], dtype=object), "classes_")
