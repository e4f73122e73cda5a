"""The backend for the processor, and what it leaves to the reference."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from carousel.cells import Cell
from carousel.ops.backend import AnyOperands, Backend, refuses_watchers
from carousel.ops.cpu import autograd, extension, population, segments, step
from carousel.ops.cpu.call import KINDS
from carousel.ops.operands import LayerOperands, Moment, Noise, Operands, State, StepOperands


class CPU(Backend):
    """Compiled loops: every cell, lengths, resets, both directions, masks; float32, float64 and bfloat16."""

    name = "cpu"
    recomputes = True

    def refuses(self, cell: Cell, operands: AnyOperands) -> str | None:
        """Why the reference runs instead: no extension, another device or dtype, a transform of torch."""
        if extension.module is None:
            return extension.missing
        tensors = list(operands) if isinstance(operands, StepOperands) else operands.tensors()
        like = operands.pre if isinstance(operands, StepOperands) else operands.like
        if like.dtype not in KINDS:
            return f"its loops compute in float32, float64 and bfloat16, not in {like.dtype}"
        refused = _refuses_mode(tensors, isinstance(operands, StepOperands)) or _refuses_tensors(tensors, like.dtype)
        return refused or (None if isinstance(operands, StepOperands) else _refuses_masks(operands.noise))

    def recurrence(self, cell: Cell, operands: Operands) -> tuple[Tensor, State]:
        """Outputs and the last state, given the pre-activations."""
        return _run(cell, operands)

    def layer(self, cell: Cell, operands: LayerOperands) -> tuple[Tensor, State]:
        """Outputs and the last state, given the inputs."""
        return _run(cell, operands if operands.inputs.x.shape[2] else operands.with_gates())

    def step(self, cell: Cell, operands: StepOperands) -> Moment:
        """The state after one step, and the gates' activations."""
        return step.run(cell, operands)


def _run(cell: Cell, operands: Operands | LayerOperands) -> tuple[Tensor, State]:
    if torch._C._are_functorch_transforms_active():
        return population.run(cell, operands)
    run = autograd.run if operands.steps.recompute is None else segments.run
    return run(cell, operands)


def _refuses_mode(tensors: list[Tensor | None], is_step: bool) -> str | None:
    """A mode of torch that must see every single operation."""
    if torch._C._are_functorch_transforms_active():
        if is_step:
            return "torch.func transforms of a step need plain torch operations"
        if (refused := population.refuses(tensors)) is not None:
            return refused
    return refuses_watchers()


def _refuses_tensors(tensors: Iterable[Tensor | None], dtype: torch.dtype) -> str | None:
    """A tensor whose memory a loop cannot read as it is."""
    dual = forward_ad._current_level >= 0
    for tensor in tensors:
        if tensor is None:
            continue
        if not tensor.is_cpu:
            return f"its loops run on the processor; a tensor is on {tensor.device}"
        if (type(tensor) is not Tensor and type(tensor) is not Parameter) or tensor.layout is not torch.strided:
            return f"its loops read plain dense tensors; one is a {type(tensor).__name__}, {tensor.layout}"
        if tensor._is_zerotensor():
            return "its loops read memory, and one tensor of zeros has none"
        if tensor.is_floating_point():
            if tensor.dtype is not dtype:
                return f"its loops read tensors of one dtype; there are {dtype} and {tensor.dtype}"
            if dual and forward_ad.unpack_dual(tensor).tangent is not None:
                return "forward-mode derivatives need plain torch operations"
    return None


def _refuses_masks(noise: Noise) -> str | None:
    if torch.is_grad_enabled() and any(mask is not None and mask.requires_grad for mask in noise):
        return "its loops take masks as constants, and a gradient is wanted for one"
    return None
