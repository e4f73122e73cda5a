"""Online handwriting without segmentation: strings of real digits, and written words with and without a dictionary."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from carousel import Transcriber
from carousel.data.corpora import pendigits
from carousel.data.ink import InkFrontend
from carousel.decoding import NGram, PrefixBeam, TokenPassing, best_path
from papers.experiment import Parts, Results
from papers.graves2008.lines import (
    LETTERS,
    Lines,
    in_hand,
    new_words,
    running_text,
    strings,
    text_lines,
    vocabulary,
)
from papers.graves2008.picture import draw_readings, reading

Settings = dict[str, Any]
NETS = {"blstm": True, "lstm": False}
RATES = [(way, rate) for way in ("alone", "pairs") for rate in ("cer", "wer")]
RATES += [("dictionary", "wer"), ("words", "wer"), ("new", "cer")]


def parts(settings: Settings) -> Parts:
    """A seed each: the digits in both directions and forwards only, and the words; the nearest neighbour."""
    found: Parts = {"neighbours": partial(neighbours, settings["digits"], 0)}
    for seed in range(settings["seeds"]):
        for net in NETS:
            found[f"digits {net} seed {seed}"] = partial(digits, settings["digits"], net, seed)
        if seed < settings["words"]["seeds"]:
            found[f"words seed {seed}"] = partial(words, settings["words"], seed)
    return found


def transcriber(settings: Settings, seed: int, **options: Any) -> Transcriber:
    """The network of the settings, not trained yet."""
    return Transcriber(
        **options,
        hidden_size=settings["hidden_size"],
        max_epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        buckets=8,
        validation_fraction=0,
        random_state=seed,
    )


def digits(settings: Settings, net: str, seed: int) -> dict[str, Any]:
    """Learn strings of digits, of which nobody says where one ends; errors on strings of other digits."""
    began, rng = time.process_time(), np.random.default_rng(seed)
    frontend = InkFrontend(
        groups=("offset", "height", "direction", "curvature"), size="box", spacing=settings["spacing"], lifts=False
    )
    training, test = strings(settings, "training", rng), strings(settings, "test", rng)
    model = transcriber(settings, seed, frontend=frontend, bidirectional=NETS[net]).fit(training.inks, training.texts)
    rates = model.evaluate(model.features(test.inks), test.texts)
    return {**rates, "shown": _shown(model, test), "seconds": time.process_time() - began}


def neighbours(settings: Settings, seed: int) -> dict[str, Any]:
    """Errors of the nearest single digit for each digit of the same test strings, told where each begins and ends."""
    training, rng = pendigits("training"), np.random.default_rng(seed)
    strings(settings, "training", rng)
    test = strings(settings, "test", rng)
    nearest = KNeighborsClassifier(1).fit([_shape(points) for points in training.points], training.labels)
    found = nearest.predict([_shape(stroke) for ink in test.inks for stroke in ink.strokes])
    return {"cer": float(np.mean([str(own) for own in found] != np.array(list("".join(test.texts)))))}


def _shape(points: Any) -> Any:
    """What place and size leave of a digit."""
    middle = points - points.mean(0)
    return (middle / middle.std()).ravel()


def words(settings: Settings, seed: int) -> dict[str, Any]:
    """Learn lines of words; errors on lines of other texts, with and without what is known of the language."""
    began, rng = time.process_time(), np.random.default_rng(seed)
    training, test = text_lines(settings, "training", rng), text_lines(settings, "test", rng)
    frontend = InkFrontend(spacing=settings["spacing"])
    model = transcriber(settings, seed, frontend=frontend, alphabet=LETTERS).fit(training.inks, training.texts)
    heard = model.log_probabilities(model.features(test.inks))
    found = {name: [decoder(each)[0].text for each in heard] for name, decoder in decoders(settings, model).items()}
    rates = {name: model.compare(test.texts, texts) for name, texts in found.items()}
    alone = new_words(settings)[: settings["test"]]
    rates["new"] = model.evaluate([in_hand(word, settings, rng) for word in alone], alone)
    known = {*vocabulary("training", settings["letters"])}
    spoken = [word for text in test.texts for word in text.split()]
    unknown = float(np.mean([word not in known for word in spoken]))
    shown = _shown(model, test)
    return {"rates": rates, "unknown": unknown, "shown": shown, "seconds": time.process_time() - began}


def decoders(settings: Settings, model: Transcriber) -> dict[str, Any]:
    """Ways to read the network's outputs: as they are, by a dictionary, and by that and pairs of words."""
    known = vocabulary("training", settings["letters"])
    lines = [line.split() for line in running_text("training", settings["letters"])]
    alphabet, single, pairs = model.alphabet_, NGram.estimate(lines, 1), NGram.estimate(lines, 2)
    return {
        "alone": lambda heard: best_path(heard, None, alphabet),
        "dictionary": TokenPassing(alphabet, known, spaced=True),
        "words": TokenPassing(alphabet, known, single, spaced=True),
        "pairs": PrefixBeam(alphabet, settings["beam"], pairs, words="known", dictionary=known),
    }


def _shown(model: Transcriber, test: Lines) -> dict[str, Any]:
    """The first of the longest lines, and how it was read, for the figure."""
    longest = max(range(len(test.texts)), key=lambda place: len(test.texts[place]))
    return reading(model, test.inks[longest], test.texts[longest])


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    found: dict[str, list[float]] = {}
    for net in NETS:
        rows = [row for name, row in results.items() if name.startswith(f"digits {net}")]
        found |= {f"{net}_{rate}": [row[rate] for row in rows] for rate in ("cer", "exact")}
    lines = [row for name, row in results.items() if name.startswith("words")]
    for way, rate in RATES:
        found[f"{way}_{rate}"] = [row["rates"][way][rate] for row in lines]
    found["neighbours_cer"] = [results["neighbours"]["cer"]]
    return found | {"unknown": [row["unknown"] for row in lines]}


def draw(results: Results, path: Path) -> None:
    """The figure: a string and a line as they were read, and the errors by what was known of the language."""
    draw_readings(results, path)
