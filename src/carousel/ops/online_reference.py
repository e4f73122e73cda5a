"""The oracle of learning online: the same steps in plain torch."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.ops.influence import OnlineMoment, OnlineStep, influence, squashed
from carousel.ops.online import (
    RESET,
    TARGET,
    UPDATE,
    OnlineNet,
    OnlineRule,
    OnlineRunner,
    OnlineStream,
    OnlineTrials,
)
from carousel.ops.online_trials import Attempts


class OnlineAnswer(NamedTuple):
    """What nets say at a step: the layer's moment, what the readout reads, the outputs and their slopes, nets first."""

    moment: OnlineMoment
    read: Tensor
    y: Tensor
    slope: Tensor


class ReferenceOnline(OnlineRunner):
    """Nets in plain torch; every tensor has the nets first."""

    def __init__(self, net: OnlineNet, rule: OnlineRule, weights: Tensor) -> None:
        super().__init__(net, rule, weights)
        self._weights = weights.clone()
        self._gradient, self._velocity = torch.zeros_like(weights), torch.zeros_like(weights)
        self._state = weights.new_zeros(self.nets, net.states)
        self._trials = weights.new_zeros(self.nets, 3)
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
        return own | {"trials": self._trials} | self._influence.tensors()

    def renew(self, net: int, weights: Tensor) -> None:
        for tensor in self.tensors().values():
            tensor[net] = 0
        self._weights[net] = weights

    def run(self, stream: OnlineStream, *, learn: bool = True) -> Tensor:
        return self._run(stream, None, learn=learn)

    def attempt(self, stream: OnlineStream, trials: OnlineTrials, *, learn: bool = True) -> Tensor:
        attempts = Attempts(trials, self._trials, self.rule.rate)
        self._run(stream, attempts, learn=learn)
        self._forget(attempts.waits, learn=learn)
        return attempts.lengths

    def _run(self, stream: OnlineStream, trials: Attempts | None, *, learn: bool) -> Tensor:
        time = stream.inputs.shape[0]
        results = self._weights.new_empty(time, self.nets, self.net.outputs)
        for t in range(time):
            flags = stream.flags[t].expand(self.nets)
            flags = trials.begin(flags) if trials else flags
            self._forget((flags & RESET) != 0, learn=learn)
            x = self._inputs(stream.inputs[t])
            moment = self._step(x, self._state)
            read = torch.cat([moment.hidden, *([x] if self.net.shortcut else []), x.new_ones(self.nets, 1)], dim=1)
            y, slope = squashed(self.net.squash, torch.einsum("nor,nr->no", self._parts["readout"], read))
            results[t] = y
            if learn:
                self._teach(OnlineAnswer(moment, read, y, slope), stream.targets[t], flags, trials)
            if trials:
                trials.end(y, stream.targets[t], flags)
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

    def _teach(self, answer: OnlineAnswer, target: Tensor, flags: Tensor, trials: Attempts | None) -> None:
        """Learn from this step's error, and apply what was learned where that is wanted."""
        error = (answer.y - target) * (1 if self.rule.entropy else answer.slope)
        self._learn(answer.moment, answer.read, error.masked_fill((flags & TARGET == 0).unsqueeze(1), 0))
        self._improve((flags & UPDATE) != 0, trials)

    def _learn(self, moment: OnlineMoment, read: Tensor, error: Tensor) -> None:
        """Add the gradient of this step."""
        self._influence.advance(moment)
        wrong = torch.einsum("no,noh->nh", error, self._parts["readout"][:, :, : self.net.hidden])
        W, p = self._influence.gradient(moment, wrong)
        self._slopes["W"] += W
        self._slopes["p"] += p
        self._slopes["readout"] += error.unsqueeze(2) * read.unsqueeze(1)

    def _improve(self, now: Tensor, trials: Attempts | None) -> None:
        """Descend with what was learned since the last time, in these nets."""
        rate = trials.pace if trials else self.rule.rate
        step = rate.unsqueeze(1) * self._gradient + self.rule.momentum.unsqueeze(1) * self._velocity
        step = torch.where(now.unsqueeze(1) & self._learned, step, 0)
        self._velocity.copy_(torch.where(now.unsqueeze(1), step, self._velocity))
        self._weights.sub_(step)
        self._gradient[now] = 0
        if trials:
            trials.fade(now)
