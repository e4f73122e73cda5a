"""What an operator is given: small groups of tensors that belong together."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.cells import Cell, Complement, layout
from carousel.cells.cell import ORDER

Recompute = int | Literal["auto"] | None
"""Every how many steps a state is kept for the way back: an integer from 1, "auto" for the square root of their number,
None for every step and all that it computed."""


class State(NamedTuple):
    """What a step hands to the next: h (batch, output), c (batch, hidden), gates (batch, sent rows) or None."""

    hidden: Tensor
    cell: Tensor
    gates: Tensor | None = None


class Weights(NamedTuple):
    """The weights inside the loop: shapes as in `carousel.cells.layout.parameters`, None where a cell has none."""

    R: Tensor | None = None
    p: Tensor | None = None
    G: Tensor | None = None
    P: Tensor | None = None
    norm_recurrent: Tensor | None = None
    norm_cell: Tensor | None = None


class Steps(NamedTuple):
    """Which steps count: lengths (batch,) integers, reset (time, batch) booleans, and the direction.

    A row's steps at and after its length leave its state alone and output zeros, whatever gates and resets hold
    there. A reset puts the state back to `fresh` (zeros if None) where a new sequence begins. In reverse a loop
    starts at each row's last step, and a reset at t parts t-1 from t, as it does forwards.

    `recompute` trades time for memory while training: with k only the state at every k-th step is kept, and each
    segment of k steps runs again on the way back (Chen et al. 2016). It changes no value.
    """

    lengths: Tensor | None = None
    reset: Tensor | None = None
    fresh: State | None = None
    reverse: bool = False
    recompute: Recompute = None

    def segment(self, time: int) -> int | None:
        """How many of `time` steps run again at once; None if none do."""
        if self.recompute != "auto":
            return self.recompute
        return max(1, isqrt(time - 1) + 1) if time else 1


class Noise(NamedTuple):
    """Regularisation inside the loop, as masks (time or 1, batch or 1, units or 1).

    zoneout_hidden and zoneout_cell give the share of the old value that stays, 0 or 1 where drawn
    (Krueger et al. 2017); drop_hidden multiplies what R reads, h_{t-1}, or c_{t-1} in the matrix form (Gal &
    Ghahramani 2016), drop_candidate multiplies z_t (Semeniuta et al. 2016).
    """

    zoneout_hidden: Tensor | None = None
    zoneout_cell: Tensor | None = None
    drop_hidden: Tensor | None = None
    drop_candidate: Tensor | None = None


class StepOperands(NamedTuple):
    """Everything that one step reads: pre-activations (batch, rows, *space), previous cell states (predecessors, batch,
    hidden, *space), peepholes (peepholes, hidden) or (peepholes, hidden, *space), and norm (2, hidden).
    """

    pre: Tensor
    previous: Tensor
    p: Tensor | None = None
    norm: Tensor | None = None


class Moment(NamedTuple):
    """What one step yields: h (batch, hidden, *space), c likewise, and the gates' activations by name (None: open)."""

    hidden: Tensor
    cell: Tensor
    gates: dict[str, Tensor | None]

    @staticmethod
    def of(cell: Cell, hidden: Tensor, state: Tensor, activations: Tensor, predecessors: int) -> "Moment":
        """With the gates by name from the activations (batch, rows, *space) of the learned ones."""
        spans = layout.rows(cell, state.shape[1], predecessors)
        gates: dict[str, Tensor | None] = {name: activations[:, at] for name, at in spans.items()}
        for name in ("input", "forget"):
            gate = getattr(cell, name)
            if isinstance(gate, Complement):
                gates[name] = 1 - activations[:, spans[gate.of]]
        return Moment(hidden, state, {name: gates.get(name) for name in ORDER})


class Inputs(NamedTuple):
    """What the pre-activations are computed from: x (time, batch, features), W (rows, features), b (rows,) or None."""

    x: Tensor
    W: Tensor
    b: Tensor | None = None


_INSIDE = (
    *(f"initial_{name}" for name in State._fields), *Weights._fields, *(f"fresh_{name}" for name in State._fields),
    *Noise._fields, "lengths", "reset",
)  # fmt: skip
"""Names of the tensors inside the loop, in the order in which operands list them."""


class _Sized(ABC):
    """What a recurrence and a layer have in common: the tensors inside the loop, and sizes that follow from them."""

    state: State
    weights: Weights
    steps: Steps
    noise: Noise

    @property
    @abstractmethod
    def like(self) -> Tensor:
        """A tensor (time, batch, …) with the dtype and device of the others."""

    @property
    def time(self) -> int:
        """How many steps the longest sequence has."""
        return self.like.shape[0]

    @property
    def batch(self) -> int:
        """How many sequences there are."""
        return self.like.shape[1]

    @property
    def hidden(self) -> int:
        """How many cells the layer has."""
        return self.state.cell.shape[1]

    @property
    def output(self) -> int:
        """How many features leave the layer."""
        return self.state.hidden.shape[1]

    def _inside(self) -> tuple[Tensor | None, ...]:
        """The tensors inside the loop, in the order of the names."""
        steps = self.steps
        fresh = steps.fresh or (None, None, None)
        return (*self.state, *self.weights, *fresh, *self.noise, steps.lengths, steps.reset)


@dataclass(frozen=True)
class Operands(_Sized):
    """Everything that one recurrence reads: pre-activations W x + b (time, batch, rows), and the groups above."""

    gates: Tensor
    state: State
    weights: Weights = Weights()
    steps: Steps = Steps()
    noise: Noise = Noise()

    def tensors(self) -> list[Tensor | None]:
        """All tensors in the order of `names()`."""
        return [self.gates, *self._inside()]

    @staticmethod
    def names() -> tuple[str, ...]:
        """Names of the tensors in the order of `tensors()`."""
        return ("gates", *_INSIDE)

    @staticmethod
    def gather(tensors: list[Tensor | None], *, reverse: bool, recompute: Recompute = None) -> "Operands":
        """The inverse of `tensors()`."""
        each: Iterator[Tensor | None] = iter(tensors)
        gates = next(each)
        state, weights = _take_state(each), Weights(*(next(each) for _ in Weights._fields))
        fresh, noise = _take_state(each), Noise(*(next(each) for _ in Noise._fields))
        assert gates is not None and state is not None
        steps = Steps(next(each), next(each), fresh, reverse, recompute)
        return Operands(gates, state, weights, steps, noise)

    @property
    def like(self) -> Tensor:
        """The pre-activations."""
        return self.gates

    def with_gates(self) -> "Operands":
        """These operands: they hold pre-activations."""
        return self


@dataclass(frozen=True)
class LayerOperands(_Sized):
    """Everything that one layer reads: as `Operands`, with the inputs in place of the pre-activations."""

    inputs: Inputs
    state: State
    weights: Weights = Weights()
    steps: Steps = Steps()
    noise: Noise = Noise()

    def tensors(self) -> list[Tensor | None]:
        """All tensors in the order of `names()`."""
        return [*self.inputs, *self._inside()]

    @staticmethod
    def names() -> tuple[str, ...]:
        """Names of the tensors in the order of `tensors()`."""
        return (*Inputs._fields, *_INSIDE)

    @property
    def like(self) -> Tensor:
        """The inputs."""
        return self.inputs.x

    def with_gates(self) -> Operands:
        """The operands of the recurrence, with the pre-activations computed in one product for all steps."""
        return Operands(F.linear(*self.inputs), self.state, self.weights, self.steps, self.noise)


def zero_state(cell: Cell, like: Tensor, hidden: int, output: int | None = None) -> State:
    """A state of zeros for the batch of `like` (time, batch, …), in its dtype and on its device."""
    widths = [output or hidden, hidden]
    widths += [layout.total(layout.sent_rows(cell, hidden))] if cell.full_gate_recurrence else []
    return State(*(like.new_zeros(like.shape[1], width) for width in widths))


def example(cell: Cell, time: int, batch: int, sizes: layout.Sizes, *, dtype: torch.dtype = torch.float32) -> Operands:
    """Random operands of the right shapes for a cell, from torch's generator: for probes, tests and benchmarks."""
    shapes = layout.parameters(cell, sizes)
    draw = {name: 0.5 * torch.randn(shape, dtype=dtype) for name, shape in shapes.items() if name not in ("W", "b")}
    draw.pop("norm_input", None)
    gates = torch.randn(time, batch, shapes["b"][0], dtype=dtype)
    zeros = zero_state(cell, gates, sizes.hidden, sizes.output)
    return Operands(gates, State(*(None if z is None else 0.5 * torch.randn_like(z) for z in zeros)), Weights(**draw))  # type: ignore[arg-type]


def _take_state(each: Iterator[Tensor | None]) -> State | None:
    hidden, cell, gates = next(each), next(each), next(each)
    return None if hidden is None or cell is None else State(hidden, cell, gates)
