"""What methods by gradient share: torch's optimizers, clipping, schedules, precision, and their state."""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import LambdaLR

from carousel.data import Batch
from carousel.training.method import DivergenceError, Model, trainable
from carousel.training.schedule import check_schedule, scheduler

OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "sgd": SGD, "rmsprop": RMSprop}
PRECISIONS = ("float32", "bfloat16")
BOUNDS = ("clip_norm", "stop_kl")
"""Options that may be None: there is no bound then."""


@dataclass(kw_only=True)
class Descent:
    """A step down the gradient: the options and the state of every method that has a gradient.

    optimizer: "adam", "adamw", "sgd" or "rmsprop", torch's own; `optimizer_options` go to it (momentum=, betas=, ...).
    clip_norm: the gradient's 2-norm is scaled down to this; None never clips.
    schedule: "constant", "cosine", "step" or "one_cycle", with `schedule_options` (see `schedule.py`); `warmup` steps
        (below 1: that part of all steps) rise linearly before it.
    precision: "bfloat16" runs the model under torch.autocast; weights, loss and optimizer stay as they are.

    Raises ValueError or TypeError for an option outside its range.
    Source of clipping by norm: Pascanu, Mikolov and Bengio 2013.
    """

    learning_rate: float = 1e-3
    optimizer: str = "adam"
    optimizer_options: dict[str, Any] | None = None
    weight_decay: float = 0.0
    clip_norm: float | None = 1.0
    schedule: str = "constant"
    schedule_options: dict[str, Any] | None = None
    warmup: float = 0
    precision: str = "float32"

    _parameters: list[nn.Parameter] = field(init=False, repr=False, compare=False)
    _optimizer: Optimizer = field(init=False, repr=False, compare=False)
    _scheduler: LambdaLR = field(init=False, repr=False, compare=False)
    _gradient_norm: float = field(init=False, repr=False, compare=False, default=0.0)

    def __post_init__(self) -> None:
        for name, lowest in (("learning_rate", 0.0), ("clip_norm", 0.0), ("weight_decay", None), ("warmup", None)):
            check_number(name, getattr(self, name), above=lowest)
        for name, choices in (("optimizer", tuple(OPTIMIZERS)), ("precision", PRECISIONS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it can be {', '.join(choices)}")
        check_schedule(self.schedule, self.schedule_options or {})
        try:
            self._optimizer_of([nn.Parameter(torch.zeros(1))])
        except (TypeError, ValueError) as error:
            told = f"optimizer_options are {self.optimizer_options}; {self.optimizer!r} does not take them ({error})"
            raise type(error)(told) from None

    def measures(self) -> dict[str, float]:
        """The learning rate, and the norm of the last gradient before it was clipped."""
        return {"learning_rate": self._optimizer.param_groups[0]["lr"], "gradient_norm": self._gradient_norm}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Gradients that wait for a step, and the state of the optimizer and the schedule."""
        tensors = {f"gradient.{i}": p.grad for i, p in enumerate(self._parameters) if p.grad is not None}
        state = self._optimizer.state_dict()
        values: dict[str, dict[str, Any]] = {}
        for index, entries in state["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in entries.items() if torch.is_tensor(value)}
            values[str(index)] = {key: value for key, value in entries.items() if not torch.is_tensor(value)}
        return tensors, {
            "optimizer": values,
            "groups": state["param_groups"],
            "scheduler": {key: value for key, value in self._scheduler.state_dict().items() if key != "lr_lambdas"},
        }

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from `state()`."""
        entries: dict[int, dict[str, Any]] = {int(index): dict(entry) for index, entry in values["optimizer"].items()}
        for name, tensor in tensors.items():
            kind, index, *key = name.split(".", 2)
            parameter = self._parameters[int(index)]
            if tensor.ndim > 0 and tensor.shape != parameter.shape:
                raise ValueError(f"'{name}' has shape {tuple(tensor.shape)}, not {tuple(parameter.shape)}")
            if kind == "optimizer":
                entries[int(index)][key[0]] = tensor
            else:
                parameter.grad = tensor.to(parameter.device)
        self._optimizer.load_state_dict({"state": entries, "param_groups": values["groups"]})
        self._scheduler.load_state_dict({**values["scheduler"], "lr_lambdas": [None]})

    def _begin(self, model: Model, steps: int) -> None:
        """A new optimizer for the model, with a schedule over so many steps."""
        self._parameters = trainable(model)
        self._optimizer = self._optimizer_of(self._parameters)
        self._scheduler = scheduler(
            self._optimizer, self.schedule, self.schedule_options or {}, steps=steps, warmup=self.warmup
        )
        self._forget_gradient()

    def _optimizer_of(self, parameters: list[nn.Parameter]) -> Optimizer:
        """The optimizer of these parameters."""
        options = {"lr": self.learning_rate, "weight_decay": self.weight_decay, **(self.optimizer_options or {})}
        return OPTIMIZERS[self.optimizer](parameters, **options)

    def _precision(self, batch: Batch) -> AbstractContextManager[Any]:
        """Where the model runs in the precision that was asked for; losses are for outside, by `as_float`."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(batch.inputs.device.type, torch.bfloat16)

    def _finite(self, loss: Tensor) -> float:
        """The loss as a number. Raises DivergenceError when it is not finite."""
        value = loss.item()
        if not math.isfinite(value):
            self._forget_gradient()
            raise DivergenceError(f"the loss became {value}; {self._advice()}")
        return value

    def _step(self, terms: float = 1.0) -> None:
        """One optimizer step on the gradient divided by `terms`; the schedule stays where it is."""
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        if terms != 1.0:
            for gradient in gradients:
                gradient.div_(max(terms, 1e-30))
        norm = get_total_norm(gradients)
        self._gradient_norm = norm.item()
        if not math.isfinite(self._gradient_norm):
            self._forget_gradient()
            raise DivergenceError(f"the gradient's norm became {self._gradient_norm}; {self._advice()}")
        if self.clip_norm is not None:
            clip_grads_with_norm_(self._parameters, self.clip_norm, norm)
        self._optimizer.step()
        self._forget_gradient()

    def _forget_gradient(self) -> None:
        self._optimizer.zero_grad(set_to_none=True)

    def _advice(self) -> str:
        rate = self._optimizer.param_groups[0]["lr"]
        clip = "clip_norm=1.0, say" if self.clip_norm is None else f"below the present clip_norm={self.clip_norm:g}"
        return f"lower the learning rate (now {rate:g}) or clip the gradient ({clip})"


def as_float(output: Tensor) -> Tensor:
    """An answer in half precision as float32, for the loss; any other as it is."""
    return output.float() if output.dtype == torch.bfloat16 else output


def check_number(name: str, value: float | None, *, above: float | None) -> None:
    """A finite number above a bound, or at least 0 when there is none; None is for what bounds nothing then."""
    if value is None and name in BOUNDS:
        return
    good = isinstance(value, int | float) and math.isfinite(value) and (value >= 0 if above is None else value > above)
    if not good:
        bound = "of at least 0" if above is None else f"above {above:g}"
        raise ValueError(f"{name} is {value!r}; it is a finite number {bound}")
