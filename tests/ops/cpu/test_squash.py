"""The vector functions on every instruction set: errors in units in the last place, special values, any count."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from carousel.cells.squash import SQUASHES
from carousel.ops.cpu import extension
from tests.ops.cpu.extension import TARGETS, needs_extension, target

pytestmark = [
    needs_extension,
    pytest.mark.parametrize("name", TARGETS),
    pytest.mark.parametrize("squash", SQUASHES),
    pytest.mark.parametrize("dtype", [np.float32, np.float64]),
]

Real = type[np.float32] | type[np.float64]
Array = NDArray[np.floating]

NAMES = tuple(SQUASHES)
ODD = ("tanh", "identity", "g1997", "h1997", "softsign")
WIDEST = 16
"""The most numbers that a vector holds."""

BOUNDS = {
    "sigmoid": 2.4, "tanh": 2.6, "identity": 0, "g1997": 2.7, "h1997": 2.7, "hard_sigmoid": 1.6, "softsign": 1.6,
    "relu": 0,
}  # fmt: skip
"""Errors in units in the last place of the true value: those of benchmarks/NOTES.md and a little more."""


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


TRUE: dict[str, Callable[[Array], Array]] = {
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "identity": lambda x: x,
    "g1997": lambda x: 2 * np.tanh(x / 2),
    "h1997": lambda x: np.tanh(x / 2),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "relu": lambda x: np.maximum(x, 0),
}


def run(squash: str, x: Array, count: int | None = None) -> Array:
    """What the kernels make of the first `count` numbers; 77 behind them."""
    y = np.full_like(x, 77)
    count = len(x) if count is None else count
    extension.module.squash(int(x.dtype == np.float64), NAMES.index(squash), x.ctypes.data, y.ctypes.data, count)
    return y


@cache
def points(dtype: Real) -> Array:
    """Numbers of every exponent, subnormal ones too, and more where exp neither overflows nor vanishes; both signs."""
    info, draw = np.finfo(dtype), np.random.default_rng(0)
    exponents = np.arange(info.minexp - info.nmant, info.maxexp)
    each = 60_000 // len(exponents)
    octaves = np.ldexp(draw.uniform(1, 2, (len(exponents), each)).astype(dtype), exponents[:, None].astype(np.int32))
    ends = [0, info.smallest_subnormal, info.smallest_normal, info.eps, 1, info.max]
    inside = draw.uniform(0, 1.1 * np.log(float(info.max)), 40_000)
    near = draw.uniform(0, 10, 40_000)
    x = np.concatenate([octaves.ravel(), inside, near, ends]).astype(dtype)
    return np.concatenate([x, -x])


@cache
def truth(squash: str, dtype: Real) -> Array:
    wide = np.longdouble
    if np.finfo(wide).nmant < np.finfo(dtype).nmant + 11:
        pytest.skip(f"this machine has no numbers wider than {dtype.__name__} to compare with")
    with np.errstate(under="ignore"):
        return TRUE[squash](points(dtype).astype(wide))


def unit(y: Array, dtype: Real) -> Array:
    """The unit in the last place of numbers of this dtype next to `y`."""
    info = np.finfo(dtype)
    exponents = np.maximum(np.frexp(y)[1] - 1, info.minexp) - info.nmant
    return np.ldexp(np.ones_like(y), exponents)


def test_errors_in_units_in_the_last_place(name: str, squash: str, dtype: Real) -> None:
    x, expected = points(dtype), truth(squash, dtype)
    with target(name):
        y = run(squash, x)
    error = np.abs(y.astype(np.longdouble) - expected) / unit(expected, dtype)
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    assert error[worst] <= BOUNDS[squash], f"{squash}({x[worst]!r}) gave {y[worst]!r}, not {expected[worst]!r}"


def test_infinities_give_the_limits_and_nan_stays(name: str, squash: str, dtype: Real) -> None:
    x = np.array([np.inf, -np.inf, np.nan, -np.nan], dtype)
    limits = {
        "sigmoid": (1, 0), "tanh": (1, -1), "identity": (np.inf, -np.inf), "g1997": (2, -2), "h1997": (1, -1),
        "hard_sigmoid": (1, 0), "softsign": (np.nan, np.nan), "relu": (np.inf, 0),
    }  # fmt: skip
    with target(name):
        np.testing.assert_array_equal(run(squash, x), [*limits[squash], np.nan, np.nan])


def test_zero_keeps_its_sign_where_the_function_is_odd(name: str, squash: str, dtype: Real) -> None:
    with target(name):
        y = run(squash, np.array([0.0, -0.0], dtype))
    at_zero = float(TRUE[squash](np.zeros(1))[0])
    np.testing.assert_array_equal(y, np.array([at_zero, at_zero], dtype))
    if squash in ODD:
        assert list(np.signbit(y)) == [False, True]


def test_any_count_and_nothing_behind_it(name: str, squash: str, dtype: Real) -> None:
    """Each number gives the same bits wherever it lies in a vector."""
    x = np.linspace(-5, 5, 3 * WIDEST).astype(dtype)
    with target(name):
        whole = run(squash, x)
        for count in range(len(x)):
            y = run(squash, np.append(x[:count], np.full(WIDEST, np.nan, dtype)), count)
            np.testing.assert_array_equal(y, np.append(whole[:count], np.full(WIDEST, 77, dtype)))
