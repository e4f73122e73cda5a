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
from carousel.ops.labels import are_meant, check_meant, checked_labels, whole_numbers, widened
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

    Raises ShapeError if sizes disagree, a sequence has no frame (it cannot end), blank is among the labels, or one of
    all these is no whole number.
    """
    labels, counts = checked_labels(labels, counts)
    frames = whole_numbers("frames", frames, labels)
    if bool((frames < 1).any()):
        raise ShapeError(
            f"sequence {int(torch.argmax((frames < 1).int()))} has no frames; a transducer needs one to end at"
        )
    check_meant(labels, counts, blank)
    return Lattice(torch.where(are_meant(labels, counts), labels, blank), frames, counts, blank)


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
    _check_device(lattice, scores, prediction)
    _check(scores, lattice, prediction)
    scores, prediction = widened(scores), None if prediction is None else widened(prediction)
    run = transducer_reference if compiled.refuses(scores, prediction) else compiled
    return Emissions(*run.emissions(scores, lattice, prediction))


def lattice_loss(emitted: Emissions, lattice: Lattice) -> Tensor:
    """Minus the log-probability of each sequence's labels, (batch,), from the log-probabilities at every place."""
    _check_device(lattice, *emitted)
    batch, time, positions = emitted.blank.shape
    if emitted.label.shape != (batch, time, positions - 1) or lattice.labels.shape != (batch, positions - 1):
        raise ShapeError(
            f"log-probabilities are {tuple(emitted.blank.shape)} and {tuple(emitted.label.shape)}, labels "
            f"{tuple(lattice.labels.shape)}; give (batch, time, labels + 1), (batch, time, labels), (batch, labels)"
        )
    if bool(((lattice.frames < 1) | (lattice.frames > time)).any()):
        raise ShapeError(f"frames are {lattice.frames.tolist()}, but there are {time} steps; give 1 to {time}")
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


def _check_device(lattice: Lattice, *given: Tensor | None) -> None:
    devices = [each.device for each in (lattice.labels, lattice.frames, lattice.counts, *given) if each is not None]
    if any(device != devices[0] for device in devices):
        raise ShapeError(f"labels are on {devices[0]}, what is said of them on {devices[-1]}; bring all to one device")


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
    check_meant(lattice.labels, lattice.counts, lattice.blank, symbols)
