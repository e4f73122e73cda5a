"""Searches that put networks together from parts that evolve apart: enforced sub-populations, and CoSyNE."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from carousel.training.searches.search import Search

CREDITS = ("best", "mean")
PERMUTED = ("by_rank", "all")


@dataclass
class _Parts(Search):
    """A pool of vectors, uniform within `sigma` of the start, whose parts meet in the networks that are tried.

    parents: share of the pool that has children; mutation: scale of the Cauchy noise of a child, in units of `sigma`.
    """

    parents: float = 0.25
    mutation: float = 0.05

    changes: ClassVar[tuple[str, ...]] = ("pool",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 < self.parents <= 0.5 and self.mutation >= 0 and math.isfinite(self.mutation)):
            raise ValueError(f"parents is {self.parents}, a share up to 0.5; mutation {self.mutation}, 0 or more")

    def _around_start(self, count: int) -> Tensor:
        """The start, and vectors drawn around it: (count, parameters)."""
        drawn = 2 * torch.rand(count, len(self.start), generator=self.generator, dtype=torch.float64) - 1
        drawn[0] = 0
        return self.start + self.sigma * drawn

    def _cauchy(self, count: int) -> Tensor:
        """Noise of a Cauchy distribution, (count, parameters): mostly small, now and then as large as it likes."""
        uniform = torch.rand(count, len(self.start), generator=self.generator, dtype=torch.float64)
        return self.sigma * self.mutation * (math.pi * (uniform - 0.5)).tan()


@dataclass
class ESP(_Parts, name="esp"):
    """Enforced sub-populations: each group of parameters is a sub-population, and a network takes one of each.

    groups: positions of the parameters of each group, such as all weights into one memory cell; None puts each
        parameter in a group of its own. chromosomes: how many each sub-population has; half as many as networks if
        None, so that each is in two networks. credit: a chromosome is as good as the "best" or the "mean" of its
        networks. parents: the share of chromosomes whose copies, with Cauchy noise, replace as many of the worst.
        patience: generations without a better network before a burst, in which all sub-populations begin anew around
        the best network.

    The best network is tried in each generation again, beside those that are put together. Source: Gomez and
    Miikkulainen 1997; Schmidhuber, Wierstra, Gagliolo and Gomez 2007.
    """

    groups: list[list[int]] | None = None
    chromosomes: int | None = None
    credit: str = "best"
    patience: int = 20

    changes: ClassVar[tuple[str, ...]] = ("pool", "stale", "bursts")

    def __post_init__(self) -> None:
        if self.chromosomes is None:
            self.chromosomes = max(2, self.population // 2)
        if not 2 <= self.chromosomes < self.population:
            raise ValueError(
                f"chromosomes is {self.chromosomes}; at least 2, and fewer than the networks, {self.population}"
            )
        if self.credit not in CREDITS or self.patience < 1:
            raise ValueError(f"credit is {self.credit!r} of {', '.join(CREDITS)}; patience {self.patience}, at least 1")
        super().__post_init__()

    def _begin(self) -> None:
        self.pool = self._around_start(self.chromosomes or 2)
        self.stale = self.bursts = 0
        self._columns = torch.arange(len(self.start))
        self._group = self._columns if self.groups is None else _group_of(self.groups, len(self.start))
        self._groups = int(self._group.max()) + 1

    def _propose(self) -> Tensor:
        nets, size = self.population - 1, len(self.pool)
        rounds = -(-nets // size)
        drawn = torch.rand(self._groups, rounds, size, generator=self.generator).argsort(-1)
        self._members = drawn.flatten(1)[:, :nets]
        return torch.cat([self.mean.unsqueeze(0), self._of_group(self._members)])

    def _learn(self, scores: Tensor) -> None:
        best = int(scores.argmin())
        self.stale = 0 if best else self.stale + 1
        self.mean = self._asked[best].clone()
        if self.stale >= self.patience:
            self.pool = self.mean + self._cauchy(len(self.pool))
            self.pool[0] = self.mean
            self.stale, self.bursts = 0, self.bursts + 1
            return
        order = self._credits(scores[1:]).argsort(dim=1, stable=True)
        count = max(1, int(self.parents * len(self.pool)))
        children = self._of_group(order[:, :count]) + self._cauchy(count)
        self.pool[order[self._group][:, -count:].T, self._columns] = children

    def _of_group(self, rows: Tensor) -> Tensor:
        """Vectors (count, parameters) whose every group comes from a row of the pool, given by rows (groups, count)."""
        return self.pool[rows[self._group].T, self._columns]

    def _credits(self, scores: Tensor) -> Tensor:
        """How good each chromosome is, (groups, chromosomes), less is better; one in no network is the worst."""
        how = "amin" if self.credit == "best" else "mean"
        found = scores.new_full((self._groups, len(self.pool)), math.inf)
        return found.scatter_reduce(1, self._members, scores.expand(self._groups, -1), how, include_self=False)


@dataclass
class CoSyNE(_Parts, name="cosyne"):
    """Cooperative synapse neuroevolution: each parameter is a sub-population, and those of worse networks are shuffled.

    parents: share of the best networks that are crossed, at one point; the children, each number of which gets Cauchy
        noise with probability mutation_rate, replace as many of the worst. permuted: "by_rank", where the better the
        network the likelier its numbers stay, or "all".

    A network's probability to lose a number is 1 - r^(1/parameters), r from 0 for the worst rank to 1 for the best, so
    that the best stays whole. Source: Gomez, Schmidhuber and Miikkulainen 2008, with ranks in place of fitness.
    """

    mutation_rate: float = 0.3
    permuted: str = "by_rank"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.mutation_rate <= 1 or self.permuted not in PERMUTED:
            raise ValueError(
                f"mutation_rate is {self.mutation_rate}, from 0 to 1; permuted {self.permuted!r} of "
                f"{', '.join(PERMUTED)}"
            )

    def _begin(self) -> None:
        self.pool = self._around_start(self.population)

    def _propose(self) -> Tensor:
        return self.pool.clone()

    def _learn(self, scores: Tensor) -> None:
        ranked = self.pool[scores.argsort(stable=True)]
        self.mean = ranked[0].clone()
        count = max(1, int(self.parents * self.population))
        children = self._children(ranked[: max(2, count)], count)
        self.pool = torch.cat([self._shuffled(ranked[:-count]), children])

    def _children(self, parents: Tensor, count: int) -> Tensor:
        """Children (count, parameters) of pairs of parents, crossed at one point and mutated."""
        size = len(self.start)
        pairs = torch.rand(count, len(parents), generator=self.generator).argsort(1)[:, :2]
        cut = torch.randint(1, size + 1, (count, 1), generator=self.generator)
        children = torch.where(torch.arange(size) < cut, parents[pairs[:, 0]], parents[pairs[:, 1]])
        hit = torch.rand(count, size, generator=self.generator) < self.mutation_rate
        return torch.where(hit, children + self._cauchy(count), children)

    def _shuffled(self, ranked: Tensor) -> Tensor:
        """The survivors, best first, with the numbers that are marked changing places within their sub-population."""
        count, size = ranked.shape
        share = torch.linspace(1, 0, count, dtype=torch.float64).unsqueeze(1)
        chance = 1 - share ** (1 / size) if self.permuted == "by_rank" else torch.ones_like(share)
        marked = torch.rand(count, size, generator=self.generator, dtype=torch.float64) < chance
        marked[0] = False
        keys = torch.rand(count, size, generator=self.generator, dtype=torch.float64)
        source = (keys + ~marked).argsort(dim=0, stable=True)
        places = (~marked).double().argsort(dim=0, stable=True)
        taken = torch.where(marked.gather(0, places), source, places)
        return ranked.scatter(0, places, ranked.gather(0, taken))


def _group_of(groups: list[list[int]], size: int) -> Tensor:
    """The number of each parameter's group, (parameters,). Raises ValueError unless each is in exactly one."""
    positions = [int(position) for group in groups for position in group]
    if sorted(positions) != list(range(size)):
        raise ValueError(f"groups name {len(positions)} parameters; each of the {size} is in one group")
    numbers = [number for number, group in enumerate(groups) for _ in group]
    return torch.tensor(numbers)[torch.tensor(positions).argsort()]
