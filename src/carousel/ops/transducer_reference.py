"""The loss of a transducer in plain torch, an anti-diagonal of the lattice at a time; gradients by autograd,
anywhere."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

NEVER = -1e30
"""A log-probability of nothing, finite so that its gradients are zero and not NaN."""


class Lattice(NamedTuple):
    """What is to be emitted: integers, of which those behind a sequence's `counts` are the blank."""

    labels: Tensor
    """(batch, longest)"""
    frames: Tensor
    """(batch,), each at least 1"""
    counts: Tensor
    """(batch,), labels that are meant"""
    blank: int

    def piece(self, start: int, stop: int) -> "Lattice":
        """The same for the frames from `start` to `stop` alone; sequences that have ended before have none there."""
        return self._replace(frames=(self.frames - start).clamp(0, stop - start))

    def places(self, time: int) -> Tensor:
        """Which places are part of a sequence: (batch, time, positions) booleans."""
        device, positions = self.labels.device, self.labels.shape[1] + 1
        in_time = torch.arange(time, device=device) < self.frames.unsqueeze(1)
        return in_time.unsqueeze(2) & (torch.arange(positions, device=device) <= self.counts.unsqueeze(1)).unsqueeze(1)


def emissions(scores: Tensor, lattice: Lattice, prediction: Tensor | None) -> tuple[Tensor, Tensor]:
    """Log-probabilities of blank (batch, time, positions) and label (batch, time, positions - 1)."""
    if prediction is not None:
        scores = scores.unsqueeze(2) + prediction.unsqueeze(1)
    probabilities = F.log_softmax(scores, dim=-1)
    places = lattice.places(scores.shape[1])
    index = lattice.labels[:, None, :, None].expand(-1, scores.shape[1], -1, 1)
    label = probabilities[:, :, :-1].gather(3, index).squeeze(3)
    return torch.where(places, probabilities[..., lattice.blank], 0), torch.where(places[:, :, 1:], label, 0)


def lattice_loss(blank: Tensor, label: Tensor, lattice: Lattice) -> Tensor:
    """Minus the log of the sum over all ways through the lattice, (batch,).

    alpha(t, u) = alpha(t - 1, u) blank(t - 1, u) + alpha(t, u - 1) label(t, u - 1), of which all with one t + u are
    known from those with one less.
    """
    batch, time, positions = blank.shape
    u = torch.arange(positions, device=blank.device)
    alpha = torch.where(u == 0, blank.new_zeros(batch, positions), NEVER)
    diagonals = [alpha]
    for n in range(1, time + positions - 1):
        waited = alpha + _diagonal(blank, n - 1)
        emitted = F.pad(alpha[:, :-1] + _diagonal(label, n - 1), (1, 0), value=NEVER)
        inside = (n - u >= 0) & (n - u < time)
        alpha = torch.where(inside, _log_add(waited, emitted), NEVER)
        diagonals.append(alpha)
    sequence, last = torch.arange(batch, device=blank.device), lattice.frames - 1
    ends = torch.stack(diagonals)[last + lattice.counts, sequence, lattice.counts]
    return -(ends + blank[sequence, last, lattice.counts])


def _log_add(a: Tensor, b: Tensor) -> Tensor:
    """log(exp a + exp b): as torch.logaddexp, whose second derivative is NaN for numbers far apart."""
    most, least = torch.where(a >= b, a, b), torch.where(a >= b, b, a)
    return most + F.softplus(least - most)


def _diagonal(values: Tensor, n: int) -> Tensor:
    """The values at (n - u, u) for every u, (batch, width); `NEVER` where that is no frame."""
    u = torch.arange(values.shape[2], device=values.device)
    inside = (n - u >= 0) & (n - u < values.shape[1])
    return torch.where(inside, values[:, (n - u).clamp(0, values.shape[1] - 1), u], NEVER)
