"""The figure: error rates by depth and direction, and those of nets of three layers."""

from functools import reduce
from operator import getitem
from statistics import fmean
from typing import Any

Rows = dict[str, list[Any]]
"""The results of each net, or of nets together, one a seed."""
DEPTHS = ("1 layer", "2 layers", "3 layers")
BARS = {
    "3 layers": "CTC",
    "CTC further": "CTC, 6 epochs more",
    "transducer": "transducer",
    "transducer from CTC": "transducer, begun from CTC",
    "longer": "CTC, taught longer",
    "longer, weight noise": "CTC, still longer, weight noise",
}
DIRECTIONS = {"": ("both directions", "#d55e00"), ", forwards": ("forwards alone", "#4292c6")}
GREY = "#8c959f"


def picture(results: Rows) -> Any:
    """The figure, of two panels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 3.3), layout="constrained")
    by_depth, by_head = figure.subplots(1, 2, width_ratios=(1, 1.15))
    _depths(by_depth, results)
    _heads(by_head, results)
    for panel in (by_depth, by_head):
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def _depths(panel: Any, results: Rows) -> None:
    for ending, (name, colour) in DIRECTIONS.items():
        for way, style, words in (("beam", "-", ""), ("language", "--", ", with phone 5-gram")):
            rates = [100 * _mean(results, depth + ending, way, "all") for depth in DEPTHS]
            panel.plot([1, 2, 3], rates, style, marker="o", markersize=4, color=colour, label=name + words)
    panel.set(xticks=[1, 2, 3], xlabel="layers", ylim=(0, None))
    panel.legend(frameon=False, fontsize=7, handlelength=3.5)
    panel.set_title("Phone errors of CTC, in %", loc="left", fontsize=10, fontweight="bold")


def _mean(results: Rows, name: str, *place: str) -> float:
    """The mean over seeds of a figure of a net."""
    return fmean(float(reduce(getitem, place, row)) for row in results[name])


def _heads(panel: Any, results: Rows) -> None:
    bars = []
    for name, title in BARS.items():
        bars.append((title, _mean(results, name, "beam", "all"), "#d55e00"))
        if "language" in results[name][0]:
            bars.append((f"{title}, with 5-gram", _mean(results, name, "language", "all"), GREY))
    bars.append(("the same, begun at three frames", _mean(results, "alone", "mean"), GREY))
    bars.append(("three nets with CTC, so, 5-gram", _mean(results, "together", "mean"), GREY))
    bars.append(("these, with eight nets as judges", _mean(results, "together", "both"), GREY))
    titles, rates, colours = zip(*bars, strict=True)
    drawn = panel.barh(titles, [100 * rate for rate in rates], color=colours)
    panel.bar_label(drawn, fmt=" %.1f", fontsize=8)
    panel.invert_yaxis()
    panel.tick_params(axis="y", labelsize=8)
    panel.set_title("Phone errors with three layers, in %", loc="left", fontsize=10, fontweight="bold")
