"""Squashing functions, and their slopes from the value, for Triton; numbered as in `cells.squash`."""

import triton
import triton.language as tl

from carousel.cells.squash import SQUASHES

NAMES = tuple(SQUASHES)
SIGMOID, TANH, IDENTITY, G1997, H1997, HARD_SIGMOID, SOFTSIGN, RELU = map(tl.constexpr, range(len(NAMES)))
ALL = tl.constexpr(tl.PropagateNan.ALL)


@triton.jit
def sigmoid(x):
    """1 / (1 + exp(-x)) without overflow on either side."""
    small = tl.exp(-tl.abs(x))
    return tl.where(x >= 0, 1.0, small) / (1.0 + small)


@triton.jit
def tanh(x):
    """By expm1's two halves, so that small numbers keep their digits and large ones do not overflow."""
    size = tl.abs(x)
    small = tl.exp(-2.0 * size)
    square = x * x
    near = x * (1.0 + square * (-1.0 / 3.0 + square * (2.0 / 15.0 + square * (-17.0 / 315.0 + square * 62.0 / 2835.0))))
    far = (1.0 - small) / (1.0 + small)
    return tl.where(size < 0.05, near, tl.where(x < 0, -far, far))


@triton.jit
def squashed(x, kind: tl.constexpr):
    """f(x)."""
    if kind == SIGMOID:
        return sigmoid(x)
    elif kind == TANH:
        return tanh(x)
    elif kind == G1997:
        return 2.0 * tanh(0.5 * x)
    elif kind == H1997:
        return tanh(0.5 * x)
    elif kind == HARD_SIGMOID:
        return tl.minimum(tl.maximum(x + 3.0, 0.0, ALL), 6.0, ALL) / 6.0
    elif kind == SOFTSIGN:
        return x / (1.0 + tl.abs(x))
    elif kind == RELU:
        return tl.maximum(x, 0.0, ALL)
    else:
        return x


@triton.jit
def slope(y, kind: tl.constexpr):
    """dy/dx from y = f(x)."""
    if kind == SIGMOID:
        return y * (1.0 - y)
    elif kind == TANH:
        return 1.0 - y * y
    elif kind == G1997:
        return (4.0 - y * y) * 0.25
    elif kind == H1997:
        return (1.0 - y * y) * 0.5
    elif kind == HARD_SIGMOID:
        return tl.where((y > 0) & (y < 1), 1.0 / 6.0, 0.0)
    elif kind == SOFTSIGN:
        return (1.0 - tl.abs(y)) * (1.0 - tl.abs(y))
    elif kind == RELU:
        return tl.where(y > 0, 1.0, 0.0)
    else:
        return y * 0.0 + 1.0
