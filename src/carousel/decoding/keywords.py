"""Spotting keywords in what a CTC network hears."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from carousel.decoding.hypothesis import DecodingError, Reals, Symbols, Written, sequences
from carousel.decoding.prefix import spell

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
        is_spelt = isinstance(self.keywords, Mapping)
        return spell(self.alphabet, list(self.keywords.values()) if is_spelt else list(self.keywords))  # type: ignore[union-attr]

    def __call__(self, log_probs: Any, lengths: Any = None) -> list[list[Written]]:
        """The findings in each sequence, of log-probabilities (time, batch, labels), in the order of their first
        frames."""
        return [self._spot(frames) for frames in sequences(log_probs, lengths, self.alphabet)]

    def _spot(self, frames: Reals) -> list[Written]:
        probabilities = np.exp(frames)
        spikes = _spikes(probabilities, self.alphabet.blank, min(self.threshold, SURE))
        found = []
        for word, labels in zip(self.keywords, self.spellings, strict=True):
            found += _readings(word, labels, spikes, self.gap)
        heard = [each for each in found if each.confidence >= self.threshold]
        return sorted(heard, key=lambda each: (each.start, each.end))


@dataclass(frozen=True)
class _Spike:
    """A peak of one output that stands out by half of its height, and the frames around it above that half."""

    label: int
    at: int
    start: int
    end: int
    peak: float


@dataclass(frozen=True)
class _Way:
    """A keyword, or its beginning, as spikes spell it; `at` is the last one's peak."""

    at: int
    start: int
    end: int
    confidence: float


def _spikes(probabilities: Reals, blank: int, threshold: float) -> list[_Spike]:
    """All spikes as high as the threshold but the blank's, by their peaks.

    Which frames are a spike does not hang on the threshold, so that a lower one finds the same and others.
    """
    labels = [label for label in range(probabilities.shape[1]) if label != blank]
    found = [
        _Spike(label, at, *_around(probabilities[:, label], at), float(probabilities[at, label]))
        for label in labels
        if len(probabilities) and probabilities[:, label].max() >= threshold
        for at in _peaks(probabilities[:, label].tolist())
        if probabilities[at, label] >= threshold
    ]
    return sorted(found, key=lambda spike: spike.at)


def _peaks(values: Sequence[float]) -> list[int]:
    """Where values are highest between two falls to under half of that height."""
    found, top, low, rising = [], 0, 0.0, True
    for at, value in enumerate(values):
        if rising and value > values[top]:
            top = at
        elif rising and value < values[top] / 2:
            found.append(top)
            low, rising = value, False
        elif not rising and value > 2 * low:
            top, rising = at, True
        low = min(low, value)
    return [*found, top] if rising else found


def _around(values: Reals, at: int) -> tuple[int, int]:
    """The frames about a peak in which values are at least half of it: the first, and the one after the last."""
    under = np.flatnonzero(values < values[at] / 2)
    cut = int(np.searchsorted(under, at))
    return int(under[cut - 1]) + 1 if cut else 0, int(under[cut]) if cut < len(under) else len(values)


def _readings(word: str, labels: Sequence[int], spikes: Sequence[_Spike], gap: int) -> list[Written]:
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


def _follows(way: _Way, spike: _Spike, spikes: Sequence[_Spike], gap: int) -> bool:
    """Whether a spike may go on with a keyword that has been read so far."""
    if spike.at <= way.at or spike.start - way.end > gap:
        return False
    return all(each.peak <= SURE for each in spikes if way.at < each.at < spike.at)
