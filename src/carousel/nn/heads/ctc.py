"""Connectionist temporal classification."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carousel.data.feasibility import frames_needed_by_each
from carousel.nn.heads.labels import InfeasibleError, check_reduction, reduce
from carousel.ops import ShapeError
from carousel.ops.labels import check_meant, checked_labels, whole_numbers, widened


class CTC(nn.Module):
    """A softmax over labels and blank at every frame, and the loss of all alignments (Graves et al. 2006).

    Args:
        features: of each frame.
        labels: outputs, the blank among them: `len(alphabet)`.
        blank: the label of the blank: `alphabet.blank`.
        infeasible: what to do with samples that have fewer frames than labels and repeats, whose loss is infinite:
            "raise" names them, "skip" leaves them out of loss and mean, and counts them in `skipped`.

    Raises ValueError for a blank that is no label.
    """

    def __init__(self, features: int, labels: int, *, blank: int = 0, infeasible: str = "raise") -> None:
        super().__init__()
        if not 0 <= blank < labels:
            raise ValueError(f"blank is {blank}, but there are {labels} labels")
        if infeasible not in ("raise", "skip"):
            raise ValueError(f"infeasible is {infeasible!r}; it can be 'raise' or 'skip'")
        self.output = nn.Linear(features, labels)
        self.blank, self.infeasible = blank, infeasible
        self.skipped = 0
        """How many samples were left out so far."""

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities (..., labels) of features (..., features)."""
        return F.log_softmax(self.output(x), dim=-1)

    def loss(
        self,
        log_probs: Tensor,
        labels: Tensor,
        lengths: Tensor | Sequence[int],
        counts: Tensor | Sequence[int],
        reduction: str = "mean",
    ) -> Tensor:
        """Minus the log-probability of each sample's labels: their mean over samples, their sum, or "none": (samples,).

        Args:
            log_probs: (time, batch, labels), as `forward` makes them.
            labels: (batch, longest), of which the first `counts` (batch,) are meant.
            lengths: (batch,) frames.

        Log-probabilities in half precision are widened.

        Raises InfeasibleError, naming samples by their place in the batch, unless they are to be skipped;
        ops.ShapeError if sizes disagree, samples are longer than log-probabilities, or what is meant is no label.
        """
        check_reduction(reduction)
        labels, counts = checked_labels(labels, counts)
        lengths = self._checked_lengths(log_probs, lengths, labels)
        check_meant(labels, counts, self.blank, self.output.out_features)
        fits = frames_needed_by_each(labels, counts) <= lengths
        if not bool(fits.all()):
            self._refuse(labels, lengths, counts, fits)
            log_probs, labels, lengths, counts = (
                log_probs[:, fits.to(log_probs.device)],
                labels[fits],
                lengths[fits],
                counts[fits],
            )
        if not len(labels):
            return reduce(log_probs.sum((0, 2)), reduction)
        return reduce(F.ctc_loss(widened(log_probs), labels, lengths, counts, self.blank, "none"), reduction)

    def _checked_lengths(self, log_probs: Tensor, given: Tensor | Sequence[int], labels: Tensor) -> Tensor:
        """How many frames each sample has. Raises ShapeError if log-probabilities have fewer, or another shape."""
        time, width = log_probs.shape[0] if log_probs.dim() else 0, self.output.out_features
        if log_probs.shape != (time, len(labels), width):
            raise ShapeError(
                f"log-probabilities are {tuple(log_probs.shape)}; give (time, {len(labels)}, {width}), one for each of "
                f"{len(labels)} samples of labels and of {width} labels with the blank"
            )
        lengths = whole_numbers("lengths", given, labels)
        if bool((lengths > time).any()):
            raise ShapeError(f"lengths are {lengths.tolist()}, but there are {time} frames; give {time} at most")
        return lengths

    def _refuse(self, labels: Tensor, lengths: Tensor, counts: Tensor, fits: Tensor) -> None:
        """Name or count the samples that do not fit."""
        if self.infeasible == "skip":
            self.skipped += int((~fits).sum())
            return
        needed = frames_needed_by_each(labels, counts)
        listed = [
            f"{at}: {int(lengths[at])} frames, {int(needed[at])} needed"
            for at in torch.nonzero(~fits).flatten().tolist()
        ]
        raise InfeasibleError(
            f"samples of the batch have fewer frames than labels and repeats need ({'; '.join(listed)}); find them "
            "before training by carousel.data.check_feasible, or pass infeasible='skip'"
        )
