"""A picture of Jacobian norms by lag: a panel a net, curves on a logarithmic scale."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from carousel.data import atomic_path
from carousel.report.errors import ReportError
from carousel.report.gradients import RNN, GradientNorms

STYLES: dict[str, dict[str, Any]] = {
    "hidden": {"color": "#0072b2", "label": "$\\partial h_T / \\partial h_{T-q}$"},
    "cell": {"color": "#d55e00", "label": "$\\partial c_T / \\partial c_{T-q}$"},
    "carousel": {"color": "#009e73", "label": "along the carousel alone", "linestyle": (0, (4, 2))},
}
BESIDE: dict[str, Any] = {"color": "#8c959f", "label": "plain RNN", "linewidth": 1.2}
COLUMNS, LOWEST, MARGIN = 4, 1e-16, 3.0
SETTINGS = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#8c959f",
    "axes.grid": True, "grid.color": "#d0d7de", "grid.linewidth": 0.6, "axes.axisbelow": True,
    "xtick.color": "#57606a", "ytick.color": "#57606a", "xtick.major.size": 0, "ytick.major.size": 0,
    "ytick.minor.size": 0, "svg.hashsalt": "carousel",
}  # fmt: skip


def draw_gradient_norms(nets: Sequence[GradientNorms], path: str | Path) -> Path:
    """Draw each net's spectral norms by lag: the geometric mean over sequences, and a band from 5 % to 95 % of them.

    The file's ending says its format (.png, .svg, .pdf). What lies below 1e-16 is not drawn.

    Raises ReportError if matplotlib is missing, cannot write such a file, or there is no net.
    """
    if not nets:
        raise ReportError("there is no net to draw; give one at least")
    path = Path(path)
    matplotlib = _matplotlib()
    from matplotlib.figure import Figure

    if path.suffix.lstrip(".").lower() not in Figure().canvas.get_supported_filetypes():
        raise ReportError(f"{path} cannot be drawn; give a name that ends in .png, .svg or .pdf")
    with matplotlib.rc_context(SETTINGS), atomic_path(path) as temporary:
        _figure(nets).savefig(temporary, dpi=160, format=path.suffix.lstrip(".").lower())
    return path


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise ReportError('the picture needs matplotlib; install it with: pip install "carousel-lstm[plots]"') from None
    return matplotlib


def _figure(nets: Sequence[GradientNorms]) -> Any:
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(nets))
    rows = math.ceil(len(nets) / columns)
    figure = Figure(figsize=(max(4.6, 2.55 * columns), 2.1 * rows + 0.75), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    beside = next((net for net in nets if net.name == RNN), None)
    for panel, net in zip(panels, nets, strict=False):
        _panel(panel, net, beside if net is not beside else None)
    panels[0].set_ylim(*_limits(nets))
    for panel in panels[len(nets) :]:
        panel.set_visible(False)
    for panel in panels[max(0, len(nets) - columns) : len(nets)]:
        panel.tick_params(labelbottom=True)
    figure.supxlabel("steps back from the last, q", fontsize=9)
    figure.supylabel("spectral norm", fontsize=9)
    shown = {line.get_label(): line for panel in panels for line in panel.get_lines()}
    figure.legend(shown.values(), shown.keys(), loc="outside upper left", ncols=4, frameon=False)
    return figure


def _panel(panel: Any, net: GradientNorms, beside: GradientNorms | None) -> None:
    panel.set_yscale("log")
    if beside is not None:
        panel.plot(beside.lags, _drawn(beside.middle("hidden")), **BESIDE)
    for path, style in STYLES.items():
        if path in net.spectral:
            low, high = net.band(path)
            panel.fill_between(net.lags, low, high, color=style["color"], alpha=0.18, linewidth=0)
            panel.plot(net.lags, _drawn(net.middle(path)), linewidth=1.7, **style)
    panel.set_title(net.name, loc="left", fontsize=9.5, fontweight="bold")
    panel.margins(x=0.02)


def _drawn(values: Sequence[float]) -> list[float]:
    """Values as they are, gaps where the norm is zero."""
    return [value if value > 0 else math.nan for value in values]


def _limits(nets: Sequence[GradientNorms]) -> tuple[float, float]:
    """Where the scale begins and ends: around what is drawn, from 1e-16 up."""
    values = [value for net in nets for path in net.spectral for value in net.middle(path) if value > 0]
    low, high = max(min(values, default=0.1), LOWEST), max(values, default=1.0)
    return low / MARGIN, high * MARGIN
