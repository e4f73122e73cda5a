"""Long time lags: a symbol to be told again after many others (Hochreiter & Schmidhuber 1997, experiment 2)."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.data.synthetic.strings import Strings, answered, foretold, laid_out, whole

STOPS = 0.1
"""The probability that a trigger comes instead of one more distractor."""


def memorised(count: int, generator: torch.Generator, *, symbols: int = 100) -> Strings:
    """`count` strings of two kinds: x or y, a_1, ..., a_{p-1}, and it again, p being `symbols`; each next is foretold.

    There are p + 1 symbols: a_1 to a_{p-1} are 0 to p - 2, x is p - 1, y is p.
    Source: Hochreiter & Schmidhuber 1997, experiment 2a.
    """
    return _framed(torch.arange(symbols - 1).repeat(count, 1), count, generator)


def shuffled(count: int, generator: torch.Generator, *, symbols: int = 100, ends: bool = False) -> Strings:
    """The same strings, but what stands between x or y and its second coming is drawn from a_1, ..., a_{p-1}.

    The other symbols cannot be foretold: of the outputs only those at the end can be judged, and with `ends` only
    those are observed.
    Source: Hochreiter & Schmidhuber 1997, experiment 2b.
    """
    between = torch.randint(0, symbols - 1, (count, symbols - 1), generator=generator)
    strings = _framed(between, count, generator)
    return replace(strings, observed=strings.ends) if ends else strings


def _framed(between: Tensor, count: int, generator: torch.Generator) -> Strings:
    """x or y, what is between, and the same again."""
    symbols = between.shape[1] + 1
    frame = (symbols - 1 + whole(0, 1, count, generator)).unsqueeze(1)
    lengths = torch.full((count,), symbols + 1)
    return foretold(torch.cat([frame, between, frame], dim=1).flatten(), lengths, symbols + 1)


def long_lag(count: int, generator: torch.Generator, *, lag: int = 100, distractors: int = 100) -> Strings:
    """`count` strings: b, x or y, `lag` distractors, one more again and again with probability 0.9, then the trigger e.

    After e the two outputs tell which of x and y it was. Symbols: `distractors` of them from 0 on, then e, b, x and y.
    Source: Hochreiter & Schmidhuber 1997, experiment 2c (its q is `lag`, its p `distractors`).
    """
    trigger, begin, x = distractors, distractors + 1, distractors + 2
    drawn = torch.rand(count, dtype=torch.float64, generator=generator)
    more = (torch.log1p(-drawn) / torch.log1p(torch.tensor(-STOPS, dtype=torch.float64))).floor().to(torch.int64)
    lengths = lag + more + 3
    kind = whole(0, 1, count, generator)
    first, last = laid_out(lengths)
    symbols = torch.randint(0, distractors, (int(lengths.sum()),), generator=generator)
    symbols[first], symbols[first + 1], symbols[last] = begin, x + kind, trigger
    return answered(symbols.unsqueeze(1), lengths, F.one_hot(kind, 2).to(torch.float64))
