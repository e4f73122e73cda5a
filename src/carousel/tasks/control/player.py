"""Playing to learn: what a policy lives through, step by step, and where its environments stand in between."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from carousel.data import Batch
from carousel.tasks.control.episodes import seed_of
from carousel.tasks.control.world import FORGETFUL, World
from carousel.training.experience import Experience

if TYPE_CHECKING:
    from carousel.tasks.control.network import ControlNetwork, Memory, Turn

REMEMBERED = 100
"""Episodes whose returns are told."""


@dataclass
class Lane:
    """The episode that is under way in one environment: its seed, the actions so far, the sum of their rewards."""

    seed: int
    actions: list[NDArray[Any]] = field(default_factory=list)
    total: float = 0.0


@dataclass
class Record:
    """Step after step of what was played, as `Experience` will hold it.

    acted: inputs, actions, log-probabilities and values. came: rewards, and which lanes ended, were played, and began.
    cut_off: values of last observations that were cut off. memory: before each piece. seen: raw features.
    """

    acted: list[tuple[Tensor, ...]] = field(default_factory=list)
    came: list[tuple[NDArray[Any], ...]] = field(default_factory=list)
    cut_off: list[Tensor] = field(default_factory=list)
    memory: list["Memory"] = field(default_factory=list)
    seen: list[NDArray[np.float32]] = field(default_factory=list)

    def experience(self, last_values: Tensor) -> Experience:
        """All steps; `last_values` (lanes,) are of the observations after them."""
        inputs, actions, log_probs, values = (torch.stack(column) for column in zip(*self.acted, strict=True))
        came = [torch.from_numpy(np.stack(column)).to(values.device) for column in zip(*self.came, strict=True)]
        rewards, ended, mask, reset = came
        after = torch.cat([values[1:], last_values[None]])
        return Experience(
            inputs=inputs,
            actions=actions,
            log_probs=log_probs,
            values=values,
            rewards=rewards.to(values),
            following=torch.where(ended, torch.stack(self.cut_off), after),
            ended=ended,
            reset=reset,
            mask=mask,
            memory=tuple(torch.stack(part) for part in zip(*self.memory, strict=True)),
        )


class Player:
    """Plays in a world as the network's policy says then (`training.experience.Player`)."""

    def __init__(self, network: "ControlNetwork", world: World) -> None:
        self.network, self.world = network, world
        self.lanes: list[Lane] = []
        self.ended: list[float] = []
        self._forget(0)

    def go_on(self, batch: Batch, piece: int | None) -> Experience:
        """As many steps as the batch's inputs have, in as many lanes; who ends begins anew by the lane's index."""
        steps, indices = len(batch.inputs), batch.indices.tolist()
        begun = [0] * len(indices)
        if not self.lanes:
            self._forget(len(indices))
            self._begin(np.arange(len(indices)), indices, begun)
        elif self.world.user is not self:
            self._replay()
        self.fresh = self.network.fresh(len(indices))
        record, everyone = Record(), np.arange(len(indices))
        for step in range(steps):
            if step % (piece or steps) == 0:
                record.memory.append(self.memory)
            over = self._step(record, everyone)
            self._begin(everyone[over], indices, begun)
        return self._told(record, self._expected())

    def whole(self, batch: Batch) -> Experience:
        """One episode for each of the batch's indices, side by side; lanes that have ended wait."""
        indices = batch.indices.tolist()
        self._forget(len(indices))
        live = np.arange(len(indices))
        self._begin(live, indices, [0] * len(indices))
        record = Record(memory=[self.memory])
        while len(live):
            live = live[~self._step(record, live)]
        found = self._told(record, torch.zeros_like(record.acted[-1][-1]))
        self.lanes = []
        return found

    def returns(self) -> list[float]:
        """The returns of the last hundred episodes that ended; of those under way, before any has."""
        return self.ended or [lane.total for lane in self.lanes]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The memory, and of each lane's episode its seed and its actions; the rest follows by playing them again."""
        where = {
            "seeds": [lane.seed for lane in self.lanes],
            "totals": [lane.total for lane in self.lanes],
            "ended": self.ended,
        }
        if not self.lanes:
            return {}, where
        tensors = {f"memory.{at}": part for at, part in enumerate(self.memory)}
        tensors |= {"features": torch.from_numpy(self.features), "begins": torch.from_numpy(self.begins)}
        for at, lane in enumerate(self.lanes):
            if lane.actions:
                tensors[f"actions.{at}"] = torch.from_numpy(np.stack(lane.actions))
        return tensors, where

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from `state()`: the episodes that were under way are played again.

        Raises ValueError for an environment that does not repeat itself.
        """
        self.ended, self.lanes = list(values["ended"]), []
        if not values["seeds"]:
            return
        count = len(values["seeds"])
        played = [tensors[f"actions.{at}"].numpy() if f"actions.{at}" in tensors else () for at in range(count)]
        self._forget(count)
        self.lanes = [
            Lane(seed, list(actions), total)
            for seed, total, actions in zip(values["seeds"], values["totals"], played, strict=True)
        ]
        device = self.network.center.device
        self.memory = tuple(tensors[f"memory.{at}"].to(device) for at in range(len(self.memory)))
        self.begins = tensors["begins"].numpy()
        self.features = tensors["features"].numpy()
        self._replay()

    def _replay(self) -> None:
        """Play every lane's episode again up to where it was, so that all arrive together."""
        expected, self.world.user = self.features, self
        lengths = np.array([len(lane.actions) for lane in self.lanes])
        start = lengths.max() - lengths
        for step in range(lengths.max() + 1):
            new = np.flatnonzero(start == step)
            if len(new):
                self._see(new, self.world.begin(new, [self.lanes[at].seed for at in new]))
            going = np.flatnonzero(start <= step)
            if step < lengths.max() and len(going):
                actions = np.stack([self.lanes[at].actions[step - start[at]] for at in going])
                self._see(going, self.world.step(going, actions).observations)
        if not np.array_equal(self.features, expected):
            raise ValueError(FORGETFUL)

    def _forget(self, count: int) -> None:
        """Lanes about which nothing is known yet."""
        self.lanes = [Lane(0) for _ in range(count)]
        self.features = np.zeros((count, len(self.network.center)), dtype=np.float32)
        self.world.user = self
        self.begins = np.ones(count, dtype=bool)
        self.memory = self.fresh = self.network.fresh(count)

    def _begin(self, lanes: NDArray[np.int64], indices: list[int], begun: list[int]) -> None:
        """Begin an episode in these lanes, the next that the lane's index has."""
        if not len(lanes):
            return
        for lane in lanes.tolist():
            self.lanes[lane] = Lane(seed_of(indices[lane], begun[lane]))
            begun[lane] += 1
        self._see(lanes, self.world.begin(lanes, [self.lanes[lane].seed for lane in lanes]))
        self.begins[lanes] = True

    def _see(self, lanes: NDArray[np.int64], observations: NDArray[Any]) -> None:
        features = self.features.copy()
        features[lanes] = self.network.senses.read(observations)
        self.features = features

    def _step(self, record: Record, live: NDArray[np.int64]) -> NDArray[np.bool_]:
        """One action in each of these lanes; which of their episodes are over."""
        x, begins = self.network.features(self.features), self.begins
        record.seen.append(self.features[live])
        if begins.any():
            self.memory = self.network.cleared(self.memory, self.fresh, begins)
        turn = self.network.turn(x, self.memory)
        actions = self.network.actions.outwards(turn.actions)
        found = self.world.step(live, actions[live])
        self._see(live, found.observations)
        self.memory, self.begins = turn.memory, np.zeros_like(begins)
        self._count(live, actions, found.rewards)
        over = found.terminated | found.truncated
        record.acted.append((x[0], turn.actions, turn.log_probs, turn.values))
        rewards, ended, mask = np.zeros(len(begins)), np.zeros_like(begins), np.zeros_like(begins)
        rewards[live], ended[live], mask[live] = found.rewards, over, True
        record.came.append((rewards, ended, mask, begins))
        record.cut_off.append(self._cut_off(live[found.truncated], turn))
        self.ended = [*self.ended, *(self.lanes[lane].total for lane in live[over])][-REMEMBERED:]
        return over

    def _count(self, live: NDArray[np.int64], actions: NDArray[Any], rewards: NDArray[np.float64]) -> None:
        for lane, reward in zip(live.tolist(), rewards.tolist(), strict=True):
            self.lanes[lane].actions.append(actions[lane])
            self.lanes[lane].total += reward

    def _cut_off(self, lanes: NDArray[np.int64], turn: "Turn") -> Tensor:
        """The value of the last observation of episodes that were cut off, 0 elsewhere."""
        found = torch.zeros_like(turn.values)
        if len(lanes):
            found[lanes] = self._expected()[lanes]
        return found

    def _expected(self) -> Tensor:
        return self.network.expected(self.network.features(self.features), self.memory)

    def _told(self, record: Record, last_values: Tensor) -> Experience:
        """What was played; from now on the network is used to what was seen."""
        found = record.experience(last_values)
        self.network.get_used_to(np.concatenate(record.seen))
        return found
