"""What a window of scaled values shows: its gaps filled, its own level and scale."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from carousel.tasks.forecasting.network import Layout

LEAST_SCALE = 1e-4
"""The smallest scale of a window, as a part of the series' own: a constant window is not blown up."""


def filled(inputs: Tensor, layout: "Layout") -> Tensor:
    """The targets (context, batch, targets) of a window's inputs, each gap filled with the last value before it."""
    values = inputs[..., : layout.targets]
    if not layout.flagged:
        return values
    start = layout.targets + layout.past + layout.future
    return fill_forward(values, inputs[..., start : start + layout.targets] > 0)


def fill_forward(values: Tensor, observed: Tensor) -> Tensor:
    """Each value that was not observed replaced by the last one before it; those before the first stay."""
    return values.gather(0, _last_seen(observed).clamp_min(0))


def _last_seen(observed: Tensor) -> Tensor:
    steps = torch.arange(len(observed), device=observed.device).view(-1, 1, 1)
    return torch.where(observed, steps, -1).cummax(0).values


def steps_since(values: Tensor, truth: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Values followed by the truth with its gaps filled, and log(1 + steps since a value was observed) of the truth."""
    seen = torch.cat([torch.ones_like(values, dtype=torch.bool), observed])
    whole = fill_forward(torch.cat([values, truth]), seen)
    steps = torch.arange(len(seen), device=seen.device).view(-1, 1, 1)
    return whole, torch.log1p((steps - _last_seen(seen))[len(values) :].to(values))


def window_scale(values: Tensor, window_scaled: bool) -> tuple[Tensor, Tensor]:
    """Level and scale (1, batch, targets) of each window: its mean and standard deviation, or 0 and 1.

    Kim et al. (2022), "Reversible instance normalization".
    """
    if not window_scaled:
        return torch.zeros_like(values[:1]), torch.ones_like(values[:1])
    return values.mean(0, keepdim=True), values.std(0, keepdim=True, correction=0).clamp_min(LEAST_SCALE)
