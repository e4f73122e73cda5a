"""Temporal order: which of X and Y came first, and which after it (Hochreiter & Schmidhuber 1997, experiment 6)."""

import torch
from torch.nn import functional as F

from carousel.data.synthetic.strings import Strings, answered, laid_out, whole

DISTRACTORS, X, TRIGGER, START, SYMBOLS = 4, 4, 6, 7, 8
"""Symbols: a to d are 0 to 3, X and Y 4 and 5, the last one 6, the first one 7."""
PLACES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
"""Where X or Y stands, by how many of them there are."""


def temporal_order(count: int, generator: torch.Generator, *, relevant: int = 2) -> Strings:
    """`count` strings of 100 to 110 symbols, in which X or Y stands at `relevant` (2 or 3) places among distractors.

    One output for each order of X and Y, four (6a) or eight (6b), with X before Y; the target is at the end.
    Source: Hochreiter & Schmidhuber 1997, experiments 6a and 6b.
    """
    if relevant not in PLACES:
        raise ValueError(f"relevant is {relevant}; it can be 2 (experiment 6a) or 3 (6b)")
    lengths = whole(100, 110, count, generator)
    kinds = [whole(0, 1, count, generator) for _ in range(relevant)]
    places = [whole(low, high, count, generator) for low, high in PLACES[relevant]]
    first, last = laid_out(lengths)
    symbols = torch.randint(0, DISTRACTORS, (int(lengths.sum()),), generator=generator)
    symbols[first], symbols[last] = START, TRIGGER
    answer = torch.zeros(count, dtype=torch.int64)
    for kind, place in zip(kinds, places, strict=True):
        symbols[first + place] = X + kind
        answer = 2 * answer + kind
    return answered(symbols.unsqueeze(1), lengths, F.one_hot(answer, 2**relevant).to(torch.float64))
