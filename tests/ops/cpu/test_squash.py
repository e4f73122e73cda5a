"""The vector functions on every instruction set: errors, special values, any count."""

import numpy as np
import pytest

from carousel.cells.squash import SQUASHES
from carousel.ops.cpu import extension
from tests.ops.cpu.accuracy import TRUE, Array, Real, check_errors, points
from tests.ops.cpu.extension import TARGETS, needs_extension, target

pytestmark = [
    needs_extension,
    pytest.mark.parametrize("name", TARGETS),
    pytest.mark.parametrize("squash", SQUASHES),
    pytest.mark.parametrize("dtype", [np.float32, np.float64]),
]

NAMES = tuple(SQUASHES)
ODD = ("tanh", "identity", "g1997", "h1997", "softsign")
LIMITS = {
    "sigmoid": (1, 0), "tanh": (1, -1), "identity": (np.inf, -np.inf), "g1997": (2, -2), "h1997": (1, -1),
    "hard_sigmoid": (1, 0), "softsign": (np.nan, np.nan), "relu": (np.inf, 0),
}  # fmt: skip
"""Values at ∞ and -∞, which are the reference's."""

WIDEST = 16
"""The most numbers that a vector holds."""


def run(squash: str, x: Array, count: int | None = None) -> Array:
    """What the kernels make of the first `count` numbers; 77 behind them."""
    y = np.full_like(x, 77)
    count = len(x) if count is None else count
    extension.module.squash(int(x.dtype == np.float64), NAMES.index(squash), x.ctypes.data, y.ctypes.data, count)
    return y


def test_errors_in_units_in_the_last_place(name: str, squash: str, dtype: Real) -> None:
    with target(name):
        check_errors(squash, run(squash, points(dtype)))


def test_infinities_give_the_limits_and_nan_stays(name: str, squash: str, dtype: Real) -> None:
    x = np.array([np.inf, -np.inf, np.nan, -np.nan], dtype)
    with target(name):
        np.testing.assert_array_equal(run(squash, x), [*LIMITS[squash], np.nan, np.nan])


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
