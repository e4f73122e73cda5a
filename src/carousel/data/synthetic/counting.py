"""Formal languages that ask for counting: strings, and at each step the letters that may come next."""

from dataclasses import dataclass

import torch
from torch import Tensor

from carousel.data.synthetic.strings import Strings, laid_out, marked

START, END = 0, 0
"""The symbol that begins a string, as it is read, and the one that ends it, as it is foretold."""


@dataclass(frozen=True)
class CountingLanguage:
    """Strings of blocks, each a letter some times over: block i is of `letters[i]`, and `counts[i]` says which number.

    A block of a number that no block before it had may go on or be over after each of its letters; in every other one
    the number says which. Numbers are 1 or more. Letters are the symbols from 1 on, in the order of their blocks.

    Raises ValueError for letters and counts that do not fit.
    Source: Gers & Schmidhuber 2001.
    """

    letters: str
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.letters) != len(self.counts) or not self.letters or len({*self.letters}) < len(self.letters):
            raise ValueError(
                f"letters are {self.letters!r} and counts {self.counts}; each block has a letter and a count"
            )
        if {*self.counts} != {*range(self.free)}:
            raise ValueError(f"counts are {self.counts}; they are numbered from 0 on, without a gap")

    @property
    def free(self) -> int:
        """How many numbers a string has."""
        return max(self.counts) + 1

    @property
    def symbols(self) -> int:
        """How many symbols there are: the letters, and one for start and end."""
        return len(self.letters) + 1

    @property
    def name(self) -> str:
        """As it is written: a^n b^n."""
        return " ".join(f"{letter}^{'nmkl'[count]}" for letter, count in zip(self.letters, self.counts, strict=True))

    def strings(self, numbers: Tensor) -> Strings:
        """The strings with these numbers, int64 (strings, free); `targets` is 1 for each symbol that may come next.

        A string is read from its START to its last letter. Raises ValueError for other shapes and numbers below 1.
        """
        if numbers.dim() != 2 or numbers.shape[1] != self.free or bool((numbers < 1).any()):
            raise ValueError(f"numbers have shape {tuple(numbers.shape)}; they are (strings, {self.free}), from 1 on")
        sizes = torch.cat([torch.ones_like(numbers[:, :1]), numbers[:, list(self.counts)]], dim=1)
        symbols = torch.arange(sizes.shape[1]).repeat(len(sizes)).repeat_interleave(sizes.flatten())
        first, last = laid_out(sizes.sum(1))
        time = len(symbols)
        legal = self._legal(symbols, marked(time, sizes.flatten().cumsum(0) - 1)[:, 0]).unsqueeze(1)
        observed = torch.ones(time, 1, dtype=torch.bool)
        ends = marked(time, last)
        return Strings(symbols.unsqueeze(1), legal.to(torch.float64), marked(time, first), ends, observed, legal)

    def all(self, most: int, least: int = 1) -> Tensor:
        """All numbers from `least` to `most`: int64 (strings, free)."""
        return torch.cartesian_prod(*[torch.arange(least, most + 1)] * self.free).reshape(-1, self.free)

    def _legal(self, symbols: Tensor, last: Tensor) -> Tensor:
        """Which symbols may come after each, given which are the last ones of their block: booleans (time, symbols)."""
        fresh = torch.tensor([False, *(count not in self.counts[:block] for block, count in enumerate(self.counts))])
        after = torch.tensor([*range(1, self.symbols), END])[symbols]
        legal = torch.zeros(len(symbols), self.symbols, dtype=torch.bool)
        goes_on, is_over = ~last | fresh[symbols], last | fresh[symbols]
        legal[goes_on, symbols[goes_on]] = True
        legal[is_over, after[is_over]] = True
        return legal


LANGUAGES = {
    "anbn": CountingLanguage("ab", (0, 0)),
    "anbmbman": CountingLanguage("abBA", (0, 1, 1, 0)),
    "anbncn": CountingLanguage("abc", (0, 0, 0)),
}
"""The languages of the paper by name."""


def accepted(strings: Strings, outputs: Tensor, threshold: float = 0.0) -> Tensor:
    """Which strings each net foretells at every step: booleans (strings, nets).

    Outputs (time, nets, symbols) above the threshold are those that it takes to be legal; all and no others must be.
    """
    assert strings.legal is not None
    wrong = ((outputs > threshold) != strings.legal).any(2).to(torch.int64)
    return wrong.new_zeros(strings.count, wrong.shape[1]).index_add_(0, strings.string_of, wrong) == 0
