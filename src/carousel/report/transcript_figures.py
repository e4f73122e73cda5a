"""The figures of a transcriber: which symbols are taken for which, and where in the signal each was read."""

from collections import Counter
from itertools import groupby
from typing import Any

from carousel.report.figures import row_title
from carousel.report.plotting import SERIES, Drawing, Key, Trace, axis, curve, figure, text
from carousel.report.transcripts import Confusion, Placed, Reading, TranscriptionFindings
from carousel.report.wording import counted

MOST_SYMBOLS = 14
NOTHING = "nothing"
SYMBOL_WIDTH = 13
"""CSS pixels that a symbol takes at least in an alignment."""
PICTURE, LABELS, SPIKES = (0.5, 1.0), (0.29, 0.44), (0.0, 0.22)
"""The parts of the height that the rows of an alignment take."""


def shown(symbol: str | None) -> str:
    """A symbol as it is written on the page: spaces can be seen."""
    return NOTHING if symbol is None else symbol.replace(" ", "␣").replace("\n", "⏎")


def confusion_map(found: TranscriptionFindings) -> Drawing | None:
    """Counts of the most frequent errors: a row a true symbol, a column what it was taken for."""
    if not found.confusions:
        return None
    truths, saids = _busiest(found.confusions, "truth"), _busiest(found.confusions, "said")
    counts = {(row.truth, row.said): row.count for row in found.confusions}
    grid = [[counts.get((truth, said)) for said in saids] for truth in truths]
    largest = max(row.count for row in found.confusions)
    heat = {
        "type": "heatmap", "x": list(range(len(saids))), "y": list(range(len(truths))), "z": grid,
        "text": [["" if count is None else str(count) for count in row] for row in grid], "texttemplate": "%{text}",
        "zmin": 0, "zmax": largest, "colorscale": [[0, "@heat-0"], [0.5, "@heat-1"], [1, "@heat-2"]],
        "xgap": 2, "ygap": 2, "showscale": False, "hoverongaps": False,
        "hovertemplate": "%{text} times<extra></extra>",
    }  # fmt: skip
    style = {"tickmode": "array", "showgrid": False, "ticks": "", "tickangle": None}
    x = axis("found", tickvals=heat["x"], ticktext=[text(shown(said), 18) for said in saids], **style)
    y = axis("true", tickvals=heat["y"], ticktext=[text(shown(truth), 18) for truth in truths], **style)
    height = min(620, max(230, 34 * len(truths) + 110))
    drawn = figure([heat], height, hovermode="closest", xaxis=x, yaxis={**y, "autorange": "reversed"})
    return Drawing("confusions", "What is taken for what", _confusion_caption(found, grid), drawn)


def _busiest(confusions: Any, side: str) -> list[str | None]:
    """The symbols with the most errors, in the alphabet's order, "nothing" last."""
    totals: Counter[str | None] = Counter()
    for row in confusions:
        totals[getattr(row, side)] += row.count
    kept = [symbol for symbol, _ in totals.most_common(MOST_SYMBOLS)]
    return sorted(kept, key=lambda symbol: (symbol is None, symbol or ""))


def _confusion_caption(found: TranscriptionFindings, grid: list[list[int | None]]) -> str:
    drawn = sum(count or 0 for row in grid for count in row)
    total = found.substitutions + found.insertions + found.deletions
    words = f"Errors alone, without what is right: {drawn} of {counted(total, 'error')}."
    return words + f" In the row “{NOTHING}” stand insertions, in the column “{NOTHING}” deletions."


def alignment(reading: Reading, index: int) -> Drawing | None:
    """Where each symbol was read: over the spectrogram, the features or the ink, and the outputs' spikes below."""
    if not reading.spikes:
        return None
    layout: dict[str, Any] = {
        "margin": {"l": 58, "r": 12, "t": 22, "b": 40}, "hovermode": "closest",
        "xaxis": axis(reading.unit if reading.unit == "seconds" else "frame", anchor="y3", showgrid=False),
        "yaxis2": axis(
            domain=LABELS, range=[-0.6, 1.6], tickmode="array", tickvals=[1, 0], ticktext=["true", "found"],
            showgrid=False, ticks="", automargin=False,
        ),
        "yaxis3": axis(domain=SPIKES, range=[0, 1.02], tickvals=[0, 1], automargin=False),
        "annotations": [row_title("probability of each label", SPIKES[1])],
    }  # fmt: skip
    data = [*_labels(reading), *_spikes(reading)]
    if reading.strokes:
        data += _ink(reading, layout)
    elif reading.picture:
        data += _picture(reading, layout)
    width = SYMBOL_WIDTH * max(len(reading.truth), len(reading.said)) + 80
    keys = (Key("blank: nothing new", "@muted", "dots"), Key("a label", SERIES[0]))
    title = f"Where it was read in {reading.name}"
    return Drawing(f"reading-{index}", title, _caption(reading), figure(data, 430, **layout), keys, width)


def _labels(reading: Reading) -> list[Trace]:
    """The true and the found symbols at their places; wrong ones are bold and underlined."""
    return [
        _words(reading.truth, 1, "@truth", "true"),
        _words([own for own in reading.said if own.right], 0, "@model", "found"),
        _words([own for own in reading.said if not own.right], 0, "@baseline", "found, wrong"),
    ]


def _words(placed: Any, height: int, colour: str, what: str) -> Trace:
    return {
        "type": "scatter", "mode": "text", "xaxis": "x", "yaxis": "y2",
        "x": [(own.start + own.end) / 2 for own in placed], "y": [height for _ in placed],
        "text": [_marked(own) for own in placed], "textfont": {"color": colour, "size": 13},
        "hovertemplate": f"{what}: %{{text}} at %{{x:.2f}}<extra></extra>", "cliponaxis": False,
    }  # fmt: skip


def _marked(own: Placed) -> str:
    written = text(shown(own.symbol), 12)
    return written if own.right else f"<b><u>{written}</u></b>"


def _spikes(reading: Reading) -> list[Trace]:
    traces = []
    for number, spike in enumerate(reading.spikes):
        x = [reading.start + reading.step * frame for frame in range(len(spike.values))]
        colour = "@muted" if spike.symbol is None else SERIES[number % len(SERIES)]
        name = "blank" if spike.symbol is None else shown(spike.symbol)
        style = {"width": 1, "dash": "dot"} if spike.symbol is None else {"width": 1.6}
        trace = {**curve(x, spike.values, name, colour, **style), "xaxis": "x", "yaxis": "y3"}
        traces.append({**trace, "hovertemplate": f"{text(name)}: %{{y:.2f}}<extra></extra>"})
    return traces


def _picture(reading: Reading, layout: dict[str, Any]) -> list[Trace]:
    """The spectrogram, or the features, with a line where each found symbol begins."""
    picture = reading.picture
    assert picture is not None
    frames = len(picture.values[0]) if picture.values else 0
    layout["yaxis"] = axis(domain=PICTURE, showticklabels=False, ticks="", showgrid=False, automargin=False)
    kind = "spectrogram, low tones below" if picture.kind == "spectrogram" else "features, one a row"
    layout["annotations"].append(row_title(kind, 1.0))
    layout["shapes"] = [
        {
            "type": "line", "xref": "x", "yref": "paper", "x0": own.start, "x1": own.start, "y0": LABELS[0],
            "y1": PICTURE[1], "line": {"color": "@axis", "width": 0.8, "dash": "dot"},
        }
        for own in reading.said
    ]  # fmt: skip
    heat = {
        "type": "heatmap", "z": [list(row) for row in picture.values], "xaxis": "x", "yaxis": "y",
        "x": [reading.start + reading.step * frame for frame in range(frames)], "showscale": False,
        "colorscale": [[0, "@heat-0"], [0.5, "@heat-1"], [1, "@heat-2"]], "customdata": None,
        "hovertemplate": "%{x:.2f}, row %{y}: %{z:.2f}<extra></extra>",
    }  # fmt: skip
    return [heat]


def _ink(reading: Reading, layout: dict[str, Any]) -> list[Trace]:
    """The strokes, and upon them the frames at which each found symbol was read."""
    layout["yaxis"] = axis(domain=PICTURE, showticklabels=False, ticks="", showgrid=False, scaleanchor="x2")
    layout["xaxis2"] = axis(anchor="y", showticklabels=False, ticks="", showgrid=False, matches=None)
    layout["annotations"].append(row_title("the ink, and where each symbol was read", 1.0))
    traces = [
        {**curve(list(own.x), own.y, "ink", "@truth", width=1.6), "xaxis": "x2", "yaxis": "y", "hoverinfo": "skip"}
        for own in reading.strokes
    ]
    points = [(x, y) for own in reading.strokes for x, y in zip(own.x, own.y, strict=True)]
    for number, own in enumerate(reading.said):
        read = points[int(own.start) : max(int(own.start) + 1, int(own.end))]
        if read:
            traces.append(_spot(read, own, SERIES[number % len(SERIES)]))
    return traces


def _spot(read: list[tuple[Any, Any]], own: Placed, colour: str) -> Trace:
    return {
        "type": "scatter", "mode": "markers+text", "xaxis": "x2", "yaxis": "y",
        "x": [x for x, _ in read], "y": [y for _, y in read], "marker": {"color": colour, "size": 7},
        "text": [_marked(own), *[""] * (len(read) - 1)], "textposition": "top center",
        "textfont": {"color": "@model" if own.right else "@baseline", "size": 14},
        "hovertemplate": f"{text(shown(own.symbol))}<extra></extra>",
    }  # fmt: skip


def _caption(reading: Reading) -> str:
    words = "The dotted lines are where a found symbol begins." if reading.picture else ""
    words += (
        " True symbols stand where they fit the outputs best."
        if reading.truth
        else (" The true symbols do not fit into the frames that are drawn.")
    )
    words += " What is wrong is bold and underlined." if any(not own.right for own in reading.said) else ""
    return f"{words} {reading.cut}".strip()


def confusion_rows(confusions: Any, at_most: int) -> list[Confusion]:
    """The most frequent ones, the most frequent first."""
    return sorted(confusions, key=lambda row: (-row.count, row.truth or "", row.said or ""))[:at_most]


def runs(reading: Reading) -> tuple[tuple[str, str], ...]:
    """The differences as ("same" | "lost" | "added", text), neighbours of one kind together; of what was replaced, the
    lost text comes before the added one."""
    found: list[tuple[str, list[str]]] = []
    for same, steps in groupby(reading.edits, key=lambda step: step.kind == "same"):
        group = list(steps)
        if same:
            found.append(("same", [step.truth or "" for step in group]))
            continue
        lost, added = ([getattr(step, side) for step in group] for side in ("truth", "said"))
        found += [("lost", [shown(own) for own in lost if own is not None])]
        found += [("added", [shown(own) for own in added if own is not None])]
    return tuple((kind, reading.separator.join(symbols)) for kind, symbols in found if symbols)
