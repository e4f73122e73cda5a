"""Transcribers: files with their texts, of which some are held out."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from carousel.cli.studies.base import Study
from carousel.cli.studies.manifest import ManifestColumns, Transcripts, named_files, read_files, read_transcripts
from carousel.cli.studies.parts import summary
from carousel.data import DataError
from carousel.metrics import edit_distance
from carousel.report import Labels, Line, Results, Score, WorstCase, look_inside
from carousel.tasks import SequenceEstimator, Transcriber
from carousel.tasks.spelling import normalized, symbols_of
from carousel.training import Report

WORST, DRAWN_FRAMES, DRAWN_FEATURES = 6, 500, 6


class TranscriptionStudy(Study):
    """Files with a text each; the test part is another manifest, or drawn by the seed."""

    columns: ClassVar[type] = ManifestColumns

    def __init__(self, estimator: SequenceEstimator, columns: ManifestColumns, seed: int) -> None:
        assert isinstance(estimator, Transcriber)
        self.estimator: Transcriber = estimator
        self.settings = columns
        listed = named_files(columns.path or "", columns)
        if estimator.frontend is None and any(path.suffix != ".npy" for path in listed):
            estimator.frontend = "speech"
        found = read_transcripts(columns.path or "", columns, estimator)
        if columns.test is None:
            kept, held = _split(len(found), columns.test_fraction, seed)
            self.train, self.test = found.take(kept), found.take(held)
        else:
            self.train, self.test = found, read_transcripts(columns.test, columns, estimator)

    def fit_reports(self, checkpoint: Path) -> Iterator[Report]:
        return self.estimator.fit_reports(self.train.sequences, self.train.texts, checkpoint=checkpoint)

    def results(self) -> Results:
        return _results(self.estimator, self.test, _baselines(self.estimator, self.train, self.test))

    def findings(self) -> dict[str, Any]:
        test = self.test.sequences
        labels = Labels(f"held-out file {test.ids[0]!r}", test.features)
        one = test.take(np.array([0]))
        memory = look_inside(self.estimator.network_, lambda: self.estimator.predict(one), labels)
        rates = self.estimator.error_rates(test, self.test.texts)
        said = [f"{name} on the test part: {rate}." for name, rate in rates.items()]
        data = summary(self.train, self.test, self.settings.text, drawn=not self.settings.test, notes=said)
        return {"data": data, "memory": memory, "worst": _worst(self.estimator, self.test)}

    @classmethod
    def predictions(cls, estimator: Any, columns: Any, path: Path) -> dict[str, Any]:
        files = named_files(path, columns)
        return {"file": list(map(str, files)), "predicted": estimator.predict(read_files(files, estimator))}

    @classmethod
    def evaluation(cls, estimator: Any, columns: Any, path: Path | None) -> Results:
        assert path is not None
        return _results(estimator, read_transcripts(path, columns, estimator), {})


def _split(files: int, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the files to learn from and of those held out."""
    held = round(fraction * files)
    if not 0 < fraction < 1 or not 0 < held < files:
        raise DataError(
            f"{fraction:g} of {files} files cannot be held out to test on; give test data by --test, more files, or "
            "another --test-fraction"
        )
    order = np.random.default_rng(seed).permutation(files)
    return np.sort(order[held:]), np.sort(order[:held])


def _results(estimator: Transcriber, test: Transcripts, others: dict[str, list[str]]) -> Results:
    own = estimator.evaluate(test.sequences, test.texts)
    scores = [Score("LSTM", dict(own), is_model=True)]
    scores += [Score(name, dict(estimator.compare(test.texts, found))) for name, found in others.items()]
    return Results(tuple(scores), "cer", True, f"{len(test)} files of {test.source}")


def _baselines(estimator: Transcriber, train: Transcripts, test: Transcripts) -> dict[str, list[str]]:
    """What those would say who do not listen: the commonest text, and that of the training file nearest in length."""
    texts = [normalized(text, estimator.alphabet_) for text in train.texts]
    commonest = Counter(texts).most_common(1)[0][0]
    nearest = [int(np.abs(train.sequences.lengths - length).argmin()) for length in test.sequences.lengths]
    return {"commonest text": [commonest] * len(test), "text of like length": [texts[place] for place in nearest]}


def _worst(estimator: Transcriber, test: Transcripts) -> tuple[WorstCase, ...]:
    """The files with the most errors for their length."""
    alphabet, found = estimator.alphabet_, estimator.predict(test.sequences)
    truths = [normalized(text, alphabet) for text in test.texts]
    rates = []
    for truth, said in zip(truths, found, strict=True):
        symbols = symbols_of(truth, alphabet)
        rates.append(edit_distance(symbols, symbols_of(said, alphabet)) / max(1, len(symbols)))
    order = [int(place) for place in np.argsort(-np.array(rates), kind="stable")[:WORST] if rates[place] > 0]
    return tuple(_case(test, place, rates[place], found[place], truths[place]) for place in order)


def _case(test: Transcripts, place: int, error: float, predicted: str, truth: str) -> WorstCase:
    values, names = test.sequences.values[place][:DRAWN_FRAMES], test.sequences.features
    shown = names or tuple(f"feature {number + 1}" for number in range(values.shape[1]))
    lines = [Line(name, values[:, column]) for column, name in enumerate(shown[:DRAWN_FEATURES])]
    return WorstCase(test.sequences.ids[place], tuple(lines), error, predicted, truth)
