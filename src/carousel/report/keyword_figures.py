"""The figures of a keyword spotter: misses against false alarms, and recordings with what was spotted in them."""

from carousel.report.keyword_findings import KeywordExample, KeywordFindings, KeywordMark
from carousel.report.plotting import SERIES, Drawing, Key, Trace, axis, curve, figure, text
from carousel.report.records import Row
from carousel.report.wording import counted, listed, number, percent

LABELLED = 40


def threshold_tradeoff(found: KeywordFindings) -> Drawing | None:
    """Missed keywords against false alarms, a dot a threshold; against the threshold where frames have no times."""
    known = [point for point in found.points if point.recall is not None]
    timed = [point for point in known if point.false_alarms is not None]
    if not known:
        return None
    points = timed or known
    x = [point.false_alarms if timed else point.threshold for point in points]
    missed = [100 * (1 - (point.recall or 0.0)) for point in points]
    line: Trace = {
        **curve(x, missed, "missed", "@model"), "mode": "lines+markers", "marker": {"color": "@model", "size": 7},
        "text": [number(point.threshold) for point in points],
        "hovertemplate": "threshold %{text}<br>%{y:.1f} % missed<extra></extra>",
    }  # fmt: skip
    here = min(range(len(points)), key=lambda place: abs(points[place].threshold - found.threshold))
    ring: Trace = {
        "type": "scatter", "mode": "markers", "x": [x[here]], "y": [missed[here]], "hoverinfo": "skip",
        "marker": {"color": "rgba(0,0,0,0)", "size": 15, "line": {"color": "@ink", "width": 2}},
    }  # fmt: skip
    across = "false alarms a keyword and hour" if timed else "threshold"
    drawn = figure(
        [line, ring], 320, hovermode="closest", xaxis=axis(across, rangemode="tozero"), yaxis=axis("missed, %")
    )
    caption = (
        f"Each dot is a threshold, from {number(points[0].threshold)} to {number(points[-1].threshold)}; the ring is "
        f"near the one in use, {number(found.threshold)}. Left and low is better."
    )
    return Drawing("keyword-thresholds", "Missed keywords against false alarms", caption, drawn)


def keyword_example(example: KeywordExample, index: int, threshold: float) -> Drawing:
    """One recording: the probability of each keyword over time, and a band for each that was spotted."""
    hop = example.hop or 1.0
    data = [
        curve(
            [example.start + hop * k for k in range(len(own.values))],
            own.values,
            own.keyword,
            SERIES[place % len(SERIES)],
            width=1.6,
        )
        for place, own in enumerate(example.outputs)
    ]
    level = {
        "type": "line", "xref": "paper", "yref": "y", "x0": 0, "x1": 1, "y0": threshold, "y1": threshold,
        "line": {"color": "@axis", "width": 1, "dash": "dot"},
    }  # fmt: skip
    words = axis("seconds" if example.hop else "frame")
    drawn = figure(
        data, 210, xaxis=words, yaxis=axis(range=[0, 1.25], nticks=4), shapes=[level, *map(_band, example.marks)],
        annotations=_names(example.marks),
    )  # fmt: skip
    said, spotted = listed(example.truth) or "no keyword", listed([mark.keyword for mark in example.marks]) or "nothing"
    caption = f"Said: {said}. Spotted: {spotted}."
    return Drawing(f"keywords-{index}", example.name, caption, drawn, _keys(example))


def threshold_words(found: KeywordFindings) -> str:
    """The lead of the section."""
    said = sum(own.said for own in found.keywords)
    return (
        f"{counted(said, 'keyword')} said in the held-out part; found where the network's output rises above "
        f"{percent(found.threshold)}. A hit is a keyword that was found in a recording that holds it."
    )


def _band(mark: KeywordMark) -> dict:
    return {
        "type": "rect", "xref": "x", "yref": "paper", "x0": mark.start, "x1": mark.end, "y0": 0, "y1": 1,
        "fillcolor": "@grid", "opacity": 0.7, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def _names(marks: Row[KeywordMark]) -> list[dict]:
    """The word above each band; none where there are too many to read."""
    if len(marks) > LABELLED:
        return []
    return [
        {
            "text": text(mark.keyword, 20), "x": (mark.start + mark.end) / 2, "y": 1.0 + 0.1 * (place % 2), "xref": "x",
            "yref": "y", "yanchor": "bottom", "showarrow": False, "font": {"size": 11, "color": "@ink"},
        }
        for place, mark in enumerate(marks)
    ]  # fmt: skip


def _keys(example: KeywordExample) -> tuple[Key, ...]:
    return tuple(Key(own.keyword, SERIES[place % len(SERIES)]) for place, own in enumerate(example.outputs))
