"""Batches of sequences, in an order that depends on nothing but a seed and the number of the epoch."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from carousel.data.errors import DataError
from carousel.data.sequences import Sequences, as_sequences

IGNORED_LABEL = -100


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch, time first.

    inputs: (time, batch, features).
    indices: int64 (batch,), the position of each sequence or window in its source.
    lengths: int64 (batch,), the true number of steps of each sequence, or None when none is padded.
    target: (batch,), (batch, targets), (time, batch) or (horizon, batch, targets).
    mask: bool, the shape of the target without its last axis of values where it has one label a step, and the
        whole shape for windows; False where the target is padding or missing.
    future: (horizon, batch, features), covariates known ahead.
    static: (batch, features).
    weight: (batch,).
    reset: bool (time, batch), True where a new sequence begins at that step. A batch that has it belongs to a stream:
        where it is False at the first step, a lane goes on where it stopped in the batch before.
    """

    inputs: Tensor
    indices: Tensor
    lengths: Tensor | None = None
    target: Tensor | None = None
    mask: Tensor | None = None
    future: Tensor | None = None
    static: Tensor | None = None
    weight: Tensor | None = None
    reset: Tensor | None = None

    @property
    def step_targets(self) -> bool:
        """Whether the target has a label, or a row of values, for each step of the inputs."""
        return self.mask is not None and self.mask.shape == self.inputs.shape[:2]

    def steps(self, start: int, stop: int) -> "Batch":
        """Return the piece from step `start` to before `stop` of a batch with step targets or none."""
        cut = {name: getattr(self, name) for name in ("inputs", "target", "mask", "reset")}
        pieces = {name: None if whole is None else whole[start:stop] for name, whole in cut.items()}
        lengths = None if self.lengths is None else (self.lengths - start).clamp(0, stop - start)
        return replace(self, **pieces, lengths=lengths)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Batch":
        """Return the batch on a device, its floating-point tensors in a dtype."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: _moved(tensor, device, dtype) for name, tensor in given.items()})


def _moved(tensor: Tensor | None, device: torch.device | str | None, dtype: torch.dtype | None) -> Tensor | None:
    if tensor is None:
        return None
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)


class Batches(ABC):
    """A source of batches, epoch after epoch."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    @abstractmethod
    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from batch `start` on; what they hold depends on (seed, number) alone."""


class IndexedBatches(Batches):
    """Batches cut from an order of items; a source says how many items an epoch has and gathers those it is given."""

    batch_size: int
    seed: int
    shuffle: bool

    @abstractmethod
    def items(self) -> int:
        """Return the number of items in an epoch."""

    @abstractmethod
    def gather(self, indices: NDArray[np.int64]) -> Batch:
        """Return the batch of these items."""

    def __len__(self) -> int:
        return (self.items() + self.batch_size - 1) // self.batch_size

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of epoch `number` from batch `start` on."""
        if number < 0 or start < 0:
            raise ValueError(f"epoch {number} from batch {start}: both count from 0")
        cut = self.cut(self.order(number), number)
        return (self.gather(indices) for indices in cut[start:])

    def order(self, number: int) -> NDArray[np.int64]:
        """Return the items of an epoch in their order."""
        return self.generator(number).permutation(self.items()) if self.shuffle else np.arange(self.items())

    def cut(self, order: NDArray[np.int64], number: int) -> list[NDArray[np.int64]]:
        """Cut an order into batches."""
        return [order[at : at + self.batch_size] for at in range(0, len(order), self.batch_size)]

    def generator(self, number: int) -> np.random.Generator:
        """Return the generator of an epoch; it depends on (seed, number) alone."""
        return np.random.default_rng([self.seed, number])


def check_batching(batch_size: int, seed: int) -> None:
    """Raise ValueError unless the batch size is at least 1 and the seed at least 0."""
    if batch_size < 1 or seed < 0:
        raise ValueError(f"batch_size is {batch_size} and seed {seed}; give at least 1 and at least 0")


@dataclass(eq=False)
class SequenceBatches(IndexedBatches):
    """Padded batches of whole sequences.

    sequences: Sequences, or anything that `as_sequences` takes.
    target: one value or row of values a sequence, or, with `step_targets`, one array a sequence with a label (time,)
        or a row of values (time, targets) at each step; integers become int64, the rest the sequences' dtype.
    buckets: batches that are drawn together and sorted by length, so that less is padded; None draws in plain order.
    weight: one weight a sequence.

    Padded steps are 0 in the inputs; in step targets they are IGNORED_LABEL (integers) or 0, and False in the mask. NaN
    in step targets is False in the mask too. Lengths are None when all sequences are equally long.
    """

    sequences: Any
    target: Any = None
    _: KW_ONLY
    batch_size: int
    seed: int = 0
    shuffle: bool = True
    step_targets: bool = False
    weight: Any = None
    buckets: int | None = None

    def __post_init__(self) -> None:
        check_batching(self.batch_size, self.seed)
        if not isinstance(self.sequences, Sequences):
            self.sequences = as_sequences(self.sequences)
        self._steps = Padded(self.sequences.values)
        self._equal = len(set(self._steps.lengths.tolist())) == 1
        self._weight = self._column(self.weight, "weight")
        self._target = self._column(None if self.step_targets else self.target, "target")
        self._labels = step_labels(self.target, self.sequences) if self.step_targets else None

    def items(self) -> int:
        """Return the number of sequences."""
        return len(self.sequences)

    def cut(self, order: NDArray[np.int64], number: int) -> list[NDArray[np.int64]]:
        """Cut an order into batches, sorting by length within each bucket."""
        if not self.buckets:
            return super().cut(order, number)
        pool = self.batch_size * self.buckets
        drawn = [order[at : at + pool] for at in range(0, len(order), pool)]
        lengths = self._steps.lengths
        ordered = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in drawn])
        batches = super().cut(ordered, number)
        mixed = self.generator(number).permutation(len(batches)) if self.shuffle else range(len(batches))
        return [batches[position] for position in mixed]

    def gather(self, indices: NDArray[np.int64]) -> Batch:
        """Return the padded batch of these sequences."""
        inputs, real = self._steps.gather(indices, fill=0)
        target, mask = self._targets(indices, real)
        return Batch(
            inputs=torch.from_numpy(inputs),
            indices=torch.from_numpy(indices),
            lengths=None if self._equal else torch.from_numpy(self._steps.lengths[indices]),
            target=target,
            mask=mask,
            weight=_picked(self._weight, indices),
        )

    def _targets(self, indices: NDArray[np.int64], real: NDArray[np.bool_]) -> tuple[Tensor | None, Tensor | None]:
        if self._labels is None:
            return _picked(self._target, indices), None
        whole = self._labels.flat.dtype.kind == "i"
        labels, _ = self._labels.gather(indices, fill=IGNORED_LABEL if whole else 0)
        return masked_labels(labels, real)

    def _column(self, values: Any, what: str) -> NDArray[Any] | None:
        if values is None:
            return None
        array = as_target(values, self.sequences.values[0].dtype, what)
        if array.ndim not in (1, 2) or len(array) != len(self.sequences):
            raise DataError(f"{what} has shape {array.shape} for {len(self.sequences)} sequences; give one a sequence")
        return array


def _picked(column: NDArray[Any] | None, indices: NDArray[np.int64]) -> Tensor | None:
    return None if column is None else torch.from_numpy(column[indices])


class Padded:
    """Arrays of unequal length in one flat array, gathered into padded batches without a loop."""

    def __init__(self, values: Sequence[NDArray[Any]]) -> None:
        self.flat = np.concatenate(values)
        self.lengths = np.array([len(value) for value in values], dtype=np.int64)
        self._starts = np.cumsum(self.lengths) - self.lengths

    def gather(self, indices: NDArray[np.int64], fill: float) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return (time, batch, ...) padded with `fill`, and (time, batch) True where a step is real."""
        lengths = self.lengths[indices]
        steps = np.arange(lengths.max())[:, None]
        real = steps < lengths
        taken = self.flat[np.where(real, self._starts[indices] + steps, 0)]
        taken[~real] = fill
        return taken, real


def masked_labels(labels: NDArray[Any], real: NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
    """Return labels without NaN, and (time, batch) True where a step is real and has its label.

    An integer that is IGNORED_LABEL, and a number that is NaN, is no label.
    """
    missing = labels == IGNORED_LABEL if labels.dtype.kind == "i" else np.isnan(labels)
    observed = real & ~(missing if labels.ndim == real.ndim else missing.any(axis=-1))
    return torch.from_numpy(labels if labels.dtype.kind == "i" else np.where(missing, 0, labels)), torch.from_numpy(
        observed
    )


def as_target(values: Any, dtype: Any, what: str) -> NDArray[Any]:
    """Return targets as int64 when they are integers or booleans, else in `dtype`."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} has dtype {array.dtype}; give numbers (encode labels as integers first)")
    return array.astype(np.int64 if array.dtype.kind in "biu" else dtype)


def step_labels(target: Any, sequences: Sequences) -> Padded:
    """Return one label or row of values a step, checked against the sequences' lengths."""
    if target is None or len(target) != len(sequences):
        count = "none" if target is None else len(target)
        raise DataError(
            f"step_targets=True needs one target array a sequence: {len(sequences)} sequences, {count} given"
        )
    dtype = sequences.values[0].dtype
    arrays = [
        as_target(part, dtype, f"target of series {name!r}") for part, name in zip(target, sequences.ids, strict=True)
    ]
    for array, value, name in zip(arrays, sequences.values, sequences.ids, strict=True):
        if array.ndim not in (1, 2) or len(array) != len(value):
            raise DataError(
                f"target of series {name!r} has shape {array.shape} for {len(value)} steps; give one a step"
            )
    return Padded(arrays)
