"""The figure of this paper: gradient flow by lag, fresh and trained, and how near the truncated rule comes to it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

RANDOM, FIXED = "random weights", "bias alone"
Rows = Sequence[dict[str, Any]]
ORANGE = "#d55e00"
TAUGHT = {
    ("lstm1997", 0): ("cell of 1997", ORANGE),
    ("lstm", 3): ("forget bias 3", "#78c679"),
    ("lstm", 5): ("forget bias 5", "#005a32"),
}
"""What nets that were taught are called, and their colours."""


def drawn(rows: dict[str, Rows], path: Path) -> None:
    """RNNs that vanish or explode and carousels above; nets before and after they learn a long lag below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.4, 8.6), layout="constrained")
    rnn, lstm, taught, cosines = figure.subplots(2, 2).flat
    _plain(rnn, rows["rnn"])
    _forgetting(lstm, rows["lstm "])
    for panel, furthest in ((rnn, 150), (lstm, 1000)):
        _band(panel, rows["lstm1997 "], ORANGE, label="carousel of 1997", linewidth=2.2)
        panel.set_ylim(1e-20, 1e8)
        panel.set_xlim(-0.02 * furthest, furthest)
    _taught(taught, rows["learned "])
    _cosines(cosines, rows["learned "])
    _dress(rnn, "Plain RNN: $\\partial h_T / \\partial h_{T-q}$", "steps back, q")
    _dress(lstm, "LSTM: $\\partial c_T / \\partial c_{T-q}$, recurrence cut", "steps back, q")
    _dress(taught, "Whole $\\partial c_T / \\partial c_{T-q}$ before and after task 2c", "steps back, q")
    _dress(cosines, "Truncated and whole gradient: their cosine", "strings learned from")
    for panel in (rnn, lstm, taught):
        panel.set_yscale("log")
        panel.set_ylabel("spectral norm")
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _plain(panel: Any, rows: Rows) -> None:
    shades = {0.5: "#9ecae1", 0.9: "#4292c6", 1.0: "#2171b5", 1.1: "#08306b"}
    dashes = {"tanh": "-", "identity": (0, (5, 2)), "sigmoid": (0, (1, 1.5))}
    for radius, colour in shades.items():
        for squash, dash in dashes.items():
            found = [row for row in rows if (row["squash"], row["radius"]) == (squash, radius)]
            _band(panel, found, colour, label=f"radius {radius}" if squash == "tanh" else None, linestyle=dash)
    for squash, word in (("tanh", "tanh"), ("identity", "linear"), ("sigmoid", "logistic")):
        panel.plot([], [], color="#57606a", linestyle=dashes[squash], label=word)


def _forgetting(panel: Any, rows: Rows) -> None:
    for bias, colour in enumerate(["#c7e9c0", "#a1d99b", "#74c476", "#41ab5d", "#238b45", "#005a32"]):
        found = [row for row in rows if (row["bias"], row["weights"]) == (bias, RANDOM)]
        _band(panel, found, colour, label=f"forget bias {bias}")


def _taught(panel: Any, rows: Rows) -> None:
    for which, (label, colour) in TAUGHT.items():
        nets = [row for row in rows if (row["cell"], row["bias"]) == which]
        for when, dash in (("fresh", (0, (1, 1.5))), ("trained", "-")):
            found = [{"lags": net[when]["lags"], "norm": net[when]["whole"]} for net in nets]
            _band(panel, found, colour, label=label if when == "trained" else None, linestyle=dash)
    panel.plot([], [], color="#57606a", linestyle=(0, (1, 1.5)), label="fresh")


def _cosines(panel: Any, rows: Rows) -> None:
    for row in rows:
        colour = TAUGHT[row["cell"], row["bias"]][1]
        panel.plot(*zip(*row["looks"], strict=True), color=colour, linewidth=1, alpha=0.7)
        if row["done"]:
            panel.plot([row["done"]], [row["looks"][-1][1]], "v", color=colour, markersize=5)
    for label, colour in TAUGHT.values():
        panel.plot([], [], color=colour, label=label)
    panel.plot([], [], "v", color="#57606a", label="solved")
    panel.set_xlim(-300, 15000)
    panel.locator_params(axis="x", nbins=4)


def _band(panel: Any, rows: Rows, colour: str, **style: Any) -> None:
    """The geometric mean and the range over seeds."""
    if rows:
        norms = torch.tensor([row["norm"] for row in rows], dtype=torch.float64).clamp_min(1e-300)
        panel.plot(rows[0]["lags"], norms.log().mean(0).exp(), color=colour, **{"linewidth": 1.6, **style})
        panel.fill_between(rows[0]["lags"], norms.amin(0), norms.amax(0), color=colour, alpha=0.15, linewidth=0)


def _dress(panel: Any, title: str, along: str) -> None:
    panel.set_title(title, loc="left", fontsize=10)
    panel.set_xlabel(along)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(color="#d0d7de", linewidth=0.6)
    panel.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
