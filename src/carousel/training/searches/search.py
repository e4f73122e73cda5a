"""What a search is asked and told, and what all of ours share: checks, bounds, random numbers, exact resume."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from numbers import Real
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from carousel.training.options import check_kinds, option_names

RATES = ("sigma", "learning_rate", "deviation_rate")
MOST = 2**31
"""The largest population: of the numbers of a larger one even torch loses count."""
SEARCHES: dict[str, type["Search"]] = {}


@runtime_checkable
class AskTell(Protocol):
    """Anything that proposes parameter vectors and hears how good they were."""

    def ask(self) -> Any:
        """A population, (population, parameters)."""

    def tell(self, scores: Any, /) -> Any:
        """The score of each of them, a numpy array (population,) of finite numbers: a loss, less is better."""


@dataclass
class Search(ABC):
    """A search from `start` (parameters,), with steps of about `sigma`, in float64 on the processor.

    population: vectors that each `ask` proposes. bounds: (lowest, highest) value of every parameter; what lies outside
    is moved to the bound before it is tried. seed: of its own random numbers; torch's are left alone.

    A subclass is a dataclass with its name in the class line; it says what to try (`_propose`) and what follows
    (`_learn`), and keeps what changes in the tensors and values named in `changes`.
    Raises ValueError for an option outside its range, TypeError for one of another kind.
    """

    start: Tensor
    _: KW_ONLY
    population: int = 64
    sigma: float = 0.1
    bounds: tuple[float, float] | None = None
    seed: int = 0

    name: ClassVar[str]
    changes: ClassVar[tuple[str, ...]] = ()
    mean: Tensor = field(init=False, repr=False)

    def __init_subclass__(cls, *, name: str | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        if name is not None:
            cls.name = name
            SEARCHES[name] = cls

    def __post_init__(self) -> None:
        self.start = torch.as_tensor(self.start).detach().to("cpu", torch.float64, copy=True)
        if self.start.dim() != 1 or not len(self.start):
            raise ValueError(
                f"start has shape {tuple(self.start.shape)}; a search starts from one vector of parameters"
            )
        check_kinds(type(self), {name: getattr(self, name) for name in _options(type(self))})
        if not 2 <= self.population <= MOST:
            raise ValueError(f"population is {self.population!r}; it is a whole number from 2 to {MOST:,}")
        self._check_rates()
        if self.bounds is not None and not _ascending(self.bounds):
            raise ValueError(f"bounds are {self.bounds!r}; they are two numbers, the lowest value first")
        self.generator = torch.Generator().manual_seed(self.seed)
        self.mean = self.start.clone()
        self._begin()

    def ask(self) -> Tensor:
        """What to try, (population, parameters); asked again before it was told, something else."""
        self._asked = self._propose()
        return self._asked if self.bounds is None else self._asked.clamp(*self.bounds)

    def tell(self, scores: Tensor) -> None:
        """Learn from the loss of each vector that was last asked for; less is better, and what is not finite worst.

        Raises ValueError for another number of scores, or if none is finite; RuntimeError if nothing was asked.
        """
        if not hasattr(self, "_asked"):
            raise RuntimeError("a search is told after it was asked: call ask(), and tell() the loss of each row")
        scores = torch.as_tensor(scores).detach().to("cpu", torch.float64)
        if scores.shape != (self.population,):
            raise ValueError(f"scores have shape {tuple(scores.shape)}; ask() proposed {self.population} vectors")
        if not scores.isfinite().any():
            raise ValueError("no score is a finite number; begin nearer, with a smaller sigma")
        self._learn(worst_where_not_finite(scores))
        self.mean = self.mean if self.bounds is None else self.mean.clamp(*self.bounds)
        del self._asked

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that changed since the start, between a `tell` and an `ask`: tensors, and values that JSON can hold."""
        kept = {name: getattr(self, name) for name in ("mean", *self.changes)}
        tensors = {name: value.clone() for name, value in kept.items() if isinstance(value, Tensor)}
        values = {name: value for name, value in kept.items() if not isinstance(value, Tensor)}
        return {**tensors, "random": self.generator.get_state()}, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from `state()`; the options are those that it began with."""
        self.generator.set_state(tensors["random"])
        if tensors["mean"].shape != self.start.shape:
            raise ValueError(f"the state is of {len(tensors['mean'])} parameters, not of {len(self.start)}")
        for name in ("mean", *self.changes):
            setattr(self, name, tensors[name].clone() if name in tensors else values[name])

    @abstractmethod
    def _begin(self) -> None:
        """Set up what changes."""

    @abstractmethod
    def _propose(self) -> Tensor:
        """What to try next, (population, parameters)."""

    @abstractmethod
    def _learn(self, scores: Tensor) -> None:
        """Learn from finite losses (population,) of `self._asked`."""

    def _check_rates(self) -> None:
        """Raise ValueError for a rate or a deviation that is not a finite number above 0."""
        for name in RATES:
            value = getattr(self, name, None)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value!r}; it is a finite number above 0")

    def _normal(self, rows: int) -> Tensor:
        """Standard normal numbers (rows, parameters)."""
        return torch.randn(rows, len(self.start), generator=self.generator, dtype=torch.float64)


def _options(search: type[Search]) -> list[str]:
    """The names of what can be chosen beside the start."""
    return [name for name in option_names(search) if name != "start"]


def _ascending(bounds: Any) -> bool:
    """Whether these are two numbers, and the second is more."""
    pair = isinstance(bounds, Sequence) and len(bounds) == 2 and all(isinstance(each, Real) for each in bounds)
    return pair and bounds[0] < bounds[1]


def search_named(name: str, start: Tensor, **options: Any) -> Search:
    """The search of that name from `start`, with these options.

    Raises ValueError for a name that no search has, TypeError for an option that it does not have, or that is of
    another kind.
    """
    if name not in SEARCHES:
        raise ValueError(f"no search is called {name!r}; there are {', '.join(SEARCHES)}")
    known = _options(SEARCHES[name])
    if unknown := [option for option in options if option not in known]:
        raise TypeError(f"search '{name}' has no option {', '.join(map(repr, unknown))}; it has {', '.join(known)}")
    check_kinds(SEARCHES[name], options)
    return SEARCHES[name](start, **options)


def worst_where_not_finite(scores: Tensor) -> Tensor:
    """The scores with the highest of the finite ones in place of what is not finite; there must be one."""
    good = scores.isfinite()
    return torch.where(good, scores, scores[good].max())


def centred_ranks(scores: Tensor) -> Tensor:
    """From 0.5 for the lowest loss down to -0.5 for the highest, equal losses equal. Source: Salimans et al. 2017."""
    below = (scores.unsqueeze(1) > scores).sum(1).double()
    same = (scores.unsqueeze(1) == scores).sum(1).double() - 1
    return 0.5 - (below + same / 2) / (len(scores) - 1)


def utilities(scores: Tensor) -> Tensor:
    """What each loss weighs by its rank, with sum 0; the better half counts. Source: Wierstra et al. 2014, 3.1."""
    count = len(scores)
    raw = (math.log(count / 2 + 1) - torch.arange(1, count + 1, dtype=torch.float64).log()).clamp_min(0)
    by_rank = raw / raw.sum() - 1 / count
    return torch.empty_like(by_rank).scatter(0, scores.argsort(stable=True), by_rank)
