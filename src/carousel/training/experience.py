"""What a policy lived through, and how much better than expected each of its actions was."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from carousel.data import Batch


@dataclass(frozen=True, kw_only=True)
class Experience:
    """What happened while a policy acted in several environments side by side (lanes), time first.

    inputs: (time, lanes, features), observations as the policy read them.
    actions: (time, lanes) or (time, lanes, numbers).
    log_probs, values, rewards: (time, lanes): of the action when it was taken, and of the observation before it.
    following: (time, lanes), the value of what came next: 0 where the episode was over (terminated), the value of the
        last observation where it was cut off (truncated).
    ended: bool (time, lanes), either of the two.
    reset: bool (time, lanes), True where an episode begins.
    mask: bool (time, lanes), False where a lane had nothing left to play.
    memory: the state that the policy had before the first step of each piece, each (pieces, layers, lanes, units).
    gained: (time, lanes), by how much each action was better than expected, once that was found out.
    """

    inputs: Tensor
    actions: Tensor
    log_probs: Tensor
    values: Tensor
    rewards: Tensor
    following: Tensor
    ended: Tensor
    reset: Tensor
    mask: Tensor
    memory: tuple[Tensor, ...]
    gained: Tensor | None = None

    def cut(self) -> "Experience":
        """The same with each piece in a lane of its own; `memory` then is (layers, lanes, units)."""
        count = len(self.memory[0])
        memory = tuple(part.transpose(0, 1).flatten(1, 2) for part in self.memory)
        return replace(self._each(lambda tensor: _in_pieces(tensor, count)), memory=memory)

    def take(self, lanes: Tensor) -> "Experience":
        """Some lanes of experience that was cut."""
        memory = tuple(part[:, lanes] for part in self.memory)
        return replace(self._each(lambda tensor: tensor[:, lanes]), memory=memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Experience":
        given = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "memory"}
        return replace(self, **{name: change(tensor) for name, tensor in given.items() if tensor is not None})


class Judgement(NamedTuple):
    """What a policy says now of actions taken earlier: log-probabilities, entropies and values, (time, lanes)."""

    log_probs: Tensor
    entropy: Tensor
    values: Tensor


class Player(Protocol):
    """Plays with the model's policy as it is then, and knows where each environment stands."""

    def go_on(self, batch: Batch, piece: int | None) -> Experience:
        """As many steps as the batch's inputs have, from where each lane stands; new episodes by the batch's seeds."""
        ...

    def whole(self, batch: Batch) -> Experience:
        """One episode, from its beginning to its end, for each of the batch's seeds."""
        ...

    def returns(self) -> list[float]:
        """The sums of rewards of the last episodes that ended; of those under way, before any has."""
        ...

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Where everything stands."""
        ...

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from `state()`."""
        ...


def advantages(played: Experience, discount: float, trace: float) -> Tensor:
    """How much better than expected each action was, (time, lanes).

    Â_t = δ_t + γ λ Â_{t+1} inside an episode, δ_t = r_t + γ V_{t+1} - V_t, with `discount` γ and `trace` λ.
    Source: generalised advantage estimation, Schulman et al. 2016, equation 16.
    """
    surprise = played.rewards + discount * played.following - played.values
    carried = discount * trace * (~played.ended).to(surprise)
    found, later = torch.empty_like(surprise), torch.zeros_like(surprise[0])
    for step in range(len(surprise) - 1, -1, -1):
        later = surprise[step] + carried[step] * later
        found[step] = later
    return found


@dataclass
class RewardScale:
    """Divides rewards by the standard deviation of the discounted sums of rewards so far, so that values are about 1.

    Source: Engstrom et al. 2020, "Implementation matters in deep policy gradients".
    """

    discount: float
    count: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    running: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))

    def apply(self, played: Experience, *, anew: bool) -> Experience:
        """The experience with its rewards divided, after they were counted in; `anew` where no lane goes on."""
        rewards = played.rewards.double().cpu()
        goes_on = (~played.ended).double().cpu()
        sums = torch.zeros_like(rewards[0]) if anew or not len(self.running) else self.running
        seen = []
        for reward, on in zip(rewards, goes_on, strict=True):
            sums = self.discount * sums + reward
            seen.append(sums)
            sums = sums * on
        self.running = sums
        self._count(torch.stack(seen)[played.mask.cpu()])
        return replace(played, rewards=played.rewards / self.deviation)

    @property
    def deviation(self) -> float:
        """What rewards are divided by: 1 as long as nothing varies."""
        variance = self.squares / max(self.count, 1.0)
        return variance**0.5 if variance > 1e-8 else 1.0

    def _count(self, seen: Tensor) -> None:
        """Add these numbers to mean and variance. Source: Chan, Golub and LeVeque 1983."""
        count, mean = float(len(seen)), float(seen.mean())
        total, away = self.count + count, mean - self.mean
        self.squares += float((seen - mean).square().sum()) + away**2 * self.count * count / total
        self.mean += away * count / total
        self.count = total


def _in_pieces(tensor: Tensor, count: int) -> Tensor:
    """(time, lanes, …) as (time / count, count * lanes, …)."""
    return tensor.unflatten(0, (count, -1)).transpose(0, 1).flatten(1, 2)
