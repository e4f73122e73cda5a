"""The decoupled extended Kalman filter: second-order learning that needs few sequences."""

import math
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from carousel.data import Batch
from carousel.ops.filter_noise import FilterNoise, Variances
from carousel.ops.online import check_whole
from carousel.training.filter import KalmanFilter
from carousel.training.groups import KEYS, weight_groups
from carousel.training.measurement import jacobian, measured
from carousel.training.method import DivergenceError, Method, Model, put_back_on_divergence, terms, trainable

MOST_COVARIANCES = 2e8


@dataclass(kw_only=True)
class DEKF(FilterNoise, Method, name="dekf"):
    """The decoupled extended Kalman filter of a model's weights.

    The weights are estimated as a state that hardly changes, from answers that are measured with noise: errors are
    wanted minus answered values (of classes: one-hot minus probabilities), and derivatives come from backpropagation
    through time. One batch is one common update of all its sequences (multi-stream).

    groups: weights that share a covariance matrix: "unit" (all weights into one unit), "cell", "layer", or "global".
    every: update after so many steps, with the state carried on, for models with an answer a step and a method
        `carry(batch, state) -> (output, state)`; a stream (`Batch.reset`) goes on in its next batch. None updates
        once a batch.
    reach: steps that derivatives then go back, a multiple of `every`, but not into another batch; None: `every`.
    rows: answers that enter the filter at once; more of one update follow each other, with derivatives at the same
        weights. For "global" that changes nothing but the memory it takes.
    The other options are those of `FilterNoise`.

    Raises ValueError or TypeError for an option outside its range, and TypeError for a model with a loss that no
    errors belong to. What is to be done grows with the answers of a batch, so models with few of them are quickest.

    Source: Puskorius and Feldkamp 1994; Perez-Ortiz, Gers, Eck and Schmidhuber 2003.
    """

    means: ClassVar[bool] = True

    groups: str = "unit"
    every: int | None = None
    reach: int | None = None
    rows: int = 256

    _weights: list[nn.Parameter] = field(init=False, repr=False, compare=False)
    _filter: KalmanFilter = field(init=False, repr=False, compare=False)
    _span: int = field(init=False, repr=False, compare=False, default=1)
    _updates: int = field(init=False, repr=False, compare=False, default=0)
    _innovation: float = field(init=False, repr=False, compare=False, default=0.0)
    _carried: tuple[Tensor, ...] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("every", "reach", "rows"):
            value = getattr(self, name)
            if value is not None or name == "rows":
                setattr(self, name, check_whole(name, value, 1))
        if self.reach is not None and (self.every is None or self.reach % self.every):
            raise ValueError(f"reach is {self.reach} and every {self.every}; reach is a multiple of every")
        if self.groups not in KEYS:
            raise ValueError(f"groups is {self.groups!r}; it can be {', '.join(KEYS)}")

    def prepare(self, model: Model, batches: int, epochs: int) -> None:
        self._weights = trainable(model)
        groups = weight_groups(model, self.groups)
        if (numbers := sum(float(len(group)) ** 2 for group in groups)) > MOST_COVARIANCES:
            raise ValueError(
                f"groups={self.groups!r} needs {numbers:.1g} covariances, more than {MOST_COVARIANCES:.0g}; take "
                "groups='unit' or a smaller network"
            )
        device = self._weights[0].device
        self._filter = KalmanFilter([group.to(device) for group in groups], self.initial_covariance)
        self._span = self.annealing_updates or batches * epochs
        self._updates, self._innovation, self._carried = 0, 0.0, None

    def update(self, model: Model, batch: Batch) -> float:
        with put_back_on_divergence(self._weights):
            loss = self._learn(model, model(batch), batch) if self.every is None else self._learn_online(model, batch)
        self._updates += 1
        return loss

    def end_epoch(self, model: Model) -> None:
        self._carried = None

    def measures(self) -> dict[str, float]:
        noise = self._noise()
        return {
            "measurement_noise": noise.measurement,
            "process_noise": noise.process,
            "innovation": self._innovation,
            "trace": self._filter.trace(),
        }

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {f"covariance.{i}": block.covariance for i, block in enumerate(self._filter.blocks)}
        tensors |= {f"carried.{at}": part for at, part in enumerate(self._carried or ())}
        held = {"updates": self._updates, "innovation": self._innovation}
        return tensors, {**held, "carried": len(self._carried or ())}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        for index, block in enumerate(self._filter.blocks):
            found = tensors[f"covariance.{index}"]
            if found.shape != block.covariance.shape or found.dtype != torch.float64:
                expected = f"float64 {tuple(block.covariance.shape)}"
                raise ValueError(f"'covariance.{index}' is {found.dtype} {tuple(found.shape)}, not {expected}")
            block.covariance = found.to(block.covariance.device)
        device = self._weights[0].device
        self._carried = tuple(tensors[f"carried.{at}"].to(device) for at in range(values["carried"])) or None
        self._updates, self._innovation = values["updates"], values["innovation"]

    def _noise(self) -> Variances:
        return self.noise_at(min(1.0, self._updates / self._span))

    def _learn(self, model: Model, output: Tensor, batch: Batch) -> float:
        """One common update from all answers of this output; the loss before it."""
        loss = model.loss(output, batch).item()
        if not math.isfinite(loss):
            raise DivergenceError(f"the loss became {loss}; raise final_measurement_noise, or lower initial_covariance")
        answers, wanted = measured(model, output, batch)
        errors = wanted.double() - answers.detach().double()
        noise = self._noise()
        change = errors.new_zeros(sum(weight.numel() for weight in self._weights))
        for at in range(0, len(errors), self.rows):
            part = slice(at, at + self.rows)
            slopes = jacobian(answers[part], self._weights)
            awake = noise if part.stop >= len(errors) else replace(noise, process=0.0)
            change += self._filter.update(slopes, errors[part] - slopes @ change, awake)
        if len(errors):
            self._innovation = errors.square().mean().sqrt().item()
        self._move(change)
        return loss

    def _move(self, change: Tensor) -> None:
        if not torch.isfinite(change).all():
            raise DivergenceError("a weight is no longer finite; raise final_measurement_noise")
        at = 0
        with torch.no_grad():
            for weight in self._weights:
                own = change[at : at + weight.numel()].view(weight.shape)
                weight.copy_(weight.double() + own)
                at += weight.numel()

    def _learn_online(self, model: Model, batch: Batch) -> float:
        """An update every few steps; the mean loss, each part's before its update."""
        carry = getattr(model, "carry", None)
        if carry is None:
            raise TypeError(
                f"every={self.every} carries the state on, but {type(model).__name__} has no method "
                "carry(batch, state) -> (output, state); leave every out"
            )
        every = self.every or len(batch.inputs)
        state: Any = None if batch.reset is None else self._carried
        starts: deque[tuple[int, Any]] = deque([(0, state)], maxlen=(self.reach or every) // every)
        total = count = 0.0
        for start in range(0, len(batch.inputs), every):
            end = start + every
            begin, state = starts[0]
            output, state = carry(steps_of(batch, begin, end), state)
            starts.append((end, _detached(state)))
            part = steps_of(batch, start, end)
            if share := terms(model, part):
                total += share * self._learn(model, output[start - begin :], part)
                count += share
        self._carried = None if batch.reset is None else starts[-1][1]
        return total / max(count, 1e-30)


def steps_of(batch: Batch, start: int, end: int) -> Batch:
    """The steps from `start` to `end` of a batch with a target a step. Raises ValueError for another batch."""
    target = batch.target
    if target is None or target.shape[:2] != batch.inputs.shape[:2]:
        raise ValueError("every= needs a target at each step; leave every out for one target a sequence")
    return batch.steps(start, min(end, len(batch.inputs)))


def _detached(state: Any) -> Any:
    return state.detach() if isinstance(state, Tensor) else tuple(_detached(part) for part in state)
