"""A set of sequences with what is known about each."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from carousel.data.sequences import Sequences


@dataclass(frozen=True, eq=False)
class Labelled:
    """Sequences and their labels.

    labels: text or float64 (sequences,), or one array (time,) a sequence where each step has a label, or None.
    source: what the set is called in messages.
    """

    sequences: Sequences
    labels: NDArray[Any] | list[NDArray[Any]] | None = None
    source: str = "the sequences"
