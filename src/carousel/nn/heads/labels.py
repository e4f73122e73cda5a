"""Labels of a batch as tensors, and which of its samples have an alignment."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carousel.ops.labels import whole_numbers

REDUCTIONS = ("mean", "sum", "none")


class InfeasibleError(ValueError):
    """Samples have fewer frames than their labels need: no alignment exists, and the loss is infinite."""


def pad_labels(targets: Sequence[Sequence[int]], device: torch.device | str | None = None) -> tuple[Tensor, Tensor]:
    """Labels (batch, longest), zeros behind the end of each, and how many each has, (batch,).

    Raises ops.ShapeError for labels that are no whole numbers.
    """
    counts = torch.tensor([len(labels) for labels in targets], dtype=torch.int64)
    padded = torch.zeros(len(targets), max(map(len, targets), default=0), dtype=torch.int64)
    for row, labels in zip(padded, targets, strict=True):
        row[: len(labels)] = whole_numbers("labels", labels, row[: len(labels)])
    return padded.to(device), counts.to(device)


def reduce(losses: Tensor, reduction: str) -> Tensor:
    """Losses (samples,) as they are, their sum, or their mean; the mean of none is zero."""
    if reduction == "none":
        return losses
    return losses.sum() / (max(1, len(losses)) if reduction == "mean" else 1)


def check_reduction(reduction: str) -> None:
    """Raise ValueError for what is no reduction."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is {reduction!r}; it can be {', '.join(REDUCTIONS)}")
