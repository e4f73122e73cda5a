"""Whether a network has frames enough to write what it should, asked before it is trained."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from carousel.data.errors import DataError

LOSSES = ("ctc", "transducer")


class Infeasible(NamedTuple):
    """A sample that no alignment fits: its loss is infinite, and so are all sums that it takes part in."""

    sample: object
    """its name, or its number where there are no names"""
    frames: int
    """that the network answers for"""
    needed: int
    """that the labels need"""

    def __str__(self) -> str:
        return f"sample {self.sample}: {self.frames} frames, {self.needed} needed"


def frames_needed(labels: Sequence[int], loss: str = "ctc") -> int:
    """The least number of frames for these labels.

    CTC needs one frame a label and a blank between equal neighbours (Graves et al. 2006); a transducer emits any number
    of labels in one frame and needs only that.

    Raises ValueError for a loss of another name.
    """
    if loss not in LOSSES:
        raise ValueError(f"loss is {loss!r}; it can be {', '.join(LOSSES)}")
    if loss == "transducer":
        return 1
    return len(labels) + sum(first == second for first, second in pairwise(labels))


def frames_needed_by_each(labels: Tensor, counts: Tensor) -> Tensor:
    """`frames_needed` by CTC for each sample of a batch, (batch,), of labels (batch, longest), the first `counts`."""
    inside = torch.arange(1, max(1, labels.shape[1]), device=labels.device) < counts.unsqueeze(1)
    return counts + ((labels[:, 1:] == labels[:, :-1]) & inside).sum(1)


def infeasible(
    targets: Sequence[Sequence[int]],
    frames: Sequence[int],
    *,
    subsampling: int = 1,
    loss: str = "ctc",
    names: Sequence[object] | None = None,
) -> list[Infeasible]:
    """Every sample whose frames are fewer than its labels need.

    Args:
        targets: the labels of each sample.
        frames: how many each sample has before subsampling.
        subsampling: the network answers for every so many frames, the first among them: ceil(frames / subsampling).
        loss: "ctc" or "transducer".
        names: of the samples, for the list; numbers if None.

    Raises ValueError if lists differ in length or subsampling is not a positive whole number.
    """
    if subsampling < 1 or subsampling != int(subsampling):
        raise ValueError(f"subsampling is {subsampling!r}; it is a whole number of frames, 1 or more")
    if len(targets) != len(frames) or (names is not None and len(names) != len(frames)):
        raise ValueError(
            f"there are {len(targets)} targets and {len(frames)} numbers of frames; give one of each a sample"
        )
    found = []
    for at, (labels, count) in enumerate(zip(targets, frames, strict=True)):
        left, needed = -(-int(count) // int(subsampling)), frames_needed(labels, loss)
        if left < needed:
            found.append(Infeasible(at if names is None else names[at], left, needed))
    return found


def check_feasible(
    targets: Sequence[Sequence[int]],
    frames: Sequence[int],
    *,
    subsampling: int = 1,
    loss: str = "ctc",
    names: Sequence[object] | None = None,
) -> None:
    """Raise DataError that lists all samples that are `infeasible`, if there are any; the arguments are the same."""
    found = infeasible(targets, frames, subsampling=subsampling, loss=loss, names=names)
    if found:
        raise DataError(
            f"{len(found)} sample{'s have' if len(found) > 1 else ' has'} fewer frames than labels and repeats need; "
            "subsample less, mend the texts, or leave these out:\n" + "\n".join(map(str, found))
        )
