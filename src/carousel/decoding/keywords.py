"""Spotting keywords in what a CTC network hears."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from carousel.decoding.hypothesis import DecodingError, Reals, Symbols, Written, sequences
from carousel.decoding.prefix import spell


@dataclass(frozen=True, eq=False)
class KeywordSearch:
    """Where keywords are spoken: places where the network reads their symbols, one after the other, with nothing
    between.

    As in Fernández, Graves & Schmidhuber 2007 nothing else is modelled, neither other words nor silence. A network of
    one
    label a keyword, as theirs, says a keyword wherever its output rises above the threshold. Of a network of phonemes
    or
    letters, a keyword is a row of such spikes with no surer one than one half between them. A finding is as sure as the
    least sure of its symbols' peaks; for one symbol that is the output's peak itself.

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
        spikes = _spikes(probabilities, self.alphabet.blank, self.threshold)
        found = []
        for word, labels in zip(self.keywords, self.spellings, strict=True):
            found += _readings(word, labels, spikes, self.gap)
        return sorted(found, key=lambda each: (each.start, each.end))


@dataclass(frozen=True)
class _Spike:
    """A run of frames in which one output stays above the threshold."""

    label: int
    start: int
    end: int
    peak: float


def _spikes(probabilities: Reals, blank: int, threshold: float) -> list[_Spike]:
    """All such runs but the blank's, by their first frames."""
    found = []
    for label in range(probabilities.shape[1]):
        if label == blank or not len(probabilities):
            continue
        above = np.concatenate([[False], probabilities[:, label] >= threshold, [False]])
        edges = np.flatnonzero(above[1:] != above[:-1])
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            found.append(_Spike(label, start, end, float(probabilities[start:end, label].max())))
    return sorted(found, key=lambda spike: spike.start)


def _readings(word: str, labels: Sequence[int], spikes: Sequence[_Spike], gap: int) -> list[Written]:
    """All places where spikes spell the word; of those that overlap the surest."""
    ways = [Written(word, spike.start, spike.end, spike.peak) for spike in spikes if spike.label == labels[0]]
    for label in labels[1:]:
        longer = []
        for spike in (each for each in spikes if each.label == label):
            before = [way for way in ways if _follows(way, spike, spikes, gap)]
            if before:
                best = max(before, key=lambda way: (way.confidence, way.start))
                longer.append(Written(word, best.start, spike.end, min(best.confidence, spike.peak)))
        ways = longer
    kept: list[Written] = []
    for way in sorted(ways, key=lambda each: -each.confidence):
        if all(way.end <= other.start or other.end <= way.start for other in kept):
            kept.append(way)
    return kept


def _follows(way: Written, spike: _Spike, spikes: Sequence[_Spike], gap: int) -> bool:
    """Whether a spike may go on with a keyword that has been read so far."""
    if not 0 <= spike.start - way.end <= gap:
        return False
    between = (each for each in spikes if way.end <= each.start and each.end <= spike.start)
    return all(each.peak <= 0.5 for each in between)
