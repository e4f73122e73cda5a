"""Learning online in the compiled kernels: one call for all steps of a stream, eight nets side by side."""

from math import ceil

import torch
from torch import Tensor

from carousel.cells import layout, row
from carousel.cells.squash import SQUASHES
from carousel.ops.cpu import extension
from carousel.ops.influence import INSIDE
from carousel.ops.online import OnlineNet, OnlineRule, OnlineRunner, OnlineStream


class CompiledOnline(OnlineRunner):
    """Nets in compiled loops. Their numbers lie side by side: (groups of eight nets, size, eight)."""

    def __init__(self, net: OnlineNet, rule: OnlineRule, weights: Tensor) -> None:
        super().__init__(net, rule, weights)
        sizes = {"weights": net.weights, "gradient": net.weights, "state": net.states}
        sizes["influence"] = _influence(net, rule.name)
        if torch.count_nonzero(rule.momentum):
            sizes["velocity"] = net.weights
        lanes = extension.module.online_width()
        groups = ceil(self.nets / lanes)
        self._memory = {name: torch.zeros(groups, size, lanes, dtype=torch.float64) for name, size in sizes.items()}
        self._memory["weights"].copy_(self._side_by_side(weights))
        self._fixed = {
            "rate": self._side_by_side(rule.rate.unsqueeze(1)),
            "momentum": self._side_by_side(rule.momentum.unsqueeze(1)),
            "learned": net.learned().to(torch.float64),
        }
        self._scratch = _scratch(net)

    @property
    def weights(self) -> Tensor:
        packed = self._memory["weights"]
        return packed.transpose(1, 2).reshape(-1, packed.shape[1])[: self.nets].clone()

    def set_weights(self, weights: Tensor) -> None:
        self._memory["weights"].copy_(self._side_by_side(weights))

    def set_learned(self, learned: Tensor) -> None:
        self._fixed["learned"] = learned.to(torch.float64)

    def tensors(self) -> dict[str, Tensor]:
        return self._memory

    def run(self, stream: OnlineStream, *, learn: bool = True) -> Tensor:
        groups, _, lanes = self._memory["weights"].shape
        results = torch.empty(stream.inputs.shape[0], self.nets, self.net.outputs, dtype=torch.float64)
        scratch = torch.empty(groups, self._scratch, lanes, dtype=torch.float64)
        streams = {name: tensor.contiguous() for name, tensor in stream._asdict().items()}
        given = {**self._memory, **self._fixed, **streams, "results": results, "scratch": scratch}
        pointers = [given[name].data_ptr() if name in given else 0 for name in extension.module.ONLINE_POINTERS]
        strides = [number for name in extension.module.ONLINE_STRIDED for number in _strides(streams[name])]
        sizes = {**self._sizes(stream), "training": learn}
        numbers = [int(sizes[name]) for name in extension.module.ONLINE_SIZES]
        extension.module.online(row.encode(self.net.cell), numbers, pointers, strides, torch.get_num_threads())
        return results

    def _sizes(self, stream: OnlineStream) -> dict[str, int | bool]:
        net = self.net
        gates = net.gates_recur or net.cell.full_gate_recurrence
        return {
            "time": stream.inputs.shape[0], "nets": self.nets,
            "inputs": net.inputs, "hidden": net.hidden, "outputs": net.outputs,
            "weights": net.weights, "state": net.states, "scratch": self._scratch,
            "influence": self._memory["influence"].shape[1],
            "squash": list(SQUASHES).index(net.squash), "exact": self.rule.name == "rtrl",
            "entropy": self.rule.entropy, "shortcut": net.shortcut, "gates": gates,
            "symbols": stream.inputs.dtype == torch.int64,
        }  # fmt: skip

    def _side_by_side(self, numbers: Tensor) -> Tensor:
        """(nets, size) as (groups, size, eight), zeros behind the last net."""
        lanes = extension.module.online_width()
        padded = numbers.new_zeros(ceil(self.nets / lanes) * lanes, numbers.shape[1])
        padded[: self.nets] = numbers
        return padded.unflatten(0, (-1, lanes)).transpose(1, 2).contiguous()


def _influence(net: OnlineNet, rule: str) -> int:
    """How many numbers the influence of a net's weights takes."""
    W, p = net.shapes["W"], net.shapes["p"]
    if rule == "rtrl":
        return (W[0] * W[1] + p[0] * p[1]) * net.states
    sources = sum(net.hidden * net.sources for gate in INSIDE if gate in net.rows)
    return sources + sum(net.hidden * net.cell.block for gate in INSIDE if gate in layout.peephole_rows(net.cell))


def _scratch(net: OnlineNet) -> int:
    """How many numbers a step needs besides."""
    numbers = net.sources + 3 * net.shapes["W"][0] + net.states + 10 * net.hidden + 2 * net.outputs
    return numbers + ceil(net.sources / 16)


def _strides(tensor: Tensor) -> tuple[int, int]:
    """Of time and net, in numbers; 0 for what all nets share."""
    return tensor.stride(0), 0 if tensor.shape[1] == 1 else tensor.stride(1)
