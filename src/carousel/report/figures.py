"""The figures of the page, one function each."""

from functools import partial

from carousel.report.findings import DataSummary, Learning, Line, RegressionFindings, WorstCase
from carousel.report.plotting import (
    SERIES,
    Drawing,
    Key,
    Trace,
    axis,
    curve,
    epochs,
    figure,
    text,
    thinned,
    times,
    upright,
)
from carousel.report.records import Row
from carousel.report.wording import count, counted, number

MAX_ROWS = 8
MAX_POINTS = 3000
_LINE_STYLE = {
    "input": ("@series-1", {"width": 1.5}),
    "past": ("@truth", {"width": 1.5}),
    "truth": ("@truth", {"width": 1.5}),
    "model": ("@model", {"width": 2.5}),
    "baseline": ("@baseline", {"width": 1.5, "dash": "dash"}),
}


def example_series(data: DataSummary) -> Drawing | None:
    """The first series, one row a feature."""
    if not data.example:
        return None
    shown = data.example[:MAX_ROWS]
    left_out = len(data.example) - len(shown)
    caption = f"{data.example_name or 'The first series'}, {counted(len(shown[0].values), 'step')}" + (
        f"; {counted(left_out, 'further feature')} not drawn." if left_out else "."
    )
    return Drawing("data-example", "The first series", caption, rows(shown, data.example_time))


def rows(lines: Row[Line], labels: Row[str] | None = None, height: int = 76) -> dict:
    """Lines above each other on one time axis, each with its own scale and its name at the left top."""
    total, stamps = len(lines), times(labels)
    layout: dict = {"annotations": []}
    data = []
    for index, line in enumerate(lines):
        suffix = "" if index == 0 else str(index + 1)
        low, high = _slot(index, total)
        values = [line.values[k] for k in thinned(len(line.values), MAX_POINTS)]
        x = [(stamps[k] if stamps else line.start + k) for k in thinned(len(line.values), MAX_POINTS)]
        data.append({**curve(x, values, line.name, "@series-1", width=1.3), "xaxis": "x", "yaxis": f"y{suffix}"})
        layout[f"yaxis{suffix}"] = axis(domain=[low, high], nticks=3, automargin=False)
        layout["annotations"].append(row_title(line.name, high))
    layout["xaxis"] = axis("" if stamps else "step", anchor=f"y{total if total > 1 else ''}")
    tall = max(190, height * total + 50 + 16 * total)
    return figure(data, tall, **{**layout, "margin": {"l": 52, "r": 10, "t": 22, "b": 40}})


def _slot(index: int, total: int) -> tuple[float, float]:
    gap = 0.0 if total == 1 else min(0.08, 0.25 / total)
    height = (1 - gap * (total - 1)) / total
    high = 1 - index * (height + gap)
    return max(0.0, high - height), min(1.0, high)


def row_title(words: str, top: float) -> dict:
    """The name of a row, above its left end."""
    return {
        "text": text(words), "x": 0, "y": top, "xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom",
        "showarrow": False, "font": {"size": 11.5, "color": "@ink"},
    }  # fmt: skip


def length_histogram(data: DataSummary) -> Drawing | None:
    """How long the series are, where that varies."""
    shortest, longest = min(data.lengths, default=0), max(data.lengths, default=0)
    if shortest == longest:
        return None
    bins = min(30, longest - shortest + 1)
    width = (longest - shortest + 1) / bins
    counts = [0] * bins
    for length in data.lengths:
        counts[min(bins - 1, int((length - shortest) / width))] += 1
    centres = [shortest + (index + 0.5) * width - 0.5 for index in range(bins)]
    bars = {
        "type": "bar", "x": centres, "y": counts, "marker": {"color": "@bar"}, "width": width * 0.92,
        "hovertemplate": "%{y} series<extra></extra>",
    }  # fmt: skip
    drawn = figure([bars], 190, xaxis=axis("steps"), yaxis=axis("series", rangemode="tozero"), bargap=0.08)
    return Drawing("data-lengths", "Lengths", f"Between {count(shortest)} and {count(longest)} steps.", drawn)


def learning_curves(learning: Learning) -> Drawing | None:
    """Training and validation loss by epoch, the best epoch marked."""
    if not learning.epochs:
        return None
    x = [row.epoch for row in learning.epochs]
    losses, validation = [row.loss for row in learning.epochs], [row.validation for row in learning.epochs]
    mode = "lines+markers" if len(x) < 12 else "lines"
    data = [{**curve(x, losses, "training", "@baseline"), "mode": mode}]
    keys = [Key("training", "@baseline")]
    if any(value is not None for value in validation):
        data.append({**curve(x, validation, "validation", "@model"), "mode": mode})
        keys.append(Key("validation", "@model"))
    finite = [value for value in losses + validation if value is not None]
    wide = bool(finite) and min(finite) > 0 and max(finite) > 20 * min(finite)
    shapes = _best_epoch(learning, keys)
    scale = {"type": "log", "tickformat": "~g"} if wide else {}
    drawn = figure(data, 280, xaxis=epochs(len(x)), yaxis=axis("loss", **scale), shapes=shapes)
    return Drawing("learning-curves", "Loss by epoch", _learning_caption(learning), drawn, tuple(keys))


def _best_epoch(learning: Learning, keys: list[Key]) -> list[dict]:
    if learning.best_epoch is None:
        return []
    keys.append(Key("weights kept", "@axis", "dots"))
    return [upright(learning.best_epoch, "@muted")]


def _learning_caption(learning: Learning) -> str:
    first, last = learning.epochs[0], learning.epochs[-1]
    span = f"{number(first.loss)} to {number(last.loss)} in {counted(len(learning.epochs), 'epoch')}"
    words = f"The training loss went from {span}."
    best = next((row for row in learning.epochs if row.epoch == learning.best_epoch), None)
    if best is not None and best.validation is not None:
        words += f" The weights of epoch {best.epoch} were kept (validation loss {number(best.validation)})."
    return words


def predicted_against_true(found: RegressionFindings) -> Drawing:
    """A dot a held-out sequence; on the diagonal the prediction is right."""
    pairs = [(t, p) for t, p in zip(found.truth, found.predicted, strict=True) if t is not None and p is not None]
    kept = [pairs[k] for k in thinned(len(pairs), MAX_POINTS)]
    ends = [min(map(min, kept)), max(map(max, kept))] if kept else [0.0, 1.0]
    dots = {
        "type": "scatter", "mode": "markers", "x": [t for t, _ in kept], "y": [p for _, p in kept],
        "marker": {"color": "@model", "size": 6, "opacity": 0.65},
        "hovertemplate": "true %{x:.4~g}<br>predicted %{y:.4~g}<extra></extra>",
    }  # fmt: skip
    diagonal = {**curve(ends, ends, "right", "@muted", width=1, dash="dot"), "hoverinfo": "skip"}
    axes = {"xaxis": axis("true"), "yaxis": axis("predicted", scaleanchor="x", constrain="domain")}
    axes["xaxis"]["constrain"] = "domain"
    drawn = figure([diagonal, dots], 420, hovermode="closest", **axes)
    drawn["data"][0].pop("hovertemplate")
    caption = (
        f"{count(len(kept))} held-out sequences of {found.target}; a dot on the diagonal is a prediction that is right."
    )
    return Drawing(
        "regression-scatter", "Predicted against true", caption, drawn, (Key("a sequence", "@model", "dot"),)
    )


def residuals(found: RegressionFindings) -> Drawing | None:
    """How the errors are spread."""
    errors = [p - t for t, p in zip(found.truth, found.predicted, strict=True) if t is not None and p is not None]
    if not errors:
        return None
    low, high = min(errors), max(errors)
    bins = 24
    width = (high - low) / bins or 1.0
    counts = [0] * bins
    for error in errors:
        counts[min(bins - 1, int((error - low) / width))] += 1
    bars = {
        "type": "bar", "x": [low + (k + 0.5) * width for k in range(bins)], "y": counts, "width": width * 0.92,
        "marker": {"color": "@bar"}, "hovertemplate": "%{y} sequences<extra></extra>",
    }  # fmt: skip
    drawn = figure([bars], 420, xaxis=axis("predicted − true"), yaxis=axis("sequences"), shapes=[upright(0, "@muted")])
    middle = sorted(errors)[len(errors) // 2]
    return Drawing("regression-residuals", "Errors", f"Median error {number(middle)}; zero is marked.", drawn)


def _joined(lines: Row[Line], line: Line) -> Line:
    """What came, begun at the last value of the past, so that no gap shows between them."""
    before = next(
        (other for other in lines if other.role == "past" and other.start + len(other.values) == line.start), None
    )
    if line.role != "truth" or before is None or not before.values:
        return line
    return Line(line.name, (before.values[-1], *line.values), line.role, line.start - 1)


def worst_case(case: WorstCase, index: int) -> Drawing:
    """One case with a large error: its lines in the colours of their roles."""
    stamps = times(case.time)
    inputs = [line for line in case.lines if line.role == "input"]
    data: list[Trace] = []
    for line in map(partial(_joined, case.lines), case.lines):
        colour, style = _LINE_STYLE[line.role]
        colour = SERIES[inputs.index(line) % len(SERIES)] if line.role == "input" else colour
        steps = [line.start + k for k in range(len(line.values))]
        x = [stamps[k] if 0 <= k < len(stamps) else None for k in steps] if stamps else steps
        data.append(curve(x, line.values, line.name, colour, **style))
    parts = [f"error {number(case.error)}"] if case.error is not None else []
    parts += [f"predicted {case.predicted}"] if case.predicted is not None else []
    parts += [f"true {case.truth}"] if case.truth is not None else []
    drawn = figure(data, 190, xaxis=axis(nticks=5), yaxis=axis(nticks=4))
    return Drawing(f"worst-{index}", case.name, ", ".join(parts), drawn)
