"""What a report says, as plain data: the command line fills it from an estimator's public results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from carousel.cells import Cell, citation, equations, find, latex
from carousel.report.errors import ReportError
from carousel.report.keyword_findings import KeywordFindings
from carousel.report.records import Number, Record, Row, Setting, dumps, loads
from carousel.report.transcripts import TranscriptionFindings

FORMAT = 1
Numbers = Row[Number]
Task = Literal["forecast", "classify", "regress", "label", "transcribe", "spot", "control"]


def _same_length(what: str, **columns: Row[Any] | None) -> None:
    sizes = {name: len(column) for name, column in columns.items() if column is not None}
    if len(set(sizes.values())) > 1:
        raise ReportError(f"{what}: " + ", ".join(f"{name} has {size}" for name, size in sizes.items()) + " values")


@dataclass(frozen=True)
class Line(Record):
    """One curve: a name and a value a time step; `start` is the position of its first value."""

    name: str
    values: Numbers
    role: Literal["input", "past", "truth", "model", "baseline"] = "input"
    start: int = 0


@dataclass(frozen=True)
class Part(Record):
    """One part of the data, such as training or test, and its size."""

    name: str
    series: int
    steps: int


@dataclass(frozen=True)
class DataSummary(Record):
    """The data: one length a series, the feature and target names, and the first series as lines (one a feature)."""

    lengths: Row[int]
    features: Row[str]
    targets: Row[str] = ()
    source: str | None = None
    parts: Row[Part] = ()
    notes: Row[str] = ()
    example_name: str | None = None
    example: Row[Line] = ()
    example_time: Row[str] | None = None


def summarise(arrays: Sequence[Any], features: Sequence[str] | None = None, **rest: Any) -> DataSummary:
    """The DataSummary of (time, features) arrays, with the first one as the example.

    `rest` are further fields of DataSummary. Of a long first series the last 1000 steps are drawn.
    """
    width = arrays[0].shape[1] if len(arrays) else 0
    names = tuple(features) if features else tuple(f"feature {index + 1}" for index in range(width))
    drawn = arrays[0][-1000:] if len(arrays) else None
    lines = tuple(Line(name, drawn[:, index]) for index, name in enumerate(names)) if drawn is not None else ()
    return DataSummary(tuple(len(array) for array in arrays), names, **{"example": lines, **rest})


@dataclass(frozen=True)
class Epoch(Record):
    """One pass over the training data: mean training loss, validation loss, seconds since training began."""

    epoch: int
    loss: Number
    validation: Number = None
    seconds: Number = None


@dataclass(frozen=True)
class Learning(Record):
    """The learning curves, the epoch whose weights were kept, and why training stopped."""

    epochs: Row[Epoch] = ()
    best_epoch: int | None = None
    stopped: str | None = None
    seconds: Number = None

    def __post_init__(self) -> None:
        super().__post_init__()
        measured = [epoch for epoch in self.epochs if epoch.validation is not None]
        if self.best_epoch is None and measured:
            best = min(measured, key=lambda epoch: epoch.validation or 0.0)
            object.__setattr__(self, "best_epoch", best.epoch)
        if self.seconds is None and self.epochs:
            object.__setattr__(self, "seconds", self.epochs[-1].seconds)


def learning(history: Iterable[Mapping[str, Any]], **rest: Any) -> Learning:
    """The Learning of a history (a dict an epoch); keys that Epoch lacks are left out."""
    names = ("epoch", "loss", "validation", "seconds")
    return Learning(tuple(Epoch(**{key: row[key] for key in names if key in row}) for row in history), **rest)


@dataclass(frozen=True)
class Score(Record):
    """One row of the table of results: metric names and values of the model or of a baseline."""

    name: str
    values: dict[str, Number]
    is_model: bool = False


@dataclass(frozen=True)
class Results(Record):
    """Every score on the same held-out data; `metric` names the one that decides."""

    scores: Row[Score]
    metric: str
    lower_is_better: bool
    measured_on: str = "data that training did not see"

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum(score.is_model for score in self.scores) != 1:
            raise ReportError("exactly one Score must have is_model=True: the model that the report is about")
        if without := [score.name for score in self.scores if self.metric not in score.values]:
            raise ReportError(f"the score of {without[0]!r} lacks the metric that decides, {self.metric!r}")

    @property
    def model(self) -> Score:
        """The model's own row."""
        return next(score for score in self.scores if score.is_model)

    @property
    def best_baseline(self) -> Score | None:
        """The best baseline with a finite value; None if there is none."""
        rivals = [row for row in self.scores if not row.is_model and row.values[self.metric] is not None]
        pick = min if self.lower_is_better else max
        return pick(rivals, key=lambda row: row.values[self.metric] or 0.0) if rivals else None


@dataclass(frozen=True)
class Interval(Record):
    """A prediction interval of one forecast: nominal level in (0, 1), lower and upper ends by step."""

    level: float
    lower: Numbers
    upper: Numbers


@dataclass(frozen=True)
class ForecastExample(Record):
    """One forecast: the past, what came, what was predicted; `time` covers past then horizon (ISO 8601)."""

    name: str
    past: Numbers
    truth: Numbers
    predicted: Numbers
    intervals: Row[Interval] = ()
    time: Row[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        ends = {
            f"interval {row.level:g} {end}": getattr(row, end) for row in self.intervals for end in ("lower", "upper")
        }
        _same_length(f"forecast {self.name!r}", truth=self.truth, predicted=self.predicted, **ends)
        _same_length(f"forecast {self.name!r}", time=self.time, past_and_horizon=(*self.past, *self.truth))


@dataclass(frozen=True)
class HorizonError(Record):
    """The error of the model or of a baseline at each step ahead."""

    name: str
    values: Numbers
    is_model: bool = False


@dataclass(frozen=True)
class Coverage(Record):
    """How often the truth fell into the interval of that level, at each step ahead; mean width likewise."""

    level: float
    observed: Numbers
    width: Numbers | None = None


@dataclass(frozen=True)
class ForecastFindings(Record):
    """Example forecasts, error by horizon in the units of `error_metric`, coverage by horizon."""

    examples: Row[ForecastExample]
    errors: Row[HorizonError] = ()
    error_metric: str = "mean absolute error"
    coverage: Row[Coverage] = ()


@dataclass(frozen=True)
class ClassFindings(Record):
    """A confusion matrix: a row a true class, a column a predicted class, counts of sequences or steps."""

    labels: Row[str]
    confusion: Row[Row[int]]

    def __post_init__(self) -> None:
        super().__post_init__()
        _same_length("confusion matrix", labels=self.labels, rows=self.confusion)
        for label, row in zip(self.labels, self.confusion, strict=True):
            _same_length(f"confusion matrix, row {label!r}", labels=self.labels, columns=row)


@dataclass(frozen=True)
class RegressionFindings(Record):
    """Predicted against true values of held-out sequences, one target."""

    truth: Numbers
    predicted: Numbers
    target: str = "target"

    def __post_init__(self) -> None:
        super().__post_init__()
        _same_length("regression", truth=self.truth, predicted=self.predicted)


@dataclass(frozen=True)
class LabelExample(Record):
    """One sequence labelled step by step; a label of None was not scored."""

    name: str
    truth: Row[str | None]
    predicted: Row[str | None]

    def __post_init__(self) -> None:
        super().__post_init__()
        _same_length(f"labels of {self.name!r}", truth=self.truth, predicted=self.predicted)


@dataclass(frozen=True)
class LabelFindings(Record):
    """Accuracy by position (entry k: over the steps of the k-th equal part of a sequence), and examples."""

    accuracy_by_position: Numbers = ()
    positions: Literal["part", "step"] = "part"
    examples: Row[LabelExample] = ()


@dataclass(frozen=True)
class ControlFindings(Record):
    """One episode after training: what was seen and done and the reward, a line each; and the sum of the rewards."""

    episode: Row[Line]
    total: Number = None


@dataclass(frozen=True)
class WorstCase(Record):
    """A held-out case with a large error: lines to draw, and what was predicted and true in words."""

    name: str
    lines: Row[Line]
    error: Number = None
    predicted: str | None = None
    truth: str | None = None
    time: Row[str] | None = None


@dataclass(frozen=True)
class CellFindings(Record):
    """The cell: name, equations as LaTeX and as plain text, the papers it comes from."""

    name: str
    latex: Row[str]
    equations: Row[str]
    sources: Row[str] = ()


def cell_findings(cell: str | Cell, name: str | None = None) -> CellFindings:
    """The CellFindings of a named cell or of a user's own description."""
    found = find(cell)
    shown = name or (cell if isinstance(cell, str) else "own description")
    return CellFindings(shown, tuple(latex(found)), tuple(equations(found)), tuple(citation(found)))


@dataclass(frozen=True)
class ActivationMap(Record):
    """Activations of one gate or state over a sequence: `values` is (units, time)."""

    name: str
    values: Row[Numbers]


@dataclass(frozen=True)
class GradientFlow(Record):
    """A gradient norm by lag: entry k belongs to the step k steps before the last; `meaning` defines it."""

    name: str
    meaning: str
    values: Numbers


@dataclass(frozen=True)
class MemoryFindings(Record):
    """Inside the memory: one real sequence as the LSTM saw it, its gates and cell state, and the gradient flow.

    `units` are the indices of the units drawn, of `units_total`; the maps' rows follow their order.
    """

    sequence: str
    inputs: Row[Line]
    gates: Row[ActivationMap]
    cell_state: ActivationMap
    units: Row[int]
    units_total: int
    order: str
    layer: str
    gradients: Row[GradientFlow] = ()
    time: Row[str] | None = None
    jacobians: Row[GradientFlow] = ()


@dataclass(frozen=True)
class Findings(Record):
    """Everything on the page. `created` is an ISO 8601 time; `settings` may nest."""

    title: str
    task: Task
    created: str
    data: DataSummary
    learning: Learning
    results: Results
    cell: CellFindings
    command: str | None = None
    forecast: ForecastFindings | None = None
    classes: ClassFindings | None = None
    regression: RegressionFindings | None = None
    labels: LabelFindings | None = None
    control: ControlFindings | None = None
    keywords: KeywordFindings | None = None
    transcription: TranscriptionFindings | None = None
    worst: Row[WorstCase] = ()
    memory: MemoryFindings | None = None
    settings: dict[str, Setting] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def to_json(findings: Findings) -> str:
    """The findings as JSON text."""
    return dumps(findings, format=FORMAT)


def from_json(text: str) -> Findings:
    """The findings in that JSON text; ReportError says what is wrong with it."""
    return loads(text, Findings, format=FORMAT)
