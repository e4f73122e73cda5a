"""What a report says of series of which some are held out."""

from collections.abc import Sequence
from typing import Any, Protocol

from carousel.data import Sequences
from carousel.report import Part, summarise


class Listed(Protocol):
    """Series, and where they come from."""

    @property
    def sequences(self) -> Sequences:
        """The series."""
        ...

    @property
    def source(self) -> str:
        """What they were read from."""
        ...

    def __len__(self) -> int: ...


def summary(train: Listed, test: Listed, target: str, *, drawn: bool, notes: Sequence[str] = ()) -> Any:
    """Both parts of the data; `drawn` says that the test part was drawn from the same file."""
    parts = [
        Part(name, len(part), int(part.sequences.lengths.sum())) for name, part in (("training", train), ("test", test))
    ]
    note = "The test part was drawn at random." if drawn else f"The test part is {test.source}."
    return summarise(
        [*train.sequences.values, *(test.sequences.values if drawn else [])],
        train.sequences.features,
        targets=(target,),
        source=train.source,
        parts=tuple(parts),
        notes=(note, "Scaling was fitted on the training part alone.", *notes),
        example_name=train.sequences.ids[0],
    )
