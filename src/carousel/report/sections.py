"""The order of the page: which sections there are, and which figures and tables stand in each."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from carousel.report.class_figures import accuracy_along, class_rows, confusion_matrix, label_strips
from carousel.report.control_figures import episode, return_curves
from carousel.report.figures import (
    example_series,
    learning_curves,
    length_histogram,
    predicted_against_true,
    residuals,
    worst_case,
)
from carousel.report.findings import Findings
from carousel.report.forecast_figures import coverage_by_horizon, error_by_horizon, example_forecast, example_keys
from carousel.report.keyword_figures import keyword_example, threshold_tradeoff, threshold_words
from carousel.report.memory_figures import gradient_flow, inside_the_memory, jacobians
from carousel.report.plotting import Drawing, Key
from carousel.report.records import Number
from carousel.report.transcript_figures import alignment, confusion_map, confusion_rows, runs, shown
from carousel.report.transcripts import Clip, Reading
from carousel.report.wording import count, counted, duration, listed, number, percent, share

MOST_CONFUSIONS = 12


@dataclass(frozen=True)
class Bar:
    """A table entry with a bar behind it: its words and the bar's length, a share of the widest."""

    words: str
    share: float | None
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table: headings and rows; the first entry of a row names it. `words`: its entries are text, not numbers."""

    name: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str | Bar, ...], ...]
    marked: int | None = None
    words: bool = False


@dataclass(frozen=True)
class Section:
    """One section: heading, lead sentence, pairs of names and values, tables, figures (`small`: several a row)."""

    name: str
    title: str
    lead: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    small: bool = False
    keys: tuple[Key, ...] = ()
    passages: tuple["Passage", ...] = ()


@dataclass(frozen=True)
class Passage:
    """One reading: its title and a sentence, the truth and what was found, their differences, sound, and a figure.

    pieces: ("same" | "lost" | "added", text) for each run of symbols, with `gap` between them.
    """

    title: str
    words: str
    truth: str
    found: str
    pieces: tuple[tuple[str, str], ...]
    gap: str
    clip: Clip | None
    drawing: Drawing | None


def tiles(findings: Findings) -> list[tuple[str, str, str]]:
    """The figures under the verdict: label, value, note."""
    results, learning, data = findings.results, findings.learning, findings.data
    shown = [(results.metric, number(results.model.values[results.metric]), results.model.name)]
    if (rival := results.best_baseline) is not None:
        shown.append(("best baseline", number(rival.values[results.metric]), rival.name))
    if learning.epochs:
        trained = counted(learning.epochs[-1].epoch, "epoch")
        shown.append(("training", duration(learning.seconds) if learning.seconds else trained, trained))
    shown.append(("data", counted(len(data.lengths), "series"), counted(sum(data.lengths), "step")))
    return shown


def sections(findings: Findings) -> list[Section]:
    """Every section that these findings fill, in reading order."""
    candidates = [
        _data(findings), _learning(findings), _results(findings), *_forecast(findings), *_classes(findings),
        *_regression(findings), *_labels(findings), *_control(findings), *_keywords(findings), *_errors(findings),
        *_readings(findings), *_worst(findings), *_memory(findings), _cell(findings), *_settings(findings),
    ]  # fmt: skip
    return [section for section in candidates if section is not None]


def _drawn(*drawings: Drawing | None) -> tuple[Drawing, ...]:
    return tuple(drawing for drawing in drawings if drawing is not None)


def _data(findings: Findings) -> Section:
    data = findings.data
    shortest, longest = min(data.lengths, default=0), max(data.lengths, default=0)
    facts = [("Source", data.source)] if data.source else []
    facts += [
        ("Series", count(len(data.lengths))),
        ("Steps", count(sum(data.lengths))),
        ("Length", count(longest) if shortest == longest else f"{count(shortest)} to {count(longest)}"),
        ("Features", f"{len(data.features)}: {listed(data.features)}"),
    ]
    facts += [("Target", listed(data.targets))] if data.targets else []
    parts = tuple((part.name, count(part.series), count(part.steps)) for part in data.parts)
    tables = (Table("Parts of the data", ("Part", "Series", "Steps"), parts),) if parts else ()
    drawings = _drawn(example_series(data), length_histogram(data))
    return Section("data", "The data", " ".join(data.notes), tuple(facts), tables, drawings)


def _learning(findings: Findings) -> Section | None:
    draw = learning_curves if findings.control is None else return_curves
    drawing = draw(findings.learning)
    if drawing is None:
        return None
    stopped = findings.learning.stopped
    return Section("learning", "Learning", f"Training ended: {stopped}." if stopped else "", drawings=(drawing,))


def _results(findings: Findings) -> Section:
    results = findings.results
    others = {name: None for score in results.scores for name in score.values if name != results.metric}
    metrics = (results.metric, *others)
    ordered = sorted(results.scores, key=lambda row: _rank(row.values[results.metric], results.lower_is_better))
    widest = max((abs(row.values[results.metric] or 0.0) for row in ordered), default=0.0)
    rows = tuple(
        (
            row.name + (" (this model)" if row.is_model else ""),
            _bar(row.values[results.metric], widest, row is ordered[0]),
        )
        + tuple(number(row.values.get(name)) for name in metrics[1:])
        for row in ordered
    )
    marked = next(index for index, row in enumerate(ordered) if row.is_model)
    better = "lower" if results.lower_is_better else "higher"
    decides = f"The metric that decides is {results.metric}: {better} is better."
    lead = f"Measured on {results.measured_on}. {decides} The best comes first."
    return Section(
        "results", "Results against baselines", lead, tables=(Table("Results", ("", *metrics), rows, marked),)
    )


def _rank(value: Number, lower_is_better: bool) -> float:
    if value is None:
        return float("inf")
    return value if lower_is_better else -value


def _bar(value: Number, widest: float, strong: bool = False) -> Bar:
    return Bar(number(value), abs(value) / widest if value is not None and widest else None, strong)


def _forecast(findings: Findings) -> Iterable[Section]:
    found = findings.forecast
    if found is None:
        return
    lead = "Each was made at the dotted line, from what lies to its left; the model never saw what came."
    drawings = tuple(example_forecast(example, index) for index, example in enumerate(found.examples))
    yield Section("forecasts", "Forecasts", lead, drawings=drawings, small=True, keys=example_keys(found))
    drawings = _drawn(error_by_horizon(found), coverage_by_horizon(found))
    if drawings:
        rows = tuple(
            (
                f"{percent(row.level)} interval",
                percent(_mean(row.observed)),
                number(_mean(row.width) if row.width else None),
            )
            for row in sorted(found.coverage, key=lambda row: -row.level)
        )
        table = Table("Coverage over all steps", ("Nominal", "Observed coverage", "Mean width"), rows)
        yield Section("horizon", "By horizon", tables=(table,) if rows else (), drawings=drawings)


def _mean(values: Iterable[Number]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0


def _classes(findings: Findings) -> Iterable[Section]:
    if findings.classes is None:
        return
    rows = tuple(
        (row.label, *(Bar(share(value), value) for value in (row.precision, row.recall, row.f1)), count(row.support))
        for row in class_rows(findings.classes)
    )
    lead = "Precision: of those predicted as the class, the share that is. Recall: of those that are, the share found."
    table = Table("Scores by class", ("Class", "Precision", "Recall", "F1", "Count"), rows)
    yield Section("classes", "Class by class", lead, tables=(table,), drawings=(confusion_matrix(findings.classes),))


def _regression(findings: Findings) -> Iterable[Section]:
    found = findings.regression
    if found is not None:
        drawings = _drawn(predicted_against_true(found), residuals(found))
        yield Section("regression", "Predicted against true", drawings=drawings, small=True)


def _labels(findings: Findings) -> Iterable[Section]:
    found = findings.labels
    if found is not None:
        strips = (label_strips(example, index) for index, example in enumerate(found.examples))
        yield Section("labels", "Step by step", drawings=_drawn(accuracy_along(found), *strips))


def _control(findings: Findings) -> Iterable[Section]:
    if findings.control is not None:
        lead = "The first of the episodes that were measured: what the policy saw, what it did, and what that brought."
        yield Section("episode", "An episode", lead, drawings=(episode(findings.control),))


def _keywords(findings: Findings) -> Iterable[Section]:
    found = findings.keywords
    if found is None:
        return
    rows = tuple(
        (own.keyword, *map(count, (own.said, own.found, own.hits, own.said - own.hits, own.found - own.hits)))
        for own in found.keywords
    )
    table = Table("Keyword by keyword", ("Keyword", "Said", "Found", "Hits", "Missed", "False alarms"), rows)
    drawings = _drawn(threshold_tradeoff(found))
    yield Section("keywords", "Keyword by keyword", threshold_words(found), tables=(table,), drawings=drawings)
    lead = "What the network says over time; a grey band is where a keyword was spotted."
    drawings = tuple(keyword_example(own, index, found.threshold) for index, own in enumerate(found.examples))
    if drawings:
        yield Section("spotted", "Spotted in recordings", lead, drawings=drawings)


def _errors(findings: Findings) -> Iterable[Section]:
    found = findings.transcription
    if found is None:
        return
    rates = tuple(
        (row.name, _part(row.rate), f"{_part(row.low)} to {_part(row.high)}", count(row.errors), count(row.symbols))
        for row in found.rates
    )
    lead = "The interval is that of the bootstrap over whole samples (Bisani and Ney 2004)."
    headings = ("", "rate", "95 % interval", "errors", "of symbols")
    yield Section("rates", "Error rates", lead, tables=(Table("Error rates", headings, rates),))
    total = found.substitutions + found.insertions + found.deletions
    if rows := confusion_rows(found.confusions, MOST_CONFUSIONS):
        listed = tuple(
            (f"{shown(row.truth)} → {shown(row.said)}", _bar_of(row.count, rows[0].count), percent(row.count / total))
            for row in rows
        )
        table = Table("The most frequent errors", ("true → found", "times", "of all errors"), listed)
        kinds = (
            f"{counted(found.substitutions, 'substitution')}, {counted(found.insertions, 'insertion')} and "
            f"{counted(found.deletions, 'deletion')}."
        )
        yield Section("errors", "Errors", kinds, tables=(table,), drawings=_drawn(confusion_map(found)))


def _bar_of(number: int, widest: int) -> Bar:
    return Bar(count(number), number / widest)


def _part(value: Number) -> str:
    return "–" if value is None else percent(value)


def _readings(findings: Findings) -> Iterable[Section]:
    found = findings.transcription
    if found is None or not found.readings:
        return
    lead = (
        "A typical held-out sample first, then the worst. In the differences what is struck through stands in the "
        "truth and was not found, what is underlined was found and is not in the truth."
    )
    yield Section(
        "readings", "Readings", lead, passages=tuple(map(_passage, found.readings, range(len(found.readings))))
    )


def _passage(reading: Reading, index: int) -> Passage:
    sides = [[getattr(step, side) for step in reading.edits] for side in ("truth", "said")]
    truth, said = (reading.separator.join(symbol for symbol in side if symbol is not None) for side in sides)
    errors = sum(step.kind != "same" for step in reading.edits)
    symbols = sum(symbol is not None for symbol in sides[0])
    words = f"{counted(errors, 'error')} in {counted(symbols, 'symbol')}."
    title = f"{'Typical' if reading.role == 'typical' else 'Among the worst'}: {reading.name}"
    return Passage(title, words, truth, said, runs(reading), reading.separator, reading.clip, alignment(reading, index))


def _worst(findings: Findings) -> Iterable[Section]:
    if not findings.worst:
        return
    roles = {line.role for case in findings.worst for line in case.lines}
    known = (
        ("truth", Key("past and what came" if "past" in roles else "true", "@truth")),
        ("model", Key("predicted", "@model")),
        ("baseline", Key("baseline", "@baseline", "dashes")),
    )
    lead = "The held-out cases with the largest errors, worst first: look here for what the model does not understand."
    drawings = tuple(worst_case(case, index) for index, case in enumerate(findings.worst))
    keys = tuple(key for role, key in known if role in roles)
    yield Section("worst", "Worst cases", lead, drawings=drawings, small=True, keys=keys)


def _memory(findings: Findings) -> Iterable[Section]:
    if findings.memory is not None:
        lead = "What the trained LSTM does with one real sequence, and how far back in time learning can reach."
        drawings = _drawn(
            inside_the_memory(findings.memory), gradient_flow(findings.memory), jacobians(findings.memory)
        )
        yield Section("memory", "Inside the memory", lead, drawings=drawings)


def _cell(findings: Findings) -> Section:
    return Section("cell", "The cell", f"What each unit of the cell {findings.cell.name!r} computes at each time step.")


def _settings(findings: Findings) -> Iterable[Section]:
    rows = tuple(_flat(findings.settings))
    tables = [Table("Settings", ("Setting", "Value"), rows, words=True)] if rows else []
    if findings.versions:
        tables.append(Table("Versions", ("Package", "Version"), tuple(findings.versions.items()), words=True))
    if tables:
        yield Section("settings", "Settings and versions", tables=tuple(tables))


def _flat(settings: dict[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
