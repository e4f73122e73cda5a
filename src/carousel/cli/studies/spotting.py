"""Keyword spotters: files with the keywords that they hold, of which some are held out."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from carousel.cli.studies.manifest import Manifest, ManifestColumns, Transcripts, read_files
from carousel.cli.studies.readings import frame_times
from carousel.cli.studies.transcription import TranscriptionStudy
from carousel.data import DataError
from carousel.report import (
    KeywordExample,
    KeywordFindings,
    KeywordMark,
    KeywordOutput,
    KeywordScore,
    Results,
    Score,
    ThresholdPoint,
)
from carousel.tasks import KeywordSpotter, SequenceEstimator

EXAMPLES, DRAWN_FRAMES, DRAWN_KEYWORDS = 4, 1500, 8


@dataclass(frozen=True)
class SpottingColumns(ManifestColumns):
    """How a manifest of keywords is read."""

    text: str = field(
        default="text",
        metadata={"help": "column with what they say; words that are no keywords are passed over"},
    )
    symbols: bool = field(
        default=False, metadata={"help": "texts are keywords alone, divided by white space; any other word is an error"}
    )


class SpottingStudy(TranscriptionStudy):
    """Files with a text or a list of keywords each; the test part is another manifest, or drawn by the seed."""

    columns: ClassVar[type] = SpottingColumns

    def __init__(self, estimator: SequenceEstimator, columns: ManifestColumns, seed: int) -> None:
        assert isinstance(estimator, KeywordSpotter)
        super().__init__(estimator, columns, seed)
        self.spotter = estimator
        self.train, self.test = (
            replace(part, texts=estimator.keywords_of(part.texts)) for part in (self.train, self.test)
        )
        if not any(self.test.texts):
            raise DataError(
                f"no keyword is in the {len(self.test)} files held out to test on, so nothing could be measured; name "
                "a manifest by --test, or draw others by --seed"
            )

    def results(self) -> Results:
        return _results(self.spotter, self.test, _baselines(self.train, self.test))

    def findings(self) -> dict[str, Any]:
        return {**super().findings(), "keywords": _keywords(self.spotter, self.test)}

    @classmethod
    def predictions(cls, estimator: Any, columns: Any, path: Path) -> dict[str, Any]:
        files = Manifest(path, columns).files
        found = estimator.spot(read_files(files, estimator))
        rows = [(str(file), own) for file, listed in zip(files, found, strict=True) for own in listed]
        names = ("keyword", "start", "end", "confidence")
        return {"file": [file for file, _ in rows], **{name: [getattr(own, name) for _, own in rows] for name in names}}

    @classmethod
    def evaluation(cls, estimator: Any, columns: Any, path: Path | None) -> Results:
        assert path is not None
        return _results(estimator, Manifest(path, columns).transcripts(estimator), {})


def _results(spotter: KeywordSpotter, test: Transcripts, others: dict[str, list[list[str]]]) -> Results:
    own = spotter.evaluate(test.sequences, test.texts)
    scores = [Score("LSTM", dict(own), is_model=True)]
    divider = spotter.alphabet_.separator or " "
    for name, found in others.items():
        scores.append(Score(name, dict(spotter.compare(test.texts, [divider.join(words) for words in found]))))
    return Results(tuple(scores), "accuracy", False, f"{len(test)} files of {test.source}")


def _baselines(train: Transcripts, test: Transcripts) -> dict[str, list[list[str]]]:
    """What those would find who do not listen: nothing, or the commonest row of keywords."""
    commonest = Counter(map(tuple, train.texts)).most_common(1)[0][0]
    return {"no keyword ever": [[]] * len(test), "commonest keywords": [list(commonest)] * len(test)}


def _keywords(spotter: KeywordSpotter, test: Transcripts) -> KeywordFindings:
    counts = spotter.keyword_counts(test.sequences, test.texts)
    points = spotter.tradeoff(test.sequences, test.texts)
    return KeywordFindings(
        tuple(KeywordScore(word, own.said, own.found, own.hits) for word, own in counts.items()),
        spotter.threshold,
        tuple(ThresholdPoint(*point) for point in points),
        _examples(spotter, test),
    )


def _examples(spotter: KeywordSpotter, test: Transcripts) -> tuple[KeywordExample, ...]:
    """Outputs over the files that hold most keywords, with what was spotted in them."""
    order = sorted(range(len(test)), key=lambda place: -len(test.texts[place]))[:EXAMPLES]
    chosen = test.take(sorted(order))
    heard, outputs = spotter.spot(chosen.sequences), spotter.log_probabilities(chosen.sequences)
    frontend = spotter._frontend()
    hop, (_, start) = None if frontend is None else frontend.hop, frame_times(frontend)
    examples = []
    for place, (found, log_probs) in enumerate(zip(heard, outputs, strict=True)):
        marks = tuple(KeywordMark(own.keyword, own.start, own.end, own.confidence) for own in found)
        lines = _lines(spotter, log_probs[:DRAWN_FRAMES])
        examples.append(
            KeywordExample(chosen.sequences.ids[place], tuple(chosen.texts[place]), lines, marks, hop, start)
        )
    return tuple(examples)


def _lines(spotter: KeywordSpotter, log_probs: Any) -> tuple[KeywordOutput, ...]:
    """The probability of the keywords that are likeliest somewhere, frame by frame, in their order."""
    labels = np.array([spotter.alphabet_.encode(word)[0] for word in spotter.alphabet_.symbols])
    chances = np.exp(log_probs[:, labels])
    shown = sorted(np.argsort(-chances.max(axis=0), kind="stable")[:DRAWN_KEYWORDS].tolist())
    return tuple(KeywordOutput(spotter.alphabet_.symbols[place], chances[:, place]) for place in shown)
