"""The loss of a transducer: minus the log-probability of the labels, summed over all ways to emit them over the frames.

Graves 2012, "Sequence transduction with recurrent neural networks": at frame t, after u labels, a network gives each
symbol a probability. The blank goes to the next frame, a label to the next position. All is done in logarithms.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from carousel.ops import transducer_reference
from carousel.ops.cpu import transducer as compiled
from carousel.ops.shapes import ShapeError
from carousel.ops.transducer_reference import Lattice


class Emissions(NamedTuple):
    """Log-probabilities at each place of the lattice, zero outside of a sequence."""

    blank: Tensor
    """(batch, time, positions) of going on to the next frame."""
    label: Tensor
    """(batch, time, positions - 1) of emitting the label that comes next."""


def lattice(labels: Tensor, frames: Tensor | Sequence[int], counts: Tensor | Sequence[int], blank: int = 0) -> Lattice:
    """Check what is to be emitted: labels (batch, longest) of which the first `counts` (batch,) are meant, `frames`.

    Raises ShapeError if sizes disagree, a sequence has no frame (it cannot end), or blank is among the labels.
    """
    device = labels.device
    frames, counts = (torch.as_tensor(each, dtype=torch.int64, device=device) for each in (frames, counts))
    if labels.dim() != 2 or labels.is_floating_point():
        raise ShapeError(f"labels are {tuple(labels.shape)}, {labels.dtype}; give integers (batch, labels)")
    for name, given in (("frames", frames), ("counts", counts)):
        if given.shape != labels.shape[:1]:
            raise ShapeError(
                f"{name} has shape {tuple(given.shape)}; give one number for each of {len(labels)} sequences"
            )
    if bool((frames < 1).any()):
        raise ShapeError(
            f"sequence {int(torch.argmax((frames < 1).int()))} has no frames; a transducer needs one to end at"
        )
    if bool(((counts < 0) | (counts > labels.shape[1])).any()):
        raise ShapeError(
            f"counts are {counts.tolist()}; they lie between 0 and {labels.shape[1]}, the width of the labels"
        )
    meant = torch.arange(labels.shape[1], device=device) < counts.unsqueeze(1)
    if bool((meant & (labels == blank)).any()):
        raise ShapeError(f"the blank, {blank}, is among the labels; it stands for none")
    return Lattice(torch.where(meant, labels, blank).to(torch.int64), frames, counts, blank)


def emissions(scores: Tensor, lattice: Lattice, prediction: Tensor | None = None) -> Emissions:
    """The log-probabilities of blank and label at every place of the lattice; all other symbols are only summed.

    Args:
        scores: any real numbers for (batch, time, positions, symbols), positions being one more than labels; or, with
            `prediction`, those of the transcription network, (batch, time, symbols).
        lattice: what is to be emitted; frames may end before or after these scores do.
        prediction: scores of the prediction network, (batch, positions, symbols), added at each place to those of the
            frame as in Graves 2012. No tensor of all places and symbols is made then.

    Scores in half precision are widened first. Raises ShapeError if sizes disagree or a label is no symbol.
    """
    _check(scores, lattice, prediction)
    if scores.dtype in (torch.bfloat16, torch.float16):
        scores, prediction = scores.float(), None if prediction is None else prediction.float()
    run = transducer_reference if compiled.refuses(scores, prediction) else compiled
    return Emissions(*run.emissions(scores, lattice, prediction))


def lattice_loss(emitted: Emissions, lattice: Lattice) -> Tensor:
    """Minus the log-probability of each sequence's labels, (batch,), from the log-probabilities at every place."""
    batch, time, positions = emitted.blank.shape
    if emitted.label.shape != (batch, time, positions - 1) or lattice.labels.shape != (batch, positions - 1):
        raise ShapeError(
            f"log-probabilities are {tuple(emitted.blank.shape)} and {tuple(emitted.label.shape)}, labels "
            f"{tuple(lattice.labels.shape)}; give (batch, time, labels + 1), (batch, time, labels), (batch, labels)"
        )
    if bool((lattice.frames > time).any()):
        raise ShapeError(f"frames are {lattice.frames.tolist()}, but there are {time} steps")
    run = transducer_reference if compiled.refuses(*emitted) else compiled
    return run.lattice_loss(emitted.blank, emitted.label, lattice)


def transducer_loss(
    scores: Tensor,
    labels: Tensor,
    frames: Tensor | Sequence[int],
    counts: Tensor | Sequence[int],
    *,
    prediction: Tensor | None = None,
    blank: int = 0,
) -> Tensor:
    """Minus the log-probability of each sequence's labels, (batch,), as `emissions` and `lattice_loss` define it."""
    places = lattice(labels, frames, counts, blank)
    return lattice_loss(emissions(scores, places, prediction), places)


def _check(scores: Tensor, lattice: Lattice, prediction: Tensor | None) -> None:
    batch, width = lattice.labels.shape
    if prediction is None:
        agree = scores.dim() == 4 and (scores.shape[0], scores.shape[2]) == (batch, width + 1)
    else:
        agree = scores.dim() == 3 and scores.shape[0] == batch
        agree = agree and prediction.shape == (batch, width + 1, scores.shape[2])
    if not agree:
        also = "" if prediction is None else f" and {tuple(prediction.shape)}"
        raise ShapeError(
            f"scores are {tuple(scores.shape)}{also}, labels {tuple(lattice.labels.shape)}; give (batch, time, labels "
            "+ 1, symbols), or (batch, time, symbols) and a prediction (batch, labels + 1, symbols)"
        )
    symbols = scores.shape[-1]
    if not 0 <= lattice.blank < symbols:
        raise ShapeError(f"blank is {lattice.blank}, but there are {symbols} symbols")
    if lattice.labels.numel() and not 0 <= int(lattice.labels.min()) <= int(lattice.labels.max()) < symbols:
        raise ShapeError(f"a label lies outside of 0 to {symbols - 1}: {lattice.labels.tolist()}")
