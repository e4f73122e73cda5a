"""PenDigits: handwritten digits as ways of a pen, by an LSTM that reads them point after point, and by neighbours."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from carousel import SequenceClassifier
from carousel.data.corpora import PenDigits, pendigits
from carousel.data.ink import InkFrontend, InkVariation
from papers.experiment import Parts, Results

Settings = dict[str, Any]
FRONTEND = InkFrontend(
    groups=("offset", "position", "direction", "curvature"), skew=False, slant=False, size="box", spacing=None
)
VARIATION = InkVariation(slant=0.1, turn=0.05, stretch=0.1, waver=0.02)


def parts(settings: Settings) -> Parts:
    """A seed each, and the nearest neighbour."""
    found: Parts = {f"lstm seed {seed}": partial(learned, settings, seed) for seed in range(settings["seeds"])}
    return found | {"neighbours": partial(neighbours, settings)}


def digits(settings: Settings, part: str) -> PenDigits:
    """The first digits of a part, as many as the settings say."""
    whole, count = pendigits(part), settings[part]
    return PenDigits(whole.points[:count], whole.labels[:count])


def learned(settings: Settings, seed: int) -> dict[str, Any]:
    """Learn from the digits and from further hands; wrong answers in the test."""
    began, rng = time.process_time(), np.random.default_rng(seed)
    training, test = digits(settings, "training"), digits(settings, "test")
    hands = training.ink() + [VARIATION(ink, rng) for _ in range(settings["copies"]) for ink in training.ink()]
    classifier = SequenceClassifier(
        hidden_size=settings["hidden_size"],
        max_epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        validation_fraction=0,
        random_state=seed,
    )
    classifier.fit([FRONTEND.features(ink) for ink in hands], np.tile(training.labels, 1 + settings["copies"]))
    found = classifier.predict([FRONTEND.features(ink) for ink in test.ink()])
    confused = [[int(truth), int(one)] for truth, one in zip(test.labels, found, strict=True) if truth != one]
    return {"right": 1 - len(confused) / len(test), "confused": confused, "seconds": time.process_time() - began}


def neighbours(settings: Settings) -> dict[str, Any]:
    """The nearest neighbour by the sixteen coordinates."""
    training, test = digits(settings, "training"), digits(settings, "test")
    nearest = KNeighborsClassifier(1).fit(training.points.reshape(-1, 16), training.labels)
    return {"right": float(nearest.score(test.points.reshape(-1, 16), test.labels))}


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    nets = [row["right"] for name, row in results.items() if name.startswith("lstm")]
    return {"lstm": nets, "neighbours": [results["neighbours"]["right"]]}


def draw(results: Results, path: Path) -> None:
    """The figure: which digits the nets take for which, mistakes of all seeds together."""
    from matplotlib.figure import Figure

    counts = np.zeros((10, 10), dtype=int)
    for name, row in results.items():
        for truth, found in row["confused"] if name.startswith("lstm") else ():
            counts[truth, found] += 1
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    panel = figure.subplots()
    panel.imshow(counts, cmap="Blues")
    for truth, found in np.argwhere(counts):
        colour = "white" if counts[truth, found] > counts.max() / 2 else "black"
        panel.text(found, truth, counts[truth, found], ha="center", va="center", fontsize=8, color=colour)
    panel.set(xticks=range(10), yticks=range(10), xlabel="taken for", ylabel="digit")
    panel.set_title("Mistakes of all nets", loc="left", fontsize=10, fontweight="bold")
    figure.savefig(path, dpi=130, metadata={"Software": None})
