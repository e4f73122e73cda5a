"""Training with less memory: a state is kept at every segment's start, and the segment runs again on the way back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from carousel.cells import Cell
from carousel.ops.cpu import autograd, several
from carousel.ops.cpu.autograd import gradients_of_results
from carousel.ops.cpu.call import NAMES, RESULTS, Call, Named, named
from carousel.ops.operands import LayerOperands, Noise, Operands, State
from carousel.ops.twice import Gradients

TIMED = ("x", "gates", "reset", *Noise._fields)
"""Operands of which a segment reads its own steps alone."""

STATE = {f"initial_{name}": f"last_{name}" for name in State._fields}
"""What a segment starts from, and what the one before left there."""

Tensors = Mapping[str, Tensor]


def run(cell: Cell, operands: Operands | LayerOperands) -> tuple[Tensor, State]:
    """Outputs and the last state, as `autograd.run` gives them, with states kept as `Steps.recompute` asks."""
    length, given = operands.steps.segment(operands.time), named(operands)
    if length is None or not autograd.wants_gradients(given):
        return autograd.run(cell, operands)
    call = Call.of(cell, operands)
    outputs, *state = _Segmented.apply(call, length, *(given.get(name) for name in NAMES))  # type: ignore[misc]
    return outputs, State(*state)


class _Segmented(torch.autograd.Function):
    """All segments as one node: `apply(call, steps a segment, *tensors in the order of NAMES)`."""

    @staticmethod
    def forward(ctx: Any, call: Call, length: int, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        ctx.set_materialize_grads(False)
        made, kept = Segments(call, length, dict(zip(NAMES, given, strict=True))).forward()
        ctx.call, ctx.length, ctx.kept = call, length, list(kept)
        ctx.save_for_backward(*given, *kept.values())
        return tuple(autograd.results(call, made))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        given, saved = ctx.saved_tensors[: len(NAMES)], ctx.saved_tensors[len(NAMES) :]
        needed = ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():
            return None, None, *autograd.differentiable(ctx.call, given, needed, gradients)
        segments = Segments(ctx.call, ctx.length, dict(zip(NAMES, given, strict=True)))
        names = {name for name, need in zip(NAMES, needed, strict=True) if need}
        kept = dict(zip(ctx.kept, saved, strict=True))

        def back(own: Gradients) -> Gradients:
            found = segments.backward(kept, own, names)
            return [found[name].to(ctx.call.dtype) if name in names else None for name in NAMES]

        return None, None, *several.passes(back, gradients)


@dataclass(frozen=True)
class Segments:
    """A call cut along time into segments of `length` steps, the last one shorter; `given` are its operands by name."""

    call: Call
    length: int
    given: Named

    @cached_property
    def spans(self) -> list[slice]:
        """The steps of each segment, in the order of the loop."""
        time = self.call.time
        spans = [slice(begin, min(begin + self.length, time)) for begin in range(0, time, self.length)]
        return spans[::-1] if self.call.reverse else spans

    @cached_property
    def whole(self) -> dict[str, Tensor]:
        """The operands that all segments share, as the loops read them."""
        return self.call.ready({name: tensor for name, tensor in self.given.items() if name not in TIMED})

    @cached_property
    def start(self) -> dict[str, Tensor]:
        """The state from which the first segment starts."""
        return {name: self.whole[name] for name in STATE if name in self.whole}

    def forward(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """All results, and the states (segments - 1, batch, units) from which the segments after the first start."""
        state, made = self.start, dict[str, Tensor]()
        count, batch, output = len(self.spans), self.call.sizes[1], self.call.sizes[4]
        kept = {name: tensor.new_empty(count - 1, *tensor.shape) for name, tensor in state.items()}
        outputs = state["initial_hidden"].new_empty(self.call.time, batch, output)
        for number, span in enumerate(self.spans):
            if number:
                state = self._renewed({name: made[STATE[name]] for name in state}, span)
                for name, tensor in state.items():
                    kept[name][number - 1] = tensor
            made = self._call(span).forward(self._ready(span, state), training=False, outputs=outputs[span])
        return {**{name: made[name] for name in RESULTS if name in made}, "outputs": outputs}, kept

    def backward(self, kept: Tensors, gradients: Gradients, names: set[str]) -> dict[str, Tensor]:
        """The gradients of the operands of these names."""
        of_outputs, *carried = gradients
        found = {name: self._like(name) for name in names - STATE.keys()}
        left = dict[str, Tensor]()
        for number, span in reversed([*enumerate(self.spans)]):
            state = {name: kept[name][number - 1] if number else tensor for name, tensor in self.start.items()}
            given = (None if of_outputs is None else of_outputs[span], *carried)
            left = self._back(span, state, given, found, accumulate=number < len(self.spans) - 1)
            self._renewed_back(left, found, span)
            carried = [left.get(name) for name in STATE]
        return found | {name: left[name] for name in names & left.keys()}

    def _back(
        self, span: slice, state: Tensors, gradients: Gradients, found: Tensors, *, accumulate: bool
    ) -> dict[str, Tensor]:
        """Run one segment again and then backwards: add to the gradients found, return those of its first state."""
        call, ready = self._call(span), self._ready(span, state)
        made = call.forward(ready, training=True)
        left = {name: torch.empty_like(tensor) for name, tensor in state.items()}
        wanted = {f"grad_{name}": tensor[span] if name in TIMED else tensor for name, tensor in found.items()}
        wanted |= {f"grad_{name}": tensor for name, tensor in left.items()}
        if "gates" not in found:
            kept = made["activations"]
            wanted["grad_gates"] = torch.empty_like(kept) if call.cell.full_gate_recurrence else kept
        given = gradients_of_results(gradients, ready["initial_cell"])
        autograd.backward(call, ready, made, given, wanted, accumulate=accumulate)
        return left

    def _call(self, span: slice) -> Call:
        return replace(self.call, sizes=(span.stop - span.start, *self.call.sizes[1:]))

    def _ready(self, span: slice, state: Tensors) -> dict[str, Tensor]:
        """The operands of one segment, which starts from this state."""
        own = {name: _steps(tensor, span) for name in TIMED if (tensor := self.given.get(name)) is not None}
        ready = {**self.whole, **self._call(span).ready(own), **state}
        if "lengths" in ready:
            ready["lengths"] = (ready["lengths"] - span.start).clamp(0, span.stop - span.start)
        return ready

    def _like(self, name: str) -> Tensor:
        """Memory for an operand's gradient, in the dtype of the loops."""
        operand = self.given[name]
        assert operand is not None
        return self.start["initial_cell"].new_empty(operand.shape)

    def _begins(self, span: slice) -> Tensor | None:
        """Which sequences (batch, 1) begin anew with a segment's first step, where its loop does not see that itself.

        Backwards a loop that starts at t does not look at the reset that parts t from t + 1.
        """
        reset, lengths = self.given["reset"], self.whole.get("lengths")
        if reset is None or not self.call.reverse or span.stop == self.call.time:
            return None
        begins = reset[span.stop] if lengths is None else reset[span.stop] & (lengths > span.stop)
        return begins.unsqueeze(1)

    def _renewed(self, state: Tensors, span: slice) -> Tensors:
        """The state before a segment: put back to the fresh one in sequences that begin with it."""
        begins = self._begins(span)
        if begins is None:
            return state
        return {name: torch.where(begins, self._fresh(name, like=old), old) for name, old in state.items()}

    def _fresh(self, name: str, like: Tensor) -> Tensor:
        fresh = self.whole.get(name.replace("initial", "fresh"))
        return torch.zeros_like(like) if fresh is None else fresh

    def _renewed_back(self, left: dict[str, Tensor], found: Tensors, span: slice) -> None:
        """Hand the gradient of what was fresh to the fresh state, and nothing of it to the segment before."""
        begins = self._begins(span)
        for name in left if begins is not None else ():
            fresh = found.get(name.replace("initial", "fresh"))
            if fresh is not None:
                fresh += torch.where(begins, left[name], 0)  # type: ignore[arg-type]
            left[name].masked_fill_(begins, 0)  # type: ignore[arg-type]


def _steps(tensor: Tensor, span: slice) -> Tensor:
    """The steps of a segment; a mask with one row for all steps stays as it is."""
    return tensor if tensor.shape[0] == 1 else tensor[span]
