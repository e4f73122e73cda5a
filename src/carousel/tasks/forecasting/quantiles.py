"""Quantiles that cannot cross, and the loss that teaches them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

MEDIAN = 0.5


def with_median(levels: Sequence[float]) -> tuple[float, ...]:
    """The levels in order, each once, with the median among them, which is the point forecast.

    Raises ValueError for a level that is not between 0 and 1.
    """
    if wrong := [level for level in levels if not 0 < level < 1]:
        raise ValueError(f"quantiles has {wrong[0]!r}; each must lie between 0 and 1, both excluded")
    return tuple(sorted({float(level) for level in levels} | {MEDIAN}))


def ordered_quantiles(raw: Tensor, median: int) -> Tensor:
    """Turn free numbers (..., levels) into increasing ones: steps of softplus up and down from entry `median`."""
    middle = raw[..., median : median + 1]
    up = middle + F.softplus(raw[..., median + 1 :]).cumsum(-1)
    down = middle - F.softplus(raw[..., :median]).flip(-1).cumsum(-1).flip(-1)
    return torch.cat([down, middle, up], dim=-1)


def pinball(error: Tensor, levels: Tensor) -> Tensor:
    """The pinball loss of errors truth - quantile (..., levels), averaged over the levels.

    Koenker and Bassett (1978), "Regression quantiles".
    """
    return torch.maximum(levels * error, (levels - 1) * error).mean(-1)
