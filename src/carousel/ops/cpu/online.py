"""Learning online in the compiled kernels: one call for all steps of a stream, eight nets side by side."""

from math import ceil

import torch
from torch import Tensor

from carousel.cells import layout, row
from carousel.cells.squash import SQUASHES
from carousel.ops.cpu import extension
from carousel.ops.influence import INSIDE
from carousel.ops.online import OnlineNet, OnlineRule, OnlineRunner, OnlineStream, OnlineTrials
from carousel.ops.online_filter import OnlineFilter


class CompiledOnline(OnlineRunner):
    """Nets in compiled loops. Their numbers lie side by side: (groups of eight nets, size, eight)."""

    def __init__(self, net: OnlineNet, rule: OnlineRule, weights: Tensor) -> None:
        super().__init__(net, rule, weights)
        sizes = {"weights": net.weights, "gradient": net.weights, "state": net.states, "trials": 3}
        sizes["influence"] = _influence(net, rule.name)
        if torch.count_nonzero(rule.momentum):
            sizes["velocity"] = net.weights
        lanes = extension.module.online_width()
        groups = ceil(self.nets / lanes)
        self._memory = {name: torch.zeros(groups, size, lanes, dtype=torch.float64) for name, size in sizes.items()}
        self._memory["weights"].copy_(self._side_by_side(weights))
        self._measured = 0
        self._fixed = {
            "rate": self._side_by_side(rule.rate.unsqueeze(1)),
            "momentum": self._side_by_side(rule.momentum.unsqueeze(1)),
            "learned": net.learned(),
        }
        self._scratch = _scratch(net)
        if rule.filter is not None:
            self._estimate(rule.filter)

    def _estimate(self, by: OnlineFilter) -> None:
        """Take what a Kalman filter needs: lower triangles of its covariances, its noise, and which weights."""
        groups = by.estimates(self.net)
        triangles = torch.cat(
            [torch.eye(len(group))[torch.tril_indices(len(group), len(group)).unbind()] for group in groups]
        )
        each = torch.ones(self.nets, 1, dtype=torch.float64)
        self._memory["covariance"] = self._side_by_side(by.initial_covariance * triangles * each)
        self._memory["noise"] = self._side_by_side(torch.tensor(by.begins, dtype=torch.float64) * each)
        self._fixed["annealing"] = self._side_by_side(torch.tensor(by.factors(by.updates), dtype=torch.float64) * each)
        self._fixed["positions"] = torch.cat(groups)
        self._fixed["ends"] = torch.tensor([len(group) for group in groups]).cumsum(0)
        outputs = self.net.outputs
        self._measured = 2 * outputs * len(self._fixed["positions"]) + outputs**2 + self.net.weights

    @property
    def weights(self) -> Tensor:
        packed = self._memory["weights"]
        return packed.transpose(1, 2).reshape(-1, packed.shape[1])[: self.nets].clone()

    def set_weights(self, weights: Tensor) -> None:
        self._memory["weights"].copy_(self._side_by_side(weights))

    def set_learned(self, learned: Tensor) -> None:
        self._fixed["learned"] = learned.to(torch.bool).contiguous()

    def tensors(self) -> dict[str, Tensor]:
        return self._memory

    def renew(self, net: int, weights: Tensor) -> None:
        lanes = extension.module.online_width()
        for tensor in self._memory.values():
            tensor[net // lanes, :, net % lanes] = 0
        self._memory["weights"][net // lanes, :, net % lanes] = weights

    def run(self, stream: OnlineStream, *, learn: bool = True) -> Tensor:
        results = torch.empty(stream.inputs.shape[0], self.nets, self.net.outputs, dtype=torch.float64)
        self._call(stream, {"results": results}, {"training": learn})
        return results

    def attempt(self, stream: OnlineStream, trials: OnlineTrials, *, learn: bool = True) -> Tensor:
        lengths = torch.full((self.nets, trials.most), -1, dtype=torch.int64)
        given = {
            "tolerance": self._side_by_side(trials.tolerance.unsqueeze(1)),
            "fading": self._side_by_side(trials.fading.unsqueeze(1)),
            "ended": torch.zeros(self.nets, dtype=torch.int64),
            "lengths": lengths,
        }
        sizes = {"training": learn, "most": trials.most, "longest": trials.longest, "enough": trials.enough}
        self._call(stream, given, sizes)
        return lengths

    def _call(self, stream: OnlineStream, tensors: dict[str, Tensor], sizes: dict[str, int | bool]) -> None:
        """Through the steps of a stream; what is not given is none, or zero."""
        groups, _, lanes = self._memory["weights"].shape
        scratch, measured = (
            torch.empty(groups, size, lanes, dtype=torch.float64) for size in (self._scratch, self._measured)
        )
        streams = {name: tensor.contiguous() for name, tensor in stream._asdict().items()}
        given = {**self._memory, **self._fixed, **streams, **tensors, "scratch": scratch, "measured": measured}
        pointers = [given[name].data_ptr() if name in given else 0 for name in extension.module.ONLINE_POINTERS]
        strides = [number for name in extension.module.ONLINE_STRIDED for number in _strides(streams[name])]
        known = self._sizes(stream) | sizes
        numbers = [int(known.get(name, 0)) for name in extension.module.ONLINE_SIZES]
        extension.module.online(row.encode(self.net.cell), numbers, pointers, strides, torch.get_num_threads())

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
            "covariance": self._memory["covariance"].shape[1] if self.rule.filter else 0,
            "measured": self._measured, "ends": len(self._fixed.get("ends", ())),
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
