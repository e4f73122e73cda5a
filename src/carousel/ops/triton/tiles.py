"""The tile that a program takes where it does not have all cells: by arithmetic of what it reads and holds."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from carousel.cells import Cell, layout
from carousel.ops.operands import LayerOperands, Operands

Sized = Operands | LayerOperands

BATCHES, CELLS = (16, 32, 64, 128), (8, 16, 32)
"""The sequences and cells that a tile may have."""
GATES = 4
RATE, SHARED_RATE, WAIT = 80.0, 5500.0, 800.0
"""Bytes a nanosecond that one of an H100's multiprocessors, and all of them, read from L2; nanoseconds before the first
comes. From memory, not measured."""
SUMS = 66 * 1024
"""Bytes that the parts of a product's sums may take together, with a little beside them."""
MOST_STAGES = 8
"""How many stages of a product are read ahead at most."""
HELD_WARPS, HELD_DEPTH = 8, 32
"""Warps of a program that holds its weights for all steps, and how deep each part is read at once."""
SMALLEST = 16
"""How deep the smallest product is; its smallest tile of sequences likewise."""


class Chip(NamedTuple):
    """A graphics processor: its multiprocessors, bytes of shared memory that a program can have, and of its own."""

    processors: int
    shared: int
    memory: int

    def ahead(self, sums: int) -> int:
        """Bytes that the stages of a product may take beside its sums, which move between threads."""
        return self.shared - max(sums, min(SUMS, self.shared * 3 // 4))

    @property
    def held(self) -> int:
        """Bytes that a program may hold for all steps and read at one."""
        return self.shared - 19 * 1024


H100 = Chip(132, 227 * 1024, 80 * 1024**3)


class Tile(NamedTuple):
    """Sequences and cells; parts of a product, and how deep each is read at once; warps; stages that are read ahead."""

    batch: int
    cells: int
    split: int
    depth: int
    warps: int
    stages: int


class Work(NamedTuple):
    """What a step is: sequences, cells, how deep its product is, and columns of it for each cell.

    Its weights have numbers of so many `bytes`, what they multiply of so many (`read`).
    """

    batch: int
    hidden: int
    deep: int
    columns: int
    bytes: int
    read: int

    def stage(self, batch: int, cells: int) -> int:
        """Bytes that a tile of so many sequences and cells reads for each number of the product's depth."""
        return batch * self.read + cells * self.columns * self.bytes

    def sums(self, batch: int, cells: int) -> int:
        """Bytes of the tile's sums, which are as wide as float32 at least."""
        return batch * cells * self.columns * max(4, self.bytes)


def there(batch: int, hidden: int, read: int, bytes_each: int, bytes_read: int = 0) -> Work:
    """A step forwards: the four gates of each cell, from a state so wide, whose numbers may be larger than weights."""
    return Work(batch, hidden, read, GATES, bytes_each, bytes_read or bytes_each)


def back(batch: int, hidden: int, rows: int, bytes_each: int) -> Work:
    """A step backwards: each cell's state, from so many gradients."""
    return Work(batch, hidden, rows, 1, bytes_each, bytes_each)


def fewest(cell: Cell) -> int:
    """The fewest cells of a tile: a whole block; a product sums over its cells where these are no power of two."""
    block = 1 << (cell.block - 1).bit_length()
    return block if block == cell.block else max(SMALLEST, block)


def best(work: Work, smallest: int, chip: Chip = H100) -> Tile:
    """The tile, of no fewer cells than that, whose step takes least time by arithmetic."""
    return min(possible(work, smallest, chip), key=lambda tile: nanoseconds(work, tile, chip))


def possible(work: Work, smallest: int, chip: Chip = H100) -> Iterator[Tile]:
    """All tiles whose smallest stage fits: none has twice the sequences that there are."""
    for batch in BATCHES:
        if batch >= 2 * max(work.batch, SMALLEST):
            break
        for cells in sorted({max(each, smallest) for each in CELLS}):
            if SMALLEST * work.stage(batch, cells) <= chip.ahead(work.sums(batch, cells)):
                yield tile(work, batch, cells, chip)


def tile(work: Work, batch: int, cells: int, chip: Chip) -> Tile:
    """A tile of so many sequences and cells: warps share its sequences, or the product's depth where these are few."""
    warps = 8 if batch * cells >= 2048 else 4
    sums = work.sums(batch, cells)
    room = chip.ahead(sums)
    most = 1 << (room // work.stage(batch, cells)).bit_length() - 1
    parts = 1 << max(1, SUMS // sums).bit_length() - 1
    split = min(max(1, warps * SMALLEST // batch), parts, most // SMALLEST)
    depth = max(SMALLEST, min(_chunk(work), most) // split)
    at_once = split * depth
    stages = min(MOST_STAGES, -(-work.deep // at_once), room // (at_once * work.stage(batch, cells)))
    return Tile(batch, cells, split, depth, warps, 1 + stages)


def works(cell: Cell, operands: Sized) -> tuple[list[Work], list[Work]]:
    """A step there and back for each source, h, c and the gates sent on; one that nothing reads has no depth."""
    hidden, numbers = operands.hidden, (operands.batch, operands.hidden)
    recurrent, sent = (layout.total(rows(cell, hidden)) for rows in (layout.recurrent_rows, layout.sent_rows))
    reads = "hidden" in cell.reads, "cell" in cell.reads, cell.full_gate_recurrence
    widths, heights, size = (operands.output, hidden, sent), (recurrent, recurrent, sent), operands.like.element_size()
    to = [there(*numbers, read * width, size) for read, width in zip(reads, widths, strict=True)]
    fro = [back(*numbers, read * rows, size) for read, rows in zip(reads, heights, strict=True)]
    return to, [*fro[:2], fro[2]._replace(columns=len(cell.sending))]


def together(cell: Cell, operands: Sized, chip: Chip = H100) -> Tile | None:
    """The smallest tile of programs that hold all weights between them, and all run at once.

    None if there are too few multiprocessors, too little memory on each, or more to wait for in a step than h.
    """
    if cell.projection or cell.norm or not operands.hidden:
        return None
    for batch, cells in product(BATCHES[:2], sorted({max(each, fewest(cell)) for each in CELLS})):
        tile = Tile(batch, cells, HELD_WARPS * SMALLEST // batch, HELD_DEPTH, HELD_WARPS, 1)
        programs = -(-operands.hidden // (cells // cell.block * cell.block)) * -(-operands.batch // batch)
        if programs <= chip.processors and all(bytes_held(each, tile) <= chip.held for each in works(cell, operands)):
            return tile
    return None


def bytes_held(works: Sequence[Work], tile: Tile) -> int:
    """Shared memory for the weights of all sources, and for what multiplies them at a step."""
    at_once = tile.split * tile.depth
    return sum(chunks(work.deep, tile) * at_once * work.stage(tile.batch, tile.cells) for work in works)


def chunks(deep: int, tile: Tile) -> int:
    """In how many goes a product is read."""
    return -(-deep // (tile.split * tile.depth))


def nanoseconds(work: Work, tile: Tile, chip: Chip = H100) -> float:
    """About how long a step takes: what its programs read, each multiprocessor's and all together."""
    programs = -(-work.hidden // tile.cells) * -(-work.batch // tile.batch)
    rounds = -(-programs // chip.processors)
    read = work.deep * work.stage(tile.batch, tile.cells)
    return rounds * WAIT + max(rounds * read / RATE, programs * read / SHARED_RATE)


def _chunk(work: Work) -> int:
    """How deep a product is read at once: 8 KiB of a tile's rows forwards, the same backwards."""
    return 256 // work.bytes * (1 if work.columns > 1 else 2)
