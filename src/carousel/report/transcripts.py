"""What a report says of transcriptions: rates, confusions, and single readings with their alignments and sound."""

from dataclasses import dataclass
from typing import Literal

from carousel.report.errors import ReportError
from carousel.report.records import Number, Record, Row

Numbers = Row[Number]
EditKind = Literal["same", "substitution", "insertion", "deletion"]


@dataclass(frozen=True)
class Rate(Record):
    """An error rate with the ends of its 95 % confidence interval, its errors, and the symbols of the truths."""

    name: str
    rate: Number
    low: Number
    high: Number
    errors: int
    symbols: int


@dataclass(frozen=True)
class Confusion(Record):
    """How often a true symbol was taken for another; None stands for nothing: an insertion, or a deletion."""

    truth: str | None
    said: str | None
    count: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.truth == self.said:
            raise ReportError(f"a confusion of {self.truth!r} with itself is none")


@dataclass(frozen=True)
class EditStep(Record):
    """One step from the truth to what was found; absent symbols are None."""

    kind: EditKind
    truth: str | None
    said: str | None


@dataclass(frozen=True)
class Placed(Record):
    """A symbol from where to where it lies, and whether it is right."""

    symbol: str
    start: float
    end: float
    right: bool = True


@dataclass(frozen=True)
class Spike(Record):
    """A label's probability at each frame; `symbol` is None for the blank."""

    symbol: str | None
    values: Numbers


@dataclass(frozen=True)
class Picture(Record):
    """What was heard: values (rows, frames), lowest row first. `kind` is "spectrogram" or "features"."""

    kind: Literal["spectrogram", "features"]
    values: Row[Numbers]
    rows: Row[str]


@dataclass(frozen=True)
class Stroke(Record):
    """A stroke of the pen: x and y of its points, and the number of its first frame."""

    x: Numbers
    y: Numbers
    first: int


@dataclass(frozen=True)
class Clip(Record):
    """The sound as a WAV file in base64, or None where it was left out; `note` says what is missing, and why."""

    wav: str | None
    note: str = ""


@dataclass(frozen=True)
class Reading(Record):
    """One held-out sample: what it says, what was found, and where.

    start, step: where the first frame lies, and from one to the next, in `unit`. truth: the true symbols where they fit
    best; none where they do not fit.
    """

    name: str
    role: Literal["typical", "worst"]
    rate: Number
    edits: Row[EditStep]
    separator: str = ""
    unit: Literal["seconds", "frames"] = "frames"
    start: float = 0.0
    step: float = 1.0
    truth: Row[Placed] = ()
    said: Row[Placed] = ()
    spikes: Row[Spike] = ()
    picture: Picture | None = None
    strokes: Row[Stroke] = ()
    clip: Clip | None = None
    cut: str = ""


@dataclass(frozen=True)
class TranscriptionFindings(Record):
    """Error rates, how many errors of each kind, the most frequent confusions, and some readings."""

    rates: Row[Rate]
    substitutions: int
    insertions: int
    deletions: int
    confusions: Row[Confusion] = ()
    readings: Row[Reading] = ()
