"""Figures are valid for plotly, say what they show, and keep to the style sheet's colours."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import plotly.graph_objects
import pytest

from carousel import report
from carousel.report.class_figures import class_rows, confusion_matrix
from carousel.report.figures import learning_curves, length_histogram, worst_case
from carousel.report.findings import ForecastFindings, HorizonError
from carousel.report.forecast_figures import coverage_by_horizon, error_by_horizon, example_forecast
from carousel.report.keyword_figures import keyword_example, threshold_tradeoff
from carousel.report.memory_figures import gradient_flow, jacobians
from carousel.report.page import TEMPLATES
from carousel.report.plotting import Drawing, text, thinned, times
from carousel.report.sections import sections
from tests.report import samples


def _drawings(name: str) -> list[Drawing]:
    return [drawing for section in sections(samples.ALL[name]()) for drawing in section.drawings]


def _painted(value: Any) -> Any:
    if isinstance(value, str):
        return "#123456" if value.startswith("@") else value
    if isinstance(value, dict):
        return {key: _painted(item) for key, item in value.items()}
    return [_painted(item) for item in value] if isinstance(value, list | tuple | range) else value


def _colours(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("@"):
        yield value[1:]
    elif isinstance(value, dict):
        for item in value.values():
            yield from _colours(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _colours(item)


@pytest.mark.parametrize("name", samples.ALL)
def test_plotly_knows_every_property(name: str) -> None:
    for drawing in _drawings(name):
        plotly.graph_objects.Figure(_painted(drawing.figure))


@pytest.mark.parametrize("name", samples.ALL)
def test_every_colour_is_in_the_style_sheet_in_light_and_dark(name: str) -> None:
    light, dark = (TEMPLATES / "style.css").read_text(encoding="utf-8").split("@media (prefers-color-scheme: dark)")
    dark = dark.split("\n}\n")[0]
    used = {colour for drawing in _drawings(name) for colour in _colours(drawing.figure)}
    used |= {key.colour[1:] for drawing in _drawings(name) for key in drawing.keys}
    for sheet in (light, dark):
        assert used <= set(re.findall(r"--([\w-]+):", sheet))


@pytest.mark.parametrize("name", samples.ALL)
def test_drawings_have_names_of_their_own_and_words(name: str) -> None:
    drawings = _drawings(name)
    assert len({drawing.name for drawing in drawings}) == len(drawings)
    assert all(drawing.title and drawing.caption for drawing in drawings)


def test_labels_are_no_markup() -> None:
    assert text("<b>a</b> & 'b'") == "&lt;b&gt;a&lt;/b&gt; &amp; 'b'"
    assert text("x" * 100, 10) == "x" * 9 + "…"


def test_thinned_keeps_both_ends() -> None:
    assert thinned(5, 10) == [0, 1, 2, 3, 4]
    kept = thinned(1000, 7)
    assert (kept[0], kept[-1], len(kept)) == (0, 999, 7)


def test_times_are_dates_or_nothing() -> None:
    assert times(("2026-01-01", "2026-01-02T03:00:00+01:00")) == ["2026-01-01", "2026-01-02T03:00:00+01:00"]
    assert times(("a", "b")) is None
    assert times(None) is None


def test_class_scores_come_from_the_confusion_matrix() -> None:
    rows = class_rows(report.ClassFindings(("a", "b", "c"), ((8, 2, 0), (1, 9, 0), (0, 0, 0))))
    assert [row.precision for row in rows] == [8 / 9, 9 / 11, None]
    assert [row.recall for row in rows] == [0.8, 0.9, None]
    assert [row.f1 for row in rows] == [16 / 19, 18 / 21, None]
    assert [row.support for row in rows] == [10, 10, 0]


def test_the_confusion_caption_names_the_worst_pair() -> None:
    drawn = confusion_matrix(report.ClassFindings(("a", "b"), ((8, 2), (1, 9))))
    assert "85\u202f% of 20 decisions" in drawn.caption
    assert "Most often confused: a, taken for b (2 times)" in drawn.caption
    empty = confusion_matrix(report.ClassFindings(("a",), ((0,),)))
    assert empty.caption.startswith("– of 0 decisions")


def test_many_classes_are_not_written_into_the_matrix() -> None:
    size = 60
    matrix = tuple(tuple(int(i == j) for j in range(size)) for i in range(size))
    drawn = confusion_matrix(report.ClassFindings(tuple(f"class {k}" for k in range(size)), matrix)).figure
    assert "texttemplate" not in drawn["data"][0]
    assert len(drawn["layout"]["xaxis"]["ticktext"]) == 15


def test_equal_lengths_need_no_histogram() -> None:
    assert length_histogram(samples.forecast().data) is None
    drawn = length_histogram(samples.classification().data)
    assert drawn is not None
    assert sum(drawn.figure["data"][0]["y"]) == 270


def test_a_diverged_run_is_drawn_without_its_infinities() -> None:
    drawn = learning_curves(report.learning([{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": float("nan")}]))
    assert drawn is not None
    assert drawn.figure["data"][0]["y"] == [1.0, None]
    assert "to –" in drawn.caption
    assert learning_curves(report.learning([])) is None


def test_steep_curves_get_a_logarithmic_axis() -> None:
    steep = learning_curves(report.learning([{"epoch": 1, "loss": 100.0}, {"epoch": 2, "loss": 1.0}]))
    assert steep is not None
    assert steep.figure["layout"]["yaxis"]["type"] == "log"


def test_a_few_epochs_are_not_halved() -> None:
    drawn = [learning_curves(report.learning([{"epoch": k, "loss": 1.0} for k in range(1, n)])) for n in (5, 50)]
    steps = [each.figure["layout"]["xaxis"].get("dtick") for each in drawn if each is not None]
    assert steps == [1, None]


def test_an_example_of_unknown_truth_is_drawn() -> None:
    example = report.ForecastExample("a", (), (None, None), (1.0, 2.0))
    drawn = example_forecast(example, 0)
    assert drawn.caption == "What came is not known."
    assert drawn.figure["data"][-1]["x"] == [1, 2]


def test_the_nominal_levels_are_lines() -> None:
    found = samples.forecast().forecast
    assert found is not None
    drawn = coverage_by_horizon(found)
    assert drawn is not None
    assert [shape["y0"] for shape in drawn.figure["layout"]["shapes"]] == [95.0, 80.0]
    assert coverage_by_horizon(replace(found, coverage=())) is None


def test_what_came_begins_where_the_past_ends() -> None:
    lines = (report.Line("past", (1.0, 2.0), "past"), report.Line("came", (3.0,), "truth", start=2))
    drawn = worst_case(report.WorstCase("a", lines), 0)
    assert drawn.figure["data"][1]["x"] == [1, 2]
    assert drawn.figure["data"][1]["y"] == [2.0, 3.0]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((1.0, 0.1, 0.001), "above 1\u202f% of its peak for 1 step back"),
        ((1.0, 0.5), "Even 1 step back"),
        ((0.0,), "No gradient"),
    ],
)
def test_the_gradient_caption_says_how_far_it_reaches(values: tuple[float, ...], words: str) -> None:
    flow = report.GradientFlow("cell state", "a norm", values)
    drawn = gradient_flow(replace(samples.memory(), gradients=(flow,)))
    assert drawn is not None
    assert words in drawn.caption
    assert gradient_flow(replace(samples.memory(), gradients=())) is None


def test_jacobians_are_drawn_down_to_the_precision_of_numbers() -> None:
    drawn = jacobians(samples.memory())
    assert drawn is not None
    hidden, carousel = drawn.figure["data"]
    assert (hidden["y"][100], hidden["y"][120]) == (pytest.approx(math.exp(-100 / 3)), None)
    assert None not in carousel["y"]
    assert [key.label for key in drawn.keys] == ["hidden", "carousel"]
    assert "product of the forget gates" in drawn.caption
    assert jacobians(replace(samples.memory(), jacobians=())) is None


@pytest.mark.parametrize(("smallest", "step"), [(0.5, "D2"), (1e-3, 1), (1e-14, 3)])
def test_the_gradient_axis_has_labels_that_fit(smallest: float, step: int | str) -> None:
    flow = report.GradientFlow("cell state", "a norm", (1.0, smallest))
    drawn = gradient_flow(replace(samples.memory(), gradients=(flow,)))
    assert drawn is not None
    assert drawn.figure["layout"]["yaxis"]["dtick"] == step


def test_an_error_that_would_flatten_the_others_is_named_instead_of_drawn() -> None:
    rows = (
        HorizonError("LSTM", (1.0, 2.0), is_model=True),
        HorizonError("near", (2.0, 9.0)),
        HorizonError("mean", (8.0, 11.0)),
    )
    drawn = error_by_horizon(ForecastFindings(examples=(), errors=rows))
    assert drawn is not None
    assert [trace["name"] for trace in drawn.figure["data"]] == ["near", "LSTM"]
    assert "not drawn: mean" in drawn.caption


def test_missed_keywords_stand_against_false_alarms_or_thresholds() -> None:
    found = samples.spotting().keywords
    assert found is not None
    timed = threshold_tradeoff(found)
    assert timed is not None and timed.figure["layout"]["xaxis"]["title"]["text"] == "false alarms a keyword and hour"
    line, ring = timed.figure["data"]
    assert ring["x"] == [line["x"][9]] and line["text"][9] == "0.5", "the ring is at the threshold in use"
    assert line["y"][9] == pytest.approx(12.5)
    points = tuple(replace(point, false_alarms=None) for point in found.points)
    plain = threshold_tradeoff(replace(found, points=points))
    assert plain is not None and plain.figure["layout"]["xaxis"]["title"]["text"] == "threshold"
    assert plain.figure["data"][0]["x"] == [point.threshold for point in points]
    assert threshold_tradeoff(replace(found, points=())) is None


def test_a_band_and_a_name_for_each_keyword_that_was_spotted() -> None:
    found = samples.spotting().keywords
    assert found is not None
    drawn = keyword_example(found.examples[1], 1, 0.5)
    _, *bands = drawn.figure["layout"]["shapes"]
    assert [(band["x0"], band["x1"]) for band in bands] == [(0.84, 0.96), (2.94, 3.06)]
    assert [own["text"] for own in drawn.figure["layout"]["annotations"]] == ["Montag", "Hamburg"]
    assert drawn.caption == "Said: Montag and Termin. Spotted: Montag and Hamburg."
    assert drawn.figure["data"][0]["x"][:2] == [0, 0.02]
    late = keyword_example(replace(found.examples[1], start=0.01), 1, 0.5)
    assert late.figure["data"][0]["x"][:2] == [0.01, 0.03]
    silent = keyword_example(replace(found.examples[1], truth=(), marks=()), 1, 0.5)
    assert silent.caption == "Said: no keyword. Spotted: nothing."
