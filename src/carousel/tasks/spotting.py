"""Keywords found in running speech."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from carousel.data import Alphabet, DataError, Sequences
from carousel.decoding import Hypothesis, KeywordSearch
from carousel.metrics import (
    KeywordCounts,
    OperatingPoint,
    all_keywords,
    error_rate,
    figure_of_merit,
    keyword_counts,
    operating_point,
)
from carousel.tasks.parameters import parameter
from carousel.tasks.spelling import Text, normalized, symbols_of
from carousel.tasks.supervised import check_length
from carousel.tasks.transcription import DECODERS, Transcriber
from carousel.tasks.transcripts import transcription

THRESHOLDS = (*(round(0.05 * step, 2) for step in range(1, 20)), 0.98, 0.99)
GAP = 50
_WORD = r"\w+(?:['’-]\w+)*"


@dataclass(frozen=True)
class Detection:
    """A keyword that was heard, from where to where, and the network's greatest probability of it there."""

    keyword: str
    start: float
    end: float
    confidence: float
    unit: str
    """of start and end: "seconds" or "frames" """


@dataclass(kw_only=True, eq=False, repr=False)
class KeywordSpotter(Transcriber):
    """Find keywords in running speech, with a transcriber that writes nothing else, in scikit-learn's manner.

    X are recordings, as for a `Transcriber`. y says which keywords each of them holds, in their order, perhaps none: a
    list of keywords; or the whole text, whose other words are passed over. Nobody need know when they are spoken: the
    network has an output for each keyword and one for everything else, and learns by connectionist temporal
    classification. `spot` tells where each output rises above the threshold, `predict` the keywords as a text.

    Source: Fernández, Graves & Schmidhuber 2007.
    """

    keywords: list[str] | tuple[str, ...] | None = parameter(
        None, "what to find; None: every word of y, or the symbols of an alphabet"
    )
    threshold: float = parameter(0.5, "the least probability at which a keyword is heard", above=0, below=1)
    decoder: str = parameter(
        "threshold",
        "how outputs become the text of keywords: each that is above the threshold, or the likeliest row of keywords",
        choices=("threshold", *DECODERS),
    )
    head: str = parameter(
        "ctc", "what makes labels of the LSTM's outputs; keywords need probabilities of each frame", choices=("ctc",)
    )

    def spot(self, X: Any, threshold: float | None = None) -> list[list[Detection]]:
        """The keywords heard in each recording, in the order of their beginnings.

        threshold: instead of the parameter; a lower one finds more, and more that was not said.
        """
        check_is_fitted(self)
        return spot_keywords(
            self, X, self.alphabet_.symbols, threshold=self.threshold if threshold is None else threshold
        )

    def score(self, X: Any, y: Any) -> float:
        """The accuracy of `compare`: 1 is perfect, and it can be negative."""
        check_is_fitted(self)
        return self.compare(y, self.predict(X))["accuracy"]

    def compare(self, y: Any, found: list[str]) -> dict[str, float]:
        """The figures of `evaluate` that need no times, for keywords that were found in another way."""
        check_is_fitted(self)
        truths = self._texts(y)
        check_length(truths, len(found))
        said, heard = self._listed(truths), self._listed(found)
        counts = all_keywords(keyword_counts(said, heard).values())
        return {
            "accuracy": 1 - error_rate(said, heard).rate if counts.said else float("nan"),
            "recall": counts.recall,
            "precision": counts.precision,
            "f1": counts.f1,
            "exact": float(np.mean([true == own for true, own in zip(said, heard, strict=True)])),
        }

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """How well keywords are found.

        "accuracy": 1 - (substituted + missed + inserted keywords) / said ones, where their order counts. "recall",
        "precision", "f1": over all keywords together; NaN where none was said, or found. "exact": the share of
        recordings without an error. Where frames have times: "false_alarms", a keyword and hour, and
        "figure_of_merit", the mean recall at 1 to 10 of these.
        """
        check_is_fitted(self)
        X = X if self._frontend() is None else self.features(X)
        found = self.predict(X)
        scores, known = self.compare(y, found), self._known(self._read(X))
        if known["hours"] == 0:
            return scores
        point = operating_point(self.threshold, self._listed(self._texts(y)), self._listed(found), **known)
        merit = figure_of_merit(self.tradeoff(X, y))
        return {**scores, "false_alarms": point.false_alarms, "figure_of_merit": merit}

    def keyword_counts(self, X: Any, y: Any) -> dict[str, KeywordCounts]:
        """Of each keyword how often it was said, found, and both, at the parameters' decoder and threshold."""
        check_is_fitted(self)
        truths, found = self._texts(y), self.predict(X)
        check_length(truths, len(found))
        empty = {word: KeywordCounts(0, 0, 0) for word in self.alphabet_.symbols}
        return empty | keyword_counts(self._listed(truths), self._listed(found))

    def tradeoff(self, X: Any, y: Any, thresholds: Sequence[float] = THRESHOLDS) -> list[OperatingPoint]:
        """What each threshold brings: misses against false alarms, to choose one by."""
        check_is_fitted(self)
        sequences = self._read(X)
        truths = self._listed(self._texts(y))
        check_length(truths, len(sequences))
        known = self._known(sequences)
        heard: list[list[list[str]]] = [[] for _ in thresholds]
        searches = [self._search(threshold) for threshold in thresholds]
        for log_probs in self._log_probs(sequences):
            for own, search in zip(heard, searches, strict=True):
                own.append([found.symbol for found in search(log_probs)[0]])
        return [
            operating_point(threshold, truths, own, **known) for threshold, own in zip(thresholds, heard, strict=True)
        ]

    def keywords_of(self, y: Any) -> list[list[str]]:
        """The keywords that each text of y holds, in their order; of lists all."""
        return self._texts(y)

    def _known(self, sequences: Sequences) -> dict[str, Any]:
        """How many keywords there are, and the hours of the recordings; 0 where frames have no times."""
        frontend = self._frontend()
        hop = None if frontend is None else frontend.hop
        hours = 0.0 if hop is None else float(sequences.lengths.sum()) * hop / 3600
        return {"keywords": len(self.alphabet_.symbols), "hours": hours}

    def _search(self, threshold: float) -> KeywordSearch:
        return KeywordSearch(self.alphabet_, self.alphabet_.symbols, threshold)

    def _listed(self, texts: Sequence[Text]) -> list[list[str]]:
        """The keywords of each text, as the alphabet writes them."""
        return [symbols_of(normalized(text, self.alphabet_), self.alphabet_) for text in texts]

    def _texts(self, y: Any) -> list[Any]:
        """The keywords of each sample, as a list."""
        known = self.alphabet_ if hasattr(self, "alphabet_") else self._given()
        return [keywords_in(text, known) if isinstance(text, str) else text for text in super()._texts(y)]

    def _given(self) -> Alphabet | None:
        """The alphabet that the parameters name. Raises ValueError where they contradict each other."""
        if self.alphabet is not None and (self.keywords is not None or not isinstance(self.alphabet, Alphabet)):
            raise ValueError("name keywords=[...], or an Alphabet of them with a separator as alphabet=, and not both")
        if isinstance(self.alphabet, Alphabet):
            if self.alphabet.separator is None:
                raise ValueError("the alphabet of keywords has no separator; give one that stands between keywords")
            return self.alphabet
        return None if self.keywords is None else _alphabet(self.keywords)

    def _alphabet(self, texts: list[Any]) -> Alphabet:
        found = self._given() or _alphabet(sorted({word for text in texts for word in text}))
        said = {found.normalize(word) for text in texts for word in text}
        if never := [word for word in found.symbols if word not in said and word != found.unknown]:
            raise DataError(
                f"no recording holds {', '.join(map(repr, never[:10]))}; a keyword is learned from recordings that "
                "hold it: give some, or leave it out"
            )
        if not found.symbols:
            raise DataError("there is no keyword to learn: y names none, in any recording")
        return found

    def _beam(self) -> Any:
        if self.decoder != "threshold":
            return super()._beam()
        if self.language_model is not None or self.decoder_options:
            raise ValueError("decoder='threshold' hears no language model and takes no decoder_options")
        return None

    def _decoder_stream(self) -> Any:
        return self._search(self.threshold).stream() if self.decoder == "threshold" else super()._decoder_stream()

    def _read_off(self, X: Any, count: int) -> Iterator[list[Hypothesis]]:
        if self.decoder != "threshold":
            yield from super()._read_off(X, count)
            return
        sequences, search = self._read(X), self._search(self.threshold)
        for log_probs in self._log_probs(sequences):
            yield [search.hypothesis(search(log_probs)[0])]


def spot_keywords(
    model: Transcriber,
    X: Any,
    keywords: Sequence[str] | Mapping[str, str],
    *,
    threshold: float = 0.5,
    gap: int = GAP,
) -> list[list[Detection]]:
    """Where a fitted transcriber hears keywords, whether or not it ever learned them as words.

    A transcriber of letters or phonemes finds whatever its alphabet can spell; give spellings, such as
    {"two": "t uw"}, where they are not the keywords themselves. The search is `carousel.decoding.KeywordSearch`.

    threshold: the least confidence, above 0 and below 1. gap: frames between two symbols of a keyword, at most.
    Raises DecodingError for a keyword that the alphabet cannot spell.
    """
    check_is_fitted(model)
    search, frontend = KeywordSearch(model.alphabet_, keywords, threshold, gap), model._frontend()
    found = []
    for log_probs in model.log_probabilities(X):
        said = transcription(Hypothesis("", (), tuple(search(log_probs)[0]), 0.0, 0.0), frontend)
        found.append([Detection(own.symbol, own.start, own.end, own.confidence, said.unit) for own in said.symbols])
    return found


def keywords_in(text: str, known: Alphabet | None) -> list[str]:
    """The keywords in a running text, in their order; all its words where none are known.

    A keyword stands between other characters than those of words; of keywords that overlap the longest counts.
    """
    if known is None:
        return re.findall(_WORD, Alphabet(()).normalize(text))
    longest_first = sorted(known.symbols, key=len, reverse=True)
    return re.findall(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", known.normalize(text))


def _alphabet(keywords: Sequence[str]) -> Alphabet:
    """Keywords as symbols, divided by spaces where no keyword has one."""
    words = tuple(map(Alphabet(()).normalize, keywords))
    return Alphabet(words, separator=", " if any(word.split() != [word] for word in words) else " ")
