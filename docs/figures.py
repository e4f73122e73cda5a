"""Draws the figures of the documents from what the gallery computes: `.venv/bin/python docs/figures.py`."""

import runpy
from calendar import month_abbr
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.dates import date2num

DOCS = Path(__file__).parent
WEEKS = slice(-6 * 52 - 20, None)
INK, FAINT = "#7d8590", "#7d859055"
BLUE, ORANGE, GREEN = "#3b82f6", "#f0883e", "#2da44e"
STOPS = [(0, BLUE), (0.5, BLUE + "00"), (0.5, ORANGE + "00"), (1, ORANGE)]
SIGNED = LinearSegmentedColormap.from_list("empty to full", STOPS)
MONTHS = np.array(month_abbr[1:])
STYLE: Any = {
    "font.size": 10,
    "axes.edgecolor": FAINT,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


def memory_figure(memory: Any, path: Path) -> None:
    """The record, the gates of one cell and the states of all, over the last years; readable on light and dark."""
    order = np.argsort(memory.peaks())
    figure, (record, gates, cells) = plt.subplots(
        3, 1, figsize=(9, 6.2), sharex=True, height_ratios=[1.0, 1.15, 1.6], layout="constrained"
    )
    dates = memory.dates[WEEKS]
    record.plot(dates, memory.ppm[WEEKS], color=INK, linewidth=1.6)
    _headline(record, "What it reads: carbon dioxide over Mauna Loa", "ppm")
    _gates(gates, dates, memory, int(order[-1]))
    _cells(cells, memory, order)
    cells.set_xlim(dates[0], dates[-1])
    figure.align_ylabels()
    figure.savefig(path, dpi=160, transparent=True, metadata={"Software": None})
    plt.close(figure)


def _gates(axes: Axes, dates: Any, memory: Any, unit: int) -> None:
    axes.set_ylim(0, 1)
    _headline(axes, "How it decides: the gates of one cell", "open")
    for place, gate, colour in ((0.78, "input", BLUE), (0.86, "forget", ORANGE), (0.95, "output", GREEN)):
        axes.plot(dates, memory.inside[gate][WEEKS, unit], color=colour, linewidth=1.6)
        axes.text(place, 1.04, gate, transform=axes.transAxes, color=colour, fontweight="bold", ha="center")


def _cells(axes: Axes, memory: Any, order: Any) -> None:
    states = memory.inside["cell"][WEEKS][:, order]
    states = (states - states.mean(axis=0)) / states.std(axis=0)
    axes.pcolormesh(
        date2num(memory.dates[WEEKS]), range(len(order)), states.T, cmap=SIGNED, vmin=-2, vmax=2, shading="nearest"
    )
    axes.xaxis_date()
    axes.set_yticks(range(len(order)), MONTHS[(12 * memory.peaks()[order]).astype(int)])
    _headline(axes, "What it keeps: eight cells, full and empty in turn, tell the time of the year", "fullest in")
    for place, word, colour in ((0.86, "full", ORANGE), (0.95, "empty", BLUE)):
        axes.text(place, 1.03, word, transform=axes.transAxes, color=colour, fontweight="bold", ha="center")


def _headline(axes: Axes, text: str, unit: str) -> None:
    axes.set_title(text, loc="left", fontsize=11, fontweight="bold")
    axes.set_ylabel(unit)
    axes.tick_params(length=0)


def main() -> None:
    """Write every figure."""
    gallery = runpy.run_path(str(DOCS / "gallery" / "inside_the_memory.py"))
    (DOCS / "figures").mkdir(exist_ok=True)
    with mpl.rc_context(STYLE):
        memory_figure(gallery["remember"](), DOCS / "figures" / "memory.png")


if __name__ == "__main__":
    main()
