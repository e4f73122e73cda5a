"""What a loss of labels is given, checked and widened before it reads: its loops look labels up without asking."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carousel.ops.shapes import ShapeError


def checked_labels(labels: Tensor, counts: Tensor | Sequence[int]) -> tuple[Tensor, Tensor]:
    """Labels (batch, longest), of which the first `counts` (batch,) are meant, and these counts; int64 both.

    Raises ShapeError for sizes that disagree and for what are no whole numbers.
    """
    if labels.dim() != 2 or not _is_whole(labels):
        raise ShapeError(f"labels are {tuple(labels.shape)}, {labels.dtype}; give integers (batch, labels)")
    counts, width = whole_numbers("counts", counts, labels), labels.shape[1]
    if bool(((counts < 0) | (counts > width)).any()):
        raise ShapeError(f"counts are {counts.tolist()}; they lie between 0 and {width}, the width of the labels")
    return labels.to(torch.int64), counts


def whole_numbers(name: str, given: Tensor | Sequence[int], labels: Tensor) -> Tensor:
    """One whole number for each sequence of labels, (batch,) int64, in memory that nobody else changes.

    Raises ShapeError for other shapes and for what are no whole numbers.
    """
    numbers = torch.as_tensor(given, device=labels.device)
    if numbers.shape != labels.shape[:1]:
        raise ShapeError(
            f"{name} has shape {tuple(numbers.shape)}; give one number for each of {len(labels)} sequences"
        )
    if not _is_whole(numbers):
        raise ShapeError(f"{name} are {numbers.tolist()}, {numbers.dtype}; give whole numbers")
    return numbers.to(torch.int64, copy=True)


def are_meant(labels: Tensor, counts: Tensor) -> Tensor:
    """Which labels are meant, and do not only fill up, (batch, longest)."""
    return torch.arange(labels.shape[1], device=labels.device) < counts.unsqueeze(1)


def check_meant(labels: Tensor, counts: Tensor, blank: int, symbols: int | None = None) -> None:
    """Raise ShapeError, naming the first, where a label that is meant is the blank, or none of so many symbols."""
    wrong = labels == blank
    if symbols is not None:
        wrong = wrong | (labels < 0) | (labels >= symbols)
    wrong = wrong & are_meant(labels, counts)
    if not bool(wrong.any()):
        return
    sample, place = torch.nonzero(wrong)[0].tolist()
    label = int(labels[sample, place])
    if label == blank:
        raise ShapeError(f"sample {sample} has the blank, {blank}, among its labels, at {place}; it stands for none")
    last = (symbols or 0) - 1
    raise ShapeError(f"sample {sample} has label {label} at {place}; labels are 0 to {last} without the blank, {blank}")


def widened(scores: Tensor) -> Tensor:
    """Scores in half precision as float32, for a loss; any other as they are."""
    return scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores


def _is_whole(numbers: Tensor) -> bool:
    """Whether these are integers, of which none is a truth value; nothing is."""
    dtype = numbers.dtype
    return not numbers.numel() or not (dtype.is_floating_point or dtype.is_complex or dtype is torch.bool)
