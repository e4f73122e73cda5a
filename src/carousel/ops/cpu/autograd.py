"""The compiled loops under autograd: what is saved, what is overwritten, and who differentiates twice."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.cells import Cell
from carousel.ops import reference
from carousel.ops.cpu import several
from carousel.ops.cpu.call import ACCUMULATE, NAMES, RESULTS, SAVED, Call, Named, dense, named, rows
from carousel.ops.operands import LayerOperands, Operands, State
from carousel.ops.twice import Gradients, through_reference


def run(cell: Cell, operands: Operands | LayerOperands) -> tuple[Tensor, State]:
    """Outputs and the last state; without a gradient in sight nothing is saved, and autograd not even asked."""
    call, given = Call.of(cell, operands), named(operands)
    if wants_gradients(given):
        outputs, *state = _Recurrence.apply(call, *(given.get(name) for name in NAMES))  # type: ignore[misc]
    else:
        outputs, *state = results(call, call.forward(call.ready(given), training=False))
    return outputs, State(*state)  # type: ignore[arg-type]


def wants_gradients(given: Named) -> bool:
    """Whether autograd has to see a call with these operands."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in given.values())


def results(call: Call, made: Named) -> list[Tensor | None]:
    """Outputs and last state in the dtype of the operands."""
    return [None if (tensor := made.get(name)) is None else tensor.to(call.dtype) for name in RESULTS]


def backward(
    call: Call, ready: Mapping[str, Tensor], made: Mapping[str, Tensor], given: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor], *, accumulate: bool = False,
) -> None:  # fmt: skip
    """Fill the `wanted` gradients from the `given` ones, both by the extension's names."""
    call.enter("backward", {**ready, **made, **given, **wanted}, ACCUMULATE if accumulate else 0)


def gradients_of_results(gradients: Gradients, like: Tensor) -> dict[str, Tensor]:
    """The gradients of the results, by the extension's names, as the loops read them; absent ones are left out."""
    present = {
        name: gradient.to(like.dtype) for name, gradient in zip(RESULTS, gradients, strict=True) if gradient is not None
    }
    return {f"grad_{name}": rows(each) if name == "outputs" else dense(each) for name, each in present.items()}


class _Recurrence(torch.autograd.Function):
    """The compiled loop as one node: `apply(call, *tensors in the order of NAMES)`."""

    @staticmethod
    def forward(ctx: Any, call: Call, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        ctx.set_materialize_grads(False)
        made = call.forward(call.ready(_named(given)), training=True)
        ctx.call, ctx.overwritten = call, False
        ctx.save_for_backward(*given, *(made.get(name) for name in SAVED))
        return tuple(results(call, made))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        call, given, saved = ctx.call, ctx.saved_tensors[: len(NAMES)], ctx.saved_tensors[len(NAMES) :]
        needed = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            return None, *differentiable(call, given, needed, gradients)
        ready = call.ready(_named(given))
        made = _present(SAVED, saved)
        if ctx.overwritten:
            made = call.forward(ready, training=True)
        if several.hidden(gradients):
            return None, *several.each(lambda own: _gradients(call, ready, made, own, needed, keep=True), gradients)
        ctx.overwritten = True
        return None, *_gradients(call, ready, made, gradients, needed)


def _gradients(
    call: Call, ready: Mapping[str, Tensor], made: Mapping[str, Tensor], gradients: Gradients, needed: Sequence[bool],
    *, keep: bool = False,
) -> list[Tensor | None]:  # fmt: skip
    """The gradients of all operands; what was `made` is overwritten, unless it is to be kept for another pass."""
    if keep and "normalized" in made:
        made = {**made, "normalized": made["normalized"].clone()}
    wanted = _wanted(call, ready, made, needed, keep=keep)
    backward(call, ready, made, gradients_of_results(gradients, ready["initial_cell"]), wanted)
    return [_given_back(call, wanted, name) if need else None for name, need in zip(NAMES, needed, strict=True)]


def differentiable(call: Call, given: Gradients, needed: Sequence[bool], gradients: Gradients) -> list[Tensor | None]:
    """The gradients of all operands, through the reference and differentiable again."""

    def results(seen: Gradients) -> Gradients:
        outputs, state = reference.recurrence(call.cell, _operands(call, seen))
        return [outputs, *state]

    return through_reference(results, given, needed, gradients)


def _operands(call: Call, given: Gradients) -> Operands:
    x, W, b, gates, *others = given
    if x is not None:
        assert W is not None
        gates = F.linear(x, W, b)
    return Operands.gather([gates, *others], reverse=call.reverse)


def _wanted(
    call: Call, ready: Mapping[str, Tensor], made: Mapping[str, Tensor], needed: Sequence[bool], *, keep: bool
) -> dict[str, Tensor]:
    """Memory for the gradients; that of the pre-activations takes the place of the activations, unless they are kept.

    Under full gate recurrence the activations are read once more, after the loop, and stay.
    """
    activations, like = made["activations"], ready["initial_cell"]
    wanted = {
        f"grad_{name}": like.new_empty(ready[name].shape) for name, need in zip(NAMES, needed, strict=True) if need
    }
    apart = keep or call.cell.full_gate_recurrence
    wanted["grad_gates"] = torch.empty_like(activations) if apart else activations
    return wanted


def _given_back(call: Call, wanted: Mapping[str, Tensor], name: str) -> Tensor:
    return wanted[f"grad_{name}"].to(call.dtype)


def _named(given: Sequence[Tensor | None]) -> dict[str, Tensor | None]:
    return dict(zip(NAMES, given, strict=True))


def _present(names: Sequence[str], tensors: Sequence[Tensor | None]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in zip(names, tensors, strict=True) if tensor is not None}
