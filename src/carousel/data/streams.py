"""Streams: lanes of contiguous data, cut into windows that carry on from batch to batch."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from carousel.data.batches import IGNORED_LABEL, Batch, Batches, Padded, check_batching, masked_labels, step_labels
from carousel.data.errors import DataError
from carousel.data.sequences import Sequences, as_sequences

NOTHING = -1


@dataclass(eq=False)
class StreamBatches(Batches):
    """Batches of a stream: each lane goes on where it stopped in the batch before.

    sequences: Sequences, or anything that `as_sequences` takes.
    target: one array a sequence with a label (time,) or a row of values (time, targets) at each step, as in
        `SequenceBatches`; None for inputs alone.
    lanes: sequences that are read side by side. steps: steps in a batch.
    longest: sequences longer than this are cut into nearly equal pieces, each of which begins anew, so that one long
        sequence can fill several lanes; None cuts nothing.

    Whole sequences are dealt to the lanes, the longest first, each to the lane that has least; a lane keeps its
    sequences in every epoch, and shuffling changes their order in it. `Batch.reset` is True where a sequence begins,
    `Batch.indices` are the lanes. Lanes that have ended are padded: 0 in the inputs, IGNORED_LABEL or 0 in the target,
    False in the mask, and no step in the lengths.

    Raises DataError for targets that do not fit or more lanes than sequences, ValueError for a size below 1.
    """

    sequences: Any
    target: Any = None
    _: KW_ONLY
    lanes: int
    steps: int
    longest: int | None = None
    seed: int = 0
    shuffle: bool = True

    def __post_init__(self) -> None:
        check_batching(self.lanes, self.seed)
        if self.steps < 1 or (self.longest is not None and self.longest < 1):
            raise ValueError(f"steps is {self.steps} and longest {self.longest}; give at least 1 step each")
        if not isinstance(self.sequences, Sequences):
            self.sequences = as_sequences(self.sequences)
        self._inputs = Padded(self.sequences.values).flat
        self._labels = None if self.target is None else step_labels(self.target, self.sequences).flat
        pieces = _pieces(self.sequences.lengths, self.longest)
        if len(pieces) < self.lanes:
            raise DataError(
                f"lanes is {self.lanes}, but there are {len(pieces)} sequences to fill them; "
                "give fewer lanes, or cut long sequences with longest="
            )
        self._dealt = _dealt(pieces, self.lanes)
        self._time = max(sum(length for _, length in lane) for lane in self._dealt)

    def __len__(self) -> int:
        return (self._time + self.steps - 1) // self.steps

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of epoch `number` from batch `start` on."""
        if number < 0 or start < 0:
            raise ValueError(f"epoch {number} from batch {start}: both count from 0")
        rows, begins = self._laid_out(number)
        firsts = range(start * self.steps, self._time, self.steps)
        return (self._batch(rows[at : at + self.steps], begins[at : at + self.steps]) for at in firsts)

    def _laid_out(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Row of the data at each step of each lane (time, lanes), and where sequences begin."""
        generator = np.random.default_rng([self.seed, number])
        rows = np.full((self._time, self.lanes), NOTHING)
        begins = np.zeros(rows.shape, dtype=bool)
        for place, lane in enumerate(self._dealt):
            at = 0
            for piece in generator.permutation(len(lane)) if self.shuffle else range(len(lane)):
                first, length = lane[piece]
                rows[at : at + length, place] = np.arange(first, first + length)
                begins[at, place] = True
                at += length
        return rows, begins

    def _batch(self, rows: NDArray[np.int64], begins: NDArray[np.bool_]) -> Batch:
        real = rows != NOTHING
        inputs = self._inputs[rows]
        inputs[~real] = 0
        target = mask = None
        if self._labels is not None:
            labels = self._labels[rows]
            labels[~real] = IGNORED_LABEL if labels.dtype.kind == "i" else 0
            target, mask = masked_labels(labels, real)
        return Batch(
            inputs=torch.from_numpy(inputs),
            indices=torch.arange(self.lanes),
            lengths=None if real.all() else torch.from_numpy(real.sum(0)),
            target=target,
            mask=mask,
            reset=torch.from_numpy(begins),
        )


def _pieces(lengths: Any, longest: int | None) -> list[tuple[int, int]]:
    """First row and length of each sequence in the flat data, or of each piece of those that are cut."""
    found, first = [], 0
    for length in map(int, lengths):
        count = 1 if longest is None else -(-length // longest)
        ends = [length * piece // count for piece in range(count + 1)]
        found += [(first + begin, end - begin) for begin, end in zip(ends, ends[1:], strict=False)]
        first += length
    return found


def _dealt(pieces: list[tuple[int, int]], lanes: int) -> list[list[tuple[int, int]]]:
    """The pieces of each lane in the order of the data; the longest are dealt first, each where least lies."""
    dealt: list[list[tuple[int, int]]] = [[] for _ in range(lanes)]
    filled = [0] * lanes
    for piece in sorted(pieces, key=lambda piece: -piece[1]):
        lane = filled.index(min(filled))
        dealt[lane].append(piece)
        filled[lane] += piece[1]
    return [sorted(lane) for lane in dealt]
