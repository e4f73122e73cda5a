"""Spoken digits: learned from synthetic voices, heard from real speakers of five languages."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from carousel import SequenceClassifier
from carousel.data.audio import SpeechFrontend
from papers.experiment import Parts, Results
from papers.graves2004.voices import HEARD, UNHEARD, Digits, real, synthetic
from papers.graves2004.warping import nearest

Settings = dict[str, Any]
WAYS = {"plain": (False, False), "varied": (True, False), "normalised": (True, True)}
"""Ways to learn: with variation of the voices, and with features normalised by recording."""


def parts(settings: Settings) -> Parts:
    """A language, a way to learn and a seed each; the nearest recording, by language."""
    plan = {key: value for key, value in settings.items() if key not in ("seeds", "languages", "long")}
    found: Parts = {
        f"{language} {way} seed {seed}": partial(learned, plan, language, way, seed)
        for seed in range(settings["seeds"])
        for language in settings["languages"]
        for way in WAYS
    }
    return found | {f"{language} warping": partial(warped, plan, language) for language in settings["languages"]}


def data(settings: Settings, language: str, way: str) -> dict[str, Digits]:
    """What is learned; voices that are not, of the same kind and as they are varied; and real ones."""
    varied, normalised = WAYS[way]
    frontend = SpeechFrontend(**{name: settings[name] for name in ("rate", "bands", "cepstra", "deltas")})
    found = {
        "training": synthetic(language, HEARD, settings["a_voice"], varied, frontend),
        "unheard": synthetic(language, UNHEARD, 1, True, frontend),
    }
    found |= {"real": real(language, frontend)} if settings["real"] else {}
    return {name: own.normalised() for name, own in found.items()} if normalised else found


def learned(settings: Settings, language: str, way: str, seed: int) -> dict[str, Any]:
    """Train a classifier: the share of digits it names rightly, in each part."""
    given, names = data(settings, language, way), ("hidden_size", "learning_rate", "batch_size", "dropout")
    options = {name: settings[name] for name in names}
    fitted = SequenceClassifier(
        **options, max_epochs=settings["epochs"], pool="attention", validation_fraction=0, random_state=seed
    )
    fitted.fit(given["training"].features, given["training"].digits)
    found: dict[str, Any] = {name: float(fitted.score(own.features, own.digits)) for name, own in given.items()}
    if "real" in given:
        found["said"] = [int(digit) for digit in fitted.predict(given["real"].features)]
    return found


def warped(settings: Settings, language: str) -> dict[str, Any]:
    """The nearest synthetic recording, by features normalised by recording."""
    given = data(settings, language, "normalised")
    training = given.pop("training")
    return {
        name: float(
            np.mean(
                [
                    training.digits[nearest(training.features, one)] == digit
                    for one, digit in zip(own.features, own.digits, strict=True)
                ]
            )
        )
        for name, own in given.items()
    }


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    found = {f"{way}_{part}": _by_seed(results, way, part) for way in WAYS for part in ("unheard", "real")}
    for part in ("unheard", "real"):
        rows = [row[part] for name, row in results.items() if name.endswith("warping") and part in row]
        found[f"warping_{part}"] = [float(np.mean(rows))] if rows else []
    for language in ("en", "es", "fr", "it", "ru"):
        own = [row for name, row in results.items() if name.startswith(f"{language} normalised")]
        found[language] = [row["real"] for row in own if "real" in row]
    return {name: values for name, values in found.items() if values}


def _by_seed(results: Results, way: str, part: str) -> list[float]:
    """The mean over languages, seed by seed."""
    rows: dict[str, list[float]] = {}
    for name, row in results.items():
        if f" {way} seed" in name and part in row:
            rows.setdefault(name.rpartition(" ")[2], []).append(row[part])
    return [float(np.mean(own)) for own in rows.values()]


def draw(results: Results, path: Path) -> None:
    """The figure: digits named rightly, synthetic voices beside real ones."""
    from matplotlib.figure import Figure

    found = claims(results)
    titles = {
        "warping": "nearest recording\n(time warping)", "plain": "LSTM", "varied": "LSTM, varied voices",
        "normalised": "LSTM, varied,\nnormalised",
    }  # fmt: skip
    figure = Figure(figsize=(8.0, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    for shift, part, colour, label in (
        (-0.2, "unheard", "#8c959f", "synthetic voices, unheard"),
        (0.2, "real", "#d55e00", "real speakers"),
    ):
        values = [100 * float(np.mean(found[f"{way}_{part}"])) for way in titles]
        bars = left.bar(np.arange(len(titles)) + shift, values, 0.38, color=colour, label=label)
        left.bar_label(bars, fmt="%.0f", fontsize=8)
    left.set_xticks(range(len(titles)), [*titles.values()], fontsize=8)
    left.set_ylim(0, 118)
    left.axhline(10, color="#24292f", linewidth=0.8, linestyle=":")
    left.legend(frameon=False, fontsize=8, ncols=2, loc="upper left")
    left.set_title("Digits named rightly, %", loc="left", fontsize=10, fontweight="bold")
    languages = [name for name in ("en", "es", "fr", "it", "ru") if name in found]
    bars = right.bar(languages, [100 * float(np.mean(found[name])) for name in languages], color="#d55e00")
    right.bar_label(bars, fmt="%.0f", fontsize=8)
    right.set_ylim(0, 118)
    right.set_title("Real speakers, by language, %", loc="left", fontsize=10, fontweight="bold")
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130, metadata={"Software": None})
