"""Backpropagation through time: the gradient of whole sequences, given to one of torch's optimizers."""

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from carousel.data import Batch
from carousel.nn.noise import weight_noise
from carousel.training.descent import Descent, as_float, check_number
from carousel.training.method import Method, Model, terms


@dataclass(kw_only=True)
class BPTT(Descent, Method, name="bptt"):
    """Backpropagation through time over whole sequences.

    accumulate: so many batches give one step, the same as one batch of all their sequences; an epoch's last step takes
        what is left.
    weight_noise: the deviation of Gaussian noise that lies on the weights while a batch is computed, drawn anew for
        each
        (Graves et al. 2013: 0.075, begun after training without it).
    The other options are those of `Descent`, which say how a gradient becomes a step.

    Raises ValueError or TypeError for an option outside its range.
    Source: Werbos 1990.
    """

    accumulate: int = 1
    weight_noise: float = 0.0

    _pending_batches: int = field(init=False, repr=False, compare=False, default=0)
    _pending_terms: float = field(init=False, repr=False, compare=False, default=0.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.accumulate < 1 or self.accumulate != int(self.accumulate):
            raise ValueError(f"accumulate is {self.accumulate!r}; it is a whole number of batches, 1 or more")
        check_number("weight_noise", self.weight_noise, above=None)

    def prepare(self, model: Model, batches: int, epochs: int) -> None:
        self._begin(model, epochs * math.ceil(batches / self.accumulate))

    def update(self, model: Model, batch: Batch) -> float:
        with weight_noise(self._parameters, self.weight_noise):
            with self._precision(batch):
                output = model(batch)
            loss = model.loss(as_float(output), batch)
            value = self._finite(loss)
            share = 1.0 if self.accumulate == 1 else terms(model, batch)
            (loss if share == 1.0 else loss * share).backward()
        self._pending_batches += 1
        self._pending_terms += share
        if self._pending_batches == self.accumulate:
            self._step_and_schedule()
        return value

    def end_epoch(self, model: Model) -> None:
        if self._pending_batches:
            self._step_and_schedule()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, values = super().state()
        return tensors, {**values, "pending": [self._pending_batches, self._pending_terms]}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        super().restore(tensors, values)
        self._pending_batches, self._pending_terms = values["pending"]

    def _step_and_schedule(self) -> None:
        """One optimizer step on the mean gradient of the pending batches."""
        self._step(self._pending_terms)
        self._scheduler.step()

    def _forget_gradient(self) -> None:
        super()._forget_gradient()
        self._pending_batches, self._pending_terms = 0, 0.0
