"""The figure: lines of ink with what was read where, and errors by what was known of the language."""

from pathlib import Path
from typing import Any

import numpy as np

from carousel import Transcriber
from carousel.data.ink import Ink, InkFrontend

Results = dict[str, dict[str, Any]]
WAYS = {"alone": "network alone", "dictionary": "and a dictionary", "words": "and words' shares", "pairs": "and pairs"}


def reading(model: Transcriber, ink: Ink, truth: str) -> dict[str, Any]:
    """A line's ink, and at which point of it the network was surest of each symbol."""
    assert isinstance(model.frontend, InkFrontend)
    places, said = model.frontend.places(ink), model.transcribe([ink])[0]
    symbols = [[own.symbol, *places[int(own.start)].round(2).tolist()] for own in said.symbols]
    return {
        "truth": truth,
        "text": said.text,
        "symbols": symbols,
        "strokes": [stroke.round(2).tolist() for stroke in ink.strokes],
    }


def draw_readings(results: Results, path: Path) -> None:
    """Draw a string of digits, a line of words, and the error rates on lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 6.4), layout="constrained")
    above, middle, below = figure.subplots(3, 1, height_ratios=(1, 1, 1.5))
    _draw_line(above, results["digits blstm seed 0"]["shown"], "Digits of PenDigits, in one way of the pen")
    _draw_line(middle, results["words seed 0"]["shown"], "A line in a hand of a pen font")
    _draw_rates(below, [row["rates"] for name, row in results.items() if name.startswith("words")])
    figure.savefig(path, dpi=130, metadata={"Software": None})


def _draw_line(panel: Any, shown: dict[str, Any], title: str) -> None:
    for stroke in shown["strokes"]:
        panel.plot(*np.array(stroke).T, color="#1b2430", linewidth=1.2)
    points = np.concatenate([np.array(stroke) for stroke in shown["strokes"]])
    top = points[:, 1].max() + 0.25 * np.ptp(points[:, 1])
    for symbol, x, y in shown["symbols"]:
        panel.plot([x, x], [y, top], color="#0072b2", linewidth=0.6)
        panel.plot(x, y, "o", color="#0072b2", markersize=3)
        panel.text(x, top, symbol if symbol.strip() else "\u2423", color="#0072b2", ha="center", va="bottom")
    panel.set_title(f"{title}: read as {shown['text']!r}", loc="left", fontsize=10, fontweight="bold", pad=14)
    panel.set_aspect("equal")
    panel.axis("off")


def _draw_rates(panel: Any, rates: list[dict[str, dict[str, float]]]) -> None:
    places = np.arange(len(WAYS))
    for shift, (rate, name, colour) in enumerate((("cer", "characters", "#0072b2"), ("wer", "words", "#d55e00"))):
        values = np.array([[seed[way][rate] for way in WAYS] for seed in rates])
        at = places + 0.36 * (shift - 0.5)
        panel.bar(at, 100 * values.mean(0), 0.32, color=colour, label=name)
        panel.plot(at, 100 * values.T, "o", color="#1b2430", markersize=2.5)
    panel.set_xticks(places, list(WAYS.values()))
    panel.set(ylabel="errors, %")
    panel.set_title("Errors on lines of texts that were not learned", loc="left", fontsize=10, fontweight="bold")
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)
