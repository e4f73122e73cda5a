"""A small problem for the loop: the sum of a sequence, learned by an LSTM with dropout."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from carousel.data import Batch, Batches, SequenceBatches, Sequences, as_sequences
from carousel.nn import LSTM, FeedbackLSTM
from carousel.training import BPTT, METHODS, Method, Plan, Report, fit

LENGTHS = (23, 9, 14, 5, 17)


class Summer(nn.Module):
    """Reads a sequence and tells its sum."""

    def __init__(self, dropout: float = 0.0, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 5, num_layers=2, dropout=dropout, dtype=dtype)
        self.readout = nn.Linear(5, 1, dtype=dtype)

    def forward(self, batch: Batch) -> Tensor:
        return self.readout(self.lstm(batch.inputs)[0][-1])[:, 0]

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        assert batch.target is not None
        return nn.functional.mse_loss(output, batch.target)


class OurSummer(Summer):
    """The same with layers of ours."""

    def __init__(self) -> None:
        super().__init__(dropout=0.3)
        self.lstm = LSTM(2, 5, num_layers=2, dropout=0.3)  # type: ignore[assignment]


def summer(dropout: float = 0.0, dtype: torch.dtype = torch.float32) -> Summer:
    torch.manual_seed(1)
    return Summer(dropout, dtype)


def batches(count: int = 22, batch_size: int = 4, seed: int = 0, *, shuffle: bool = True) -> SequenceBatches:
    inputs = np.random.default_rng(seed).normal(size=(count, 6, 2))
    return SequenceBatches(
        inputs.astype(np.float32), inputs.sum((1, 2)), batch_size=batch_size, seed=seed, shuffle=shuffle
    )


def train(model: Summer, plan: Plan, method: Method | None = None, *, validate: bool = False) -> Report:
    """Train to the end; the last report."""
    validation = batches(9, seed=1, shuffle=False) if validate else None
    return list(fit(model, batches(), method or BPTT(learning_rate=0.02), plan, validation=validation))[-1]


def weights(model: nn.Module) -> dict[str, bytes]:
    """The bits of all weights."""
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def timeless(history: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """A history without the seconds."""
    return [{key: value for key, value in record.items() if key != "seconds"} for record in history]


class Tracker(nn.Module):
    """An answer at every step, whose errors are averaged over the observed ones."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.lstm = LSTM(2, 4, dtype=dtype)
        self.line = nn.Linear(4, 1, dtype=dtype)

    def forward(self, batch: Batch) -> Tensor:
        return self.carry(batch, None)[0]

    def carry(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        outputs, state = self.lstm(batch.inputs, state, lengths=batch.lengths, reset=batch.reset)
        return self.line(outputs)[..., 0], state

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        assert batch.target is not None
        return (output - batch.target)[batch.mask].square().mean()


def tracker(dtype: torch.dtype = torch.float64) -> Tracker:
    torch.manual_seed(3)
    return Tracker(dtype)


def material(lengths: tuple[int, ...] = LENGTHS) -> tuple[Sequences, list[Any]]:
    """Sequences, and the running sum of each."""
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(length, 2)) for length in lengths]
    return as_sequences(inputs, dtype=np.float64), [np.tanh(values.cumsum(0).sum(1)) for values in inputs]


class Waves(Batches):
    """One batch: two superimposed sines, a few phases of them."""

    def __init__(self, steps: int = 60) -> None:
        time = torch.arange(steps, dtype=torch.float64).view(-1, 1, 1) + torch.tensor([0.0, 40, 90]).view(1, -1, 1)
        wave = (0.2 * time).sin() + (0.311 * time).sin()
        self.batch = Batch(inputs=wave[..., :0], indices=torch.arange(3), target=wave)

    def __len__(self) -> int:
        return 1

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        del number
        yield from [self.batch][start:]


def dreamer(**options: Any) -> FeedbackLSTM:
    torch.manual_seed(0)
    return FeedbackLSTM(0, 5, 1, washout=20, backprojection=0.01, dtype=torch.float64, **options)


class Scripted(Method, name="scripted"):
    """Sets all weights to the number of the update, and tells a loss; `at` may raise or break something."""

    def __init__(self, at: Callable[[int], float] = float) -> None:
        self.at, self.done = at, 0

    def prepare(self, model: Any, batches: int, epochs: int) -> None:
        self.done = 0

    def update(self, model: Any, batch: Batch) -> float:
        loss = self.at(self.done + 1)
        self.done += 1
        with torch.no_grad():
            for _, parameter in model.named_parameters():
                parameter.fill_(self.done)
        return loss

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {"done": self.done}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        self.done = values["done"]

    def options(self) -> dict[str, Any]:
        return {}


del METHODS["scripted"]
