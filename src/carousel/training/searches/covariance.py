"""CMA-ES by the package `cma` of its inventor, behind our ask and tell."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from carousel.training.searches.search import Search

MANY = 1000


@dataclass
class CMA(Search, name="cma"):
    """Covariance matrix adaptation. With more than 1000 parameters only the diagonal is adapted (`diagonal=None`).

    The strategy itself is no plain tensors, so that its state is what it was told: to resume, it is told all again.
    Raises ImportError without the package `cma`. Source: Hansen and Ostermeier 2001; diagonal: Ros and Hansen 2008.
    """

    diagonal: bool | None = None

    changes: ClassVar[tuple[str, ...]] = ("told",)

    def _begin(self) -> None:
        self.told = torch.zeros(0, self.population, dtype=torch.float64)
        self._strategy = self._new()

    def _propose(self) -> Tensor:
        return torch.from_numpy(np.array(self._strategy.ask()))

    def _learn(self, scores: Tensor) -> None:
        self.told = torch.cat([self.told, scores.unsqueeze(0)])
        self._strategy.tell(list(self._asked.numpy()), scores.tolist())
        self.mean = torch.from_numpy(np.array(self._strategy.result.xfavorite))

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from `state()`, by telling a new strategy all that this one was told."""
        self._begin()
        for scores in tensors["told"]:
            self.ask()
            self.tell(scores)
        if not torch.equal(self.mean, tensors["mean"]):
            raise ValueError("the search was asked more often than it was told; ask() once before each tell()")
        super().restore(tensors, values)

    def _new(self) -> Any:
        try:
            import cma
        except ImportError:
            raise ImportError(
                "search 'cma' needs the package cma: pip install 'carousel-lstm[evolution]'; "
                "search 'snes' does without it"
            ) from None
        random = np.random.default_rng(self.seed)
        many = len(self.start) > MANY if self.diagonal is None else self.diagonal
        options = {
            "popsize": self.population, "seed": np.nan, "randn": lambda *shape: random.standard_normal(shape),
            "verbose": -9, "CMA_diagonal": many,
        }  # fmt: skip
        if self.bounds is not None:
            options["bounds"] = list(self.bounds)
        return cma.CMAEvolutionStrategy(self.start.numpy(), self.sigma, options)
