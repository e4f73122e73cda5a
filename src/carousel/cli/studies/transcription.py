"""Transcribers: files with their texts, of which some are held out."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from carousel.cli.studies.base import Study
from carousel.cli.studies.manifest import Manifest, ManifestColumns, Transcripts, acquainted, read_files
from carousel.cli.studies.parts import summary
from carousel.cli.studies.readings import Read, transcription_findings
from carousel.data import DataError
from carousel.report import Labels, Results, Score, look_inside
from carousel.tasks import SequenceEstimator, Transcriber
from carousel.tasks.spelling import normalized
from carousel.training import Report


class TranscriptionStudy(Study):
    """Files with a text each; the test part is another manifest, or drawn by the seed."""

    columns: ClassVar[type] = ManifestColumns

    def __init__(self, estimator: SequenceEstimator, columns: ManifestColumns, seed: int) -> None:
        assert isinstance(estimator, Transcriber)
        self.estimator: Transcriber = estimator
        self.settings = columns
        given = Manifest(columns.path or "", columns)
        listed = given.files
        if estimator.frontend is None and any(path.suffix != ".npy" for path in listed):
            estimator.frontend = "ink" if all(path.suffix == ".json" for path in listed) else "speech"
        found = given.transcripts(estimator)
        if columns.test is None:
            kept, held = _split(len(found), columns.test_fraction, seed)
            self.train, self.test = found.take(kept), found.take(held)
        else:
            self.train, self.test = found, Manifest(columns.test, columns).transcripts(estimator)

    def fit_reports(self, checkpoint: Path) -> Iterator[Report]:
        return self.estimator.fit_reports(self.train.sequences, self.train.texts, checkpoint=checkpoint)

    def results(self) -> Results:
        others = _baselines(self._read.estimator, self.train, self._read.test)
        return _results(self._read, others)

    def findings(self) -> dict[str, Any]:
        estimator, test = self._read.estimator, self._read.test.sequences
        labels = Labels(f"held-out file {test.ids[0]!r}", test.features)
        one = test.take(np.array([0]))
        memory = look_inside(estimator.network_, lambda: estimator.predict(one), labels)
        data = summary(self.train, self.test, self.settings.text, drawn=not self.settings.test)
        return {"data": data, "memory": memory, "transcription": transcription_findings(self._read)}

    @cached_property
    def _read(self) -> Read:
        return _found(self.estimator, self.test)

    @classmethod
    def predictions(cls, estimator: Any, columns: Any, path: Path) -> dict[str, Any]:
        given = Manifest(path, columns)
        own, sequences = acquainted(estimator, read_files(given.files, estimator, given.speakers))
        return {"file": list(map(str, given.files)), "predicted": own.predict(sequences)}

    @classmethod
    def evaluation(cls, estimator: Any, columns: Any, path: Path | None) -> Results:
        assert path is not None
        return _results(_found(estimator, Manifest(path, columns).transcripts(estimator)), {})


def _found(estimator: Transcriber, test: Transcripts) -> Read:
    """What the estimator finds in the files, after it was said how it deals with strangers among them."""
    own, sequences = acquainted(estimator, test.sequences)
    return Read(own, replace(test, sequences=sequences), own.transcribe(sequences))


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


def _results(read: Read, others: dict[str, list[str]]) -> Results:
    estimator, test = read.estimator, read.test
    own = estimator.compare(test.texts, [found.text for found in read.found])
    scores = [Score("LSTM", dict(own), is_model=True)]
    scores += [Score(name, dict(estimator.compare(test.texts, found))) for name, found in others.items()]
    return Results(tuple(scores), "cer", True, f"{len(test)} files of {test.source}")


def _baselines(estimator: Transcriber, train: Transcripts, test: Transcripts) -> dict[str, list[str]]:
    """What those would say who do not listen: the commonest text, and that of the training file nearest in length."""
    texts = [normalized(text, estimator.alphabet_) for text in train.texts]
    commonest = Counter(texts).most_common(1)[0][0]
    nearest = [int(np.abs(train.sequences.lengths - length).argmin()) for length in test.sequences.lengths]
    return {"commonest text": [commonest] * len(test), "text of like length": [texts[place] for place in nearest]}
