"""A run between two updates: what it has learned, how far it is, and the step to the next."""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from carousel.data import Batch, Batches
from carousel.training.checkpoint import Checkpoint, CheckpointError, check_identity, read_checkpoint
from carousel.training.identity import kinds, run_identity
from carousel.training.method import DivergenceError, Method, Model, terms
from carousel.training.plan import Plan, Report
from carousel.training.randomness import Randomness
from carousel.training.validation import placement, validation_loss


@dataclass
class Progress:
    """How far a run is: finished epochs, batches done in the current one and their losses, and all that came before."""

    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    terms: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    stopped: str | None = None

    def __post_init__(self) -> None:
        counted = all(type(count) is int and count >= 0 for count in (self.epoch, self.batch))
        if not counted or len(self.history) != self.epoch or not all(isinstance(past, dict) for past in self.history):
            raise ValueError("its progress does not add up")


class Run:
    """A run between two updates; `advance` takes it to the next."""

    def __init__(self, model: Model, batches: Batches, method: Method, plan: Plan, validation: Batches | None) -> None:
        self.model, self.batches, self.method, self.plan, self.validation = model, batches, method, plan, validation
        self.device, self.dtype = placement(model)
        self.progress = Progress()
        self.best: dict[str, Any] | None = None
        self.randomness = Randomness(self.device, plan.seed)
        self.was_training = model.training
        self.waiting: Iterator[Batch] | None = None
        with self.randomness:
            method.prepare(model, len(batches), plan.epochs)
        self.identity = {}
        if plan.checkpoint is not None:
            method.state()  # a method that can have no checkpoint says so before any work
            self.identity = run_identity(model, batches, method, plan, validation)
        if plan.checkpoint is not None and plan.checkpoint.exists():
            self._resume(plan.checkpoint)
        self.began = self.saved = time.perf_counter()
        self.began_at = self.saved_at = self.update
        self.seconds_before = self.progress.seconds

    @property
    def update(self) -> int:
        """Updates done."""
        return self.progress.epoch * len(self.batches) + self.progress.batch

    @property
    def updates(self) -> int:
        """Updates planned."""
        return self.plan.epochs * len(self.batches)

    def advance(self) -> Report:
        """One update, what the end of an epoch asks for, and a checkpoint if it is time."""
        with self.randomness:
            self._update(self._next_batch())
            if end_of_epoch := self.progress.batch == len(self.batches):
                self._end_epoch()
        self._tell_time()
        if self.progress.stopped is not None or self._save_is_due():
            self.save()
        if self.progress.stopped is not None:
            self._restore_best()
        return self.report(end_of_epoch)

    def report(self, end_of_epoch: bool = True) -> Report:
        """Where the run stands, at the end of an epoch or inside one."""
        progress, history = self.progress, self.progress.history
        last = history[-1] if end_of_epoch else None
        done = self.update - self.began_at
        elapsed = progress.seconds - self.seconds_before
        return Report(
            epoch=progress.epoch + (not end_of_epoch),
            epochs=self.plan.epochs,
            update=self.update,
            updates=self.updates,
            loss=last["loss"] if last else _mean(progress),
            validation=last["validation"] if last else None,
            best=self._best_record()["validation"] if history else None,
            seconds=progress.seconds,
            remaining_seconds=0.0 if progress.stopped else elapsed / max(done, 1) * (self.updates - self.update),
            end_of_epoch=end_of_epoch,
            stopped=progress.stopped,
            history=tuple(history),
        )

    def save(self) -> None:
        """Write the checkpoint, if there is to be one and it is not there already."""
        if self.plan.checkpoint is None or self.saved_at == self.update:
            return
        tensors, values = self.method.state()
        groups = {"model": self.model.state_dict(), "method": tensors, "random": self.randomness.state}
        if self.best is not None:
            groups["best"] = self.best
        named = {f"{group}.{name}": value for group, members in groups.items() for name, value in members.items()}
        Checkpoint(named, self.identity, asdict(self.progress), values).write(self.plan.checkpoint)
        self.saved, self.saved_at = time.perf_counter(), self.update

    def where(self) -> str:
        """The update that is being made, or the end of an epoch that is being reached, in words."""
        if self.progress.batch == len(self.batches):
            return f"end of epoch {self.progress.epoch + 1}, after update {self.update} of {self.updates}"
        return f"epoch {self.progress.epoch + 1}, update {self.update + 1} of {self.updates}"

    def kept(self) -> str:
        """Which weights the model has when the run breaks off, in words."""
        if self.best is not None:
            return f"The weights of epoch {self._best_record()['epoch']}, the best so far, are kept"
        return f"The weights after update {self.update} are kept"

    def close(self) -> None:
        """Leave the model as it should be after the run."""
        self.method.close()
        self._restore_best()
        self.model.train(self.was_training)

    def _next_batch(self) -> Batch:
        if self.waiting is None:
            self.waiting = iter(self.batches.epoch(self.progress.epoch, self.progress.batch))
        batch = next(self.waiting, None)
        if batch is None:
            raise ValueError(
                f"{type(self.batches).__name__} announces {len(self.batches)} batches an epoch, "
                f"but epoch {self.progress.epoch + 1} ended after {self.progress.batch}"
            )
        return batch.to(self.device, self.dtype)

    def _update(self, batch: Batch) -> None:
        if not self.model.training:
            self.model.train()
        share = terms(self.model, batch)
        self.progress.loss += self.method.update(self.model, batch) * share
        self.progress.terms += share
        self.progress.batch += 1

    def _end_epoch(self) -> None:
        self.method.end_epoch(self.model)
        value = None if self.validation is None else validation_loss(self.model, self.validation)
        if value is not None and not math.isfinite(value):
            raise DivergenceError(f"the validation loss became {value}; lower the learning rate, or check these data")
        progress = self.progress
        record = {"epoch": progress.epoch + 1, "updates": self.update, "loss": _mean(progress), "validation": value}
        self._tell_time()
        progress.history.append({**record, **self.method.measures(), "seconds": progress.seconds})
        progress.epoch, progress.batch, progress.loss, progress.terms = progress.epoch + 1, 0, 0.0, 0.0
        self.waiting = None
        if value is not None and self.plan.keep_best and self._best_record() is progress.history[-1]:
            self.best = copy.deepcopy(self.model.state_dict())
        progress.stopped = self._reason_to_stop()

    def _reason_to_stop(self) -> str | None:
        best, patience = self._best_record()["epoch"], self.plan.patience
        if patience is not None and self.progress.epoch - best >= patience:
            return f"the validation loss has not fallen since epoch {best}"
        return "all epochs are done" if self.progress.epoch == self.plan.epochs else None

    def _best_record(self) -> dict[str, Any]:
        """The first epoch of the lowest validation loss; without validation the last epoch."""
        history = self.progress.history
        return history[-1] if self.validation is None else min(history, key=lambda record: record["validation"])

    def _restore_best(self) -> None:
        if self.best is not None:
            self.model.load_state_dict(self.best)

    def _tell_time(self) -> None:
        self.progress.seconds = self.seconds_before + time.perf_counter() - self.began

    def _save_is_due(self) -> bool:
        every = self.plan.checkpoint_updates
        late = time.perf_counter() - self.saved >= self.plan.checkpoint_seconds
        return late or (every is not None and self.update % every == 0)

    def _resume(self, path: Path) -> None:
        checkpoint = read_checkpoint(path)
        check_identity(path, checkpoint.identity, self.identity)
        try:
            self._restore(checkpoint)
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{path} does not fit this run ({error}); delete it to start anew") from None

    def _restore(self, checkpoint: Checkpoint) -> None:
        groups = {name: checkpoint.group(name) for name in ("model", "best", "method", "random")}
        for name, expected in (
            ("model", self.identity["weights"]),
            ("best", self.identity["weights"] if groups["best"] else {}),
            ("random", kinds(self.randomness.state)),
        ):
            if kinds(groups[name]) != expected:
                raise ValueError(f"its tensors of group '{name}' have other names, types or shapes")
        self.progress = Progress(**checkpoint.progress)
        self.method.restore(groups["method"], checkpoint.method)
        self.randomness.state = groups["random"]
        self.best = groups["best"] or None
        self.model.load_state_dict(groups["model"])


def _mean(progress: Progress) -> float:
    return progress.loss / max(progress.terms, 1e-30)
