"""The pieces that every figure is made of: plotly figures as plain dicts, coloured by theme names.

A colour "@model" is replaced in the browser by the style sheet's `--model`, so that one figure serves light and
dark. Text that comes from data passes through `text`, because plotly reads labels as a small kind of HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from carousel.report.records import Number, Row

Trace = dict[str, Any]
SERIES = ("@series-1", "@series-2", "@series-3", "@series-4", "@series-5", "@series-6")


@dataclass(frozen=True)
class Key:
    """One entry of a figure's legend: its words, colour and kind of mark."""

    label: str
    colour: str
    mark: str = "line"


@dataclass(frozen=True)
class Drawing:
    """A figure with the words around it; `caption` says what it shows, for those who cannot see it too.

    `width` is the least in CSS pixels; on a narrower screen the figure scrolls in its place.
    """

    name: str
    title: str
    caption: str
    figure: dict[str, Any]
    keys: tuple[Key, ...] = ()
    width: int = 0

    @property
    def height(self) -> int:
        """Height in CSS pixels."""
        return self.figure["layout"]["height"]


def text(words: str, at_most: int = 60) -> str:
    """Words from data as a plotly label: no markup, cut when very long."""
    return escape(words if len(words) <= at_most else words[: at_most - 1] + "…", quote=False)


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """One axis in the page's style."""
    named = {"title": {"text": title, "standoff": 8}} if title else {}
    style = {
        "tickangle": 0, "gridcolor": "@grid", "linecolor": "@axis", "tickcolor": "@axis",
        "zeroline": False, "showline": False,
        "automargin": True, "ticks": "outside", "ticklen": 3, "nticks": 7,
    }  # fmt: skip
    return {**style, **named, **more}


def epochs(count: int) -> dict[str, Any]:
    """The axis of epochs, which have no halves."""
    return axis("epoch", **({"dtick": 1} if count < 8 else {}))


def figure(data: Sequence[Trace], height: int, **layout: Any) -> dict[str, Any]:
    """A figure in the page's style; `layout` adds axes and overrides."""
    style = {
        "height": height,
        "margin": {"l": 44, "r": 10, "t": 10, "b": 36},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@muted", "size": 12},
        "showlegend": False,
        "hovermode": "x unified",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "@axis", "activecolor": "@accent"},
        "hoverlabel": {"bgcolor": "@card", "bordercolor": "@axis", "font": {"color": "@ink"}},
    }
    return {"data": list(data), "layout": {**style, **layout}}


def curve(x: Sequence[Any], y: Row[Number], name: str, colour: str, **line: Any) -> Trace:
    """A line through the points; gaps where a value is missing."""
    return {
        "type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "name": text(name),
        "line": {"color": colour, "width": 2, **line}, "hovertemplate": "%{y:.4~g}",
    }  # fmt: skip


def band(x: Sequence[Any], lower: Row[Number], upper: Row[Number], name: str, colour: str) -> list[Trace]:
    """The area between two curves."""
    edge = {"width": 0, "color": colour}
    top = {**curve(x, upper, f"{name}, upper", colour), "line": edge}
    bottom = {**curve(x, lower, f"{name}, lower", colour), "line": edge, "fill": "tonexty", "fillcolor": colour}
    return [top, bottom]


def upright(x: Any, colour: str = "@axis") -> dict[str, Any]:
    """A thin dashed vertical line across the figure."""
    return {
        "type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1,
        "line": {"color": colour, "width": 1, "dash": "dot"},
    }  # fmt: skip


def times(labels: Row[str] | None) -> list[str] | None:
    """The labels if plotly can place them on a time axis, else None."""
    try:
        for label in labels or ():
            datetime.fromisoformat(label)
    except ValueError:
        return None
    return list(labels) if labels else None


def thinned(count: int, at_most: int) -> list[int]:
    """At most that many indices, evenly spaced, first and last among them."""
    if count <= at_most:
        return list(range(count))
    return sorted({round(index * (count - 1) / (at_most - 1)) for index in range(at_most)})
