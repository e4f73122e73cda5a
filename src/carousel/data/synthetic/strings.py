"""Strings one after another in one stream, with their targets, as online learners read them; in rows for a batch."""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence


@dataclass(frozen=True)
class Strings:
    """Strings one after another; `time` counts the steps of all of them.

    `inputs` are int64 symbols (time, 1), or float64 numbers (time, 1, inputs); `targets` float64 (time, 1, outputs), of
    which those at steps that are `observed` count; `begins`, `ends` and `observed` booleans (time, 1). `legal`, where a
    task has it, says which outputs may come next (time, 1, outputs).
    """

    inputs: Tensor
    targets: Tensor
    begins: Tensor
    ends: Tensor
    observed: Tensor
    legal: Tensor | None = None

    @cached_property
    def first(self) -> Tensor:
        """The first step of each string (strings,)."""
        return self.begins[:, 0].nonzero()[:, 0]

    @cached_property
    def last(self) -> Tensor:
        """The last step of each string (strings,)."""
        return self.ends[:, 0].nonzero()[:, 0]

    @property
    def count(self) -> int:
        """How many strings there are."""
        return len(self.first)

    @property
    def lengths(self) -> Tensor:
        """Steps of each string (strings,)."""
        return self.last - self.first + 1

    @cached_property
    def string_of(self) -> Tensor:
        """Which string each step belongs to (time,)."""
        return self.begins[:, 0].cumsum(0) - 1

    def chosen(self, order: Tensor) -> "Strings":
        """The strings of these places, in this order; a place may come twice."""
        lengths = self.lengths[order]
        starts = lengths.cumsum(0) - lengths
        steps = torch.arange(int(lengths.sum())) + (self.first[order] - starts).repeat_interleave(lengths)
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: tensor[steps] for name, tensor in named.items() if tensor is not None})

    def worst(self, by_step: Tensor) -> Tensor:
        """The greatest of (time, nets) at each string's observed steps: (strings, nets)."""
        seen = by_step.masked_fill(~self.observed, -torch.inf)
        found = seen.new_full((self.count, by_step.shape[1]), -torch.inf)
        return found.scatter_reduce(0, self.string_of.unsqueeze(1).expand_as(seen), seen, "amax")

    @property
    def symbolic(self) -> bool:
        """Whether the inputs are symbols."""
        return self.inputs.dtype == torch.int64

    def numbers(self, width: int) -> Tensor:
        """The inputs as numbers (time, 1, width): a symbol is the place of the one that is 1."""
        return F.one_hot(self.inputs, width).to(torch.float64) if self.symbolic else self.inputs

    def rows(self, by_step: Tensor) -> Tensor:
        """What there is for each step (time, 1, ...) as (longest, strings, ...), zeros behind a string's end."""
        return pad_sequence(list(by_step[:, 0].split(self.lengths.tolist())))


def laid_out(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the last step of strings of these lengths, one after another."""
    last = lengths.cumsum(0) - 1
    return last - lengths + 1, last


def marked(time: int, places: Tensor) -> Tensor:
    """Booleans (time, 1), true at these places."""
    marks = torch.zeros(time, 1, dtype=torch.bool)
    marks[places] = True
    return marks


def answered(inputs: Tensor, lengths: Tensor, answers: Tensor) -> Strings:
    """Strings whose one target is at their end; `answers` float64 (strings, outputs)."""
    first, last = laid_out(lengths)
    targets = torch.zeros(len(inputs), 1, answers.shape[1], dtype=torch.float64)
    targets[last, 0] = answers
    begins, ends = marked(len(inputs), first), marked(len(inputs), last)
    return Strings(inputs, targets, begins, ends, ends)


def foretold(symbols: Tensor, lengths: Tensor, width: int) -> Strings:
    """Strings whose target at each step is the symbol after it; the last symbol of each is foretold, not read.

    `symbols` int64 (time,) with the last ones, `lengths` with them too.
    """
    first, last = laid_out(lengths)
    read = ~marked(len(symbols), last)[:, 0]
    targets = F.one_hot(symbols.roll(-1)[read], width).to(torch.float64).unsqueeze(1)
    first, last = laid_out(lengths - 1)
    time = int(read.sum())
    observed = torch.ones(time, 1, dtype=torch.bool)
    return Strings(symbols[read].unsqueeze(1), targets, marked(time, first), marked(time, last), observed)


def whole(low: int, high: int, count: int, generator: torch.Generator) -> Tensor:
    """Whole numbers drawn from `low` to `high`, both included."""
    return torch.randint(low, high + 1, (count,), generator=generator)
