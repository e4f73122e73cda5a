"""The oracle of online nets that a Kalman filter estimates: the same steps in plain torch, a filter for each net."""

import math

import torch
from torch import Tensor

from carousel.ops.filter_noise import Variances
from carousel.ops.online import TARGET, UPDATE, OnlineNet, OnlineRule
from carousel.ops.online_reference import OnlineAnswer, ReferenceOnline
from carousel.ops.online_trials import Attempts
from carousel.training.filter import KalmanFilter
from carousel.training.method import DivergenceError


class FilteredOnline(ReferenceOnline):
    """Nets in plain torch whose weights are estimated; one that diverges goes on with NaN.

    Raises ValueError for a rule without a filter.
    """

    def __init__(self, net: OnlineNet, rule: OnlineRule, weights: Tensor) -> None:
        super().__init__(net, rule, weights)
        if rule.filter is None:
            raise ValueError("this rule has no filter; give one, or take ReferenceOnline")
        groups = rule.filter.estimates(net)
        self._filters = [KalmanFilter(groups, rule.filter.initial_covariance) for _ in range(self.nets)]
        self._noise = torch.tensor([rule.filter.begins] * self.nets, dtype=torch.float64)
        self._factors = torch.tensor(rule.filter.factors(rule.filter.updates), dtype=torch.float64)

    def tensors(self) -> dict[str, Tensor]:
        covariances = {
            f"covariance.{net}.{place}": block.covariance
            for net, by in enumerate(self._filters)
            for place, block in enumerate(by.blocks)
        }
        return super().tensors() | {"noise": self._noise} | covariances

    def _teach(self, answer: OnlineAnswer, target: Tensor, flags: Tensor, trials: Attempts | None) -> None:
        self._influence.advance(answer.moment)
        now = torch.nonzero((flags & TARGET != 0) & (flags & UPDATE != 0))[:, 0].tolist()
        if now:
            slopes, errors = self._jacobian(answer), (target - answer.y).expand_as(answer.y)
            for net in now:
                self._estimate(net, slopes[net], errors[net])

    def _jacobian(self, answer: OnlineAnswer) -> Tensor:
        """The derivative of each output for each weight (nets, outputs, weights)."""
        hidden, rows = self.net.hidden, []
        for output in range(self.net.outputs):
            slope = answer.slope[:, output : output + 1]
            W, p = self._influence.gradient(answer.moment, slope * self._parts["readout"][:, output, :hidden])
            own = torch.zeros_like(self._parts["readout"])
            own[:, output] = slope * answer.read
            rows.append(torch.cat([W.flatten(1), p.flatten(1), own.flatten(1)], dim=1))
        return torch.stack(rows, dim=1)

    def _estimate(self, net: int, slopes: Tensor, errors: Tensor) -> None:
        measurement, process, left = self._noise[net].tolist()
        try:
            self._weights[net] += self._filters[net].update(slopes, errors, Variances(measurement, process))
        except DivergenceError:
            self._weights[net] = math.nan
        if left > 0:
            self._noise[net, :2] *= self._factors
            self._noise[net, 2] -= 1
