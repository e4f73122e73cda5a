"""A genetic algorithm for vectors of any length: an individual is the list of the seeds of its mutations."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from carousel.training.searches.search import Search

SEEDS = 2**31


@dataclass
class GA(Search, name="ga"):
    """Truncation selection, one elite, and mutation by normal noise of deviation `sigma`; no crossover.

    parents: how many of the best have children; an eighth of the population if None. The population is kept as lists
    of seeds: a vector is the start plus sigma times the noise of each of its seeds. `mean` is the best vector of the
    last generation.
    Source: Such et al. 2017.
    """

    parents: int | None = None

    changes: ClassVar[tuple[str, ...]] = ("survivors",)

    def __post_init__(self) -> None:
        self.parents = max(1, self.population // 8) if self.parents is None else self.parents
        if not 1 <= self.parents < self.population:
            raise ValueError(f"parents is {self.parents}; at least 1, and fewer than the population, {self.population}")
        super().__post_init__()

    def _begin(self) -> None:
        self.individuals: list[list[int]] = []
        self.survivors: list[list[int]] = [[]]
        self._vectors: dict[tuple[int, ...], Tensor] = {(): self.start}

    def decode(self, seeds: list[int]) -> Tensor:
        """The vector (parameters,) that a list of seeds stands for."""
        near = tuple(seeds[:-1])
        vector, missing = (self._vectors[near], seeds[-1:]) if seeds and near in self._vectors else (self.start, seeds)
        for seed in missing:
            noise = torch.Generator().manual_seed(seed)
            vector = vector + self.sigma * torch.randn(len(vector), generator=noise, dtype=torch.float64)
        return vector

    def _propose(self) -> Tensor:
        children = self.population - 1
        chosen = torch.randint(len(self.survivors), (children,), generator=self.generator).tolist()
        drawn = torch.randint(SEEDS, (children,), generator=self.generator).tolist()
        mutated = [[*self.survivors[at], seed] for at, seed in zip(chosen, drawn, strict=True)]
        self.individuals = [self.survivors[0], *mutated]
        elite = self._vectors[tuple(self.survivors[0])]
        return torch.stack([elite, *(self.decode(seeds) for seeds in mutated)])

    def _learn(self, scores: Tensor) -> None:
        order = scores.argsort(stable=True)[: self.parents].tolist()
        self.survivors = [self.individuals[at] for at in order]
        self._vectors = {tuple(self.individuals[at]): self._asked[at] for at in order}
        self.mean = self._asked[order[0]].clone()

    def restore(self, tensors: dict[str, Tensor], values: dict[str, object]) -> None:
        """Go on from `state()`: the vectors of the survivors are made again from their seeds."""
        super().restore(tensors, values)
        self._vectors = {}
        self._vectors = {tuple(seeds): self.decode(seeds) for seeds in self.survivors}
