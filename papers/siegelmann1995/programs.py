"""Programs as weights: a threshold unit an LSTM unit, compiled onto one layer of the plain cell.

Of every unit the forget gate is shut and the candidate open, so that h = o ⊙ tanh(i): a unit is on (h = tanh 1) in the
next step if its input gate's sum is above zero, and its output gate's too. Sums count units and inputs that are on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from carousel.cells import layout
from carousel.nn import LSTM

ON = math.tanh(1.0)
Move = tuple[str, int, int]
"""What a Turing machine does: the next state, the symbol to write, and -1, 0 or 1 for where the head goes."""


@dataclass
class Threshold:
    """Sums of one gate for all units: R (units, units), W (units, symbols) and b (units,), in units of "on"."""

    R: Tensor
    W: Tensor
    b: Tensor

    @staticmethod
    def of(units: int, symbols: int, b: float) -> "Threshold":
        """With nothing but a bias."""
        double = torch.float64
        return Threshold(
            torch.zeros(units, units, dtype=double), torch.zeros(units, symbols, dtype=double),
            torch.full((units,), b, dtype=double),
        )  # fmt: skip


@dataclass
class Program:
    """Thresholds of the input and the output gate of every unit, and which units are on at the start."""

    input: Threshold
    output: Threshold
    start: Tensor

    def compile(self, sharpness: float, dtype: torch.dtype = torch.float64) -> LSTM:
        """The layer with these weights; a gate's sum is multiplied by the sharpness."""
        units, symbols = self.input.W.shape
        lstm = LSTM(symbols, units, dtype=dtype)
        rows = layout.rows(lstm.cell, units)
        with torch.no_grad():
            for parameter in lstm.parameters():
                parameter.zero_()
            for name, gate in (("input", self.input), ("output", self.output)):
                lstm.weight_hh_l0[rows[name]] = (gate.R * sharpness / ON).to(dtype)
                lstm.weight_ih_l0[rows[name]] = (gate.W * sharpness).to(dtype)
                lstm.bias_ih_l0[rows[name]] = (gate.b * sharpness).to(dtype)
            lstm.bias_ih_l0[rows["forget"]] = -sharpness
            lstm.bias_ih_l0[rows["candidate"]] = sharpness
        return lstm.requires_grad_(False)

    def first_state(self, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
        """(h_0, c_0) with the units of the start on."""
        h = (self.start * ON).to(dtype).view(1, 1, -1)
        return h, torch.zeros_like(h)


def rule110(tape: Tensor) -> Program:
    """Rule 110 on a ring of cells, a unit a cell: next = (self or right) and not (left and self and right)."""
    cells = len(tape)
    crowded, present = Threshold.of(cells, 1, 2.5), Threshold.of(cells, 1, -0.5)
    here = torch.arange(cells)
    for shift in (-1, 0, 1):
        crowded.R[here, (here + shift) % cells] = -1
    for shift in (0, 1):
        present.R[here, (here + shift) % cells] = 1
    return Program(crowded, present, tape.double())


def automaton(table: Sequence[Sequence[int]]) -> Program:
    """A finite automaton that goes from state q to table[q][a] on letter a, from state 0.

    Unit q * letters + a is on after a step that read a in q; the last unit stands for the beginning.
    """
    letters = len(table[0])
    units = len(table) * letters + 1
    gate, start = Threshold.of(units, letters, -1.5), torch.zeros(units)
    gate.b[-1], start[-1] = -0.5, 1
    for q in range(len(table)):
        for a in range(letters):
            gate.W[q * letters + a, a] = 1
            arriving = [p * letters + b for p, row in enumerate(table) for b, to in enumerate(row) if to == q]
            gate.R[q * letters + a, [*arriving, *([units - 1] if q == 0 else [])]] = 1
    return Program(gate, Threshold.of(units, letters, 1.0), start)


@dataclass(frozen=True)
class Machine:
    """A Turing machine: what it does in each state on each symbol (nothing: it rests), and where it begins."""

    moves: Mapping[tuple[str, int], Move]
    begin: str
    symbols: int = 2

    @property
    def states(self) -> list[str]:
        """All states, in the order of their names."""
        return sorted({state for state, _ in self.moves} | {move[0] for move in self.moves.values()} | {self.begin})

    def move(self, state: str, symbol: int) -> Move:
        """What it does there."""
        return self.moves.get((state, symbol), (state, symbol, 0))


def turing(machine: Machine, tape: Sequence[int], head: int) -> Program:
    """A Turing machine on a tape with two ends, a step of the machine a step of the layer.

    For each tape cell and symbol there is one unit for a cell without the head, and one for each state of a head on it.
    A head that leaves the tape is gone.
    """
    place = Places(machine, len(tape))
    gate, start = Threshold.of(place.units, 1, -0.5), torch.zeros(place.units)
    for at, symbol in enumerate(tape):
        start[place(at, symbol, machine.begin if at == head else None)] = 1
        for written in range(machine.symbols):
            gate.R[place(at, written), place(at, written)] = 1
            for state in machine.states:
                gate.R[place(at, written, state), place(at, written)] = 1
                gate.b[place(at, written, state)] = -1.5
        for state in machine.states:
            for read in range(machine.symbols):
                _wire(gate, place, at, state, read)
    return Program(gate, Threshold.of(place.units, 1, 1.0), start)


def _wire(gate: Threshold, place: "Places", at: int, state: str, read: int) -> None:
    """What follows from a head in that state on that symbol of that cell: two where one sum must do for both inputs."""
    source = place(at, read, state)
    to, written, step = place.machine.move(state, read)
    if step == 0:
        gate.R[place(at, written, to), source] = 2
        return
    gate.R[place(at, written), source] = 1
    if 0 <= at + step < place.cells:
        for symbol in range(place.machine.symbols):
            gate.R[place(at + step, symbol), source] = -1
            gate.R[place(at + step, symbol, to), source] = 1


@dataclass(frozen=True)
class Places:
    """Which unit stands for a tape cell with a symbol, without the head or with one in a state."""

    machine: Machine
    cells: int

    @property
    def units(self) -> int:
        """How many units there are."""
        return self.cells * self.machine.symbols * (1 + len(self.machine.states))

    def __call__(self, at: int, symbol: int, state: str | None = None) -> int:
        """The unit's number."""
        kind = 0 if state is None else 1 + self.machine.states.index(state)
        return (kind * self.cells + at) * self.machine.symbols + symbol


BUSY_BEAVER = Machine({
    ("A", 0): ("B", 1, 1), ("A", 1): ("B", 1, -1), ("B", 0): ("A", 1, -1), ("B", 1): ("C", 0, -1),
    ("C", 0): ("H", 1, 1), ("C", 1): ("D", 1, -1), ("D", 0): ("D", 1, 1), ("D", 1): ("A", 0, 1),
}, "A")  # fmt: skip
"""Brady's busy beaver of four states: from an empty tape it rests in H after 107 steps, with 13 ones."""

COUNTER = Machine({
    ("carry", 0): ("back", 1, 1), ("carry", 1): ("carry", 0, -1),
    ("back", 0): ("back", 0, 1), ("back", 1): ("back", 1, 1), ("back", 2): ("carry", 2, -1),
}, "carry", 3)  # fmt: skip
"""Counts up in binary for ever, on bits that end in a 2."""
