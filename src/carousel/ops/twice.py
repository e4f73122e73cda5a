"""Gradients that can be differentiated again: through the reference, in plain torch."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from carousel.cells import Cell
from carousel.ops import reference
from carousel.ops.operands import StepOperands

Gradients = Sequence[Tensor | None]


def through_reference(
    results: Callable[[Gradients], Gradients], given: Gradients, needed: Sequence[bool], gradients: Gradients
) -> list[Tensor | None]:
    """The gradients of all that is given, from those of the `results` that plain torch computes of it; differentiable.

    Each operand is seen through a view, so that of two operands, one computed from the other, neither gets the
    other's gradient too.
    """
    with torch.enable_grad():
        seen = [t.view_as(t) if t is not None and need else t for t, need in zip(given, needed, strict=True)]
        pairs = zip(results(seen), gradients, strict=True)
        present = [
            (result, gradient)
            for result, gradient in pairs
            if result is not None and gradient is not None and result.requires_grad
        ]
        wanted = [t for t, need in zip(seen, needed, strict=True) if t is not None and need]
        found = iter(
            torch.autograd.grad(
                [result for result, _ in present], wanted, [gradient for _, gradient in present],
                create_graph=True, allow_unused=True,
            )
        )  # fmt: skip
    return [next(found) if need else None for need in needed]


def step_by_reference(cell: Cell, given: Gradients) -> list[Tensor | None]:
    """What a step makes of its operands: h, c and the activations of the learned gates, side by side."""
    moment = reference.step(cell, StepOperands(*given))  # type: ignore[arg-type]
    learned = [gate for name in cell.learned if (gate := moment.gates[name]) is not None]
    return [moment.hidden, moment.cell, torch.cat(learned, dim=1)]
