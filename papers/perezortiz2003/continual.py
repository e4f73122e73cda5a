"""The continual embedded Reber grammar: one endless stream of its strings, the next symbol to be foretold."""

from typing import NamedTuple

import torch
from torch import Tensor

from carousel.data.synthetic.reber import END, INNER, SYMBOLS


class Stream(NamedTuple):
    """Symbols int64 (time,), what comes after each, and what may: booleans (time, symbols)."""

    symbols: Tensor
    following: Tensor
    legal: Tensor


def stream(length: int, generator: torch.Generator) -> Stream:
    """A stream of strings without a mark between them, cut after `length` symbols."""
    text, ways, total = [], [], 0
    while total <= length:
        own, may = _string(torch.randint(2, (64,), generator=generator).tolist())
        text.append(own)
        ways += may
        total += len(own)
    numbers = torch.tensor([SYMBOLS.index(symbol) for symbol in "".join(text)[: length + 1]])
    legal = torch.tensor([[symbol in may for symbol in SYMBOLS] for may in ways[:length]])
    return Stream(numbers[:-1], numbers[1:], legal)


def _string(coins: list[int]) -> tuple[str, list[str]]:
    """One string, and after each symbol of it those that may come."""
    outer, state = "TP"[coins.pop()], 0
    text, ways = f"B{outer}B", ["TP", "B"]
    while state != END:
        may = "".join(INNER[state])
        symbol = may[coins.pop() if coins else 0]
        text, state = text + symbol, INNER[state][symbol]
        ways.append(may)
    return f"{text}E{outer}E", [*ways, "E", outer, "E", "B"]
