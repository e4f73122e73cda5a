"""One layer in one direction: parameters and a batch in, outputs and last state out."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from carousel.nn.parameters import LayerWeights
from carousel.nn.regularization import Regularization
from carousel.ops import Operands, State, Steps, recurrence, reference, zero_state


@dataclass(frozen=True)
class Layer:
    """A layer's weights as they are at this call, its direction, and how it is regularised."""

    weights: LayerWeights
    regularization: Regularization
    reverse: bool = False
    training: bool = False

    def operands(self, x: Tensor, state: State | None, lengths: Tensor | None, reset: Tensor | None) -> Operands:
        """What the operator is given for inputs x (time, batch, features)."""
        x = self.regularization.drop_input(x, self.training)
        gates = self._pre_activations(x)
        R = self.regularization.drop_weight(self.weights.named.get("weight_hh"), self.training)
        widths = self.weights.shape.state_widths()
        fresh = self._fresh(gates)
        start = state or fresh or zero_state(self.weights.shape.cell, gates, widths["cell"], widths["hidden"])
        steps = Steps(lengths, reset, fresh if reset is not None else None, self.reverse)
        noise = self.regularization.noise(gates, widths | {"read": self.weights.shape.read_width}, self.training)
        return Operands(gates, start, self.weights.recurrent(R), steps, noise)

    def run(self, operands: Operands) -> tuple[Tensor, State]:
        """Outputs (time, batch, output) and the state after each sequence's last step."""
        return recurrence(
            self.weights.shape.cell,
            operands.gates,
            operands.weights,
            operands.state,
            steps=operands.steps,
            noise=operands.noise,
        )

    def trace(self, operands: Operands) -> dict[str, list[Tensor]]:
        """Gate activations, cell and hidden state of every step, in the order of time."""
        cell = self.weights.shape.cell
        moments = sorted(reference.unroll(cell, operands), key=lambda entry: entry[0])
        traced: dict[str, list[Tensor]] = {"cell": [state.cell for _, _, state in moments]}
        traced["hidden"] = [state.hidden for _, _, state in moments]
        for gate in cell.learned:
            traced[gate] = [moment.gates[gate] for _, moment, _ in moments]  # type: ignore[misc]
        return traced

    def _pre_activations(self, x: Tensor) -> Tensor:
        """W x + b, with layer norm on W x if the cell has one."""
        bias, norm = self.weights.bias(), self.weights.norm("norm_input")
        if norm is None:
            return F.linear(x, self.weights.W, bias)
        product = F.linear(x, self.weights.W)
        gates = F.layer_norm(product, product.shape[-1:], norm[0].to(product.dtype), norm[1].to(product.dtype))
        return gates if bias is None else gates + bias.to(gates.dtype)

    def _fresh(self, gates: Tensor) -> State | None:
        """The learnt initial state for each sequence of the batch."""
        initial = self.weights.initial()
        if initial is None:
            return None
        return State(*(vector.to(gates.dtype).expand(gates.shape[1], -1) for vector in initial))
