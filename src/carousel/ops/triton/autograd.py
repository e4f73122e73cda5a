"""The loop under autograd: one node, differentiable again through the reference."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from carousel.cells import Cell
from carousel.ops import reference
from carousel.ops.operands import Operands, State
from carousel.ops.triton import graphs
from carousel.ops.triton.extension import on_device_of
from carousel.ops.triton.gradients import gradients
from carousel.ops.triton.graphs import Tensors
from carousel.ops.triton.kernels.memory import Saved
from carousel.ops.triton.loop import Loop, precision, run
from carousel.ops.triton.tiers import Tier
from carousel.ops.twice import through_reference

NAMES = Operands.names()


def recurrence(cell: Cell, operands: Operands, tier: Tier) -> tuple[Tensor, State]:
    """Outputs and the last state; without a gradient in sight nothing is saved."""
    tensors = operands.tensors()
    with on_device_of(operands.like):
        if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors):
            outputs, *state = _Recurrence.apply(cell, operands.steps.reverse, tier, *tensors)  # type: ignore[misc]
        else:
            outputs, *state = _results(operands, *_forwards(cell, operands, tier, training=False))
    return outputs, State(*state)  # type: ignore[arg-type]


def _forwards(cell: Cell, operands: Operands, tier: Tier, *, training: bool) -> tuple[Saved, State]:
    reverse = operands.steps.reverse

    def work(tensors: Tensors) -> Tensors:
        saved, state = run(Loop(cell, Operands.gather(list(tensors), reverse=reverse), tier.number), training=training)
        return [*saved, *state]

    tensors = operands.tensors()
    if not (tier.graphs and graphs.fit(tensors)):
        return run(Loop(cell, operands, tier.number), training=training)
    made = graphs.KEPT.run((cell, reverse, training, precision()), work, tensors)
    count = len(Saved._fields)
    return Saved(*made[:count]), State(*made[count:])  # type: ignore[arg-type]


def _backwards(cell: Cell, operands: Operands, tier: Tier, saved: Saved, given: Tensors) -> Mapping[str, Tensor | None]:
    reverse = operands.steps.reverse

    def work(tensors: Tensors) -> Tensors:
        each = iter(tensors)
        again = Operands.gather(list(islice(each, len(NAMES))), reverse=reverse)
        kept = Saved(*islice(each, len(Saved._fields)))
        found = gradients(Loop(cell, again, tier.number), kept, list(each))
        return [found.get(name) for name in NAMES]

    tensors = [*operands.tensors(), *saved, *given]
    if not (tier.graphs and graphs.fit(tensors)):
        return gradients(Loop(cell, operands, tier.number), saved, given)
    made = graphs.KEPT.run((cell, reverse, "backwards", precision()), work, tensors)
    return dict(zip(NAMES, made, strict=True))


def _results(operands: Operands, saved: Saved, state: State) -> list[Tensor | None]:
    dtype = operands.like.dtype
    return [None if part is None else part.to(dtype) for part in (saved.outputs, *state)]


class _Recurrence(torch.autograd.Function):
    """`apply(cell, reverse, tier, *tensors in the order of NAMES)`."""

    @staticmethod
    def forward(ctx: Any, cell: Cell, reverse: bool, tier: Tier, *tensors: Tensor | None) -> tuple[Tensor | None, ...]:
        ctx.set_materialize_grads(False)
        ctx.cell, ctx.reverse, ctx.tier = cell, reverse, tier
        operands = Operands.gather(list(tensors), reverse=reverse)
        saved, state = _forwards(cell, operands, tier, training=True)
        ctx.save_for_backward(*tensors, *saved)
        return tuple(_owned(_results(operands, saved, state), tensors))

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        tensors, saved = ctx.saved_tensors[: len(NAMES)], Saved(*ctx.saved_tensors[len(NAMES) :])
        needed = ctx.needs_input_grad[3:]
        if torch.is_grad_enabled():
            return None, None, None, *_differentiable(ctx, tensors, needed, given)
        operands = Operands.gather(list(tensors), reverse=ctx.reverse)
        with on_device_of(operands.like):
            found = _backwards(ctx.cell, operands, ctx.tier, saved, given)
        return (
            None,
            None,
            None,
            *(
                _as(found.get(name), tensor) if need else None
                for name, tensor, need in zip(NAMES, tensors, needed, strict=True)
            ),
        )


def _differentiable(
    ctx: Any, tensors: Sequence[Tensor | None], needed: Sequence[bool], given: Sequence[Tensor | None]
) -> list[Tensor | None]:
    def results(seen: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
        outputs, state = reference.recurrence(ctx.cell, Operands.gather(list(seen), reverse=ctx.reverse))
        return [outputs, *state]

    return through_reference(results, tensors, needed, given)


def _as(gradient: Tensor | None, like: Tensor | None) -> Tensor | None:
    return None if gradient is None or like is None else gradient.to(like.dtype)


def _owned(results: Sequence[Tensor | None], tensors: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The results, none of them memory that was given: a loop without steps hands on the state that it got."""
    given = {tensor.data_ptr() for tensor in tensors if tensor is not None}
    return [part.clone() if part is not None and part.data_ptr() in given else part for part in results]
