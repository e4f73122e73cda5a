"""Which tier runs: all steps in one program, a launch a step, or programs together; by a table of what was measured."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from carousel.cells import Cell, layout
from carousel.ops.operands import LayerOperands, Operands
from carousel.ops.triton.tiles import H100, Chip, together

TABLE = Path(__file__).with_name("tiers.json")
STEPS, WHOLE, TOGETHER = 0, 1, 2
"""A launch or two for each step; all steps in one launch, by programs that each have all cells or that share them."""
WORDS = {
    STEPS: "a launch for each step", WHOLE: "all steps in one launch",
    TOGETHER: "all steps in one launch, by programs together",
}  # fmt: skip
GATES = 4
"""How many matrices, cells × cells, the bounds of the table are for: those of a plain cell's gates."""


COPIED, SHARE = 256 * 1024**2, 128
"""Bytes of pre-activations up to which launches are gathered, and how many times as much memory there must be at least:
the graphs there and back keep about eight times as much."""
NARROWEST = 16
"""Cells of the smallest tile that a product takes."""


class Tier(NamedTuple):
    """The tier that runs, whether its launches are gathered in CUDA graphs, and why in a sentence."""

    number: int
    graphs: bool
    reason: str


@dataclass(frozen=True)
class Bounds:
    """A device's row of the table: up to how many cells of each precision run in one program, and who says so.

    `graphs` says whether the launches of steps are gathered in CUDA graphs there, `together` up to how many sequences
    of each precision programs take all steps together where they can.
    """

    source: str
    cells: dict[str, int]
    graphs: bool
    together: dict[str, int]


def choose(
    cell: Cell, operands: Operands | LayerOperands, asked: int | None = None, graphs: bool | None = None
) -> Tier:  # fmt: skip
    """The tier that was asked for, or else the one that the table says; likewise for graphs."""
    bounds, word = bounds_of(device_name(operands.like.device)), precision_of(operands.like.dtype)
    number, why = _by_table(cell, operands, bounds, word) if asked is None else (asked, ", as asked for")
    gathered = number == STEPS and (bounds.graphs and small(cell, operands) if graphs is None else graphs)
    return Tier(number, gathered, f"{WORDS[number]}{' in CUDA graphs' if gathered else ''}{why}")


def _by_table(cell: Cell, operands: Operands | LayerOperands, bounds: Bounds, word: str) -> tuple[int, str]:
    count, most = held(cell), bounds.cells[word]
    fits = count * tile(cell, operands) ** 2 <= GATES * most**2 and holds(cell, operands)
    shared = not fits and operands.batch <= bounds.together[word]
    if shared and together(cell, operands, chip(operands.like.device)):
        return TOGETHER, f": they hold all weights between them ({bounds.source})"
    number = WHOLE if fits else STEPS
    more = f"; this one has {count}" if count > GATES else ""
    return number, f": a program holds {GATES} matrices of up to {most} cells in {word}{more} ({bounds.source})"


def tile(cell: Cell, operands: Operands | LayerOperands) -> int:
    """How many cells wide a tile of all of them is: a power of two."""
    return 1 << (max(NARROWEST, cell.block, operands.hidden, operands.output) - 1).bit_length()


def held(cell: Cell) -> int:
    """How many matrices, cells × cells at most, a program holds for all steps; no fewer than a plain cell's."""
    sending = len(cell.sending) if cell.full_gate_recurrence else 0
    return max(GATES, len(cell.recurrent) + sending * sending + int(cell.projection))


def small(cell: Cell, operands: Operands | LayerOperands) -> bool:
    """Whether the gates of all steps are so few that a graph, which reads copies of its own, takes little for them."""
    rows = layout.total(layout.rows(cell, operands.hidden))
    taken = operands.time * operands.batch * rows * operands.like.element_size()
    return taken <= min(COPIED, chip(operands.like.device).memory // SHARE)


def holds(cell: Cell, operands: Operands | LayerOperands) -> bool:
    """Whether the memory of one program is enough for all weights, and a fifth of it for what else it needs."""
    weights = held(cell) * tile(cell, operands) ** 2 * operands.like.element_size()
    return weights * 6 // 5 <= chip(operands.like.device).shared


@cache
def chip(device: torch.device) -> Chip:
    """What a device has; an H100 where there is no graphics processor."""
    if device.type != "cuda":
        return H100
    found = torch.cuda.get_device_properties(device)
    return Chip(found.multi_processor_count, found.shared_memory_per_block_optin, found.total_memory)


def precision_of(dtype: torch.dtype) -> str:
    """What the table calls it: tf32 is float32 whose products torch is told to round."""
    word = str(dtype).removeprefix("torch.")
    return "tf32" if word == "float32" and rounds() else word


def rounds() -> bool:
    """Whether torch is told to round the factors of float32's products to tf32, by whichever of its settings."""
    matmul = torch.backends.cuda.matmul
    return matmul.fp32_precision == "tf32" if hasattr(matmul, "fp32_precision") else bool(matmul.allow_tf32)


def device_name(device: torch.device) -> str:
    """What the table calls a device; "any" where there is no graphics processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "any"


def bounds_of(device: str, path: Path = TABLE) -> Bounds:
    """The device's row of the table, or the one that holds for any."""
    table = _table(path)
    found: dict[str, Any] = table.get(device, table["any"])
    return Bounds(found["from"], found["cells"], found["graphs"], found["together"])


def write(device: str, bounds: Bounds, path: Path = TABLE) -> None:
    """Put what was measured on a device into the table."""
    row = {"from": bounds.source} | {name: getattr(bounds, name) for name in ("cells", "graphs", "together")}
    path.write_text(json.dumps(_table(path) | {device: row}, indent=1) + "\n", encoding="utf-8")
    _table.cache_clear()


@cache
def _table(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
