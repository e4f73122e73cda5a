"""A policy that remembers, and beside it what rewards it expects: torch modules over the LSTM."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from carousel.data import Batch
from carousel.nn import LSTM
from carousel.tasks.control.episodes import Act, play, rounds
from carousel.tasks.control.player import Player
from carousel.tasks.control.spaces import Actions, Amounts, Senses
from carousel.tasks.control.world import World
from carousel.tasks.network import output_width
from carousel.training.evolution import named_weights
from carousel.training.experience import Experience, Judgement

FARTHEST = 10.0
"""Deviations from the mean beyond which an observation is no longer told apart."""
MOST_COUNTED = 1e6
"""Observations after which mean and deviation forget the oldest."""
Memory = tuple[Tensor, ...]


class Turn(NamedTuple):
    """One action in each lane: itself, its log-probability, the value expected before it, the memory after it."""

    actions: Tensor
    log_probs: Tensor
    values: Tensor
    memory: Memory


class Branch(nn.Module):
    """An LSTM that reads features, and a line on its outputs. Without memory its state is cleared before each step."""

    def __init__(self, lstm: LSTM, outputs: int, *, remembers: bool, gain: float) -> None:
        super().__init__()
        self.lstm = lstm
        self.line = nn.Linear(output_width(lstm), outputs)
        self.remembers = remembers
        with torch.no_grad():
            self.line.weight.mul_(gain)
            self.line.bias.zero_()

    def forward(self, x: Tensor, memory: Memory | None, reset: Tensor | None) -> tuple[Tensor, Memory]:
        """Features (time, lanes, features) to numbers (time, lanes, outputs) and the memory after them."""
        if not self.remembers:
            memory, reset = None, None if len(x) == 1 else torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        outputs, memory = self.lstm(x, memory, reset=reset)
        return self.line(outputs), memory  # type: ignore[return-value]

    def extra_repr(self) -> str:
        """Whether it remembers."""
        return f"remembers={self.remembers}"


class ControlNetwork(nn.Module):
    """A policy, with a critic beside it where the method asks for one (a `training.Model`).

    Its answer to a batch is the return of an episode for each of the batch's seeds, played by what the policy likes
    best; its loss is minus their mean. `world` is where it plays; it is no part of what is saved.
    """

    center: Tensor
    spread: Tensor
    counted: Tensor

    def __init__(
        self,
        make_lstm: Callable[[int], LSTM],
        senses: Senses,
        actions: Actions,
        *,
        remembers: bool,
        critic: bool,
        normalize: bool,
    ) -> None:
        super().__init__()
        features = len(senses.seen)
        self.senses, self.actions, self.normalize = senses, actions, normalize
        self.actor = Branch(make_lstm(features), actions.numbers, remembers=remembers, gain=0.1)
        self.critic = Branch(make_lstm(features), 1, remembers=remembers, gain=1.0) if critic else None
        self.log_spread = nn.Parameter(torch.zeros(actions.numbers)) if critic and _explores(actions) else None
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        self.register_buffer("counted", torch.zeros(()))
        self.world: World | None = None

    def forward(self, batch: Batch) -> Tensor:
        """The returns (episodes,) of one episode for each seed in the batch's indices."""
        world = self._place()
        returns = [play(world, own, self.follow()) for own in rounds(batch.indices.tolist(), world.most)]
        return torch.from_numpy(np.concatenate(returns)).to(self.center)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Minus the mean return."""
        return -output.mean()

    @torch.no_grad()
    def losses(self, batch: Batch, vectors: Tensor) -> Tensor:
        """The loss with each of the vectors (population, parameters) as weights: all networks act in one call a step.

        All play the same episodes, as many networks side by side as there is room for.
        """
        world, seeds = self._place(), batch.indices.tolist()
        together = len(vectors) if world.most is None else max(1, world.most // len(seeds))
        returns = [
            play(world, seeds * len(part), self._many(part)).reshape(len(part), len(seeds))
            for part in vectors.split(together)
        ]
        return torch.from_numpy(-np.concatenate(returns).mean(1)).to(vectors)

    def player(self) -> Player:
        """One who plays in this network's world as its policy says."""
        if self.critic is None:
            raise TypeError("the network has no critic: it was made for another method")
        return Player(self, self._place().apart())

    @torch.no_grad()
    def turn(self, x: Tensor, memory: Memory) -> Turn:
        """What the policy does, by chance, on features (1, lanes, features) that it reads next."""
        assert self.critic is not None
        half = len(memory) // 2
        raw, acts = self.actor(x, memory[:half], None)
        values, expects = self.critic(x, memory[half:], None)
        actions = self.actions.draw(raw[0], self.log_spread)
        log_probs, _ = self.actions.judge(raw[0], self.log_spread, actions)
        return Turn(actions, log_probs, values[0, :, 0], (*acts, *expects))

    @torch.no_grad()
    def cleared(self, memory: Memory, fresh: Memory, begins: NDArray[np.bool_]) -> Memory:
        """The memory with that of lanes where an episode begins as a reset flag leaves it."""
        chosen = torch.from_numpy(begins).to(self.center.device)[:, None]
        return tuple(torch.where(chosen, new, old) for new, old in zip(fresh, memory, strict=True))

    @torch.no_grad()
    def expected(self, x: Tensor, memory: Memory) -> Tensor:
        """The values (lanes,) of features (1, lanes, features) that come next in the same episodes."""
        assert self.critic is not None
        return self.critic(x, memory[len(memory) // 2 :], None)[0][0, :, 0]

    @torch.no_grad()
    def fresh(self, lanes: int) -> Memory:
        """The memory of actor and critic at the beginning of an episode."""
        assert self.critic is not None
        nothing = self.center.new_zeros(0, lanes, len(self.center))
        states = (*self.actor.lstm(nothing)[1], *self.critic.lstm(nothing)[1])
        return tuple(states)

    def judge(self, played: Experience) -> Judgement:
        """What policy and critic say now of what was played."""
        assert self.critic is not None
        half = len(played.memory) // 2
        raw, _ = self.actor(played.inputs, played.memory[:half], played.reset)
        values, _ = self.critic(played.inputs, played.memory[half:], played.reset)
        return Judgement(*self.actions.judge(raw, self.log_spread, played.actions), values[..., 0])

    def features(self, observations: NDArray[Any]) -> Tensor:
        """Raw features (lanes, features) as the LSTM reads them: (1, lanes, features), centred and scaled."""
        x = torch.from_numpy(observations).to(self.center)
        return ((x - self.center) / self.spread).clamp(-FARTHEST, FARTHEST).unsqueeze(0)

    def get_used_to(self, observations: NDArray[Any]) -> None:
        """Count these raw features (n, features) in: their mean and deviation are the new zero and one."""
        if not self.normalize:
            return
        seen = torch.from_numpy(observations).double()
        before, new = min(float(self.counted), MOST_COUNTED), float(len(seen))
        total, center = before + new, self.center.double().cpu()
        away = seen.mean(0) - center
        variance = self.spread.double().cpu().square() * before + seen.var(0, correction=0) * new
        variance = (variance + away.square() * before * new / total) / total
        self.center.copy_(center + away * new / total)
        self.spread.copy_(torch.where(variance > 1e-12, variance, 1.0).sqrt())
        self.counted.fill_(total)

    def follow(self) -> Act:
        """The policy at its best, with a memory of its own that begins empty."""
        memory: Memory | None = None

        @torch.no_grad()
        def act(observations: NDArray[Any]) -> NDArray[Any]:
            nonlocal memory
            raw, memory = self.actor(self.features(self.senses.read(observations)), memory, None)
            return self.actions.outwards(self.actions.best(raw[0]))

        return act

    def _many(self, vectors: Tensor) -> Act:
        """Policies with these weights side by side, each in lanes of its own."""
        weights = {name.removeprefix("actor."): own for name, own in named_weights(self, vectors).items()}
        memory: Memory | None = None

        def one(own: dict[str, Tensor], x: Tensor, memory: Memory | None) -> tuple[Tensor, Memory]:
            return functional_call(self.actor, own, (x, memory, None))

        def act(observations: NDArray[Any]) -> NDArray[Any]:
            nonlocal memory
            x = self.features(self.senses.read(observations))[0].unflatten(0, (len(vectors), 1, -1))
            raw, memory = torch.vmap(one, (0, 0, None if memory is None else 0))(weights, x, memory)
            return self.actions.outwards(self.actions.best(raw[:, 0].flatten(0, 1)))

        return act

    def _place(self) -> World:
        if self.world is None:
            raise ValueError("the network is in no environment: it acts, but learns and plays only inside fit")
        return self.world

    def extra_repr(self) -> str:
        """What it reads and does, and where."""
        place = "" if self.world is None else f", world={self.world.title}, longest={self.world.longest}"
        return f"senses={self.senses}, actions={self.actions}, normalize={self.normalize}{place}"


def _explores(actions: Actions) -> bool:
    """Whether the policy tries around its answer, by a deviation that is learned."""
    return isinstance(actions, Amounts)
