"""The torch modules behind the estimators: an LSTM, a way to pool its outputs, and a linear head."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from carousel.data import Batch
from carousel.nn import LSTM, last_output
from carousel.tasks.objectives import Objective, differences, sharpness, told, wanted

POOLS = ("last", "mean", "max", "attention")


class Pool(nn.Module):
    """One vector a series from the LSTM's outputs (time, batch, width).

    "last" takes each direction's last output, "mean" and "max" go over the series' own steps, and "attention" is a
    mean whose weights are learned from the outputs.
    """

    def __init__(self, kind: str, width: int, bidirectional: bool) -> None:
        super().__init__()
        self.kind, self.bidirectional = kind, bidirectional
        self.score = nn.Linear(width, 1, bias=False) if kind == "attention" else None

    def forward(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Outputs (time, batch, width) and lengths (batch,) to (batch, width)."""
        if self.kind == "last":
            return last_output(outputs, lengths, bidirectional=self.bidirectional)
        inside = steps_inside(outputs, lengths)
        if self.kind == "max":
            return outputs.masked_fill(~inside, -torch.inf).amax(0)
        scores = outputs.new_zeros(inside.shape) if self.score is None else self.score(outputs)
        weights = scores.masked_fill(~inside, -torch.inf).softmax(0)
        return (weights * outputs).sum(0)

    def extra_repr(self) -> str:
        """Which pool it is."""
        return self.kind


def steps_inside(outputs: Tensor, lengths: Tensor | None) -> Tensor:
    """Which steps belong to a series: bool (time, batch, 1)."""
    time, batch = outputs.shape[:2]
    if lengths is None:
        return torch.ones(time, batch, 1, dtype=torch.bool, device=outputs.device)
    steps = torch.arange(time, device=outputs.device)
    return (steps[:, None] < lengths.to(outputs.device)).unsqueeze(-1)


class SequenceNetwork(nn.Module):
    """LSTM, pool and linear head, with the objective that training lowers (a `training.Model`).

    Without a pool there is an output at every step: (time, batch, outputs) instead of (batch, outputs).
    """

    def __init__(self, lstm: LSTM, outputs: int, objective: Objective, *, pool: str | None, dropout: float) -> None:
        super().__init__()
        width = output_width(lstm)
        self.lstm = lstm
        self.pool = None if pool is None else Pool(pool, width, lstm.bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.head: Any = nn.Linear(width, outputs)
        self.objective = objective

    def forward(self, batch: Batch) -> Tensor:
        """Outputs for a batch of inputs (time, batch, features)."""
        return self.head(self.dropout(self.features(batch)))

    def carry(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Outputs at each step of a piece of sequences, from the state after the piece before, and the state after.

        Raises ValueError for a network that pools its outputs or reads both directions.
        """
        check_forward(self.lstm)
        if self.pool is not None:
            raise ValueError("the network has one answer a series: no step can be answered before the end")
        outputs, state = self.lstm(batch.inputs, state, lengths=batch.lengths, reset=batch.reset)
        return self.head(self.dropout(outputs)), state

    def recent(self, batch: Batch, steps: int) -> Tensor:
        """Outputs as from `forward`, with a gradient through the last `steps` steps of each sequence alone."""
        outputs, _ = recent_outputs(self.lstm, batch.inputs, steps, batch.lengths)
        return self._answer(outputs, batch)

    def _answer(self, outputs: Tensor, batch: Batch) -> Tensor:
        if self.pool is not None:
            outputs = self.pool(outputs, batch.lengths)
        return self.head(self.dropout(outputs))

    @property
    def readout(self) -> nn.Module:
        """The last layer."""
        return self.head

    def take_readout(self, make: Callable[[int, int], nn.Module]) -> None:
        """Put another last layer in place, made for (width, outputs)."""
        self.head = make(self.head.in_features, self.head.out_features)

    def features(self, batch: Batch) -> Tensor:
        """What the last layer reads: (batch, width), or (time, batch, width) without a pool."""
        outputs, _ = self.lstm(batch.inputs, lengths=batch.lengths, reset=batch.reset)
        return outputs if self.pool is None else self.pool(outputs, batch.lengths)

    def wanted(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """What the last layer should say, and the weight of each row, for methods that solve it."""
        return wanted(self.objective, batch, self.head.out_features)

    def sharpness(self, output: Tensor, batch: Batch) -> Tensor:
        """The factor that makes logits of outputs fitted to zeros and ones; 1 for numbers."""
        return sharpness(self.objective, output, batch)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """The objective's mean over the batch."""
        return self.objective(output, batch)

    def errors(self, output: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Answers and wanted values, of one shape, for methods that learn from their differences."""
        return differences(self.objective, output, batch)

    def extra_repr(self) -> str:
        """What training lowers."""
        return f"objective={told(self.objective)}"


def check_forward(lstm: LSTM) -> None:
    """Raise ValueError for an LSTM that also reads from the end, which no piece of a sequence shows."""
    if lstm.bidirectional:
        raise ValueError(
            "what learns in pieces reads forward, piece by piece; use bidirectional=False, or another method"
        )


def recent_outputs(
    lstm: LSTM, inputs: Tensor, steps: int, lengths: Tensor | None = None
) -> tuple[Tensor, tuple[Any, ...]]:
    """Outputs and last state, with a gradient through the last `steps` steps of each sequence alone.

    What lies before is read without one, up to the same distance from each sequence's own end.
    """
    check_forward(lstm)
    time = len(inputs)
    if steps >= time:
        return lstm(inputs, lengths=lengths)
    if lengths is None:
        with torch.no_grad():
            before, state = lstm(inputs[: time - steps])
        last, state = lstm(inputs[time - steps :], state)
        return torch.cat([before, last]), state
    cut = (lengths.to(inputs.device) - steps).clamp_min(0)
    with torch.no_grad():
        before, state = lstm(inputs, lengths=cut)
    ahead = torch.arange(steps, device=inputs.device)[:, None]
    taken = (cut + ahead).clamp_max(time - 1)
    last, state = lstm(_at(inputs, taken), state, lengths=lengths.to(cut) - cut)
    places = torch.arange(time, device=inputs.device)[:, None] - cut
    inside = ((places >= 0) & (places < steps)).unsqueeze(-1)
    return torch.where(inside, _at(last, places.clamp(0, steps - 1)), before), state


def _at(values: Tensor, steps: Tensor) -> Tensor:
    """Values (time, batch, width) at these steps (steps, batch) of each sequence."""
    return values.gather(0, steps.unsqueeze(-1).expand(-1, -1, values.shape[2]))


def output_width(lstm: LSTM) -> int:
    """Features in an LSTM's output at one step."""
    width = lstm.proj_size or lstm.hidden_size
    width = width[-1] if isinstance(width, (list, tuple)) else width
    return width * (2 if lstm.bidirectional else 1)


def weighted_mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of losses, by weight where there are weights of the same shape."""
    if weights is None:
        return losses.mean()
    return (losses * weights).sum() / weights.sum().clamp_min(torch.finfo(losses.dtype).tiny)


def as_dtype(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The network in evaluation mode and in that dtype; the network itself where it is so already."""
    if all(weight.dtype == dtype for weight in network.parameters()):
        return network.eval()
    return copy.deepcopy(network).to(dtype).eval()
