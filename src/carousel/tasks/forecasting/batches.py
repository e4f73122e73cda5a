"""Windows in batches: drawn at random for training, or ready-made for prediction."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carousel.data import Batch, Batches, Windows


@dataclass(eq=False)
class DrawnWindows(Windows):
    """Windows of which every epoch draws exactly `limit`; each is drawn once before any is drawn again.

    The epochs of a short series are thus as long as those of a long one.
    """

    def items(self) -> int:
        """Return the number of windows in an epoch."""
        return self.limit or self.total

    def order(self, number: int) -> NDArray[np.int64]:
        """Return the windows of an epoch in their order."""
        generator, rounds = self.generator(number), -(-self.items() // self.total)
        return np.concatenate([generator.permutation(self.total) for _ in range(rounds)])[: self.items()]


@dataclass(frozen=True)
class Ready(Batches):
    """One batch that is already there."""

    batch: Batch

    def __len__(self) -> int:
        return 1

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batch."""
        yield from [self.batch][start:]
