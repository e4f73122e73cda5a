"""Marked pairs: the sum or the product of two numbers that were marked (Hochreiter & Schmidhuber 1997, 4 and 5)."""

import torch

from carousel.data.synthetic.strings import Strings, answered, laid_out, whole

EARLY = 10
"""The first marked pair is one of so many."""


def marked_pairs(count: int, generator: torch.Generator, *, least: int = 100, product: bool = False) -> Strings:
    """`count` strings of `least` to 1.1 `least` pairs: a number, and its mark, 1 or 0, or -1 at both ends.

    One of the first ten pairs is marked, and another of the first `least` / 2 - 1. Sum: numbers from [-1, 1], the
    target at the end is 0.5 + (X1 + X2) / 4; product: numbers from [0, 1], the target is X1 X2. The first pair keeps
    its -1 when it is drawn, and counts as 0 in the sum, as 1 in the product.
    Source: Hochreiter & Schmidhuber 1997, experiments 4 and 5.
    """
    if least < 2 * EARLY + 2:
        raise ValueError(f"least is {least}; with {EARLY} early pairs it is {2 * EARLY + 2} or more")
    lengths = whole(least, least + least // 10, count, generator)
    early = whole(0, EARLY - 1, count, generator)
    late = whole(0, least // 2 - 3, count, generator)
    late = late + (late >= early)  # not the same one twice
    first, last = laid_out(lengths)
    values = torch.rand(int(lengths.sum()), dtype=torch.float64, generator=generator)
    values = values if product else 2 * values - 1
    values[first] = torch.where((early == 0) | (late == 0), 1.0 if product else 0.0, values[first])
    marks = torch.zeros_like(values)
    marks[first + early], marks[first + late] = 1, 1
    marks[first], marks[last] = -1, -1
    one, other = values[first + early], values[first + late]
    answers = one * other if product else 0.5 + (one + other) / 4
    return answered(torch.stack([values, marks], dim=1).unsqueeze(1), lengths, answers.unsqueeze(1))
