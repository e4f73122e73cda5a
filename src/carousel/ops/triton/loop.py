"""The loops over time: what is laid out before them, and a launch or two for each step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from carousel.cells import Cell, layout
from carousel.ops.operands import Operands, State
from carousel.ops.triton import tiles
from carousel.ops.triton.extension import Launches, interprets
from carousel.ops.triton.kernels import forward, together, whole
from carousel.ops.triton.kernels.memory import Chunks, Given, Known, Mask, Masks, Plan, Saved, Size, States
from carousel.ops.triton.kernels.row import constants
from carousel.ops.triton.tiers import STEPS, TOGETHER, WHOLE, chip, rounds, tile
from carousel.ops.triton.tiles import Tile, Work

BATCH, DEPTH = 16, 16
"""Sequences of a program that takes all steps, and how deep a product is read at once under layer norm."""
ALIGNED = 16
"""Rows of gates that begin at a multiple of it are read several at once."""
MANY = 64
"""From how many cells in its tile such a program has eight warps: with four, registers would spill."""


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
        return Size(hidden, self.operands.output, hidden // cell.block, *map(layout.total, spans))

    @cached_property
    def there(self) -> Tile:
        """The tile of a program on the way there."""
        wide = self.cell.reads_cell or self.operands.noise.zoneout_hidden is not None
        read = self.dtype.itemsize if wide else self._bytes
        return self._tile(tiles.there(self.operands.batch, self.size.hidden, self.size.output, self._bytes, read))

    @cached_property
    def back(self) -> Tile:
        """The tile of a program on the way back."""
        return self._tile(tiles.back(self.operands.batch, self.size.hidden, self.size.recurrent, self._bytes))

    def _tile(self, work: tiles.Work) -> Tile:
        """All cells where all steps are in one program."""
        if self.tier == TOGETHER:
            return self._together
        if self.tier == WHOLE:
            cells = tile(self.cell, self.operands)
            return Tile(BATCH, cells, 1, DEPTH, 8 if cells >= MANY else 4, 1)
        return tiles.best(work, tiles.fewest(self.cell), self._chip)

    def rows(self, tile: Tile) -> Tile:
        """The tile of a step, given that of its products: under layer norm all cells of one sequence."""
        if self.tier != STEPS or not self.cell.norm:
            return tile
        return Tile(1, max(tiles.fewest(self.cell), triton.next_power_of_2(self.size.hidden)), 1, DEPTH, 4, 1)

    @property
    def multiplies(self) -> bool:
        """Whether its products are launches of their own: layer norm is to meet them whole."""
        return self.tier == STEPS and bool(self.cell.norm and self.size.recurrent)

    @cached_property
    def _together(self) -> Tile:
        found = tiles.together(self.cell, self.operands, self._chip)
        return cast("Tile", found)

    @property
    def _chip(self) -> tiles.Chip:
        return chip(self.operands.like.device)

    @property
    def _bytes(self) -> int:
        return self.operands.like.element_size()

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
            reset=None if reset is None else reset.contiguous().to(torch.int32),
            initial=self.initial,
            fresh=self.states(operands.steps.fresh),
            masks=Masks(*map(_mask, operands.noise)),
        )

    @property
    def counts(self) -> tuple[int, int]:
        """Steps and sequences."""
        return self.operands.time, self.operands.batch

    def own(self, tile: Tile) -> int:
        """The cells of a tile that are the program's: whole blocks."""
        return tile.cells // self.cell.block * self.cell.block

    @cached_property
    def _launches(self) -> Launches:
        return Launches()

    def launch(self, kernel: Any, tile: Tile, *arguments: Any) -> None:
        """Run a kernel for each tile of sequences and of cells."""
        at_once = self.tier == TOGETHER
        self._launches(kernel, self.grid(tile), *arguments, warps=tile.warps, stages=tile.stages, at_once=at_once)

    def grid(self, tile: Tile) -> tuple[int, int]:
        """Tiles of sequences, of which there can be more than 65,535, and tiles of cells."""
        return triton.cdiv(self.operands.batch, tile.batch), triton.cdiv(self.size.hidden, self.own(tile))

    def flags(self, tile: Tile) -> Tensor:
        """Which programs have done which step: none yet."""
        return torch.zeros(self.operands.time, self.grid(tile)[0], dtype=torch.int32, device=self.operands.like.device)

    def launch_wide(self, kernel: Any, tile: Tile, *arguments: Any) -> None:
        """Run it for each tile of whatever is widest: features that leave, cells, or gates sent on."""
        widest = max(self.size.output, self.size.hidden, self.size.sent if self.cell.full_gate_recurrence else 0)
        grid = triton.cdiv(self.operands.batch, tile.batch), triton.cdiv(widest, tile.cells)
        self._launches(kernel, grid, *arguments, warps=tile.warps, stages=tile.stages)

    def states(self, state: State | None) -> States:
        """A state, or none, as kernels read it: what only products read in the operands' dtype, the rest as sums are.

        Zoneout adds to h by little at a time, which would be lost.
        """
        h, c, gates = [None] * 3 if state is None else state
        narrow, wide = self.operands.like.dtype, self.dtype
        of_hidden = narrow if self.operands.noise.zoneout_hidden is None else wide
        parts = zip((h, c, gates), (of_hidden, wide, narrow), strict=True)
        return States(*(None if part is None else part.to(dtype).contiguous() for part, dtype in parts))

    def empty_states(self) -> States:
        """Memory for a state."""
        return States(*(None if part is None else torch.empty_like(part) for part in self.initial))

    @cached_property
    def turned(self) -> Given:
        """The operands on the way back: in several programs the matrices turned, so that they are read along rows."""
        given = self.given
        if self.tier == WHOLE:
            return given
        turned = (None if each is None else each.T.contiguous() for each in (given.R, given.G, given.P))
        return given._replace(**dict(zip("RGP", turned, strict=True)))

    def call(self, saved: Saved, tile: Tile) -> Known:
        """What kernels with such a tile are given on the way there."""
        return self._call(self.given, saved, tile, tiles.works(self.cell, self.operands)[0])

    def call_back(self, saved: Saved, tile: Tile) -> Known:
        """And on the way back."""
        return self._call(self.turned, saved, tile, tiles.works(self.cell, self.operands)[1])

    def _call(self, given: Given, saved: Saved, tile: Tile, works: Sequence[Work]) -> Known:
        aligned = self.size.shared % ALIGNED == self.size.hidden % ALIGNED == 0
        numbers = (*tile[:4], self.own(tile), int(self.operands.steps.reverse), precision(), interprets(), aligned)
        goes = (tiles.chunks(work.deep, tile) if self.tier == TOGETHER else 0 for work in works)
        plan = Plan(*map(tl.constexpr, numbers), Chunks(*map(tl.constexpr, goes)))  # pyright: ignore[reportCallIssue]
        return Known(self.size, constants(self.cell), given, saved, plan)

    def later(self) -> Iterator[tuple[int, int]]:
        """The steps on the way back, each with the one after it in the order of the loop."""
        step = -1 if self.operands.steps.reverse else 1
        return ((t, t + step) for t in reversed(self.order))


def precision() -> str:
    """How products of float32 are computed: as torch is told to."""
    return "tf32" if rounds() else "ieee"


def run(loop: Loop, *, training: bool) -> tuple[Saved, State]:
    """Forwards: what is kept, with the outputs, and the last state."""
    saved = kept(loop, training=training)
    if not all(loop.counts):
        return saved, State(*loop.initial)
    before, after, spare = loop.initial, loop.empty_states(), loop.empty_states()
    tile, rows = loop.there, loop.rows(loop.there)
    call, row_call = loop.call(saved, tile), loop.call(saved, rows)
    if loop.tier == WHOLE:
        loop.launch(whole.forwards, tile, *loop.counts, call, after)
        return saved, State(*after)
    if loop.tier == TOGETHER:
        loop.launch(together.forwards, tile, *loop.counts, call, both_sides(loop), after, loop.flags(tile))
        return saved, State(*after)
    raw = torch.empty_like(loop.initial.cell, dtype=loop.operands.like.dtype) if loop.cell.projection else None
    for t in loop.order:
        if loop.multiplies:
            loop.launch(forward.recur, tile, t, *loop.counts, call, before)
        loop.launch(forward.advance, rows, t, *loop.counts, row_call, before, after, raw)
        if loop.cell.projection:
            loop.launch_wide(forward.project, tile, t, *loop.counts, call, before, after, raw)
        before, after, spare = after, spare, after
    return saved, State(*before)


def both_sides(loop: Loop) -> States:
    """Memory for what programs together tell each other, twice: what they know first is the initial state."""
    dtype = loop.operands.like.dtype
    return States(*(None if part is None else part.to(dtype).repeat(2, 1) for part in loop.initial))


def kept(loop: Loop, *, training: bool) -> Saved:
    """Memory for the outputs, while training for what the way back reads, and for R h under layer norm.

    R h is kept while training; else a step's is enough, and none where a program takes all steps.
    """
    size, gates, state = loop.size, loop.operands.gates, loop.initial.cell
    time, batch = loop.counts
    products = time if training else int(loop.tier == STEPS)
    return Saved(
        gates.new_empty(time, batch, size.output),
        state.new_empty(time, batch, size.hidden) if training else None,
        gates.new_empty(time, batch, size.rows) if training else None,
        state.new_empty(products, batch, size.recurrent) if loop.cell.norm and size.recurrent else None,
    )


def _mask(values: Tensor | None) -> Mask:
    if values is None:
        return Mask(None, 0, 0, 0)
    strides = (0 if size == 1 else stride for size, stride in zip(values.shape, values.stride(), strict=True))
    return Mask(values, *strides)
