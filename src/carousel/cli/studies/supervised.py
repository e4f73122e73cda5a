"""Classifiers, regressors and labelers: series with targets, of which some are held out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from carousel.cli.studies.base import Study
from carousel.cli.studies.examples import ExampleColumns, Examples, read_examples, read_inputs
from carousel.cli.studies.outcomes import outcome
from carousel.cli.studies.parts import summary
from carousel.data import DataError, Sequences
from carousel.report import Labels, Results, Score, look_inside
from carousel.tasks import SequenceEstimator, SequenceLabeler, baseline_scores
from carousel.training import Report

HIGHER_IS_BETTER = {"accuracy", "balanced_accuracy", "macro_f1", "r2"}


class SupervisedStudy(Study):
    """Series with a target each, or a target a step; the test part is another file, or drawn by the seed."""

    columns: ClassVar[type] = ExampleColumns

    def __init__(self, estimator: SequenceEstimator, columns: ExampleColumns, seed: int) -> None:
        self.estimator, self.settings = estimator, columns
        found = read_examples(columns.path or "", columns, estimator)
        if columns.test is None:
            kept, held = _split(found, columns.test_fraction, seed)
            self.train, self.test = found.take(kept), found.take(held)
        else:
            self.train, self.test = found, read_examples(columns.test, columns, estimator)

    def fit_reports(self, checkpoint: Path) -> Iterator[Report]:
        return self.estimator.fit_reports(self.train.sequences, self.train.targets, checkpoint=checkpoint)

    def results(self) -> Results:
        train, test = self.train, self.test
        others = baseline_scores(self.estimator, train.sequences, train.targets, test.sequences, test.targets)
        return _results(self.estimator, test, others, "that training did not see")

    def findings(self) -> dict[str, Any]:
        test = self.test.sequences
        labels = Labels(f"held-out series {test.ids[0]!r}", test.features)
        memory = look_inside(self.estimator.network_, lambda: self.estimator.predict(_first(test)), labels)
        data = summary(self.train, self.test, self.settings.label or "label", drawn=not self.settings.test)
        return {"data": data, "memory": memory, **outcome(self.estimator, self.test)}

    @classmethod
    def predictions(cls, estimator: Any, columns: Any, path: Path) -> dict[str, Any]:
        inputs = read_inputs(path, columns, estimator)
        if isinstance(estimator, SequenceLabeler):
            return _step_predictions(estimator, inputs)
        predicted = estimator.predict(inputs)
        found: dict[str, Any] = {"series": list(inputs.ids), "predicted": predicted}
        if hasattr(estimator, "classes_"):
            chances = estimator.predict_proba(inputs)
            found |= {f"probability {name}": chances[:, place] for place, name in enumerate(estimator.classes_)}
        return found

    @classmethod
    def evaluation(cls, estimator: Any, columns: Any, path: Path | None) -> Results:
        assert path is not None
        return _results(estimator, read_examples(path, columns, estimator), {})


def _split(found: Examples, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the series to learn from and of those held out, each class in the same share where that can be."""
    held = round(fraction * len(found))
    if not 0 < fraction < 1 or held < 1 or held == len(found):
        raise DataError(
            f"{fraction:g} of {len(found)} series cannot be held out to test on; give test data by --test, "
            "more series, or another --test-fraction"
        )
    labels = None if isinstance(found.targets, list) or found.targets.dtype.kind == "f" else found.targets
    if labels is not None:
        counts = np.unique(labels, return_counts=True)[1]
        labels = labels if counts.min() > 1 and min(held, len(found) - held) >= len(counts) else None
    kept, test = train_test_split(np.arange(len(found)), test_size=held, stratify=labels, random_state=seed)
    return np.sort(kept), np.sort(test)


def _results(estimator: Any, test: Examples, others: dict[str, dict[str, float]], unseen: str = "") -> Results:
    own = estimator.evaluate(test.sequences, test.targets)
    scores = [Score("LSTM", dict(own), is_model=True)]
    scores += [Score(name, dict(values)) for name, values in others.items()]
    metric = next(iter(own))
    where = f"{len(test)} series of {test.source} {unseen}".rstrip()
    return Results(tuple(scores), metric, metric not in HIGHER_IS_BETTER, where)


def _first(sequences: Sequences) -> Sequences:
    return sequences.take(np.array([0]))


def _step_predictions(estimator: SequenceLabeler, inputs: Sequences) -> dict[str, Any]:
    labels, chances = estimator.predict(inputs), estimator.predict_proba(inputs)
    lengths = [len(part) for part in labels]
    together = np.concatenate(chances)
    found: dict[str, Any] = {
        "series": np.repeat(np.array(inputs.ids), lengths),
        "step": np.concatenate([np.arange(length) for length in lengths]),
        "predicted": np.concatenate(labels),
    }
    return found | {f"probability {name}": together[:, place] for place, name in enumerate(estimator.classes_)}
