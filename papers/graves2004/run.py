"""Spoken digits: learned from synthetic voices, heard from real speakers of five languages."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from carousel import SequenceClassifier
from carousel.data.audio import SpeechFrontend
from papers.experiment import Parts, Results
from papers.graves2004.voices import HEARD, MANY, OTHER, UNHEARD, Digits, real, synthetic
from papers.graves2004.warping import nearest

Settings = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """A way to learn: with variation of the voices, with features normalised by recording, and from how many voices.

    Of many voices recordings are trimmed, and those that are learned have noise on their features.
    """

    varied: bool = True
    normalised: bool = True
    many: bool = False


WAYS = {"plain": Way(False, False), "varied": Way(normalised=False), "normalised": Way(), "many": Way(many=True)}


def parts(settings: Settings) -> Parts:
    """A language, a way to learn and a seed each; the nearest recording, by language and way."""
    plan = {key: value for key, value in settings.items() if key not in ("seeds", "many_seeds", "languages", "long")}
    found: Parts = {
        f"{language} {way} seed {seed}": partial(learned, plan, language, way, seed)
        for language in settings["languages"]
        for way in WAYS
        for seed in range(settings["many_seeds" if WAYS[way].many else "seeds"])
    }
    for way in ("normalised", "many"):
        found |= {
            f"{language} warping {way}": partial(warped, plan, language, way) for language in settings["languages"]
        }
    return found


def data(settings: Settings, language: str, way: str) -> dict[str, Digits]:
    """What is learned; voices that are not, of the same kind and as they are varied; and real ones."""
    how, each = WAYS[way], settings["a_voice"]
    frontend = SpeechFrontend(**{name: settings[name] for name in ("rate", "bands", "cepstra", "deltas")})
    voices = MANY[:: settings["many"]["every"]] if how.many else HEARD
    found = {
        "training": synthetic(language, voices, each, how.varied, frontend),
        "unheard": synthetic(language, UNHEARD, 1, True, frontend),
    }
    found |= {"real": real(language, frontend)} if settings["real"] else {}
    if how.many:
        found["other"] = synthetic(language, OTHER, 2, True, frontend)
        found = {name: own.trimmed() for name, own in found.items()}
    return {name: own.normalised() for name, own in found.items()} if how.normalised else found


def learned(settings: Settings, language: str, way: str, seed: int) -> dict[str, Any]:
    """Train a classifier: the share of digits it names rightly, in each part."""
    given, names = data(settings, language, way), ("hidden_size", "learning_rate", "batch_size", "dropout", "epochs")
    options = {name: settings[name] for name in names} | (settings["many"]["options"] if WAYS[way].many else {})
    fitted = SequenceClassifier(
        max_epochs=options.pop("epochs"), **options, pool="attention", validation_fraction=0, random_state=seed
    )
    jitter = settings["many"]["jitter"] if WAYS[way].many else 0.0
    training = given["training"].jittered(jitter, seed) if jitter else given["training"]
    fitted.fit(training.features, training.digits)
    found: dict[str, Any] = {name: float(fitted.score(own.features, own.digits)) for name, own in given.items()}
    if "real" in given:
        found["said"] = [int(digit) for digit in fitted.predict(given["real"].features)]
        found["probabilities"] = np.round(fitted.predict_proba(given["real"].features), 4).tolist()
    return found


def warped(settings: Settings, language: str, way: str) -> dict[str, Any]:
    """The nearest synthetic recording, by features normalised by recording; of many, for real speakers alone."""
    given = data(settings, language, way)
    training = given.pop("training")
    if WAYS[way].many:
        given = {name: own for name, own in given.items() if name == "real"}
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
    found["many_other"] = _by_seed(results, "many", "other")
    for way, part in (("normalised", "unheard"), ("normalised", "real"), ("many", "real")):
        rows = [row[part] for name, row in results.items() if name.endswith(f"warping {way}") and part in row]
        found[f"warping_{way}_{part}"] = [float(np.mean(rows))] if rows else []
    for language in ("en", "es", "fr", "it", "ru"):
        own = [row for name, row in results.items() if name.startswith(f"{language} many")]
        found[language] = [row["real"] for row in own if "real" in row]
    found["together"] = _together(results)
    return {name: values for name, values in found.items() if values}


def _together(results: Results) -> list[float]:
    """The share of real digits that the mean of all nets of a language names rightly."""
    said: dict[str, list[Any]] = {}
    for name, row in results.items():
        if " many seed" in name and "probabilities" in row:
            said.setdefault(name.split()[0], []).append(row["probabilities"])
    right = [np.mean(own, axis=0).argmax(1) == np.arange(10) for own in said.values()]
    return [float(np.mean(right))] if right else []


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
        "warping_normalised": "nearest of\n9 voices", "warping_many": "nearest of\n82 voices",
        "plain": "LSTM,\n9 voices", "varied": "LSTM,\nvaried", "normalised": "LSTM,\nnormalised",
        "many": "LSTM,\n82 voices", "together": "ten nets,\n82 voices",
    }  # fmt: skip
    found["together_real"] = found["together"]
    figure = Figure(figsize=(9.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    for shift, part, colour, label in (
        (-0.2, "unheard", "#8c959f", "synthetic voices, unheard"),
        (0.2, "real", "#d55e00", "real speakers"),
    ):
        values = [100 * float(np.mean(found.get(f"{way}_{part}", [np.nan]))) for way in titles]
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
