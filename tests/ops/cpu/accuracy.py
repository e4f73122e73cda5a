"""How far the vector functions may lie from the truth, in units in the last place."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

Real = type[np.float32] | type[np.float64]
Array = NDArray[np.floating]

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


def check_errors(squash: str, y: Array) -> None:
    """Raise AssertionError unless `y` is near enough to the function of all `points` of its dtype."""
    expected = _truth(squash, y.dtype.type)
    error = np.abs(y.astype(np.longdouble) - expected) / _unit(expected, y.dtype.type)
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    x = points(y.dtype.type)[worst]
    assert error[worst] <= BOUNDS[squash], f"{squash}({x!r}) gave {y[worst]!r}, not {expected[worst]!r}"


@cache
def _truth(squash: str, dtype: Real) -> Array:
    wide = np.longdouble
    if np.finfo(wide).nmant < np.finfo(dtype).nmant + 11:
        pytest.skip(f"this machine has no numbers wider than {dtype.__name__} to compare with")
    with np.errstate(under="ignore"):
        return TRUE[squash](points(dtype).astype(wide))


def _unit(y: Array, dtype: Real) -> Array:
    """The unit in the last place of numbers of this dtype next to `y`."""
    info = np.finfo(dtype)
    exponents = np.maximum(np.frexp(y)[1] - 1, info.minexp) - info.nmant
    return np.ldexp(np.ones_like(y), exponents)
