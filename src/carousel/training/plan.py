"""What a run is asked to do, and what it tells after each update."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Plan:
    """How long to train and what to keep.

    epochs: passes over the data; seed: of torch's random numbers during training (dropout and the like).
    patience: stop when the validation loss has not fallen for so many epochs; None never stops early.
    keep_best: end with the weights of the lowest validation loss; without validation data the last weights stay.
    checkpoint: a file to save the run in and to resume it from, every `checkpoint_seconds` seconds, and every
        `checkpoint_updates` updates if given; None saves nothing.

    Raises ValueError for a number outside its range.
    """

    epochs: int
    seed: int = 0
    patience: int | None = None
    keep_best: bool = True
    checkpoint: Path | None = None
    checkpoint_seconds: float = 30.0
    checkpoint_updates: int | None = None

    def __post_init__(self) -> None:
        for name, lowest in (("epochs", 1), ("seed", 0), ("patience", 1), ("checkpoint_updates", 1)):
            value = getattr(self, name)
            if value is None and name in ("patience", "checkpoint_updates"):
                continue
            if not isinstance(value, int) or value < lowest:
                raise ValueError(f"{name} is {value!r}; it is a whole number of at least {lowest}")
        if not self.checkpoint_seconds >= 0:
            raise ValueError(f"checkpoint_seconds is {self.checkpoint_seconds!r}; it is a number of at least 0")
        if self.checkpoint is not None:
            object.__setattr__(self, "checkpoint", Path(self.checkpoint))

    def course(self) -> dict[str, Any]:
        """The part of the plan that decides the result."""
        return {name: getattr(self, name) for name in ("epochs", "seed", "patience", "keep_best")}


@dataclass(frozen=True)
class Report:
    """Where a run stands after an update.

    epoch and update count from 1; epochs and updates are the planned totals.
    loss: mean of the epoch so far, per term; validation: the epoch's validation loss, at its end; best: the lowest yet.
    seconds: spent so far, before a resume too; remaining_seconds: expected if all epochs are needed.
    stopped: why training ended, in words, in the last report only.
    history: one dict for each finished epoch, before a resume too: epoch, updates, loss, validation, seconds, and the
        method's own figures such as learning_rate.
    """

    epoch: int
    epochs: int
    update: int
    updates: int
    loss: float
    validation: float | None
    best: float | None
    seconds: float
    remaining_seconds: float
    end_of_epoch: bool
    stopped: str | None
    history: tuple[dict[str, Any], ...]
