"""The oracle of learning online: the same steps in plain torch."""

import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.ops.influence import OnlineMoment, OnlineStep, influence, squashed
from carousel.ops.online import RESET, TARGET, UPDATE, OnlineNet, OnlineRule, OnlineRunner, OnlineStream


class ReferenceOnline(OnlineRunner):
    """Nets in plain torch; every tensor has the nets first."""

    def __init__(self, net: OnlineNet, rule: OnlineRule, weights: Tensor) -> None:
        super().__init__(net, rule, weights)
        self._weights = weights.clone()
        self._gradient, self._velocity = torch.zeros_like(weights), torch.zeros_like(weights)
        self._state = weights.new_zeros(self.nets, net.states)
        self._learned = net.learned()
        self._parts, self._slopes = net.split(self._weights), net.split(self._gradient)
        self._step = OnlineStep(net, self._parts["W"], self._parts["p"])
        self._influence = influence(rule.name, self._step, self.nets)

    @property
    def weights(self) -> Tensor:
        return self._weights.clone()

    def set_weights(self, weights: Tensor) -> None:
        self._weights.copy_(weights)

    def set_learned(self, learned: Tensor) -> None:
        self._learned = learned

    def tensors(self) -> dict[str, Tensor]:
        own = {"weights": self._weights, "gradient": self._gradient, "velocity": self._velocity, "state": self._state}
        return own | self._influence.tensors()

    def run(self, stream: OnlineStream, *, learn: bool = True) -> Tensor:
        time = stream.inputs.shape[0]
        results = self._weights.new_empty(time, self.nets, self.net.outputs)
        for t in range(time):
            flags = stream.flags[t].expand(self.nets)
            self._forget((flags & RESET) != 0, learn=learn)
            x = self._inputs(stream.inputs[t])
            moment = self._step(x, self._state)
            read = torch.cat([moment.hidden, *([x] if self.net.shortcut else []), x.new_ones(self.nets, 1)], dim=1)
            y, slope = squashed(self.net.squash, torch.einsum("nor,nr->no", self._parts["readout"], read))
            results[t] = y
            if learn:
                error = (y - stream.targets[t]) * (1 if self.rule.entropy else slope)
                self._learn(moment, read, error.masked_fill((flags & TARGET == 0).unsqueeze(1), 0))
                self._improve((flags & UPDATE) != 0)
            self._state.copy_(moment.state())
        return results

    def _forget(self, begins: Tensor, *, learn: bool) -> None:
        """Nothing is left in these nets but their weights and what they were about to learn."""
        for tensor in (self._state, *(self._influence.tensors().values() if learn else ())):
            tensor[begins] = 0

    def _inputs(self, inputs: Tensor) -> Tensor:
        """(nets, inputs) of one step."""
        if inputs.dtype != torch.int64:
            return inputs.expand(self.nets, -1)
        known = (inputs >= 0) & (inputs < self.net.inputs)
        hot = F.one_hot(torch.where(known, inputs, 0), max(self.net.inputs, 1)).to(self._weights.dtype)
        return (hot * known.unsqueeze(1)).expand(self.nets, -1)

    def _learn(self, moment: OnlineMoment, read: Tensor, error: Tensor) -> None:
        """Add the gradient of this step."""
        self._influence.advance(moment)
        wrong = torch.einsum("no,noh->nh", error, self._parts["readout"][:, :, : self.net.hidden])
        W, p = self._influence.gradient(moment, wrong)
        self._slopes["W"] += W
        self._slopes["p"] += p
        self._slopes["readout"] += error.unsqueeze(2) * read.unsqueeze(1)

    def _improve(self, now: Tensor) -> None:
        """Descend with what was learned since the last time, in these nets."""
        step = self.rule.rate.unsqueeze(1) * self._gradient + self.rule.momentum.unsqueeze(1) * self._velocity
        step = torch.where(now.unsqueeze(1) & self._learned, step, 0)
        self._velocity.copy_(torch.where(now.unsqueeze(1), step, self._velocity))
        self._weights.sub_(step)
        self._gradient[now] = 0
