"""Searches that move a normal distribution with a deviation of its own for each parameter, or one for all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from carousel.training.searches.search import Search, centred_ranks, utilities


@dataclass
class SNES(Search, name="snes"):
    """Separable natural evolution strategy: mean and deviation follow the natural gradient of the ranks.

    learning_rate: of the mean; deviation_rate: of the deviations, (3 + log d) / (5 √d) if None.
    Source: Schaul, Glasmachers and Schmidhuber 2011; Wierstra et al. 2014.
    """

    learning_rate: float = 1.0
    deviation_rate: float | None = None

    changes: ClassVar[tuple[str, ...]] = ("deviation",)

    def _begin(self) -> None:
        self.deviation = torch.full_like(self.start, self.sigma)

    def _propose(self) -> Tensor:
        self._drawn = self._normal(self.population)
        return self.mean + self.deviation * self._drawn

    def _learn(self, scores: Tensor) -> None:
        size, weights = len(self.start), utilities(scores)
        rate = (3 + math.log(size)) / (5 * math.sqrt(size)) if self.deviation_rate is None else self.deviation_rate
        self.mean = self.mean + self.learning_rate * self.deviation * (weights @ self._drawn)
        self.deviation = self.deviation * (rate / 2 * (weights @ (self._drawn.square() - 1))).exp()


@dataclass
class _Mirrored(Search):
    """Half of the population is drawn, and the other half lies opposite: mean + ε, then mean - ε."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.population % 2:
            raise ValueError(f"population is {self.population}; search '{self.name}' tries pairs: give an even number")

    def _mirror(self, drawn: Tensor) -> Tensor:
        self._drawn = drawn
        return torch.cat([self.mean + drawn, self.mean - drawn])


@dataclass
class PGPE(_Mirrored, name="pgpe"):
    """Policy gradients with parameter-based exploration, by symmetric pairs, with the rewards scaled by the best one.

    learning_rate and deviation_rate: of mean and deviations; decay: of the baseline, a moving mean of the rewards.
    A deviation is at most halved or doubled in one generation, beyond the paper, which lets it become negative.
    Source: Sehnke et al. 2010 (algorithm 2, and its scaling of rewards by the best one so far).
    """

    learning_rate: float = 0.2
    deviation_rate: float = 0.1
    decay: float = 0.9

    changes: ClassVar[tuple[str, ...]] = ("deviation", "baseline", "best")

    def _begin(self) -> None:
        self.deviation = torch.full_like(self.start, self.sigma)
        self.baseline: float | None = None
        self.best: float | None = None

    def _propose(self) -> Tensor:
        return self._mirror(self.deviation * self._normal(self.population // 2))

    def _learn(self, scores: Tensor) -> None:
        ahead, behind = (-scores).chunk(2)
        mean = float(-scores.mean())
        best = self.best = max(float(-scores.min()), mean if self.best is None else self.best)
        baseline = mean if self.baseline is None else self.baseline
        of_mean = _quotient(ahead - behind, 2 * best - ahead - behind)
        of_deviation = _quotient((ahead + behind) / 2 - baseline, torch.tensor(best - baseline, dtype=torch.float64))
        slopes = (self._drawn.square() - self.deviation.square()) / self.deviation
        self.mean = self.mean + self.learning_rate * (of_mean @ self._drawn)
        step = self.deviation_rate * (of_deviation @ slopes)
        self.deviation = (self.deviation + step).clamp(self.deviation / 2, self.deviation * 2)
        self.baseline = self.decay * baseline + (1 - self.decay) * mean


@dataclass
class OpenAIES(_Mirrored, name="openai_es"):
    """Gradient of the expected rank by pairs of opposite noise of one fixed deviation, followed by Adam.

    learning_rate and betas: Adam's (Kingma and Ba 2015); weight_decay: pull of each parameter towards 0.
    Source: Salimans et al. 2017.
    """

    learning_rate: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    changes: ClassVar[tuple[str, ...]] = ("first", "second", "steps")

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = isinstance(self.betas, Sequence) and len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        if not (shares and 0 <= self.weight_decay < math.inf):
            raise ValueError(
                f"betas are {self.betas!r}, two shares below 1; weight_decay is {self.weight_decay}, 0 or more"
            )

    def _begin(self) -> None:
        self.first, self.second, self.steps = torch.zeros_like(self.start), torch.zeros_like(self.start), 0

    def _propose(self) -> Tensor:
        return self._mirror(self.sigma * self._normal(self.population // 2))

    def _learn(self, scores: Tensor) -> None:
        ahead, behind = centred_ranks(scores).chunk(2)
        gradient = (ahead - behind) @ self._drawn / (self.population * self.sigma**2) - self.weight_decay * self.mean
        slow, slower = self.betas
        self.steps += 1
        self.first = slow * self.first + (1 - slow) * gradient
        self.second = slower * self.second + (1 - slower) * gradient.square()
        first, second = self.first / (1 - slow**self.steps), self.second / (1 - slower**self.steps)
        self.mean = self.mean + self.learning_rate * first / (second.sqrt() + 1e-8)


def _quotient(above: Tensor, below: Tensor) -> Tensor:
    """above / below, and 0 where below is 0: all rewards are the best one."""
    return torch.where(below == 0, 0, above / torch.where(below == 0, 1, below))
