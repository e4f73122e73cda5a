"""Continual noisy temporal order: which of X and Y came first, second and third, string after string.

Source: Hochreiter & Schmidhuber 1997 (experiment 6b); Gers, Schmidhuber & Cummins 2000.
"""

import numpy as np
import torch

from carousel.data.synthetic.stream import Stream

SYMBOLS = "abcdXYBE"
CLASSES = 8
_MARKED = ((10, 20), (33, 43), (66, 76))
"""Between which steps of a string each X or Y stands."""


def continual_order(strings: int, rng: np.random.Generator) -> Stream:
    """That many strings of 100 to 110 symbols, E first and B last; at B the target is 1 for the class, one of eight."""
    lengths = rng.integers(100, 111, strings)
    ends = lengths.cumsum() - 1
    starts = ends - lengths + 1
    symbols = rng.integers(0, 4, lengths.sum())
    symbols[starts], symbols[ends] = SYMBOLS.index("E"), SYMBOLS.index("B")
    kind = np.zeros(strings, dtype=np.int64)
    for first, last in _MARKED:
        which = rng.integers(0, 2, strings)
        symbols[starts + rng.integers(first, last + 1, strings)] = SYMBOLS.index("X") + which
        kind = 2 * kind + which
    targets = np.zeros((len(symbols), CLASSES))
    targets[ends, kind] = 1
    observed, begins = np.zeros((2, len(symbols)), dtype=bool)
    observed[ends], begins[starts] = True, True
    return Stream(*(torch.from_numpy(array) for array in (symbols, targets, observed, begins)))
