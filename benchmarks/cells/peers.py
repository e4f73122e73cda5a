"""What users have for cells that torch lacks: loops written by hand, eager, in TorchScript, or compiled."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Step = Callable[[Tensor, Tensor, Tensor, list[Tensor]], tuple[Tensor, Tensor]]
Loop = Callable[[Tensor, int, list[Tensor]], Tensor]


def peephole_step(gates: Tensor, h: Tensor, c: Tensor, weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Gers et al. 2002: input and forget gate see the old cell state, the output gate the new one."""
    R, p = weights[0], weights[1]
    i, f, z, o = (gates + F.linear(h, R)).chunk(4, 1)
    c_new = torch.sigmoid(f + p[1] * c) * c + torch.sigmoid(i + p[0] * c) * torch.tanh(z)
    return torch.sigmoid(o + p[2] * c_new) * torch.tanh(c_new), c_new


def coupled_step(gates: Tensor, h: Tensor, c: Tensor, weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Greff et al. 2017: the forget gate is one minus the input gate."""
    R, p = weights[0], weights[1]
    i, z, o = (gates + F.linear(h, R)).chunk(3, 1)
    i = torch.sigmoid(i + p[0] * c)
    c_new = (1 - i) * c + i * torch.tanh(z)
    return torch.sigmoid(o + p[1] * c_new) * torch.tanh(c_new), c_new


def norm_step(gates: Tensor, h: Tensor, c: Tensor, weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Ba et al. 2016: layer norm on what recurs, and on the cell state on its way out."""
    recurring = F.layer_norm(F.linear(h, weights[0]), [gates.shape[1]], weights[1], weights[2])
    i, f, z, o = (gates + recurring).chunk(4, 1)
    c_new = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(z)
    shown = F.layer_norm(c_new, [c_new.shape[1]], weights[3], weights[4])
    return torch.sigmoid(o) * torch.tanh(shown), c_new


def over_time(step: Step) -> Loop:
    """A loop of this step over pre-activations (time, batch, rows)."""

    def loop(gates: Tensor, hidden: int, weights: list[Tensor]) -> Tensor:
        h = gates.new_zeros([gates.shape[1], hidden])
        c = gates.new_zeros([gates.shape[1], hidden])
        outputs = []
        for each in gates.unbind(0):
            h, c = step(each, h, c, weights)
            outputs.append(h)
        return torch.stack(outputs)

    return loop


@dataclass(frozen=True)
class Peer:
    """A hand-written cell, and which parameters of `carousel.LSTM` it takes."""

    step: Step
    names: tuple[str, ...]

    def run(self, loop: Loop) -> Callable[[nn.Module, Tensor], Tensor]:
        """Outputs of a loop over this cell, with the parameters of a module."""

        def outputs(module: nn.Module, x: Tensor) -> Tensor:
            named = {name.removesuffix("_l0"): value for name, value in module.named_parameters()}
            bias = named["bias_ih"] + named["bias_hh"]
            weights = [named[name] for name in self.names]
            return loop(_pre_activations(x, named, bias), module.hidden_size, weights)  # type: ignore[arg-type]

        return outputs

    def eager(self) -> Loop:
        """A Python loop."""
        return over_time(self.step)

    def scripted(self) -> Loop:
        """The loop in TorchScript."""
        step = torch.jit.script(self.step)
        return torch.jit.script(over_time(step))  # type: ignore[return-value]

    def compiled_step(self) -> Loop:
        """A Python loop over a compiled step."""
        return over_time(torch.compile(self.step, dynamic=False))

    def compiled(self) -> Loop:
        """The whole loop compiled: torch unrolls it."""
        return torch.compile(over_time(self.step), dynamic=False)


def _pre_activations(x: Tensor, named: dict[str, Tensor], bias: Tensor) -> Tensor:
    if "ln_ih_weight" not in named:
        return F.linear(x, named["weight_ih"], bias)
    product = F.linear(x, named["weight_ih"])
    return F.layer_norm(product, product.shape[-1:], named["ln_ih_weight"], named["ln_ih_bias"]) + bias


PEERS = {
    "peephole": Peer(peephole_step, ("weight_hh", "weight_ch")),
    "coupled": Peer(coupled_step, ("weight_hh", "weight_ch")),
    "norm": Peer(norm_step, ("weight_hh", "ln_hh_weight", "ln_hh_bias", "ln_ch_weight", "ln_ch_bias")),
}
"""By the names of the rows in `cases.ROWS`."""
