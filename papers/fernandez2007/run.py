"""Keywords in running speech: a network that learned them, one of phones that is searched, a hidden Markov model."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from carousel import KeywordSpotter, Sequences, Transcriber
from carousel.data.audio import SpeechFrontend, frame_labels
from carousel.data.corpora import Voice, spoken
from carousel.metrics import all_keywords, error_rate, figure_of_merit, keyword_counts, operating_point
from carousel.tasks import spot_keywords
from papers.experiment import Parts, Results
from papers.fernandez2007.russian import material, spellings_of
from papers.fernandez2007.talk import KEYWORDS, Speech, plain, speech

Settings = dict[str, Any]
Found = list[list[str]]


def parts(settings: Settings) -> Parts:
    """A network and a seed each; real speech and the hidden Markov model, if they are to be `measured`."""
    own = ("seeds", "phone_seeds", "russian", "hmm", "long")
    plan = {key: value for key, value in settings.items() if key not in own}
    found: Parts = {f"spotter seed {seed}": partial(spotter, plan, seed) for seed in range(settings["seeds"])}
    found |= {f"phones seed {seed}": partial(phones, plan, seed) for seed in range(settings["phone_seeds"])}
    if settings["russian"]["measured"]:
        found["russian phones"] = partial(russian_phones, plan)
    if settings["hmm"]["measured"]:
        found["hmm"] = partial(markov, plan, settings["hmm"]["every"])
    return found


def data(settings: Settings) -> dict[str, Speech]:
    """The three parts; the same recordings for every network."""
    frontend = frontend_of(settings)
    return {part: speech(part, settings[part], 0, frontend) for part in ("training", "validation", "test")}


def frontend_of(settings: Settings) -> SpeechFrontend:
    """What makes features of sound."""
    names = ("rate", "bands", "cepstra", "deltas", "step")
    return SpeechFrontend(**{name: settings[name] for name in names})


def network(settings: Settings, seed: int, **changed: Any) -> dict[str, Any]:
    """The options of every network."""
    names = ("hidden_size", "learning_rate", "batch_size", "dropout")
    options = {name: settings[name] for name in names}
    return {
        **options, "cell": "peephole", "buckets": 4, "validation_fraction": 0, "random_state": seed,
        "max_epochs": settings["epochs"], "frontend": frontend_of(settings), **changed,
    }  # fmt: skip


def as_input(speech: Speech, settings: Settings) -> Sequences:
    """Features, as what the front end made."""
    return Sequences(
        [own.astype(np.float64) for own in speech.features],
        frontend_of(settings).names,
        tuple(map(str, range(len(speech)))),
    )


def scores(truths: Found, found: Found) -> dict[str, float]:
    """Accuracy, where the order counts, and recall and precision, where it does not."""
    counts = all_keywords(keyword_counts(truths, found).values())
    precision = counts.precision if counts.found else 0.0
    return {"accuracy": 1 - error_rate(truths, found).rate, "recall": counts.recall, "precision": precision}


def spotter(settings: Settings, seed: int) -> dict[str, Any]:
    """A network with one output a keyword; its threshold is chosen on the validation part."""
    given = data(settings)
    fitted = KeywordSpotter(keywords=list(KEYWORDS), **network(settings, seed))
    fitted.fit(as_input(given["training"], settings), given["training"].texts)
    inputs, texts = (
        {part: as_input(given[part], settings) for part in given},
        {part: given[part].texts for part in given},
    )

    def at(threshold: float) -> KeywordSpotter:
        return fitted.set_params(threshold=threshold)

    best = max(settings["thresholds"], key=lambda own: at(own).score(inputs["validation"], texts["validation"]))
    own = at(best).evaluate(inputs["test"], texts["test"])
    points = fitted.tradeoff(inputs["test"], texts["test"])
    curve = [[point.false_alarms, point.recall] for point in points]
    counts = {word: list(own) for word, own in fitted.keyword_counts(inputs["test"], texts["test"]).items()}
    return {**own, "threshold": best, "curve": curve, "counts": counts}


def phones(settings: Settings, seed: int) -> dict[str, Any]:
    """A network of phones, searched for keywords that it never learned as words."""
    given = data(settings)
    fitted = Transcriber(**network(settings, seed)).fit(as_input(given["training"], settings), given["training"].phones)
    rate = fitted.error_rates(as_input(given["test"], settings), given["test"].phones)["cer"].rate
    spelt = {word: " ".join(own) for word, own in spellings().items()}
    return {"phone errors": rate, **searched(fitted, given, spelt, settings)}


def searched(fitted: Transcriber, given: dict[str, Any], spelt: dict[str, str], settings: Settings) -> dict[str, Any]:
    """What the search for spelt keywords finds in the test part, at the threshold best on the validation part."""
    found: dict[str, dict[float, Found]] = {}
    for part in ("validation", "test"):
        X = as_input(given[part], settings)
        found[part] = {
            threshold: [
                [own.keyword for own in one]
                for one in spot_keywords(fitted, X, spelt, threshold=threshold, gap=settings["gap"])
            ]
            for threshold in settings["phone_thresholds"]
        }
    truths = {part: given[part].keywords(list(spelt)) for part in found}
    tried = {own: scores(truths["validation"], heard)["accuracy"] for own, heard in found["validation"].items()}
    best = max(tried, key=lambda own: tried[own])
    hours = given["test"].seconds / 3600
    points = [
        operating_point(own, truths["test"], heard, keywords=len(spelt), hours=hours)
        for own, heard in found["test"].items()
    ]
    curve = [[point.false_alarms, point.recall] for point in points]
    own = scores(truths["test"], found["test"][best])
    return {**own, "threshold": best, "curve": curve, "figure_of_merit": figure_of_merit(points)}


def spellings() -> dict[str, list[str]]:
    """Each keyword's phones as the synthesiser says it alone."""
    return {word: plain(spoken(word, Voice("de"))[1].names) for word in KEYWORDS}


def markov(settings: Settings, every: int) -> dict[str, Any]:
    """Chains of phones beside a loop of phones, learned from each so many-th training recording.

    How easily a keyword begins is chosen on the validation part.
    """
    from papers.fernandez2007.hmm import KeywordFiller

    given, frontend = data(settings), frontend_of(settings)
    training = given["training"]
    labels = [
        np.array([plain((name,), pause=True)[0] for name in frame_labels(own, frontend, len(frames))])
        for own, frames in zip(training.segments[::every], training.features[::every], strict=True)
    ]
    model = KeywordFiller(spellings(), settings["states"], settings["mixtures"], 0).fit(
        training.features[::every], labels
    )
    truths = {part: given[part].keywords(KEYWORDS) for part in given}
    tried = {
        entrance: scores(truths["validation"], model.spot(given["validation"].features, entrance))["accuracy"]
        for entrance in settings["entrances"]
    }
    best = max(tried, key=lambda own: tried[own])
    return {**scores(truths["test"], model.spot(given["test"].features, best)), "entrance": best}


def russian_phones(settings: Settings) -> dict[str, Any]:
    """Real speech: a network of phones, searched."""
    given = material(frontend_of(settings), every=4)
    fitted = Transcriber(**network(settings, 0)).fit(as_input(given["training"], settings), given["training"].phones)
    rate = fitted.error_rates(as_input(given["test"], settings), given["test"].phones)["cer"].rate
    return {"phone errors": rate, **searched(fitted, given, spellings_of(), settings)}


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    own = [row for name, row in results.items() if name.startswith("spotter")]
    searched = [row for name, row in results.items() if name.startswith("phones")]
    found = {
        "accuracy": [row["accuracy"] for row in own],
        "recall": [row["recall"] for row in own],
        "precision": [float(np.nan_to_num(row["precision"])) for row in own],
        "merit": [row["figure_of_merit"] for row in own],
        "phones": [row["accuracy"] for row in searched],
        "phones_merit": [row["figure_of_merit"] for row in searched],
    }
    if "hmm" in results:
        found["hmm"] = [results["hmm"]["accuracy"]]
    if "russian phones" in results:
        found["russian_phones"] = [results["russian phones"]["accuracy"]]
        found["russian_merit"] = [results["russian phones"]["figure_of_merit"]]
    return found


def draw(results: Results, path: Path) -> None:
    """The figure: found keywords against false alarms, a line a seed; and accuracies."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.3, 1])
    for kind, colour, label in (("spotter", "#d55e00", "learned keywords"), ("phones", "#4292c6", "phones, searched")):
        rows = [row for name, row in results.items() if name.startswith(kind)]
        for row, said in zip(rows, [label] + [None] * len(rows), strict=False):
            x, y = zip(*row["curve"], strict=True)
            left.plot(x, 100 * np.array(y), ".-", color=colour, linewidth=1, markersize=4, label=said)
    left.set_xlim(0, 40)
    left.set_xlabel("false alarms a keyword and hour")
    left.set_ylabel("found, %")
    left.legend(frameon=False, fontsize=8)
    left.set_title("Keywords of voices never heard before", loc="left", fontsize=10, fontweight="bold")
    found = claims(results)
    titles = {"accuracy": "BLSTM, keywords", "phones": "BLSTM, phones,\nsearched", "hmm": "HMM, keywords\nand filler"}
    titles = {name: title for name, title in titles.items() if name in found}
    means = [100 * float(np.mean(found[name])) for name in titles]
    bars = right.barh([*titles.values()], means, color=["#d55e00", "#4292c6", "#8c959f"][: len(means)])
    right.bar_label(bars, fmt=" %.1f", fontsize=8)
    right.invert_yaxis()
    right.set_title("Accuracy, %", loc="left", fontsize=10, fontweight="bold")
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130, metadata={"Software": None})
