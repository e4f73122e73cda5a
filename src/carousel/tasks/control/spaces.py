"""What an environment shows and takes, as numbers: observations as features, the policy's numbers as actions."""

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

EXACT = 2.0**53
"""Up to here every whole number is a float64; a bound beyond is none."""


@dataclass(frozen=True)
class Senses:
    """How an observation becomes features: numbers as they are in one row, one of `count` cases as zeros and a one.

    numbers: how many numbers an observation has; count: how many cases, 0 for numbers; first: the lowest case.
    hidden: positions of the features that the policy does not see.
    """

    numbers: int
    count: int = 0
    first: int = 0
    hidden: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not all(isinstance(at, Integral) and not isinstance(at, bool) for at in self.hidden):
            raise TypeError(f"hide is {self.hidden}; it holds whole numbers, the positions of features")
        object.__setattr__(self, "hidden", tuple(int(at) for at in self.hidden))
        wrong = [at for at in self.hidden if not 0 <= at < self.width]
        if min(self.numbers, self.width) < 1 or wrong or len(set(self.hidden)) >= self.width:
            raise ValueError(
                f"hide is {self.hidden}; an observation has {self.width} features, counted from 0, of which one at "
                "least must be seen"
            )

    @property
    def width(self) -> int:
        """Features of an observation, hidden ones too."""
        return self.count or self.numbers

    @property
    def seen(self) -> list[int]:
        """Positions of the features that the policy sees."""
        return [at for at in range(self.width) if at not in self.hidden]

    def read(self, observations: Any) -> NDArray[np.float32]:
        """The features (n, features seen) of n observations.

        Raises ValueError for another number of numbers, a case that there is not, and NaN or infinity that is seen.
        """
        rows = np.asarray(observations)
        if self.count:
            cases = rows.reshape(-1) - self.first
            if len(wrong := rows.reshape(-1)[~((cases >= 0) & (cases < self.count))]):
                last = self.first + self.count - 1
                raise ValueError(f"an observation is {wrong[0]}; those in training were cases {self.first} to {last}")
            rows = np.eye(self.count, dtype=np.float32)[cases.astype(np.int64)]
        rows = rows.reshape(len(rows), -1).astype(np.float32)
        if rows.shape[1] != self.width:
            raise ValueError(f"an observation has {rows.shape[1]} numbers; those in training had {self.width}")
        rows = rows[:, self.seen] if self.hidden else rows
        if not np.isfinite(rows).all():
            self._refuse(rows)
        return rows

    def _refuse(self, rows: NDArray[np.float32]) -> None:
        """Raise ValueError for the first feature that is NaN or infinite."""
        row, at = np.argwhere(~np.isfinite(rows))[0].tolist()
        nan = bool(np.isnan(rows[row, at]))
        why = "the memory would be NaN ever after" if nan else "all other numbers would be nothing beside it"
        raise ValueError(
            f"observation {row} is {'NaN' if nan else rows[row, at]} at {self.seen[at]}; {why}: give a number in its "
            "place, such as the last one that was known"
        )

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**asdict(self), "hidden": list(self.hidden)}


class Actions(ABC):
    """How the policy's numbers become actions.

    numbers: how many describe one action; cases: how many actions there are, 0 where these are amounts.
    """

    numbers: int
    cases: int = 0

    @abstractmethod
    def draw(self, raw: Tensor, spread: Tensor | None) -> Tensor:
        """Actions by chance, from the policy's numbers (..., numbers) and the logarithm of its deviation."""

    @abstractmethod
    def judge(self, raw: Tensor, spread: Tensor | None, actions: Tensor) -> tuple[Tensor, Tensor]:
        """The log-probabilities of actions that were drawn, and the entropies of what they were drawn from."""

    @abstractmethod
    def best(self, raw: Tensor) -> Tensor:
        """What the policy likes best."""

    @abstractmethod
    def outwards(self, actions: Tensor) -> NDArray[Any]:
        """Actions as the environment takes them, a row each."""

    @abstractmethod
    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""


@dataclass(frozen=True)
class Choice(Actions):
    """One of `count` actions, counted from `first`: a probability each."""

    count: int
    first: int = 0

    @property
    def numbers(self) -> int:  # type: ignore[override]
        """A number an action."""
        return self.count

    @property
    def cases(self) -> int:  # type: ignore[override]
        """How many actions there are."""
        return self.count

    def draw(self, raw: Tensor, spread: Tensor | None) -> Tensor:
        return torch.multinomial(raw.softmax(-1), 1)[..., 0]

    def judge(self, raw: Tensor, spread: Tensor | None, actions: Tensor) -> tuple[Tensor, Tensor]:
        logs = raw.log_softmax(-1)
        return logs.gather(-1, actions.unsqueeze(-1))[..., 0], -(logs.exp() * logs).sum(-1)

    def best(self, raw: Tensor) -> Tensor:
        return raw.argmax(-1)

    def outwards(self, actions: Tensor) -> NDArray[Any]:
        return actions.cpu().numpy() + self.first

    def plain(self) -> dict[str, Any]:
        return {"kind": "choice", "count": self.count, "first": self.first}


@dataclass(frozen=True)
class Amounts(Actions):
    """Numbers between bounds, normally distributed around the policy's, with a deviation that is learned.

    The policy's -1 and 1 are the bounds, where there are two; what lies outside is cut off on the way out.
    low, high, shape, dtype: of the environment's action; whole numbers are rounded.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    shape: tuple[int, ...]
    dtype: str = field(default="float32", compare=False)

    def __post_init__(self) -> None:
        for name in ("low", "high", "shape"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not len(self.low) == len(self.high) == int(np.prod(self.shape)) or self.numbers < 1:
            raise ValueError(f"an action of shape {self.shape} has {len(self.low)} lower and {len(self.high)} bounds")
        if not isinstance(self.dtype, str) or np.dtype(self.dtype).kind not in "fiub":
            raise ValueError(f"an action is of dtype {self.dtype!r}; it is made of floats or whole numbers")

    @property
    def numbers(self) -> int:  # type: ignore[override]
        """A number each."""
        return len(self.low)

    def draw(self, raw: Tensor, spread: Tensor | None) -> Tensor:
        assert spread is not None
        return raw + spread.exp() * torch.randn_like(raw)

    def judge(self, raw: Tensor, spread: Tensor | None, actions: Tensor) -> tuple[Tensor, Tensor]:
        assert spread is not None
        away = (actions - raw) / spread.exp()
        log_probs = -(away.square() / 2 + spread + math.log(2 * math.pi) / 2).sum(-1)
        entropy = (spread + (1 + math.log(2 * math.pi)) / 2).sum()
        return log_probs, entropy.expand(log_probs.shape)

    def best(self, raw: Tensor) -> Tensor:
        return raw

    def outwards(self, actions: Tensor) -> NDArray[Any]:
        low, high = np.array(self.low), np.array(self.high)
        bounded = np.isfinite(low) & np.isfinite(high)
        least, most = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
        numbers = np.clip(actions.double().cpu().numpy() * (most / 2 - least / 2) + (least / 2 + most / 2), low, high)
        if np.dtype(self.dtype).kind != "f":
            numbers = np.rint(numbers)
        return numbers.reshape(len(actions), *self.shape).astype(self.dtype)

    def plain(self) -> dict[str, Any]:
        bounds = {"low": list(self.low), "high": list(self.high)}
        return {"kind": "amounts", **bounds, "shape": list(self.shape), "dtype": self.dtype}


def senses_of(space: Any, hidden: tuple[int, ...]) -> Senses:
    """How observations of a space of gymnasium are read. Raises ValueError for one that is neither Box nor Discrete."""
    kind = type(space).__name__
    if kind == "Box":
        return Senses(int(np.prod(space.shape)), hidden=hidden)
    if kind == "Discrete":
        return Senses(1, int(space.n), int(space.start), hidden)
    raise ValueError(
        f"observations are {kind}; a Controller reads Box and Discrete: put gymnasium.wrappers.FlattenObservation "
        "around the environment"
    )


def actions_of(space: Any) -> Actions:
    """How actions of a space of gymnasium are chosen. Raises ValueError for one that is neither Box nor Discrete."""
    kind = type(space).__name__
    if kind == "Discrete":
        return Choice(int(space.n), int(space.start))
    if kind == "Box":
        low, high = (np.asarray(bound, dtype=np.float64).ravel() for bound in (space.low, space.high))
        if space.dtype.kind != "f":
            low, high = np.where(low < -EXACT, -np.inf, low), np.where(high > EXACT, np.inf, high)
        return Amounts(tuple(low.tolist()), tuple(high.tolist()), tuple(space.shape), str(space.dtype))
    raise ValueError(f"actions are {kind}; a Controller takes Box and Discrete")


def senses_from(plain: dict[str, Any]) -> Senses:
    """The senses that `plain` wrote. Raises ValueError or TypeError for what it never writes."""
    return Senses(**plain)


def actions_from(plain: dict[str, Any]) -> Actions:
    """The actions that `plain` wrote. Raises ValueError or TypeError for what it never writes."""
    kinds: dict[str, type[Any]] = {"choice": Choice, "amounts": Amounts}
    given = dict(plain)
    kind = given.pop("kind", None)
    if kind not in kinds:
        raise ValueError(f"{kind!r} is no kind of action")
    return kinds[kind](**given)
