"""Framewise phones of real speech: the paper's networks at about as many weights, and a hidden Markov model."""

import time
from functools import lru_cache, partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from carousel import SequenceLabeler
from carousel.data import corpora
from carousel.data.audio import SpeechFrontend, frame_labels
from papers.experiment import Parts, Results
from papers.graves2005.nets import labeler, weights

Settings = dict[str, Any]
Material = dict[str, tuple[list[Any], list[Any]]]
NETS = ("blstm", "brnn", "lstm_delay", "rnn_delay", "lstm", "rnn", "mlp", "frame")
BEHIND = {
    "blstm": NETS[1:],
    "brnn": ("lstm_delay", "rnn_delay"),
    "lstm_delay": ("rnn_delay", "lstm", "mlp"),
    "lstm": ("frame",),
    "rnn": ("frame",),
    "mlp": ("frame",),
}
"""Nets that each leaves behind in the paper, where it makes a point of it."""


def parts(settings: Settings) -> Parts:
    """A net and a seed each; the hidden Markov model; it and the best net on a part of the training utterances."""
    plan = {name: value for name, value in settings.items() if name not in ("seeds", "more_seeds", "fewer", "long")}
    found: Parts = {"hmm": partial(markov, plan)}
    for net in NETS:
        for seed in range(settings["more_seeds"].get(net, settings["seeds"])):
            found[f"{net} seed {seed}"] = partial(learned, plan, net, seed)
    if settings["fewer"]:
        few = plan | {"training_every": settings["fewer"]}
        found |= {"fewer hmm": partial(markov, few), "fewer blstm": partial(learned, few, "blstm", 0)}
    return found


@lru_cache(maxsize=4)
def material(sample: bool, every: int, frontend: SpeechFrontend) -> Material:
    """Features and the phone of each frame, by the part of the set.

    Of the sample, one utterance is for the test, and the same one stands in for validation.
    """
    if not sample:
        corpora.fetch("festvox-ru")
    found: Material = {name: ([], []) for name in ("training", "validation", "test")}
    for place, utterance in enumerate(corpora.festvox_sample() if sample else corpora.festvox_ru()):
        features = frontend.features(utterance.recording())
        labels = frame_labels(utterance.phones, frontend, len(features))
        part = utterance.part if not sample else "test" if place == 0 else "training"
        if part != "training" or place % every == 0:
            for name in (part, "validation") if sample and part == "test" else (part,):
                found[name][0].append(features)
                found[name][1].append(labels)
    return found


def data(settings: Settings, deltas: int) -> Material:
    """The material that the settings name."""
    frontend = SpeechFrontend(bands=settings["bands"], cepstra=settings["cepstra"], deltas=deltas)
    return material(settings["sample"], settings["training_every"], frontend)


def learned(settings: Settings, net: str, seed: int) -> dict[str, Any]:
    """Train a net: accuracy by frame on all three parts, weights, seconds of the processor."""
    began, given = time.process_time(), data(settings, settings["deltas"])
    fitted = labeler(net, settings, seed).fit(*given["training"])
    scores = {name: fitted.score(*given[name]) for name in ("validation", "test")}
    if net == "blstm":
        scores["decoded"] = decoded(settings, fitted, given)
    losses = [row["loss"] for row in fitted.history_]
    seconds = time.process_time() - began
    return {**scores, "weights": weights(fitted.network_), "losses": losses, "seconds": seconds}


def decoded(settings: Settings, fitted: SequenceLabeler, given: Material) -> float:
    """Accuracy on the test part along the best path, its bigram weight chosen on the validation part."""
    from papers.graves2005.hybrid import Hybrid

    hybrid = Hybrid(fitted, given["training"][1])
    best = max(settings["bigram_weights"], key=lambda weight: hybrid.score(*given["validation"], weight))
    return hybrid.score(*given["test"], best)


def markov(settings: Settings) -> dict[str, Any]:
    """The hidden Markov model, its bigram weight chosen on the validation part."""
    from papers.graves2005.hmm import PhoneModel

    began, given = time.process_time(), data(settings, settings["hmm_deltas"])
    model = PhoneModel(settings["states"], settings["mixtures"], 0).fit(*given["training"])
    tried = {weight: model.score(*given["validation"], weight) for weight in settings["bigram_weights"]}
    best = max(tried, key=lambda weight: tried[weight])
    scores = {"validation": tried[best], "test": model.score(*given["test"], best)}
    return {**scores, "bigram_weight": best, "seconds": time.process_time() - began}


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    found = {net: [row["test"] for name, row in results.items() if name.startswith(f"{net} seed")] for net in NETS}
    ordered = [_in_order(dict(zip(NETS, test, strict=True))) for test in zip(*found.values(), strict=False)]
    hybrid = [row["decoded"] for name, row in results.items() if name.startswith("blstm seed")]
    found |= {"hybrid": hybrid, "hmm": [results["hmm"]["test"]], "order": ordered}
    if "fewer blstm" in results:
        best, other = results["fewer blstm"], results["fewer hmm"]
        found |= {"fewer_blstm": [best["test"]], "fewer_hmm": [other["test"]], "fewer_hybrid": [best["decoded"]]}
    return found


def _in_order(test: dict[str, float]) -> float:
    """The share of the paper's comparisons between architectures that come out as there."""
    pairs = ((better, worse) for better, others in BEHIND.items() for worse in others)
    return fmean(test[better] > test[worse] for better, worse in pairs)


def draw(results: Results, path: Path) -> None:
    """The figure: accuracy on the test part, a bar a net, and the hidden Markov model."""
    from matplotlib.figure import Figure

    titles = {
        "blstm": "BLSTM",
        "brnn": "BRNN",
        "lstm_delay": "LSTM, delay",
        "rnn_delay": "RNN, delay",
        "lstm": "LSTM",
        "rnn": "RNN",
        "mlp": "MLP, window",
        "frame": "MLP, one frame",
        "hmm": "HMM with bigram",
        "hybrid": "BLSTM with bigram",
    }
    found = claims(results)
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    panel = figure.subplots()
    means = [100 * float(np.mean(found[net])) for net in titles]
    colours = [
        "#d55e00" if "LSTM" in title else "#8c959f" if "HMM" in title else "#4292c6" for title in titles.values()
    ]
    bars = panel.barh([*titles.values()], means, color=colours)
    panel.bar_label(bars, fmt=" %.1f", fontsize=8)
    panel.invert_yaxis()
    panel.set_title("Frames of real speech whose phone is right, in %", loc="left", fontsize=10, fontweight="bold")
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130, metadata={"Software": None})
