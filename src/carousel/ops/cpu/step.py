"""One step given its pre-activations, in compiled loops and under autograd: only its operands are saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from carousel.cells import Cell, row
from carousel.ops import reference
from carousel.ops.cpu import extension
from carousel.ops.cpu.autograd import Gradients, through_reference
from carousel.ops.cpu.call import KINDS, address, dense
from carousel.ops.operands import Moment, StepOperands

OPERANDS, MADE = StepOperands._fields, ("hidden", "cell", "activations")
_encoded = cache(row.encode)


def run(cell: Cell, operands: StepOperands) -> Moment:
    """The state after the step and its gates; nothing is saved unless a gradient is in sight."""
    call = StepCall.of(cell, operands)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in operands):
        hidden, state, activations = _Step.apply(call, *operands)  # type: ignore[misc]
    else:
        hidden, state, activations = call.forward(call.ready(operands))
    return Moment.of(cell, hidden, state, activations, call.predecessors)


@dataclass(frozen=True)
class StepCall:
    """What a forward call and its backward call have in common.

    Places of a map lie behind the units, as in the operands, and count as so many units more. Where units of one
    place depend on each other (layer norm, blocks) the places are brought to the front and count as sequences.
    """

    cell: Cell
    dtype: torch.dtype
    predecessors: int
    batch: int
    cells: int
    space: tuple[int, ...]
    everywhere: bool

    @staticmethod
    def of(cell: Cell, operands: StepOperands) -> "StepCall":
        """The call that runs these operands."""
        predecessors, batch, cells, *space = operands.previous.shape
        everywhere = operands.p is not None and bool(space) and operands.p.dim() > 2
        return StepCall(cell, operands.pre.dtype, predecessors, batch, cells, tuple(space), everywhere)

    @property
    def places(self) -> int:
        """How many places a map has."""
        return torch.Size(self.space).numel()

    @property
    def folded(self) -> bool:
        """Whether places count as sequences."""
        return bool(self.space) and (self.cell.block > 1 or self.cell.norm is not None)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes as the extension's: predecessors, groups that share their peepholes, batch, cells, places."""
        if not self.folded:
            return self.predecessors, 1, self.batch, self.cells, self.places
        groups = (self.places, self.batch) if self.everywhere else (1, self.places * self.batch)
        return self.predecessors, *groups, self.cells, 1

    def ready(self, operands: StepOperands) -> dict[str, Tensor]:
        """The operands as the loops read them."""
        pre, previous, p, norm = operands
        found = {"pre": self.turned(pre), "previous": self.turned(previous)}
        if norm is not None:
            found["norm"] = dense(self._widened(norm))
        if p is not None and (self.everywhere or self.folded or not self.space):
            found["p"] = self.turned(p) if self.everywhere else dense(self._widened(p))
        elif p is not None:
            found["p"] = dense(self._widened(p).unsqueeze(2).expand(-1, -1, self.places))
        return found

    def forward(self, ready: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """h_t, c_t (batch, hidden, *space), and all activations (batch, rows, *space)."""
        pre, previous = ready["pre"], ready["previous"]
        made = [torch.empty_like(like) for like in (previous[0], previous[0], pre)]
        self._enter("step", {**ready, **dict(zip(MADE, made, strict=True))})
        hidden, state, activations = (self.returned(each) for each in made)
        return hidden, state, activations

    def backward(self, ready: Mapping[str, Tensor], gradients: Gradients) -> dict[str, Tensor]:
        """The gradients of all operands from those of what the step made."""
        pairs = zip(MADE, gradients, strict=True)
        given = {f"grad_{name}": self.turned(gradient) for name, gradient in pairs if gradient is not None}
        found = {name: torch.empty_like(tensor) for name, tensor in ready.items()}
        self._enter("step_backward", {**ready, **given, **{f"grad_{name}": each for name, each in found.items()}})
        found |= {"pre": self.returned(found["pre"]), "previous": self.returned(found["previous"])}
        if self.everywhere:
            found["p"] = self.returned(found["p"])
        elif "p" in found and found["p"].dim() > 2:
            found["p"] = found["p"].sum(2).to(self.dtype)
        return {name: each.to(self.dtype) for name, each in found.items()}

    def turned(self, tensor: Tensor) -> Tensor:
        """A tensor (…, units, *space) as the loops read it."""
        tensor = self._widened(tensor)
        if self.folded:
            tensor = tensor.flatten(-len(self.space)).movedim(-1, -3)
        return dense(tensor)

    def returned(self, tensor: Tensor) -> Tensor:
        """The inverse of `turned`, in the dtype of the operands."""
        if self.folded:
            tensor = tensor.movedim(-3, -1).contiguous().unflatten(-1, self.space)
        return tensor.to(self.dtype)

    def _widened(self, tensor: Tensor) -> Tensor:
        return tensor.float() if self.dtype is torch.bfloat16 else tensor

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
        call, given, needed = ctx.call, ctx.saved_tensors, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            return None, *through_reference(lambda seen: _by_reference(call.cell, seen), given, needed, gradients)
        found = call.backward(call.ready(StepOperands(*given)), gradients)
        return None, *(found[name] if need else None for name, need in zip(OPERANDS, needed, strict=True))


def _by_reference(cell: Cell, given: Gradients) -> list[Tensor | None]:
    moment = reference.step(cell, StepOperands(*given))  # type: ignore[arg-type]
    learned = [gate for name in cell.learned if (gate := moment.gates[name]) is not None]
    return [moment.hidden, moment.cell, torch.cat(learned, dim=1)]
