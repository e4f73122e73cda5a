"""Spotting keywords in what a CTC network hears."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from carousel.decoding.hypothesis import (
    DecodingError,
    Hypothesis,
    Partial,
    Reals,
    Symbols,
    Written,
    piece,
    sequences,
)
from carousel.decoding.spelling import spell

SURE = 0.5
"""A spike above this is never passed over between two symbols of a keyword."""


@dataclass(frozen=True, eq=False)
class KeywordSearch:
    """Where keywords are spoken: places where the network reads their symbols, one after the other, with nothing
    between.

    As in Fernández, Graves & Schmidhuber 2007 nothing else is modelled, neither other words nor silence. A spike is a
    peak of an output that stands out by half of its height, with the frames around it above that half. A network of one
    label a keyword, as theirs, says a keyword wherever a spike reaches the threshold. Of a network of phonemes or
    letters, a keyword is a row of such spikes, one peak after the other with no surer one than one half between them. A
    finding is as sure as the least sure of its spikes. A lower threshold finds the same and more.

    Args:
        alphabet: what the network's outputs mean.
        keywords: spelt by the alphabet; or keywords with their spellings, such as {"two": "t uw"}.
        threshold: the least confidence that counts, above 0 and below 1.
        gap: how many frames may lie between two neighbouring symbols of a keyword.

    Raises DecodingError for a keyword that the alphabet cannot spell.
    """

    alphabet: Symbols
    keywords: Sequence[str] | Mapping[str, str]
    threshold: float = 0.5
    gap: int = 50

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise DecodingError(f"threshold is {self.threshold}; a confidence lies between 0 and 1")
        if self.gap < 1:
            raise DecodingError(f"gap is {self.gap}; give a number of frames, 1 or more")
        _ = self.spellings

    @cached_property
    def spellings(self) -> list[list[int]]:
        """The labels of each keyword."""
        return spell(self.alphabet, self.keywords)

    def __call__(self, log_probs: Any, lengths: Any = None) -> list[list[Written]]:
        """The findings in each sequence, of log-probabilities (time, batch, labels), in the order of their first
        frames."""
        return [self._spot(frames) for frames in sequences(log_probs, lengths, self.alphabet)]

    def hypothesis(self, found: Sequence[Written]) -> Hypothesis:
        """Findings as a reading: `log_probability` is the sum of the logarithms of their confidences."""
        spelt = dict(zip(self.keywords, self.spellings, strict=True))
        labels = tuple(label for own in found for label in spelt[own.symbol])
        sure = float(sum(np.log(own.confidence) for own in found))
        return Hypothesis(self.alphabet.text(labels), labels, tuple(found), sure, sure)

    def stream(self) -> "KeywordStream":
        """A reader of one sequence that comes piece by piece."""
        return KeywordStream(self)

    @property
    def least(self) -> float:
        """How high a spike must be to count for anything."""
        return min(self.threshold, SURE)

    def findings(self, spikes: "Sequence[Spike]") -> list[Written]:
        """What spikes spell, in the order of the first frames; those of each label come in the order of time."""
        found = []
        for word, labels in zip(self.keywords, self.spellings, strict=True):
            found += _readings(word, labels, spikes, self.gap)
        heard = [each for each in found if each.confidence >= self.threshold]
        return sorted(heard, key=lambda each: (each.start, each.end))

    def _spot(self, frames: Reals) -> list[Written]:
        found = []
        for label, values in enumerate(np.exp(frames).T):
            if label != self.alphabet.blank and values.size and values.max() >= self.least:
                ear = _Ear(label, self.least)
                found += [*ear.hear(values.tolist()), *ear.as_if_over()]
        return self.findings(found)


class KeywordStream:
    """One sequence that comes piece by piece: at its end the same findings as in the whole.

    What it keeps is as much as there are spikes, not frames.
    """

    def __init__(self, search: KeywordSearch) -> None:
        self._search, self._frames, self._spikes = search, 0, list[Spike]()
        labels = (label for label in range(len(search.alphabet)) if label != search.alphabet.blank)
        self._ears = [_Ear(label, search.least) for label in labels]

    def push(self, log_probs: Any) -> Partial:
        """Hear the next frames, (frames, labels), and say what was found so far. Raises DecodingError for other
        shapes."""
        probabilities = np.exp(piece(log_probs, self._search.alphabet, self._frames))
        for ear in self._ears:
            self._spikes += ear.hear(probabilities[:, ear.label].tolist())
        self._frames += len(probabilities)
        (now,) = self.finish()
        return Partial(now, self._stable(now))

    def finish(self, count: int = 1) -> list[Hypothesis]:
        """The one reading of all that was heard, as if it ended here; more may still be pushed."""
        spikes = [*self._spikes, *(spike for ear in self._ears for spike in ear.as_if_over())]
        return [self._search.hypothesis(self._search.findings(spikes))][:count]

    def _stable(self, now: Hypothesis) -> int:
        """What begins before any spike that is not yet over can. Keywords of several labels may be spelt anew."""
        if any(len(labels) > 1 for labels in self._search.spellings):
            return 0
        open_since = min((ear.since(self._search.threshold / 2) for ear in self._ears), default=0)
        return sum(each.start < open_since for each in now.symbols)


class Spike(NamedTuple):
    """A peak of one output that stands out by half of its height, and the frames around it above that half."""

    label: int
    at: int
    start: int
    end: int
    peak: float


class _Ear:
    """One output, heard frame by frame: its spikes are where it is highest between two falls to under half of that
    height, and as high as `least`.

    Which frames are a spike does not hang on that, so that a lower one finds the same and others.
    """

    def __init__(self, label: int, least: float) -> None:
        self.label, self._least, self._time = label, least, 0
        self._top, self._height, self._low, self._rising = 0, -1.0, 0.0, True
        self._lower: list[tuple[float, int]] = []
        """Rising values, each with its frame: the last so low."""

    def hear(self, values: Sequence[float]) -> list[Spike]:
        """Take the next values; the spikes that are over."""
        found = []
        for value in values:
            if self._rising and value < self._height / 2:
                found += self.as_if_over()
                self._low, self._rising = value, False
            elif value > (self._height if self._rising else 2 * self._low):
                self._top, self._height, self._rising = self._time, value, True
            self._low = min(self._low, value)
            while self._lower and self._lower[-1][0] >= value:
                self._lower.pop()
            self._lower.append((value, self._time))
            self._time += 1
        return found

    def as_if_over(self) -> list[Spike]:
        """The spike that has begun, if there is one, as if the output fell now."""
        if not self._rising or self._height < self._least:
            return []
        return [Spike(self.label, self._top, self.since(self._height / 2), self._time, self._height)]

    def since(self, level: float) -> int:
        """The frame behind the last one in which the value was under a level."""
        under = bisect_left(self._lower, (level,))
        return self._lower[under - 1][1] + 1 if under else 0


@dataclass(frozen=True)
class _Way:
    """A keyword, or its beginning, as spikes spell it; `at` is the last one's peak."""

    at: int
    start: int
    end: int
    confidence: float


def _readings(word: str, labels: Sequence[int], spikes: Sequence[Spike], gap: int) -> list[Written]:
    """All places where spikes spell the word; of those that overlap the surest."""
    ways = [_Way(spike.at, spike.start, spike.end, spike.peak) for spike in spikes if spike.label == labels[0]]
    for label in labels[1:]:
        longer = []
        for spike in (each for each in spikes if each.label == label):
            before = [way for way in ways if _follows(way, spike, spikes, gap)]
            if before:
                best = max(before, key=lambda way: (way.confidence, way.at))
                longer.append(_Way(spike.at, best.start, spike.end, min(best.confidence, spike.peak)))
        ways = longer
    kept: list[_Way] = []
    for way in sorted(ways, key=lambda each: -each.confidence):
        if all(way.end <= other.start or other.end <= way.start for other in kept):
            kept.append(way)
    return [Written(word, way.start, way.end, way.confidence) for way in kept]


def _follows(way: _Way, spike: Spike, spikes: Sequence[Spike], gap: int) -> bool:
    """Whether a spike may go on with a keyword that has been read so far."""
    if spike.at <= way.at or spike.start - way.end > gap:
        return False
    return all(each.peak <= SURE for each in spikes if way.at < each.at < spike.at)
