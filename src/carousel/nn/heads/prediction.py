"""The prediction network of a transducer, and its training before the transducer's."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carousel.cells import Cell
from carousel.nn.heads.labels import check_reduction, reduce
from carousel.nn.stack import LSTM
from carousel.ops.labels import are_meant, check_meant, checked_labels

State = tuple[Tensor, ...]


class Prediction(nn.Module):
    """What labels say of the next one: an LSTM over labels as one-hot vectors, after a vector of zeros (Graves 2012).

    Args:
        labels: the blank among them, which is never an input.
        hidden: cells a layer; 250 in Graves et al. 2013.
        layers, cell: as in `carousel.LSTM`.
        blank: the label of the blank.
    """

    def __init__(
        self, labels: int, hidden: int, *, layers: int = 1, cell: str | Cell = "peephole", blank: int = 0
    ) -> None:
        super().__init__()
        if not 0 <= blank < labels or labels < 2:
            raise ValueError(
                f"there are {labels} labels and the blank is {blank}; give two labels or more, the blank among them"
            )
        self.labels, self.blank = labels, blank
        self.lstm = LSTM(labels - 1, hidden, layers, cell=cell)

    @property
    def features(self) -> int:
        """Of what it says after each label."""
        return int(self.lstm.hidden_size)

    def forward(self, labels: Tensor) -> Tensor:
        """What it says before, between and after labels (batch, longest): (batch, longest + 1, features)."""
        inputs = F.pad(self._one_hot(labels), (0, 0, 1, 0))
        output, _ = self.lstm(inputs.transpose(0, 1))
        return output.transpose(0, 1)

    def step(self, label: Tensor | None, state: State | None) -> tuple[Tensor, State]:
        """What it says after one label more (batch,), (batch, features), and its state; None and None begin."""
        if label is None:
            inputs = next(self.parameters()).new_zeros(1, 1, self.labels - 1)
        else:
            inputs = self._one_hot(label.to(next(self.parameters()).device)).unsqueeze(0)
        output, after = self.lstm(inputs, state)
        return output[0], after

    def networks(self, joint: tuple[Tensor, Tensor | None, Tensor | None]) -> Any:
        """This network and a joint one above it for searches in compiled code; None where they have to ask `step`."""
        stream, is_plain = self.lstm._stream, all(map(plain, (self, self.lstm)))
        if stream is None or not is_plain or type(self) is not Prediction or type(self.lstm) is not LSTM:
            return None
        return stream.networks(self.lstm._parameters, joint, self.blank)

    def _one_hot(self, labels: Tensor) -> Tensor:
        """(..., labels - 1); zeros for the blank, which stands behind the ends of labels."""
        symbols = torch.arange(self.labels, device=labels.device)
        symbols = symbols[symbols != self.blank]
        return (labels.unsqueeze(-1) == symbols).to(next(self.parameters()).dtype)


def plain(module: nn.Module) -> bool:
    """Whether nobody looks at a module's calls, or changes them."""
    return not (module._forward_hooks or module._forward_pre_hooks)


class NextLabel(nn.Module):
    """A softmax over the next label on a prediction network, to train that alone before it joins a transducer.

    Graves et al. 2013 begin the transducer so: the transcription network from one trained with CTC, the prediction
    network from one trained to predict the next label. Their output layers are thrown away. The end counts as a blank.
    """

    def __init__(self, prediction: Prediction) -> None:
        super().__init__()
        self.prediction = prediction
        self.output = nn.Linear(prediction.features, prediction.labels)

    def forward(self, labels: Tensor) -> Tensor:
        """Log-probabilities of what comes next, (batch, longest + 1, labels)."""
        return F.log_softmax(self.output(self.prediction(labels)), dim=-1)

    def loss(self, labels: Tensor, counts: Tensor | Sequence[int], reduction: str = "mean") -> Tensor:
        """Minus the log-probability of labels (batch, longest), the first `counts` of them meant, and of their end.

        Raises ops.ShapeError if sizes disagree, or what is meant is no label.
        """
        check_reduction(reduction)
        labels, counts = checked_labels(labels, counts)
        check_meant(labels, counts, self.prediction.blank, self.prediction.labels)
        meant = are_meant(labels, counts)
        targets = F.pad(torch.where(meant, labels, self.prediction.blank), (0, 1), value=self.prediction.blank)
        costs = -self(labels).gather(2, targets.unsqueeze(2)).squeeze(2)
        return reduce((costs * F.pad(meant, (1, 0), value=True)).sum(1), reduction)
