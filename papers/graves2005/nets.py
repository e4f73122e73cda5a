"""The networks of the paper as labelers: LSTM, plain recurrent nets, and perceptrons on a window of frames."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from carousel import LSTM, Cell, Gate, Open, SequenceLabeler
from carousel.data import Batch
from carousel.tasks.objectives import CrossEntropy

ELMAN = Cell(Open(), Gate(recurrent=None), Gate("tanh"), Open(), squash="identity", source="elman1990")
"""h_t = f c_{t-1} + tanh(W x_t + R h_{t-1} + b), a plain recurrent net (Elman 1990) where the forget gate f is shut."""
SHUT = -1e4


class Framewise(nn.Module):
    """Features of each frame, made by a body, and a linear layer to the classes (a `training.Model`)."""

    def __init__(self, body: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.body, self.head, self.objective = body, nn.Linear(width, classes), CrossEntropy()

    def forward(self, batch: Batch) -> Tensor:
        """Answers (time, batch, classes)."""
        return self.head(self.body(batch.inputs, batch.lengths))

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Mean cross-entropy over all frames."""
        return self.objective(output, batch)


def elman(lstm: LSTM) -> LSTM:
    """A layer of the row ELMAN as a plain recurrent one: the bias of its forget gates shuts them, exactly and for ever.

    A shut gate is 0 and so is its slope: nothing that leads to it changes while the net learns.
    """
    first = ELMAN.learned.index("forget") * lstm.hidden_size
    with torch.no_grad():
        for name, weight in lstm.named_parameters():
            weight[first : first + lstm.hidden_size] = SHUT if "bias_ih" in name else 0.0
    return lstm


class Window(nn.Module):
    """A hidden layer of tanh units that sees some frames on either side; 0 beyond the ends."""

    def __init__(self, inputs: int, hidden: int, window: int) -> None:
        super().__init__()
        self.layer = nn.Conv1d(inputs, hidden, 2 * window + 1, padding=window)

    def forward(self, inputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Outputs (time, batch, hidden)."""
        return torch.tanh(self.layer(inputs.permute(1, 2, 0)).permute(2, 0, 1))


@dataclass(kw_only=True, eq=False, repr=False)
class ElmanLabeler(SequenceLabeler):
    """A labeler with a plain recurrent net, run by carousel's kernels."""

    def _lstm(self, input_size: int) -> LSTM:
        return elman(super()._lstm(input_size))


@dataclass(kw_only=True, eq=False, repr=False)
class WindowLabeler(SequenceLabeler):
    """A labeler with a perceptron on a window of frames; `num_layers` is not used."""

    window: int = 10

    def _network(self) -> Any:
        return Framewise(Window(self.channels_, self.hidden_size, self.window), self.hidden_size, len(self.classes_))


def labeler(net: str, settings: dict[str, Any], seed: int) -> SequenceLabeler:
    """The net of that name, untrained."""
    kind = {"mlp": "mlp", "frame": "mlp"}.get(net, net.removesuffix("_delay"))
    options: dict[str, Any] = {
        **settings[kind],
        "max_epochs": settings["epochs"],
        "batch_size": settings["batch_size"],
        "buckets": 4,
        "dropout": 0.0,
        "validation_fraction": 0,
        "random_state": seed,
        "bidirectional": net in ("blstm", "brnn"),
        "delay": settings[net] if net.endswith("_delay") else 0,
    }
    if kind == "mlp":
        return WindowLabeler(**options, window=settings["window"] if net == "mlp" else 0)
    if "rnn" in kind:
        return ElmanLabeler(**options, cell=ELMAN)
    return SequenceLabeler(**options, cell="peephole")


def weights(network: nn.Module) -> int:
    """How many weights learn: without those of gates that are shut."""
    found = sum(weight.numel() for weight in network.parameters())
    lstm = getattr(network, "lstm", None)
    if lstm is None or lstm.cell != ELMAN:
        return found
    rows = lstm.hidden_size * (2 if lstm.bidirectional else 1)
    return found - rows * (lstm.input_size + 2)
