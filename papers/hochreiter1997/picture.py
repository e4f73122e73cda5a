"""The figure of this paper: how nets come to be right."""

from pathlib import Path

TITLES = {
    "reber3x2": ("embedded Reber, 3 of 2", 8440),
    "lag1000": ("lag 1,000 (2c)", 49000),
    "lag500": ("lag 500 (2c)", 38000),
    "noise3a": ("signal and noise (3a)", 39850),
    "noise3c": ("noise on targets too (3c)", 269650),
    "adding100": ("adding, 100 steps (4)", 74000),
    "order6a": ("order of two (6a)", 31390),
    "order6b": ("order of three (6b)", 571100),
}
"""A panel's title, and the mean of the paper."""
Curves = list[tuple[list[float], list[float], int]]


def drawn(panels: dict[str, Curves], path: Path) -> None:
    """A panel for each experiment: shares of right strings by strings learned from, a line a net."""
    from matplotlib.figure import Figure

    columns = -(-len(panels) // 2)
    figure = Figure(figsize=(9.6, 5.2), layout="constrained")
    places = list(figure.subplots(2, columns, sharey=True, squeeze=False).flat)
    for panel in places[len(panels) :]:
        panel.set_visible(False)
    for panel, (name, curves) in zip(places, panels.items(), strict=False):
        title, published = TITLES[name]
        for steps, share, done in curves:
            panel.plot(steps, share, color="#4292c6", linewidth=0.9, alpha=0.6)
            if done:
                panel.plot([done], [1.03], marker="v", color="#d55e00", markersize=4, linestyle="", clip_on=False)
        panel.axvline(published, color="#57606a", linestyle=(0, (3, 2)), linewidth=1)
        panel.set_title(title, loc="left", fontsize=9, fontweight="bold")
        panel.locator_params(axis="x", nbins=4)
        panel.ticklabel_format(axis="x", style="plain")
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#d0d7de", linewidth=0.5)
    figure.supxlabel(
        "strings learned from; a mark where a net has solved it, a dashed line at the paper's mean", fontsize=9
    )
    figure.supylabel("share of strings that are right", fontsize=9)
    figure.savefig(path, dpi=110, metadata={"Software": None})
