"""A source whose next symbol depends on the last one alone."""

import torch
from torch import Tensor


def markov_chain(transitions: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """Symbols int64 (length,) of a chain with these transition probabilities, float64 (symbols, symbols), row by row.

    The first symbol is drawn evenly. Raises ValueError where a row is no distribution.
    """
    square = transitions.dim() == 2 and transitions.shape[0] == transitions.shape[1]
    if not square or bool((transitions < 0).any()) or not torch.allclose(transitions.sum(1), transitions.new_ones(())):
        raise ValueError("transitions are a square of probabilities, each row adding up to 1")
    bounds = transitions.cumsum(1)[:, :-1].contiguous()
    symbol = int(torch.randint(0, len(transitions), (), generator=generator))
    drawn = torch.rand(length, dtype=torch.float64, generator=generator)
    after = torch.searchsorted(bounds, drawn.expand(len(bounds), -1).contiguous(), right=True).T.tolist()
    symbols = []
    for ways in after:
        symbols.append(symbol)
        symbol = ways[symbol]
    return torch.tensor(symbols, dtype=torch.int64)
