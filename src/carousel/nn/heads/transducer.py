"""The recurrent transducer: prediction network, joint network and loss."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from carousel.nn.heads.labels import check_reduction, reduce
from carousel.nn.heads.prediction import Prediction, State, plain
from carousel.ops.transducer import Emissions, emissions, lattice, lattice_loss
from carousel.ops.transducer_reference import Lattice

AT_ONCE = 1 << 22
"""How many numbers of a joint network's layer are computed at once, if nobody says."""


class Compiled(NamedTuple):
    """A transducer as searches in compiled code ask it."""

    networks: Any
    """a capsule with `carousel::Networks` of ops/cpu/networks.h"""
    labels: int
    """how many there are, with the blank"""
    blank: int
    frames: Callable[[Tensor], Tensor]
    """what the joint network adds of each frame, of frames (..., features)"""


class Transducer(nn.Module):
    """What a transcription network's frames and a prediction network's labels say together (Graves 2012; Graves et
    al. 2013).

    Args:
        features: of each frame of the transcription network, such as both directions of an LSTM.
        prediction: the network over labels, new or trained before by `NextLabel`.
        hidden: units of the joint network, y = W tanh(W_l l_t + W_p p_u + b) (2013); None adds the scores of both
            networks, y = W_l l_t + W_p p_u + b (2012), which costs far less.
        frames_at_once: the joint network is computed for so many frames at a time, and once more on the way back, so
            that memory holds the layers of those alone; None takes as many as fit into 4 million numbers, 0 all.

    Raises ValueError or TypeError for arguments that are none of these.

    Decoders take it as it is: `predict` and `join`, or `compiled`.
    """

    def __init__(
        self, features: int, prediction: Prediction, hidden: int | None = None, frames_at_once: int | None = None
    ) -> None:
        super().__init__()
        if not isinstance(prediction, Prediction):
            raise TypeError(f"prediction is {prediction!r}; give a Prediction, the network over labels")
        if frames_at_once is not None and frames_at_once < 0:
            raise ValueError(f"frames_at_once is {frames_at_once}; give 1 or more, 0 for all, or None")
        width = prediction.labels if hidden is None else hidden
        self.prediction, self.frames_at_once = prediction, frames_at_once
        self.of_frame = nn.Linear(features, width)
        self.of_labels = nn.Linear(prediction.features, width, bias=False)
        self.output = None if hidden is None else nn.Linear(hidden, prediction.labels)

    @property
    def takes(self) -> tuple[int, torch.dtype]:
        """The features of a frame, and their dtype."""
        return self.of_frame.in_features, self.of_frame.weight.dtype

    def loss(
        self,
        x: Tensor,
        labels: Tensor,
        lengths: Tensor | Sequence[int],
        counts: Tensor | Sequence[int],
        reduction: str = "mean",
    ) -> Tensor:
        """Minus the log-probability of each sample's labels: their mean over samples, their sum, or "none": (samples,).

        Args:
            x: what the transcription network says, (time, batch, features).
            labels: (batch, longest), of which the first `counts` (batch,) are meant.
            lengths: (batch,) frames, each at least 1.
        """
        check_reduction(reduction)
        places = lattice(labels, lengths, counts, self.prediction.blank)
        frames = self.of_frame(x.transpose(0, 1))
        said = self.of_labels(self.prediction(places.labels))
        emit = self._in_pieces if self.output is not None else self._at_once
        return reduce(lattice_loss(emit(frames, said, places), places), reduction)

    def predict(self, label: Tensor | None, state: State | None) -> tuple[Tensor, State]:
        """What the prediction network says after one label more, (1, features), and its state; None and None begin."""
        return self.prediction.step(label, state)

    def join(self, frame: Tensor, prediction: Tensor) -> Tensor:
        """Log-probabilities (hypotheses, labels) of a frame (features,) and predictions (hypotheses, features)."""
        return F.log_softmax(self._scores(self.of_frame(frame), self.of_labels(prediction)), dim=-1)

    def compiled(self) -> Compiled | None:
        """What a search in compiled code asks in place of `predict` and `join`, with the weights as they are now.

        None where it has to ask these: for another device or dtype, a subclass, hooks or parametrized weights.
        """
        layers = [self.of_frame, self.of_labels, *([] if self.output is None else [self.output])]
        if type(self) is not Transducer or not all(type(each) is nn.Linear and plain(each) for each in layers):
            return None
        output, bias = (None, None) if self.output is None else (self.output.weight, self.output.bias)
        networks = self.prediction.networks((self.of_labels.weight, output, bias))
        if networks is None:
            return None
        weight, bias = self.of_frame.weight.detach(), self.of_frame.bias.detach()
        frames = partial(F.linear, weight=weight, bias=bias)
        return Compiled(networks, self.prediction.labels, self.prediction.blank, frames)

    def _scores(self, frame: Tensor, said: Tensor) -> Tensor:
        return frame + said if self.output is None else self.output(torch.tanh(frame + said))

    @staticmethod
    def _at_once(frames: Tensor, said: Tensor, places: Lattice) -> Emissions:
        """The log-probabilities at all places, of which each has the sum of two scores."""
        return emissions(frames, places, said)

    def _in_pieces(self, frames: Tensor, said: Tensor, places: Lattice) -> Emissions:
        """The log-probabilities at all places, some frames at a time."""
        time = frames.shape[1]
        step = time if self.frames_at_once == 0 else self.frames_at_once or self._fitting(frames, said)
        found = []
        for start in range(0, time, max(1, step)):
            stop = min(time, start + step)
            piece = partial(self._piece, places=places.piece(start, stop))
            again = step < time and torch.is_grad_enabled()
            run = partial(checkpoint, piece, use_reentrant=False, preserve_rng_state=False) if again else piece
            found.append(run(frames[:, start:stop], said))
        return Emissions(*(torch.cat(parts, dim=1) for parts in zip(*found, strict=True)))

    def _piece(self, frames: Tensor, said: Tensor, places: Lattice) -> Emissions:
        return emissions(self._scores(frames.unsqueeze(2), said.unsqueeze(1)), places)

    def _fitting(self, frames: Tensor, said: Tensor) -> int:
        a_frame = len(frames) * said.shape[1] * max(said.shape[2], self.prediction.labels)
        return max(1, AT_ONCE // max(1, a_frame))
