"""The backend for graphics processors, and what it leaves to others."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.autograd import forward_ad

from carousel.cells import Cell
from carousel.ops.backend import AnyOperands, Backend, refuses_watchers
from carousel.ops.operands import LayerOperands, Moment, Noise, Operands, State, StepOperands
from carousel.ops.triton import extension, tiers, tiles
from carousel.ops.triton.tiers import Tier, choose

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
OLDEST_CHIP = (8, 0)
"""The first compute capability that multiplies bfloat16 and copies ahead to shared memory."""
WIDEST_NORM, WIDEST_BOTH, WIDEST_SUM = 4096, 256, 128
"""Cells that a tile of layer norm holds at most, also where full gate recurrence adds a product to it, and cells of a
tile in which a product sums over blocks."""


class Triton(Backend):
    """Fused kernels: every cell, lengths, resets, both directions, masks; sums in float32 or float64.

    `tier` 0 launches one for each step, 1 one for all steps of few cells, 2 one for all steps by programs that share
    the cells, and `graphs` says whether the launches of tier 0 are gathered in CUDA graphs; None lets the table of
    `tiers` choose.
    """

    name = "triton"

    def __init__(self, tier: int | None = None, *, graphs: bool | None = None) -> None:
        self.tier, self.graphs = tier, graphs

    def refuses(self, cell: Cell, operands: AnyOperands) -> str | None:
        """Why another backend runs instead: no Triton, another device or dtype, a transform of torch."""
        tensors = list(operands) if isinstance(operands, StepOperands) else operands.tensors()
        like = operands.pre if isinstance(operands, StepOperands) else operands.like
        hidden = operands.previous.shape[2] if isinstance(operands, StepOperands) else operands.hidden
        return (
            _refuses_device(tensors)
            or _refuses_tensors(tensors, like.dtype)
            or _refuses_mode()
            or _refuses_cell(cell, hidden)
            or (None if isinstance(operands, StepOperands) else self._refuses_loop(cell, operands))
        )

    def _refuses_loop(self, cell: Cell, operands: Operands | LayerOperands) -> str | None:
        chip = tiers.chip(operands.like.device)
        if self.tier == tiers.TOGETHER and not tiles.together(cell, operands, chip):
            return "programs that share the cells take no projection and no layer norm, and all must run at once"
        if self.tier == tiers.WHOLE and not tiers.holds(cell, operands):
            return f"one program cannot hold the weights of {operands.hidden} cells for all steps"
        return _refuses_blocks(cell, operands) or _refuses_masks(operands.noise)

    def recurrence(self, cell: Cell, operands: Operands) -> tuple[Tensor, State]:
        """Outputs and the last state, given the pre-activations."""
        from carousel.ops.triton.autograd import recurrence

        return recurrence(cell, operands, self._choose(cell, operands))

    def way(self, cell: Cell, operands: AnyOperands) -> str:
        """Which tier runs, and why."""
        way = super().way(cell, operands)
        return way if isinstance(operands, StepOperands) else f"{way}, {self._choose(cell, operands).reason}"

    def _choose(self, cell: Cell, operands: Operands | LayerOperands) -> Tier:
        return choose(cell, operands, self.tier, self.graphs)

    def step(self, cell: Cell, operands: StepOperands) -> Moment:
        """The state after one step, and the gates' activations."""
        from carousel.ops.triton.step import run

        return run(cell, operands)


def _refuses_device(tensors: Iterable[Tensor | None]) -> str | None:
    devices = dict.fromkeys(tensor.device for tensor in tensors if tensor is not None)
    for device in devices:
        if device.type != "cuda" and not extension.interprets():
            return f"its kernels run on a graphics processor; a tensor is on {device}"
        if device.type == "cuda" and torch.cuda.get_device_capability(device) < OLDEST_CHIP:
            return f"its kernels are for chips of compute capability 8.0 or newer; {tiers.device_name(device)} is older"
    if len(devices) > 1:
        return f"its kernels read tensors of one device; there are {', '.join(map(str, devices))}"
    return extension.missing()


def _refuses_tensors(tensors: Iterable[Tensor | None], dtype: torch.dtype) -> str | None:
    if dtype not in DTYPES:
        return f"its kernels compute in {', '.join(map(str, DTYPES))}, not in {dtype}"
    dual = forward_ad._current_level >= 0
    for tensor in tensors:
        if tensor is None or not tensor.is_floating_point():
            continue
        if tensor.dtype is not dtype:
            return f"its kernels read tensors of one dtype; there are {dtype} and {tensor.dtype}"
        if dual and forward_ad.unpack_dual(tensor).tangent is not None:
            return "forward-mode derivatives need plain torch operations"
    return None


def _refuses_mode() -> str | None:
    if torch._C._are_functorch_transforms_active():
        return "torch.func transforms need plain torch operations"
    return refuses_watchers()


def _refuses_cell(cell: Cell, hidden: int) -> str | None:
    most, beside = WIDEST_NORM, ""
    if cell.full_gate_recurrence:
        most, beside = WIDEST_BOTH, " beside full gate recurrence"
    if cell.norm and hidden > most:
        return f"a tile of layer norm holds {most} cells at most{beside}, not {hidden}"
    widest = max(tiles.fewest(cell), hidden if cell.norm else 0)
    if tiles.fewest(cell) != cell.block and widest > WIDEST_SUM:
        return f"where blocks have {cell.block} cells, no power of two, a tile holds {WIDEST_SUM} cells, not {widest}"
    return None


def _refuses_blocks(cell: Cell, operands: Operands | LayerOperands) -> str | None:
    size, chip = operands.like.element_size(), tiers.chip(operands.like.device)
    works = (
        tiles.there(operands.batch, operands.hidden, operands.output, size, max(4, size)),
        tiles.back(operands.batch, operands.hidden, operands.hidden, size),
    )
    if not all(any(tiles.possible(work, tiles.fewest(cell), chip)) for work in works):
        return f"a tile holds whole blocks, and one of {cell.block} cells is too large for it in {operands.like.dtype}"
    return None


def _refuses_masks(noise: Noise) -> str | None:
    if torch.is_grad_enabled() and any(mask is not None and mask.requires_grad for mask in noise):
        return "its kernels take masks as constants, and a gradient is wanted for one"
    return None
