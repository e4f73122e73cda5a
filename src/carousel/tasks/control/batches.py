"""Batches for those who play: how many steps, in how many lanes, from which seeds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from carousel.data import Batch, Batches


@dataclass(frozen=True)
class Turns(Batches):
    """Batches that hold no data: what is in them comes from playing.

    `Batch.indices` (lanes,) say from which seeds each lane's episodes begin, and the inputs (steps, lanes, 0) how many
    steps are played, by a method that does not play whole episodes. They depend on (seed, epoch, place) alone.
    """

    lanes: int
    steps: int
    updates: int
    seed: int

    def __len__(self) -> int:
        return self.updates

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of epoch `number` from batch `start` on."""
        return (self._batch(number, at) for at in range(start, self.updates))

    def _batch(self, number: int, at: int) -> Batch:
        drawn = np.random.default_rng([self.seed, number, at]).integers(2**62, size=self.lanes)
        return Batch(inputs=torch.zeros(self.steps, self.lanes, 0), indices=torch.from_numpy(drawn))
