"""Many networks of one shape in one call: what torch.vmap makes of a compiled loop. Without gradients."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch as functorch  # pyright: ignore[reportAttributeAccessIssue]

from carousel.cells import Cell
from carousel.ops.cpu import extension
from carousel.ops.cpu.autograd import results
from carousel.ops.cpu.call import NAMES, Call, address, named, places
from carousel.ops.operands import LayerOperands, Operands, State


def refuses(tensors: list[Tensor | None]) -> str | None:
    """Why the reference runs these operands of a torch.func transform instead."""
    if [level.key() for level in functorch.get_interpreter_stack() or ()] != [functorch.TransformType.Vmap]:
        return "torch.func transforms other than one vmap need plain torch operations"
    plain = [functorch.get_unwrapped(t) if functorch.is_batchedtensor(t) else t for t in tensors if t is not None]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in plain):
        return "the gradients of a vmap need plain torch operations"
    return None


def run(cell: Cell, operands: Operands | LayerOperands) -> tuple[Tensor, State]:
    """Outputs and the last state of the operands inside a vmap."""
    given = named(operands)
    outputs, *state = _Population.apply(Call.of(cell, operands), *(given.get(name) for name in NAMES))  # type: ignore[misc]
    return outputs, State(*state)


class _Population(torch.autograd.Function):
    """`apply(call, *tensors in the order of NAMES)`: one network, and under vmap all of them in one call."""

    @staticmethod
    def forward(call: Call, *given: Tensor | None) -> tuple[Tensor, ...]:
        made = call.forward(call.ready(dict(zip(NAMES, given, strict=True))), training=False)
        return _present(call, made)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is kept: there are no gradients."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> Any:
        call, *given = arguments
        count, placed = info.batch_size, dict(zip(NAMES, zip(given, in_dims[1:], strict=True), strict=True))
        shared = call.ready({name: tensor for name, (tensor, axis) in placed.items() if axis is None})
        own = {
            name: call.ready_each(name, tensor.movedim(axis, 0))
            for name, (tensor, axis) in placed.items()
            if tensor is not None and axis is not None
        }
        like = own.get("initial_cell", shared.get("initial_cell"))
        assert like is not None
        made = {name: like.new_empty(count, *shape) for name, shape in call.results().items()}
        _enter(call, shared, {**own, **made}, count)
        found = _present(call, made)
        return found, (0,) * len(found)


def _present(call: Call, made: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    return tuple(tensor for tensor in results(call, made) if tensor is not None)


def _enter(call: Call, shared: Mapping[str, Tensor], own: Mapping[str, Tensor], count: int) -> None:
    """Call the extension; every network reads the shared tensors, and its own part of the others."""
    pointer_at, _ = places()
    apart = [0] * len(pointer_at)
    for name, tensor in own.items():
        apart[pointer_at[name]] = tensor.stride(0) * tensor.itemsize if address(tensor[0]) else 0
    first = {**shared, **{name: tensor[0] for name, tensor in own.items()}}
    extension.module.population(*call.arguments(first, 0), apart, count, torch.get_num_threads())
