"""The figures of a forecaster: examples with intervals, error and coverage by horizon."""

from collections.abc import Iterable

from carousel.report.findings import ForecastExample, ForecastFindings, HorizonError
from carousel.report.plotting import SERIES, Drawing, Key, axis, band, curve, figure, times, upright
from carousel.report.wording import number, percent

FLATTENING = 5.0
BANDS = ("@band-outer", "@band-inner")
EXAMPLE_KEYS = (Key("past and what came", "@truth"), Key("forecast", "@model"))


def example_keys(found: ForecastFindings) -> tuple[Key, ...]:
    """The shared legend of the example forecasts."""
    levels = sorted({row.level for example in found.examples for row in example.intervals}, reverse=True)
    colours = _band_colours(len(levels))
    return EXAMPLE_KEYS + tuple(
        Key(f"{percent(level)} interval", colour, "area") for level, colour in zip(levels, colours, strict=True)
    )


def _band_colours(count: int) -> list[str]:
    return [BANDS[0]] * max(0, count - 1) + [BANDS[1]] * min(1, count) if count > 1 else [BANDS[0]] * count


def example_forecast(example: ForecastExample, index: int) -> Drawing:
    """One forecast: the past, what came, the median and its intervals."""
    back, ahead = len(example.past), len(example.truth)
    x = times(example.time) or list(range(1 - back, ahead + 1))
    past, future = x[:back], x[back:]
    data = []
    ordered = sorted(example.intervals, key=lambda row: -row.level)
    for row, colour in zip(ordered, _band_colours(len(ordered)), strict=True):
        data += band(future, row.lower, row.upper, f"{100 * row.level:g} %", colour)
    data.append(curve(past, example.past, "past", "@truth", width=1.5))
    link = ([past[-1]], [example.past[-1]]) if past else ([], [])
    data.append(curve([*link[0], *future], [*link[1], *example.truth], "what came", "@truth", width=1.5))
    data.append(curve(future, example.predicted, "forecast", "@model", width=2.5))
    shapes = [upright(past[-1])] if past else []
    steps = "" if example.time else "steps from the forecast's start"
    drawn = figure(data, 250, xaxis=axis(steps, nticks=5), yaxis=axis(nticks=5), shapes=shapes)
    return Drawing(f"forecast-{index}", example.name, _example_caption(example), drawn)


def _example_caption(example: ForecastExample) -> str:
    pairs = [(t, p) for t, p in zip(example.truth, example.predicted, strict=True) if t is not None and p is not None]
    if not pairs:
        return "What came is not known."
    return f"Mean absolute error {number(sum(abs(t - p) for t, p in pairs) / len(pairs))}."


def error_by_horizon(found: ForecastFindings) -> Drawing | None:
    """The error at each step ahead, model against baselines."""
    if not found.errors:
        return None
    data, keys = [], []
    rivals = iter(("@baseline", "@series-4", "@series-3", *SERIES))
    drawn, beyond = _comparable(found.errors)
    for row in sorted(drawn, key=lambda row: row.is_model):
        colour = "@model" if row.is_model else next(rivals, "@muted")
        style = {"width": 2.5} if row.is_model else {"width": 1.5, "dash": "dash"}
        data.append(curve(range(1, len(row.values) + 1), row.values, row.name, colour, **style))
        keys.append(Key(row.name, colour, "line" if row.is_model else "dashes"))
    axes = {"xaxis": axis("steps ahead"), "yaxis": axis(found.error_metric, rangemode="tozero")}
    caption = f"{found.error_metric[0].upper() + found.error_metric[1:]} at each step ahead; lower is better."
    caption += f" Far above, and not drawn: {', '.join(beyond)}." if beyond else ""
    return Drawing("horizon-error", "Error by horizon", caption, figure(data, 280, **axes), tuple(reversed(keys)))


def _comparable(errors: Iterable[HorizonError]) -> tuple[list[HorizonError], list[str]]:
    """The rows that fit one scale, the model's always, and the names of those whose errors would flatten it."""
    peaks = {row.name: max((value for value in row.values if value is not None), default=0.0) for row in errors}
    limit = FLATTENING * max((peaks[row.name] for row in errors if row.is_model), default=float("inf"))
    beyond = [row.name for row in errors if not row.is_model and peaks[row.name] > limit]
    return [row for row in errors if row.name not in beyond], beyond


def coverage_by_horizon(found: ForecastFindings) -> Drawing | None:
    """How often the truth fell into the intervals at each step ahead, against the nominal level."""
    if not found.coverage:
        return None
    data, keys, shapes = [], [], []
    for row, colour in zip(sorted(found.coverage, key=lambda row: -row.level), SERIES * 4, strict=False):
        name = f"{percent(row.level)} interval"
        x = range(1, len(row.observed) + 1)
        values = [None if value is None else 100 * value for value in row.observed]
        data.append({**curve(x, values, name, colour), "hovertemplate": "%{y:.1f} %"})
        shapes.append(
            {**upright(0, colour), "xref": "paper", "x1": 1, "yref": "y", "y0": 100 * row.level, "y1": 100 * row.level}
        )
        keys.append(Key(name, colour))
    lowest = min((value for trace in data for value in trace["y"] if value is not None), default=0.0)
    floor = min(lowest, *(100 * row.level for row in found.coverage)) - 8
    axes = {"xaxis": axis("steps ahead"), "yaxis": axis("observed coverage, %", range=[max(0, floor), 101])}
    drawn = figure(data, 280, shapes=shapes, **axes)
    keys.append(Key("nominal", "@muted", "dots"))
    caption = "The share of true values inside each interval. An honest interval stays near its dotted line."
    return Drawing("horizon-coverage", "Interval coverage by horizon", caption, drawn, tuple(keys))
