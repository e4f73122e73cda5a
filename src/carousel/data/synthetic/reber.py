"""The embedded Reber grammar, of which every benchmark of recurrent nets before 1997 was made."""

import torch
from torch import Tensor

from carousel.data.synthetic.strings import Strings, foretold

SYMBOLS = "BTPSXVE"
INNER = {
    0: {"T": 1, "P": 2},
    1: {"S": 1, "X": 3},
    2: {"T": 2, "V": 4},
    3: {"X": 2, "S": 5},
    4: {"P": 3, "V": 5},
}
"""Where each symbol leads inside; both ways out of a state are as likely. At 5 the inner string ends with E."""
END = 5


def embedded_reber(count: int, generator: torch.Generator) -> Strings:
    """`count` strings B, T or P, a Reber string, the same T or P, E; the next symbol is foretold at each step.

    `legal` says which may come next: two at a fork, one elsewhere. Symbols are numbered as in `SYMBOLS`.
    Source: Hochreiter & Schmidhuber 1997, experiment 1; the task is Smith & Zipser's 1989 and Cleeremans et al.'s.
    """
    drawn = [_string(generator) for _ in range(count)]
    lengths = torch.tensor([len(text) for text, _ in drawn])
    symbols = torch.tensor([SYMBOLS.index(symbol) for text, _ in drawn for symbol in text])
    found = foretold(symbols, lengths, len(SYMBOLS))
    legal = torch.tensor([[symbol in may for symbol in SYMBOLS] for _, ways in drawn for may in ways])
    return Strings(found.inputs, found.targets, found.begins, found.ends, found.observed, legal.unsqueeze(1))


def _string(generator: torch.Generator) -> tuple[str, list[str]]:
    """A string, and after each of its symbols but the last those that may come."""
    outer, state = "TP"[_coin(generator)], 0
    text, ways = f"B{outer}B", ["TP", "B"]
    while state != END:
        may = "".join(INNER[state])
        symbol = may[_coin(generator)]
        text, state = text + symbol, INNER[state][symbol]
        ways.append(may)
    return f"{text}E{outer}E", [*ways, "E", outer, "E"]


def _coin(generator: torch.Generator) -> int:
    return int(torch.randint(0, 2, (), generator=generator))


def ranked(strings: Strings, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Which strings are right by the strict and by the easier criterion, two of booleans (strings, nets).

    Strict: at every step each legal symbol's output is above each other one's. Easier: the most active output is legal.
    """
    assert strings.legal is not None
    legal = strings.legal
    least = outputs.masked_fill(~legal, torch.inf).amin(2)
    most, other = outputs.masked_fill(~legal, -torch.inf).amax(2), outputs.masked_fill(legal, -torch.inf).amax(2)
    wrong = [(~(above > other)).to(outputs.dtype) for above in (least, most)]
    return strings.worst(wrong[0]) == 0, strings.worst(wrong[1]) == 0
