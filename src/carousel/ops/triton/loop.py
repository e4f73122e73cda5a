"""The loops over time: what is laid out before them, and a launch or two for each step."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from carousel.cells import Cell, layout
from carousel.ops import reference
from carousel.ops.operands import Operands, State
from carousel.ops.triton.extension import interprets, launch
from carousel.ops.triton.kernels import forward, whole
from carousel.ops.triton.kernels.memory import Call, Given, Mask, Masks, Plan, Saved, Size, States
from carousel.ops.triton.kernels.row import constants
from carousel.ops.triton.tiers import STEPS, WHOLE, tile

BATCH, CELLS, DEPTH = 16, 16, 32
"""The tile of a program: sequences, cells, and how deep a product is read at once."""
MANY = 64
"""From how many cells in its tile a program has eight warps: with four, registers would spill."""


@dataclass(frozen=True)
class Loop:
    """One cell over the steps of its operands, whose floating tensors have one dtype, in a tier."""

    cell: Cell
    operands: Operands
    tier: int = STEPS

    @cached_property
    def dtype(self) -> torch.dtype:
        """The dtype of the state and of all sums."""
        return torch.promote_types(self.operands.like.dtype, torch.float32)

    @cached_property
    def order(self) -> range:
        """The steps in the order of the loop."""
        time = self.operands.time
        return range(time - 1, -1, -1) if self.operands.steps.reverse else range(time)

    @cached_property
    def size(self) -> Size:
        """All sizes."""
        cell, hidden = self.cell, self.operands.hidden
        spans = layout.rows(cell, hidden), layout.recurrent_rows(cell, hidden), layout.sent_rows(cell, hidden)
        sizes = self.operands.time, self.operands.batch, hidden, self.operands.output
        return Size(*sizes, hidden // cell.block, *map(layout.total, spans))

    @cached_property
    def plan(self) -> Plan:
        """The tile: all cells where all steps are in one program, and under layer norm, of one sequence there."""
        block = self.cell.block
        if self.tier == WHOLE:
            batch, cells = BATCH, tile(self.cell, self.operands)
        elif self.cell.norm:
            batch, cells = 1, triton.next_power_of_2(self.size.hidden)
        else:
            batch, cells = BATCH, triton.next_power_of_2(max(CELLS, block))
        numbers = (batch, cells, DEPTH, cells // block * block, int(self.operands.steps.reverse))
        return Plan(*map(tl.constexpr, (*numbers, precision(), interprets())))

    @cached_property
    def initial(self) -> States:
        """The state to start from, in the dtype of the state."""
        return self.states(self.operands.state)

    @cached_property
    def given(self) -> Given:
        """The operands as kernels read them."""
        operands = self.operands
        weights = [None if weight is None else weight.contiguous() for weight in operands.weights]
        lengths, reset = operands.steps.lengths, operands.steps.reset
        return Given(
            operands.gates.contiguous(),
            *weights,  # pyright: ignore[reportCallIssue]
            lengths=None if lengths is None else lengths.contiguous(),
            reset=None if reset is None else reset.contiguous().to(torch.uint8),
            initial=self.initial,
            fresh=self.states(operands.steps.fresh),
            masks=Masks(*map(_mask, operands.noise)),
        )

    @cached_property
    def grid(self) -> tuple[int, int]:
        """Tiles of cells, tiles of sequences."""
        return triton.cdiv(self.size.hidden, self.plan.own.value), self._tiles

    @cached_property
    def wide_grid(self) -> tuple[int, int]:
        """Tiles of whatever is widest: features that leave, cells, or gates sent on."""
        widest = max(self.size.output, self.size.hidden, self.size.sent if self.cell.full_gate_recurrence else 0)
        return triton.cdiv(widest, self.plan.cells.value), self._tiles

    @property
    def counts(self) -> tuple[int, int]:
        """Steps and sequences."""
        return self.size.time, self.size.batch

    @property
    def warps(self) -> int:
        """How many share a program: more where their registers hold more."""
        return 8 if self.plan.cells.value >= MANY else 4

    @property
    def _tiles(self) -> int:
        return triton.cdiv(self.size.batch, self.plan.batch.value)

    def states(self, state: State | None) -> States:
        """A state, or the lack of one, as kernels read it."""
        parts = [None] * 3 if state is None else state
        return States(*(None if part is None else part.to(self.dtype).contiguous() for part in parts))

    def empty_states(self) -> States:
        """Memory for a state."""
        return States(*(None if part is None else torch.empty_like(part) for part in self.initial))

    def call(self, saved: Saved) -> Call:
        """What every kernel is given; one that takes all steps is not compiled anew for their number."""
        size = self.size._replace(time=0, batch=0) if self.tier == WHOLE else self.size
        return Call(size, constants(self.cell), self.given, saved, self.plan)

    def later(self) -> Iterator[tuple[int, int]]:
        """The steps on the way back, each with the one after it in the order of the loop."""
        step = -1 if self.operands.steps.reverse else 1
        return ((t, t + step) for t in reversed(self.order))


def precision() -> str:
    """How products of float32 are computed: as torch is told to."""
    return "tf32" if torch.get_float32_matmul_precision() != "highest" else "ieee"


def run(loop: Loop, *, training: bool) -> tuple[Saved, State]:
    """Forwards: what is kept, with the outputs, and the last state."""
    saved = kept(loop, training=training)
    if not (loop.size.time and loop.size.batch):
        return saved, State(*loop.initial)
    if loop.tier == WHOLE:
        after = loop.empty_states()
        launch(whole.forwards, loop.grid, *loop.counts, loop.call(saved), after, warps=loop.warps)
        return saved, State(*after)
    call, before, after = loop.call(saved), loop.initial, loop.empty_states()
    spare = loop.empty_states()
    raw = torch.empty_like(loop.initial.cell) if loop.cell.projection else None
    for t in loop.order:
        if loop.cell.norm:
            _multiply(loop, saved, before, t)
        launch(forward.advance, loop.grid, t, call, before, after, raw)
        if loop.cell.projection:
            launch(forward.project, loop.wide_grid, t, call, before, after, raw)
        before, after, spare = after, spare, after
    return saved, State(*before)


def kept(loop: Loop, *, training: bool) -> Saved:
    """Memory for the outputs, while training for what the way back reads, and for R h under layer norm.

    R h is kept while training; else a step's is enough, and none where a program takes all steps.
    """
    size, gates, state = loop.size, loop.operands.gates, loop.initial.cell
    steps = (size.time, size.batch)
    products = size.time if training else int(loop.tier == STEPS)
    return Saved(
        state.new_zeros(*steps, size.output),
        state.new_empty(*steps, size.hidden) if training else None,
        gates.new_empty(*steps, size.rows) if training else None,
        state.new_empty(products, size.batch, size.recurrent) if loop.cell.norm and size.recurrent else None,
    )


def _multiply(loop: Loop, saved: Saved, before: States, t: int) -> None:
    """R h for step t, of all rows that recur."""
    R = loop.operands.weights.R
    if R is not None and saved.products is not None:
        kept = t if saved.activations is not None else 0
        saved.products[kept] = reference.products(loop.cell, R.to(loop.dtype), _read(loop, before, t))


def _read(loop: Loop, before: States, t: int) -> State:
    """The state as R reads it at step t: put back where sequences begin, and some of it dropped."""
    steps, noise = loop.operands.steps, loop.operands.noise
    state = reference.put_back(State(*before), State(*loop.given.fresh) if steps.fresh else None, steps, t)
    return reference.dropped(loop.cell, state, noise, t)


def _mask(values: Tensor | None) -> Mask:
    if values is None:
        return Mask(None, 0, 0, 0)
    strides = (0 if size == 1 else stride for size, stride in zip(values.shape, values.stride(), strict=True))
    return Mask(values, *strides)
