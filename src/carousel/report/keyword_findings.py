"""What a report says of spotted keywords, as plain data."""

from dataclasses import dataclass

from carousel.report.records import Number, Record, Row


@dataclass(frozen=True)
class KeywordScore(Record):
    """How often a keyword was said, how often found, and how often both."""

    keyword: str
    said: int
    found: int
    hits: int


@dataclass(frozen=True)
class ThresholdPoint(Record):
    """What a threshold brings: shares found of what was said, and said of what was found; false alarms a keyword and
    hour."""

    threshold: float
    recall: Number
    precision: Number = None
    false_alarms: Number = None


@dataclass(frozen=True)
class KeywordOutput(Record):
    """The network's probability of a keyword, frame by frame."""

    keyword: str
    values: Row[Number]


@dataclass(frozen=True)
class KeywordMark(Record):
    """A keyword that was spotted, from where to where: in seconds where frames have times, else in frames."""

    keyword: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class KeywordExample(Record):
    """A recording: which keywords it holds, the network's outputs, and what was spotted.

    `hop` is seconds a frame, `start` where the first one lies.
    """

    name: str
    truth: Row[str]
    outputs: Row[KeywordOutput]
    marks: Row[KeywordMark]
    hop: Number = None
    start: float = 0.0


@dataclass(frozen=True)
class KeywordFindings(Record):
    """Keywords one by one at the threshold, all of them together at other thresholds, and examples."""

    keywords: Row[KeywordScore]
    threshold: float
    points: Row[ThresholdPoint] = ()
    examples: Row[KeywordExample] = ()
