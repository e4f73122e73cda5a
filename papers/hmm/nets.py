"""Nets that foretell symbols: an LSTM or an Elman net with a readout, by backpropagation and Adam."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carousel import LSTM

Settings = dict[str, Any]


class Teller(nn.Module):
    """Scores of each answer at each step, from symbols (time, batch)."""

    def __init__(
        self, symbols: int, hidden: int, answers: int, *, seed: int, elman: bool = False, forget_bias: float = 1.0
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.symbols = symbols
        self.recurrent = nn.RNN(symbols, hidden) if elman else LSTM(symbols, hidden, forget_bias=forget_bias)
        self.readout = nn.Linear(hidden, answers)

    def forward(self, symbols: Tensor) -> Tensor:
        return self.readout(self.recurrent(F.one_hot(symbols, self.symbols).float())[0])


def bits(net: Teller, symbols: Tensor, wanted: Tensor) -> Tensor:
    """What it takes to tell what is wanted at each step (time, batch)."""
    return F.cross_entropy(net(symbols).movedim(2, 1), wanted, reduction="none") / torch.log(torch.tensor(2.0))


Batch = Callable[[], tuple[Tensor, Tensor, Tensor]]


def improve(net: Teller, batch: Batch, how: Settings, adam: torch.optim.Adam | None = None) -> None:
    """Updates on batches of symbols, wanted answers and where they count, each (time, batch)."""
    adam = adam or torch.optim.Adam(net.parameters(), lr=how["rate"])
    for _ in range(how["updates"]):
        symbols, wanted, counts = batch()
        adam.zero_grad()
        bits(net, symbols, wanted)[counts].mean().backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
