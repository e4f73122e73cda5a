"""One layer in one direction: parameters and a batch in, outputs and last state out."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.nn.parameters import LayerWeights
from carousel.nn.regularization import Regularization
from carousel.ops import (
    Inputs,
    LayerOperands,
    Operands,
    Recompute,
    State,
    Steps,
    Weights,
    layer,
    recurrence,
    reference,
)
from carousel.ops.shapes import autocasts


@dataclass(frozen=True)
class Layer:
    """A layer's weights as they are at this call, its direction, how it is regularised, and what it keeps."""

    weights: LayerWeights
    regularization: Regularization
    reverse: bool = False
    training: bool = False
    recompute: Recompute = None

    def operands(
        self, x: Tensor, state: State | None, lengths: Tensor | None, reset: Tensor | None
    ) -> Operands | LayerOperands:
        """What the operator is given for inputs x (time, batch, features)."""
        x = self.regularization.drop_input(x, self.training)
        R = self.regularization.drop_weight(self.weights.named.get("weight_hh"), self.training)
        given = self._given(x)
        like = given.x if isinstance(given, Inputs) else given
        weights = self.weights.recurrent(R)
        if autocasts(x):
            weights, state = Weights(*_cast(weights, like)), state and State(*_cast(state, like))  # type: ignore[arg-type]
        shape = self.weights.shape
        fresh = self._fresh(like)
        start = (
            state or fresh or State(*(like.new_zeros(like.shape[1], width) for width in shape.state_widths.values()))
        )
        steps = Steps(lengths, reset, fresh if reset is not None else None, self.reverse, self.recompute)
        noise = self.regularization.noise(like, shape.state_widths | {"read": shape.read_width}, self.training)
        if isinstance(given, Inputs):
            return LayerOperands(given, start, weights, steps, noise)
        return Operands(given, start, weights, steps, noise)

    def run(self, operands: Operands | LayerOperands) -> tuple[Tensor, State]:
        """Outputs (time, batch, output) and the state after each sequence's last step."""
        cell, weights, state = self.weights.shape.cell, operands.weights, operands.state
        steps, noise = operands.steps, operands.noise
        if isinstance(operands, LayerOperands):
            return layer(cell, operands.inputs, weights, state, steps=steps, noise=noise)
        return recurrence(cell, operands.gates, weights, state, steps=steps, noise=noise)

    def trace(self, operands: Operands | LayerOperands) -> dict[str, list[Tensor]]:
        """Gate activations, cell and hidden state of every step, in the order of time."""
        cell = self.weights.shape.cell
        moments = sorted(reference.unroll(cell, operands.with_gates()), key=lambda entry: entry[0])
        traced: dict[str, list[Tensor]] = {"cell": [state.cell for _, _, state in moments]}
        traced["hidden"] = [state.hidden for _, _, state in moments]
        for gate in cell.learned:
            traced[gate] = [moment.gates[gate] for _, moment, _ in moments]  # type: ignore[misc]
        return traced

    def _given(self, x: Tensor) -> Inputs | Tensor:
        """What W x + b is computed from, or, if the cell has layer norm on W x, the pre-activations themselves."""
        bias, norm = self.weights.bias(), self.weights.norm("norm_input")
        if norm is None:
            return _as_linear_would(x, self.weights.W, bias)
        product = F.linear(x, self.weights.W)
        gain, shift = norm[0], norm[1] if bias is None else norm[1] + bias
        return F.layer_norm(product, product.shape[-1:], gain.to(product.dtype), shift.to(product.dtype))

    def _fresh(self, like: Tensor) -> State | None:
        """The learnt initial state for each sequence of the batch."""
        initial = self.weights.initial()
        if initial is None:
            return None
        return State(*(vector.to(like.dtype).expand(like.shape[1], -1) for vector in initial))


def _as_linear_would(x: Tensor, W: Tensor, b: Tensor | None) -> Inputs:
    """The operands of a product as autocast hands them to it: what is in double precision stays."""
    if not autocasts(x) or torch.float64 in (x.dtype, W.dtype):
        return Inputs(x, W, b)
    dtype = torch.get_autocast_dtype(x.device.type)
    return Inputs(x.to(dtype), W.to(dtype), None if b is None else b.to(dtype))


def _cast(tensors: Iterable[Tensor | None], like: Tensor) -> list[Tensor | None]:
    return [None if tensor is None else tensor.to(like.dtype) for tensor in tensors]
