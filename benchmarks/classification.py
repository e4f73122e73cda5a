"""Classification: vowels and motions of the UEA archive, beside simple rules and published figures."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import environment
from benchmarks.results import Entry, Result
from benchmarks.supervised import SEEDS, Task, measured
from carousel.data import Labelled, read
from carousel.tasks import SequenceClassifier

ABOUT = {
    "JapaneseVowels": "nine speakers say two vowels: 270 and 370 series of 7 to 29 steps, 12 channels (UEA archive)",
    "BasicMotions": "four motions with a smartwatch: 40 and 40 series of 100 steps, 6 channels (UEA archive)",
}
PUBLISHED = {"JapaneseVowels": {"1-NN, dynamic time warping": 0.95, "MiniRocket": 0.984}}
"""Test accuracy as reported for the archive's own split, about; not measured here."""


def results() -> Iterator[Result]:
    """Measure one data set after the other."""
    folder = environment.data()
    for name in ABOUT:
        yield measured(task(name, folder / f"{name}_TRAIN.ts", folder / f"{name}_TEST.ts"))


def task(name: str, train: Path, test: Path, options: Mapping[str, Any] | None = None) -> Task:
    """Our classifier with its defaults (or options) on the files of one split."""
    published = [Entry(who, "published", {"accuracy": [value]}) for who, value in PUBLISHED.get(name, {}).items()]
    return Task(
        name=f"classification-{name}",
        title=f"Classifying {name}",
        data=ABOUT.get(name, name),
        protocol=f"The archive's own split, defaults, seeds {', '.join(map(str, SEEDS))}, test figures, one thread.",
        estimator=SequenceClassifier,
        train=_labelled(train),
        test=_labelled(test),
        fit=("classify", train, "--test", test),
        test_path=test,
        command="classification",
        options=options or {},
        published=tuple(published),
    )


def _labelled(path: Path) -> Labelled:
    found = read(path)
    assert isinstance(found, Labelled), f"{path} has no labels"
    return found
