"""The transducer as a transcriber's head: its options, its network, and how it is read off."""

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from carousel.cells import Cell
from carousel.data import IGNORED_LABEL, Alphabet, Batch
from carousel.decoding import TransducerBeam, TransducerGreedy
from carousel.nn import LSTM, Prediction, Transducer
from carousel.tasks.network import as_dtype, check_forward, output_width

HEADS = ("ctc", "transducer")


@dataclass(frozen=True, kw_only=True)
class TransducerOptions:
    """What a transducer has beside the LSTM that reads frames (Graves 2012; Graves et al. 2013).

    hidden, layers: cells and layers of the prediction network, the LSTM that reads labels; None takes the estimator's.
    joint: units of the joint network of 2013; None adds the scores of both networks, as in 2012, which costs far less.
    prediction_epochs: passes over the texts in which the prediction network learns the next label before all else.

    Raises ValueError for options outside their range.
    """

    hidden: int | None = None
    layers: int = 1
    joint: int | None = None
    prediction_epochs: int = 0

    def __post_init__(self) -> None:
        for name, least in (("hidden", 1), ("layers", 1), ("joint", 1), ("prediction_epochs", 0)):
            value = getattr(self, name)
            empty = value is None and name in ("hidden", "joint")
            if not empty and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise ValueError(f"{name} of a transducer is {value!r}; it is a whole number, {least} or more")


def transducer_options(head: str, given: dict[str, Any] | None) -> TransducerOptions:
    """The options of a transducer. Raises TypeError for one that it does not have, and for any where there is none."""
    known = [field.name for field in fields(TransducerOptions)] if head == "transducer" else []
    if unknown := [name for name in given or {} if name not in known]:
        has = f"it has {', '.join(known)}" if known else "head_options are for head='transducer'"
        raise TypeError(f"head={head!r} has no option {unknown[0]!r}; {has}")
    return TransducerOptions(**(given or {}))


def text_loss(head: Any, output: Tensor, batch: Batch) -> Tensor:
    """A head's loss of what a network says (time, batch, …) and the texts of its batch, (batch, longest), filled up."""
    assert batch.target is not None
    filling = batch.target == IGNORED_LABEL
    time, samples = output.shape[:2]
    lengths = torch.full((samples,), time) if batch.lengths is None else batch.lengths
    return head.loss(output, batch.target.masked_fill(filling, 0), lengths, (~filling).sum(1))


class TransducerNetwork(nn.Module):
    """An LSTM stack over frames, and a transducer that reads it (a `training.Model`)."""

    def __init__(
        self, lstm: LSTM, alphabet: Alphabet, options: TransducerOptions, *, cell: str | Cell, dropout: float
    ) -> None:
        super().__init__()
        self.lstm = lstm
        self.dropout = nn.Dropout(dropout)
        hidden = options.hidden or int(lstm.hidden_size)
        prediction = Prediction(len(alphabet), hidden, layers=options.layers, cell=cell, blank=alphabet.blank)
        self.head = Transducer(output_width(lstm), prediction, options.joint)

    def forward(self, batch: Batch) -> Tensor:
        """What the LSTM says of inputs (time, batch, features), (time, batch, width); the head knows more labels."""
        outputs, _ = self.lstm(batch.inputs, lengths=batch.lengths)
        return self.dropout(outputs)

    def carry(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """What the LSTM says of a piece of sequences, from the state after the piece before, and the state after it."""
        check_forward(self.lstm)
        outputs, state = self.lstm(batch.inputs, state)
        return self.dropout(outputs), state

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Minus the log-probability of the texts, a mean over samples."""
        return text_loss(self.head, output, batch)


def transducer_decoder(
    network: Any, alphabet: Alphabet, options: dict[str, Any] | None
) -> TransducerGreedy | TransducerBeam:
    """How a transducer's network, or None as yet, is read off: greedily, or with options by its beam search.

    Raises DecodingError or TypeError for options that the search does not take.
    """
    head: Any = None if network is None else as_dtype(network.head, torch.float64).cpu()
    return TransducerGreedy(head, alphabet) if options is None else TransducerBeam(head, alphabet, **options)
