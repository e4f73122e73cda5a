"""What learns step by step: one recurrent layer with a readout, how its weights lie, and its streams."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from carousel.cells import Cell, layout, name_of
from carousel.cells.squash import SQUASHES

if TYPE_CHECKING:
    from carousel.ops.online_filter import OnlineFilter


@dataclass(frozen=True)
class OnlineNet:
    """One recurrent layer and a readout, for learning step by step.

    Every gate reads its sources: the inputs, h of the step before, c where the row says so, with `gates_recur` all
    gates of the step before (the fully connected hidden layer of 1997; a row with full gate recurrence has them in its
    gates alone), and a one for the bias. The readout reads h, with `shortcut` the inputs, and a one; `squash` is its
    squashing function. `biased` names those that have a bias: of input, forget, candidate, output and readout; None
    for all. Gates that `fixed` names have nothing but a bias, and keep it.

    Raises ValueError for a row with projection or layer norm, and for sizes or names that cannot be.
    """

    cell: Cell
    inputs: int
    hidden: int
    outputs: int
    squash: str = "sigmoid"
    gates_recur: bool = False
    shortcut: bool = False
    biased: tuple[str, ...] | None = None
    fixed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.cell, Cell):
            raise TypeError(f"cell is {self.cell!r:.80}; it is a row of the table, such as cells.find('lstm')")
        if refusal := refuses(self.cell):
            raise ValueError(refusal)
        for name, least in (("inputs", 0), ("hidden", 1), ("outputs", 0)):
            check_whole(name, getattr(self, name), least)
        if self.squash not in SQUASHES:
            raise ValueError(f"squash is {self.squash!r}; it can be {', '.join(SQUASHES)}")
        if unknown := set(self.biased or ()) - {*self.cell.learned, "readout"}:
            raise ValueError(f"biased names {sorted(unknown)}; it can name {', '.join(self.cell.learned)} and readout")
        if unknown := set(self.fixed) - set(self.cell.learned):
            raise ValueError(f"fixed names {sorted(unknown)}; it can name {', '.join(self.cell.learned)}")
        layout.units(self.cell, "input", self.hidden)

    @cached_property
    def rows(self) -> dict[str, slice]:
        """Where each learned gate lies among the rows."""
        return layout.rows(self.cell, self.hidden)

    @cached_property
    def sent(self) -> dict[str, slice]:
        """Where each gate but the candidate lies among the gates of the state."""
        return layout.sent_rows(self.cell, self.hidden)

    @cached_property
    def states(self) -> int:
        """Numbers of the state: h, c, and the gates."""
        return 2 * self.hidden + layout.total(self.sent)

    @cached_property
    def recurring(self) -> list[int]:
        """Which numbers of the state are sources."""
        gates = self.gates_recur or self.cell.full_gate_recurrence
        kinds = [True] * self.hidden + [self.cell.reads_cell] * self.hidden + [gates] * layout.total(self.sent)
        return [place for place, recurs in enumerate(kinds) if recurs]

    @property
    def sources(self) -> int:
        """What each row reads."""
        return self.inputs + len(self.recurring) + 1

    @property
    def read(self) -> int:
        """What the readout reads."""
        return self.hidden + (self.inputs if self.shortcut else 0) + 1

    @cached_property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """The weights of a net in their order: W (rows, sources), p (peepholes, hidden), readout (outputs, read)."""
        return {
            "W": (layout.total(self.rows), self.sources),
            "p": (layout.total(layout.peephole_rows(self.cell)), self.hidden),
            "readout": (self.outputs, self.read),
        }

    @cached_property
    def weights(self) -> int:
        """How many numbers the weights of a net take, those included that it does not have."""
        return sum(rows * width for rows, width in self.shapes.values())

    def split(self, weights: Tensor) -> dict[str, Tensor]:
        """Views of weights (nets, weights) by name, each (nets, *shape)."""
        parts = weights.split([rows * width for rows, width in self.shapes.values()], dim=1)
        return {name: part.unflatten(1, self.shapes[name]) for name, part in zip(self.shapes, parts, strict=True)}

    def present(self) -> Tensor:
        """Which weights there are: booleans (weights,)."""
        mask = torch.zeros(1, self.weights, dtype=torch.bool)
        parts = self.split(mask)
        biased = (*self.cell.learned, "readout") if self.biased is None else self.biased
        for gate, rows in self.rows.items():
            parts["W"][0, rows] = torch.tensor(self._read_by(gate, gate in biased)) & (gate not in self.fixed)
        for gate, at in layout.peephole_rows(self.cell).items():
            parts["p"][0, at] = gate not in self.fixed
        for gate in self.fixed:
            parts["W"][0, self.rows[gate], -1] = True
        parts["readout"].fill_(True)
        parts["readout"][..., -1] = "readout" in biased
        return mask[0]

    def learned(self) -> Tensor:
        """Which weights are learned: booleans (weights,); all that there are, but for those of fixed gates."""
        mask = self.present().unsqueeze(0)
        for gate in self.fixed:
            self.split(mask)["W"][0, self.rows[gate]] = False
        return mask[0]

    def reach(self) -> Tensor:
        """How many cells there must be for each weight to have work: (weights,), 0 between inputs and outputs alone."""
        counts = torch.zeros(1, self.weights, dtype=torch.int64)
        parts, cells = self.split(counts), torch.arange(1, self.hidden + 1)
        units = {gate: cells[self.shared(gate) - 1 :: self.shared(gate)] for gate in self.rows}
        states = torch.cat([cells, cells, *(units[gate] for gate in self.sent)])
        sources = torch.cat([cells.new_zeros(self.inputs), states[self.recurring], cells.new_zeros(1)])
        for gate, rows in self.rows.items():
            parts["W"][0, rows] = torch.maximum(units[gate].unsqueeze(1), sources)
        parts["p"][:] = cells
        parts["readout"][..., : self.hidden] = cells
        return counts[0]

    def _read_by(self, gate: str, biased: bool) -> list[bool]:
        """Which sources a gate reads."""
        source = self.cell.gate(gate).recurrent
        gates = self.gates_recur or (self.cell.full_gate_recurrence and gate != "candidate")
        kinds = (
            [source == "hidden"] * self.hidden + [source == "cell"] * self.hidden + [gates] * layout.total(self.sent)
        )
        return [True] * self.inputs + [kinds[place] for place in self.recurring] + [biased]

    def shared(self, gate: str) -> int:
        """How many cells share a unit of that gate."""
        return 1 if gate == "candidate" else self.cell.block


def check_whole(name: str, value: Any, least: int, most: int | None = None) -> int:
    """The value as Python's whole number. Raises ValueError unless it is one, within these bounds."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or int(value) < least or (most is not None and int(value) > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is {value!r}; it is a whole number {bounds}")
    return int(value)


def refuses(cell: Cell) -> str | None:
    """Why the rules do not know this cell, in a sentence; None if they do."""
    for option in ("projection", "norm"):
        if getattr(cell, option):
            return f"{name_of(cell)} has a {option}; learning forwards in time knows rows without projection and norm"
    return None


RESET, TARGET, UPDATE, START = 1, 2, 4, 8
"""What happens at a step, to be added up: its state before is zero, it has a target, what was learned is applied, the
trial of a net that waits may begin."""


class OnlineStream(NamedTuple):
    """Steps of several nets; an axis of one net is shared by all.

    `inputs` are float64 (time, nets, inputs), or int64 (time, nets): the place of the one input that is 1 (none if it
    is out of range). `targets` float64 (time, nets, outputs), read where there are some. `flags` uint8 (time, nets).
    """

    inputs: Tensor
    targets: Tensor
    flags: Tensor


@dataclass(frozen=True)
class OnlineRule:
    """How nets learn: a rule (`RULES` of `influence.py`), whether the errors of the outputs are those of cross-entropy
    (y - t) or of half the squared error ((y - t) times the slope), and step size and momentum of each net (nets,).
    With a `filter` weights do not descend: they are estimated, from derivatives of the outputs by that rule.
    """

    name: str
    entropy: bool
    rate: Tensor
    momentum: Tensor
    filter: "OnlineFilter | None" = None


@dataclass(frozen=True)
class OnlineTrials:
    """Runs of right answers: all outputs closer to their targets than `tolerance` (nets,).

    A net begins one where it may, from zeros and with its whole step size, which is multiplied by `fading` (nets,)
    after each update. The trial ends with the first wrong answer, from which the net still learns, or after `longest`
    right ones. Then it waits; after `most` trials, or one of `enough` right answers, until the next call. Whatever its
    neighbours do meanwhile, a net that waits at the end of a call has nothing in mind.
    """

    tolerance: Tensor
    fading: Tensor
    longest: int
    most: int
    enough: int


class OnlineRunner(ABC):
    """Several nets at work, float64: their weights, and all that is carried from step to step."""

    def __init__(self, net: OnlineNet, rule: OnlineRule, weights: Tensor) -> None:
        self.net, self.rule, self.nets = net, rule, len(weights)

    @property
    @abstractmethod
    def weights(self) -> Tensor:
        """A copy of the weights (nets, weights)."""

    @abstractmethod
    def set_weights(self, weights: Tensor) -> None:
        """Go on with these weights (nets, weights)."""

    @abstractmethod
    def set_learned(self, learned: Tensor) -> None:
        """Learn these weights from now on, booleans (weights,), and leave the others as they are."""

    @abstractmethod
    def run(self, stream: OnlineStream, *, learn: bool = True) -> Tensor:
        """Learn from a stream; the outputs (time, nets, outputs), each before what is learned at its step.

        Without `learn` the state moves on and nothing else: begin with a reset before learning again.
        """

    @abstractmethod
    def attempt(self, stream: OnlineStream, trials: OnlineTrials, *, learn: bool = True) -> Tensor:
        """Go through a stream in trials; how many answers were right in each that ended, int64 (nets, most), then -1.

        A trial that is on at the end goes on in the next call.
        """

    @abstractmethod
    def renew(self, net: int, weights: Tensor) -> None:
        """Put a new net with these weights (weights,) in a place, with nothing in mind and no trial on."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Everything that later steps depend on, by name, as it lies; what is written there counts."""
