"""The figures from inside the memory: gates and cell state under the input, and the gradient flow back in time."""

import math
from typing import Any

from carousel.report.figures import row_title
from carousel.report.findings import ActivationMap, GradientFlow, Line, MemoryFindings
from carousel.report.plotting import SERIES, Drawing, Key, axis, curve, figure, times
from carousel.report.records import Number, Row
from carousel.report.wording import counted, percent

INPUT_HEIGHT, MAP_HEIGHT, GAP = 110, 118, 34
MARGIN = {"l": 52, "r": 64, "t": 24, "b": 40}
GATE_SCALE = [[0, "@heat-0"], [0.5, "@heat-1"], [1, "@heat-2"]]
STATE_SCALE = [[0, "@cold"], [0.5, "@heat-0"], [1, "@warm"]]
SMALL, LOWEST = 0.01, 1e-16
FEW_DECADES, MANY_DECADES = 2, 5


def inside_the_memory(found: MemoryFindings) -> Drawing:
    """The input above the activations of every gate and the cell state, on one time axis."""
    maps = (*found.gates, found.cell_state)
    heights = [INPUT_HEIGHT, *(MAP_HEIGHT for _ in maps)]
    inner = sum(heights) + GAP * (len(heights) - 1)
    slots = _slots(heights, inner)
    steps = len(maps[0].values[0]) if maps[0].values else 0
    x = times(found.time) or list(range(steps))
    layout: dict[str, Any] = {"annotations": [], "margin": MARGIN, "hovermode": "closest"}
    data = [_input_line(line, k, x) for k, line in enumerate(found.inputs[: len(SERIES)])]
    layout["yaxis"] = axis(domain=slots[0], nticks=3, automargin=False)
    layout["annotations"].append(row_title(_input_title(found), slots[0][1]))
    for k, drawn in enumerate(maps):
        data.append(_heat(drawn, x, k + 2, "coloraxis" if k < len(found.gates) else "coloraxis2"))
        layout[f"yaxis{k + 2}"] = axis(
            domain=slots[k + 1], showticklabels=False, ticks="", showgrid=False, automargin=False
        )
        layout["annotations"].append(row_title(drawn.name, slots[k + 1][1]))
    layout["xaxis"] = axis("" if times(found.time) else "step", anchor=f"y{len(maps) + 1}", showgrid=False)
    layout |= _colour_axes(found, slots)
    keys = tuple(Key(line.name, SERIES[k], "line") for k, line in enumerate(found.inputs[: len(SERIES)]))
    total = inner + MARGIN["t"] + MARGIN["b"]
    return Drawing("memory-maps", "Gates and cell state", _caption(found), figure(data, total, **layout), keys)


def _slots(heights: list[int], inner: int) -> list[list[float]]:
    slots, top = [], float(inner)
    for height in heights:
        slots.append([max(0.0, (top - height) / inner), top / inner])
        top -= height + GAP
    return slots


def _input_line(line: Line, index: int, x: list[Any]) -> dict[str, Any]:
    return {**curve(x, line.values, line.name, SERIES[index], width=1.5), "xaxis": "x", "yaxis": "y"}


def _input_title(found: MemoryFindings) -> str:
    return (
        "input"
        if len(found.inputs) <= len(SERIES)
        else f"input (the first {len(SERIES)} of {len(found.inputs)} features)"
    )


def _heat(drawn: ActivationMap, x: list[Any], row: int, colours: str) -> dict[str, Any]:
    return {
        "type": "heatmap", "z": [list(unit) for unit in drawn.values], "x": x, "xaxis": "x", "yaxis": f"y{row}",
        "coloraxis": colours, "hovertemplate": "%{x}, row %{y}: %{z:.3f}<extra></extra>",
    }  # fmt: skip


def _colour_axes(found: MemoryFindings, slots: list[list[float]]) -> dict[str, Any]:
    reach = max((abs(v) for unit in found.cell_state.values for v in unit if v is not None), default=1.0) or 1.0
    bar = {
        "thickness": 8,
        "outlinewidth": 0,
        "nticks": 5,
        "yanchor": "bottom",
        "x": 1.01,
        "xpad": 2,
        "tickfont": {"size": 10.5},
    }
    gates, state = {**bar, **_beside(slots[1][1], slots[-2][0])}, {**bar, **_beside(slots[-1][1], slots[-1][0])}
    return {
        "coloraxis": {"cmin": 0, "cmax": 1, "colorscale": GATE_SCALE, "colorbar": gates},
        "coloraxis2": {"cmin": -reach, "cmax": reach, "colorscale": STATE_SCALE, "colorbar": state},
    }


def _beside(top: float, bottom: float) -> dict[str, float]:
    return {"y": bottom, "len": top - bottom}


def _caption(found: MemoryFindings) -> str:
    shown = (
        f"{len(found.units)} of {found.units_total} units"
        if len(found.units) < found.units_total
        else f"all {found.units_total} units"
    )
    return (
        f"{found.sequence}, {found.layer}: {shown}, one a row, {found.order}. A gate of 1 lets everything through, "
        "of 0 nothing; a row whose forget gate stays near 1 keeps what it holds."
    )


def gradient_flow(found: MemoryFindings) -> Drawing | None:
    """Gradient norms by lag, on a logarithmic scale."""
    if not found.gradients:
        return None
    first = found.gradients[0]
    caption = f"{_reach(first.name, first.values)} {_meanings(found.gradients)}"
    return _by_lag("memory-gradient", "Gradient flow back in time", caption, found.gradients)


def jacobians(found: MemoryFindings) -> Drawing | None:
    """Norms of the last layer's Jacobians by lag, as the papers plot them: vanishing, or constant on the carousel."""
    if not found.jacobians:
        return None
    caption = f"A straight line down is a gradient that vanishes, a flat one is constant. {_meanings(found.jacobians)}"
    return _by_lag("memory-jacobians", "Jacobians of the last layer", caption, found.jacobians)


def _meanings(rows: Row[GradientFlow]) -> str:
    return " ".join(f"{row.name[0].upper() + row.name[1:]}: {row.meaning}." for row in rows)


def _by_lag(name: str, title: str, caption: str, rows: Row[GradientFlow]) -> Drawing:
    """Curves by lag, their logarithmic scale cut at 1e-16."""
    data, keys = [], []
    for row, colour in zip(rows, ("@model", "@baseline", *SERIES[2:]), strict=False):
        values = _drawn(row)
        data.append({**curve(range(len(values)), values, row.name, colour), "hovertemplate": "%{y:.3~g}"})
        keys.append(Key(row.name, colour))
    axes = {"xaxis": axis("steps back from the last"), "yaxis": axis("gradient norm", type="log", **_decades(rows))}
    return Drawing(name, title, caption, figure(data, 300, **axes), tuple(keys))


def _drawn(row: GradientFlow) -> list[Number]:
    return [value if value and value > LOWEST else None for value in row.values]


def _decades(rows: Row[GradientFlow]) -> dict[str, Any]:
    """Labels at 1, 2, 5 of each decade, at each decade, or at powers of ten further apart, by how many there are."""
    values = [value for row in rows for value in _drawn(row) if value]
    span = math.log10(max(values) / min(values)) if values else 0.0
    if span > MANY_DECADES:
        return {"dtick": round(span / MANY_DECADES) or 1, "exponentformat": "power"}
    return {"dtick": 1 if span > FEW_DECADES else "D2", "tickformat": "~g"}


def _reach(name: str, values: Row[Number]) -> str:
    """How far back the first gradient stays above one per cent of its peak."""
    peak = max((value for value in values if value is not None), default=0.0)
    if not peak:
        return "No gradient flows back."
    lag = max(k for k, value in enumerate(values) if value is not None and value >= SMALL * peak)
    if lag == len(values) - 1:
        return f"Even {counted(lag, 'step')} back the gradient is more than {percent(SMALL)} of its peak."
    return f"The gradient stays above {percent(SMALL)} of its peak for {counted(lag, 'step')} back."
