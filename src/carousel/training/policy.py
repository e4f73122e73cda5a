"""Policy gradients: learning to act from rewards, with a policy that remembers."""

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from carousel.data import Batch
from carousel.training.descent import Descent, check_number
from carousel.training.experience import Experience, Judgement, Player, RewardScale, advantages
from carousel.training.method import Method, Model, put_back_on_divergence

PLAYER, REWARDS = "player.", "rewards."


@dataclass(kw_only=True)
class PolicyGradient(Descent):
    """What learns to act: a batch says which environments to play, the policy plays, and learns from what came of it.

    discount: what a reward is worth a step later. entropy: how much it is worth to stay undecided.
    value_weight: of the squared error of the expected rewards, beside the policy's own loss.
    scale_rewards: divide rewards by the deviation of their discounted sums so far.
    The other options are those of `Descent`, in float32; the learning rate changes after updates, not inside them.

    The loss that is told is minus the mean return of the last hundred episodes.
    """

    learns_from: ClassVar[tuple[str, ...]] = ("acting",)

    clip_norm: float | None = 0.5
    discount: float = 0.99
    entropy: float = 0.0
    value_weight: float = 0.5
    scale_rewards: bool = True

    _model: Any = field(init=False, repr=False, compare=False, default=None)
    _player: Player = field(init=False, repr=False, compare=False)
    _scale: RewardScale = field(init=False, repr=False, compare=False)
    _told: dict[str, float] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision != "float32":
            raise ValueError(f"precision is {self.precision!r}; policies act and learn in float32")
        _check_share("discount", self.discount)
        for name in ("entropy", "value_weight"):
            check_number(name, getattr(self, name), above=None)

    def prepare(self, model: Model, batches: int, epochs: int) -> None:
        """Begin anew. Raises TypeError for a model that does not act."""
        if not (hasattr(model, "player") and hasattr(model, "judge")):
            raise TypeError(
                f"{type(model).__name__} cannot learn by policy gradients: it has no player() and judge(experience) "
                "(see training.Model); Controller has"
            )
        self._begin(model, epochs * batches)
        self._model, self._told = model, {}
        self._player = self._model.player()
        self._scale = RewardScale(self.discount)

    def measures(self) -> dict[str, float]:
        """Beside those of `Descent`: the policy's entropy, and how far it moved in the last update."""
        return {**super().measures(), **self._told}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The optimizer's state, the environments' and the rewards' deviation."""
        tensors, values = super().state()
        played, where = self._player.state()
        tensors |= {f"{PLAYER}{name}": tensor for name, tensor in played.items()}
        tensors[f"{REWARDS}running"] = self._scale.running
        counted = [self._scale.count, self._scale.mean, self._scale.squares]
        return tensors, {**values, "player": where, "rewards": counted, "told": self._told}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from `state()`."""
        played = {name.removeprefix(PLAYER): own for name, own in tensors.items() if name.startswith(PLAYER)}
        ours = {name: own for name, own in tensors.items() if not name.startswith((PLAYER, REWARDS))}
        super().restore(ours, values)
        self._player.restore(played, values["player"])
        count, mean, squares = values["rewards"]
        self._scale = RewardScale(self.discount, count, mean, squares, tensors[f"{REWARDS}running"])
        self._told = dict(values["told"])

    def _weighed(self, played: Experience, trace: float, *, anew: bool) -> Experience:
        """The experience, in pieces, with its rewards scaled and what each action gained."""
        if self.scale_rewards:
            played = self._scale.apply(played, anew=anew)
        return replace(played, gained=advantages(played, self.discount, trace)).cut()

    def _learn(self, model: Model, lesson: Experience) -> dict[str, float]:
        """One step on experience that was weighed; entropy, and how far the policy has moved."""
        assert lesson.gained is not None
        judged: Judgement = cast(Any, model).judge(lesson)
        mask = lesson.mask
        gained, change = lesson.gained[mask], (judged.log_probs - lesson.log_probs)[mask]
        entropy = judged.entropy[mask].mean()
        value = (judged.values[mask] - lesson.gained[mask] - lesson.values[mask]).square().mean()
        policy = self._policy_loss(change, (gained - gained.mean()) / (gained.std(correction=0) + 1e-8))
        loss = policy + self.value_weight * value - self.entropy * entropy
        self._finite(loss)
        loss.backward()
        self._step()
        moved = (change.detach().exp() - 1 - change.detach()).mean().item()
        return {"entropy": entropy.item(), "moved": moved}

    @abstractmethod
    def _policy_loss(self, change: Tensor, gained: Tensor) -> Tensor:
        """What is lowered, from the change of each action's log-probability and what it gained (standardised)."""

    def _return(self) -> float:
        """Minus the mean return of the last episodes."""
        returns = self._player.returns()
        return -sum(returns) / len(returns)


@dataclass(kw_only=True)
class REINFORCE(PolicyGradient, Method, name="reinforce"):
    """REINFORCE with a baseline, for policies that remember: whole episodes, one update a batch.

    Each action is made likelier by how much what followed, to the end of its episode, exceeded what was expected; the
    expectation is a value that is learned beside the policy. The gradient goes through whole episodes. Where an episode
    was cut off, the value of the observation at the cut stands for the rest. A batch begins its episodes anew, from
    seeds of its own: nothing of an environment outlives an update.

    Source: Williams 1992; with an LSTM: Wierstra, Förster, Peters and Schmidhuber 2010.
    """

    def update(self, model: Model, batch: Batch) -> float:
        self._told = self._learn(model, self._weighed(self._player.whole(batch), 1.0, anew=True))
        self._scheduler.step()
        return self._return()

    def _policy_loss(self, change: Tensor, gained: Tensor) -> Tensor:
        return -(change * gained).mean()


@dataclass(kw_only=True)
class PPO(PolicyGradient, Method, name="ppo"):
    """Proximal policy optimisation, for policies that remember.

    trace: λ of the advantages; 1 counts all rewards that came, less trusts the values.
    clip: how far the ratio of new to old probability may leave 1 before it stops counting.
    passes: how often what was played is learned from; minibatches: parts of it, a step each.
    piece: steps through which gradients go: what was played is cut into pieces, each begun with the memory that the
        policy had there while it acted; None for all steps between two updates.
    stop_kl: end the passes when the policy has moved that far (an estimate of the divergence); None never does.

    The environments go on from update to update. On resuming, each lane's present episode is played again from its seed
    by the actions that were taken, so that any environment that repeats itself is resumed to the bit.

    Source: Schulman et al. 2017.
    """

    trace: float = 0.95
    clip: float = 0.2
    passes: int = 4
    minibatches: int = 4
    piece: int | None = None
    stop_kl: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("trace", self.trace)
        for name in ("passes", "minibatches", "piece"):
            value = getattr(self, name)
            if name == "piece" and value is None:
                continue
            if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} is {value!r}; it is a whole number, 1 or more")
            setattr(self, name, int(value))
        for name in ("clip", "stop_kl"):
            check_number(name, getattr(self, name), above=0)

    def update(self, model: Model, batch: Batch) -> float:
        steps = len(batch.inputs)
        if self.piece is not None and steps > self.piece and steps % self.piece:
            raise ValueError(f"{steps} steps between updates are no whole number of pieces of {self.piece}")
        lesson = self._weighed(self._player.go_on(batch, self.piece), self.trace, anew=False)
        with put_back_on_divergence(self._parameters):
            self._learn_all(model, lesson)
        self._scheduler.step()
        return self._return()

    def _learn_all(self, model: Model, lesson: Experience) -> None:
        """Go through what was played as often as that is asked for."""
        for _ in range(self.passes):
            order = torch.randperm(lesson.inputs.shape[1]).to(lesson.inputs.device)
            for lanes in order.chunk(self.minibatches):
                self._told = self._learn(model, lesson.take(lanes))
            if self.stop_kl is not None and self._told["moved"] > self.stop_kl:
                break

    def _policy_loss(self, change: Tensor, gained: Tensor) -> Tensor:
        ratio = change.exp()
        return -torch.minimum(ratio * gained, ratio.clamp(1 - self.clip, 1 + self.clip) * gained).mean()


def _check_share(name: str, value: float) -> None:
    if not (isinstance(value, Real) and 0 <= value <= 1):
        raise ValueError(f"{name} is {value!r}; it is a number from 0 to 1")
