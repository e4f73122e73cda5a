"""Truncated backpropagation through time: losses of a few steps, carried back through a few more."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from numbers import Integral
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from carousel.data import Batch
from carousel.training.descent import Descent, as_float
from carousel.training.method import Method, Model, terms

State = tuple[Tensor, ...] | None


@dataclass(kw_only=True)
class TruncatedBPTT(Descent, Method, name="tbptt"):
    """Truncated backpropagation through time, over streams and over whole sequences.

    k1: steps between two updates of the weights; a batch's last update may have fewer.
    k2: steps through which an update goes back, at least k1: the losses of the last k1 steps (each counts once) go back
        through these and the k2 - k1 steps before them, which are computed anew from the state that was carried there.
    The other options are those of `Descent`. The learning rate changes after batches, not inside them.

    A batch with step targets is cut into pieces of k1 steps, whose losses are weighed so that they add up to the loss
    of the batch. In a stream (`Batch.reset`) the state goes on from batch to batch, and memory does not depend on the
    stream's length. A batch with one target a sequence gives one update, through the last k2 steps of each sequence.
    With k1 and k2 no shorter than the sequences this is BPTT, to the bit.

    Raises ValueError or TypeError for an option outside its range, TypeError for a model that cannot be cut (see
    `Model`). A divergence leaves the model as it was before the piece in which it came.
    Source: BPTT(h; h') of Williams and Peng 1990.
    """

    k1: int = 32
    k2: int = 64

    carries: ClassVar[bool] = True

    _state: State = field(init=False, repr=False, compare=False, default=None)
    _history: list[Batch] = field(init=False, repr=False, compare=False, default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, lowest in (("k1", 1), ("k2", self.k1)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < lowest:
                bound = "1 or more" if name == "k1" else f"no fewer than k1={self.k1}"
                raise ValueError(f"{name} is {value!r}; it is a whole number of steps, {bound}")
            setattr(self, name, int(value))

    def prepare(self, model: Model, batches: int, epochs: int) -> None:
        if not (hasattr(model, "carry") or hasattr(model, "recent")):
            raise TypeError(_lacks(model, "neither carry(batch, state) nor recent(batch, steps)"))
        self._begin(model, epochs * batches)
        self._forget_stream()

    def update(self, model: Model, batch: Batch) -> float:
        if batch.step_targets:
            value, stepped = self._pieces(model, batch)
        else:
            value, stepped = self._whole(model, batch), True
        if stepped:
            self._scheduler.step()
        return value

    def end_epoch(self, model: Model) -> None:
        self._forget_stream()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, values = super().state()
        tensors |= {f"carried.{at}": part for at, part in enumerate(self._state or ())}
        for at, piece in enumerate(self._history):
            tensors |= {f"history.{at}.{name}": part for name, part in _tensors(piece).items()}
        return tensors, {**values, "carried": len(self._state or ()), "history": len(self._history)}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        device = self._parameters[0].device
        own = {name: tensor.to(device) for name, tensor in tensors.items() if name.startswith(("carried.", "history."))}
        super().restore({name: tensor for name, tensor in tensors.items() if name not in own}, values)
        self._state = tuple(own[f"carried.{at}"] for at in range(values["carried"])) or None
        self._history = [_piece(own, f"history.{at}.") for at in range(values["history"])]

    def _whole(self, model: Model, batch: Batch) -> float:
        """One update on sequences that are answered once."""
        if not hasattr(model, "recent"):
            raise TypeError(_lacks(model, "no recent(batch, steps), which one target a sequence needs"))
        with self._precision(batch):
            output = cast(Any, model).recent(batch, self.k2)
        loss = model.loss(as_float(output), batch)
        value = self._finite(loss)
        loss.backward()
        self._step()
        return value

    def _pieces(self, model: Model, batch: Batch) -> tuple[float, bool]:
        """An update for every k1 steps; the loss of the batch, and whether any step had a target."""
        if not hasattr(model, "carry"):
            raise TypeError(_lacks(model, "no carry(batch, state), which targets at each step need"))
        streams, time = batch.reset is not None, len(batch.inputs)
        if not streams:
            self._forget_stream()
        total, value, stepped = terms(model, batch), 0.0, False
        for start in range(0, time, self.k1):
            stop = min(start + self.k1, time)
            piece = batch.steps(start, stop)
            share = terms(model, piece) / total if total else 0.0
            keep = self.k2 - self.k1 if streams or stop < time else 0
            with torch.set_grad_enabled(share > 0):
                output = self._read(model, piece, keep)
            if share > 0:
                value += share * self._learn(model.loss(output, piece), share)
                stepped = True
        if not streams:
            self._forget_stream()
        return value, stepped

    def _learn(self, loss: Tensor, share: float) -> float:
        value = self._finite(loss)
        (loss if share == 1.0 else loss * share).backward()
        self._step()
        return value

    def _read(self, model: Model, piece: Batch, keep: int) -> Tensor:
        """The answers to a piece, after the steps before it; the last `keep` steps will be read again before the next.

        Leaves behind those steps, and the state before them.
        """
        window = _joined([*self._history, replace(piece, target=None, mask=None)])
        parts, fixed = _cut(window, sum(len(part.inputs) for part in window) - keep)
        state, reached, outputs = self._state, self._state, []
        with self._precision(piece):
            for number, part in enumerate(parts, 1):
                output, state = cast(Any, model).carry(part, state)
                outputs.append(output)
                if number == fixed:
                    reached = tuple(tensor.detach() for tensor in state)
        self._state, self._history = reached, [_own(part) for part in parts[fixed:]]
        found = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
        return as_float(found[-len(piece.inputs) :])

    def _forget_stream(self) -> None:
        self._state, self._history = None, []


def _lacks(model: Model, what: str) -> str:
    return f"{type(model).__name__} cannot learn by truncated backpropagation: it has {what} (see training.Model)"


def _joined(parts: Sequence[Batch]) -> list[Batch]:
    """The parts as one where no lane ends in them, else as they are."""
    if len(parts) == 1 or any(part.lengths is not None for part in parts):
        return list(parts)
    resets = [part.reset for part in parts if part.reset is not None]
    inputs = torch.cat([part.inputs for part in parts])
    return [replace(parts[-1], inputs=inputs, reset=torch.cat(resets) if resets else None)]


def _cut(parts: Sequence[Batch], at: int) -> tuple[list[Batch], int]:
    """The parts, with a border after `at` steps, and how many lie before that border."""
    found: list[Batch] = []
    before = 0
    for part in parts:
        length = len(part.inputs)
        split = [part.steps(0, at), part.steps(at, length)] if 0 < at < length else [part]
        found += split
        before += at > 0
        at -= length
    return found, before


def _own(part: Batch) -> Batch:
    """A part that does not keep the batch in memory from which it was cut."""
    return replace(part, **{name: tensor.clone() for name, tensor in _tensors(part).items()})


def _tensors(part: Batch) -> dict[str, Tensor]:
    given = {entry.name: getattr(part, entry.name) for entry in fields(part)}
    return {name: tensor for name, tensor in given.items() if tensor is not None}


def _piece(tensors: dict[str, Tensor], prefix: str) -> Batch:
    named = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return Batch(**named)
