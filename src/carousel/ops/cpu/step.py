"""One step given its pre-activations, in compiled loops and under autograd: only its operands are saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from carousel.cells import Cell, row
from carousel.ops.cpu import extension, several
from carousel.ops.cpu.call import KINDS, address, dense
from carousel.ops.operands import Moment, StepOperands
from carousel.ops.twice import Gradients, step_by_reference, through_reference

MADE = ("hidden", "cell", "activations")
_encoded = cache(row.encode)


def run(cell: Cell, operands: StepOperands) -> Moment:
    """The state after the step and its gates; nothing is saved unless a gradient is in sight."""
    call = StepCall.of(cell, operands)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in operands):
        hidden, state, activations = _Step.apply(call, *operands)  # type: ignore[misc]
    else:
        hidden, state, activations = call.forward(call.ready(operands))
    return Moment.of(cell, hidden, state, activations, operands.previous.shape[0])


@dataclass(frozen=True)
class StepCall:
    """What a forward call and its backward call have in common: sizes are the extension's."""

    cell: Cell
    dtype: torch.dtype
    sizes: tuple[int, int, int, int]

    @staticmethod
    def of(cell: Cell, operands: StepOperands) -> "StepCall":
        """The call that runs these operands."""
        predecessors, batch, cells, *space = operands.previous.shape
        return StepCall(cell, operands.pre.dtype, (predecessors, batch, cells, torch.Size(space).numel()))

    def ready(self, operands: StepOperands) -> dict[str, Tensor]:
        """The operands as the loops read them: dense, widened, with a peephole at each place of a map."""
        given = operands._asdict()
        if self._shares_peepholes(operands):
            given["p"] = given["p"].unsqueeze(2).expand(-1, -1, self.sizes[-1])
        return {name: self._dense(tensor) for name, tensor in given.items() if tensor is not None}

    def forward(self, ready: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """h_t and c_t (batch, hidden, *space), and all activations (batch, rows, *space)."""
        pre, state = ready["pre"], ready["previous"][0]
        made = [torch.empty_like(like) for like in (state, state, pre)]
        self._enter("step", {**ready, **dict(zip(MADE, made, strict=True))})
        return tuple(each.to(self.dtype) for each in made)

    def backward(self, operands: StepOperands, gradients: Gradients) -> dict[str, Tensor]:
        """The gradients of all operands from those of what the step made."""
        ready, pairs = self.ready(operands), zip(MADE, gradients, strict=True)
        given = {f"grad_{name}": self._dense(gradient) for name, gradient in pairs if gradient is not None}
        found = {name: torch.empty_like(tensor) for name, tensor in ready.items()}
        self._enter("step_backward", {**ready, **given, **{f"grad_{name}": each for name, each in found.items()}})
        if self._shares_peepholes(operands):
            found["p"] = found["p"].sum(2)
        return {name: each.to(self.dtype) for name, each in found.items()}

    @staticmethod
    def _shares_peepholes(operands: StepOperands) -> bool:
        """Whether the places of a map have their peepholes in common."""
        pre, p = operands.pre, operands.p
        return p is not None and p.dim() < pre.dim()

    def _dense(self, tensor: Tensor) -> Tensor:
        return dense(tensor.float() if self.dtype is torch.bfloat16 else tensor)

    def _enter(self, function: str, tensors: Mapping[str, Tensor]) -> None:
        module = extension.module
        pointers = [address(tensors.get(name)) for name in module.STEP_POINTERS]
        kind, threads = KINDS[self.dtype], torch.get_num_threads()
        getattr(module, function)(kind, _encoded(self.cell), self.sizes, pointers, threads)


class _Step(torch.autograd.Function):
    """The step as one node: `apply(call, *operands)`. What it made is made again on the way back."""

    @staticmethod
    def forward(ctx: Any, call: StepCall, *given: Tensor | None) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.call = call
        ctx.save_for_backward(*given)
        return call.forward(call.ready(StepOperands(*given)))  # type: ignore[arg-type]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        call, needed = ctx.call, ctx.needs_input_grad[1:]
        operands = StepOperands(*ctx.saved_tensors)
        if torch.is_grad_enabled():
            return None, *through_reference(
                lambda seen: step_by_reference(call.cell, seen), operands, needed, gradients
            )

        def back(own: Gradients) -> Gradients:
            found = call.backward(operands, own)
            return [found[name] if need else None for name, need in zip(operands._fields, needed, strict=True)]

        return None, *several.passes(back, gradients)
