"""Measures of spotted keywords: what was found of what was said, and what it costs in false alarms."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

Keywords = Sequence[Sequence[str]]
RATES = tuple(range(1, 11))
"""False alarms a keyword and hour over which the figure of merit is a mean."""


class KeywordCounts(NamedTuple):
    """How often a keyword was said, how often found, and how often both."""

    said: int
    found: int
    hits: int

    @property
    def misses(self) -> int:
        """Said, and not found."""
        return self.said - self.hits

    @property
    def false_alarms(self) -> int:
        """Found, and not said."""
        return self.found - self.hits

    @property
    def recall(self) -> float:
        """The share found of what was said; NaN where nothing was."""
        return self.hits / self.said if self.said else float("nan")

    @property
    def precision(self) -> float:
        """The share said of what was found; NaN where nothing was."""
        return self.hits / self.found if self.found else float("nan")

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 2 hits / (said + found); NaN where neither is."""
        return 2 * self.hits / (self.said + self.found) if self.said + self.found else float("nan")


class OperatingPoint(NamedTuple):
    """What a threshold brings, over all keywords together."""

    threshold: float
    recall: float
    precision: float
    false_alarms: float
    """a keyword and hour; NaN where the time is not known"""


def keyword_counts(truths: Keywords, found: Keywords) -> dict[str, KeywordCounts]:
    """Return the counts of each keyword that was said or found, in alphabetical order.

    Truths say which keywords each recording has, not when: one that is said n times in a recording and found there m
    times is hit min(n, m) times.

    Raises ValueError unless there are as many of both.
    """
    if len(truths) != len(found):
        raise ValueError(f"there are {len(truths)} truths and {len(found)} findings; give one of each a recording")
    said, heard, hits = Counter[str](), Counter[str](), Counter[str]()
    for true, own in zip(truths, found, strict=True):
        here, there = Counter(true), Counter(own)
        said, heard, hits = said + here, heard + there, hits + (here & there)
    return {word: KeywordCounts(said[word], heard[word], hits[word]) for word in sorted({*said, *heard})}


def all_keywords(counts: Iterable[KeywordCounts]) -> KeywordCounts:
    """Return the counts of all keywords together, each occurrence the same."""
    listed = list(counts)
    return KeywordCounts(*(sum(each) for each in zip(*listed, strict=True))) if listed else KeywordCounts(0, 0, 0)


def operating_point(
    threshold: float, truths: Keywords, found: Keywords, *, keywords: int, hours: float
) -> OperatingPoint:
    """Return what one threshold brings: `found` with it, of so many keywords, in so many hours of recordings.

    Raises ValueError for fewer than one keyword.
    """
    if keywords < 1:
        raise ValueError(f"there are {keywords} keywords; give 1 or more")
    counts = all_keywords(keyword_counts(truths, found).values())
    rate = counts.false_alarms / (keywords * hours) if hours > 0 else float("nan")
    return OperatingPoint(threshold, counts.recall, counts.precision, rate)


def figure_of_merit(points: Sequence[OperatingPoint]) -> float:
    """Return the mean recall at 1, 2, ..., 10 false alarms a keyword and hour. Higher is better, 1 is perfect.

    At each rate counts the best recall of the points that stay at or below it, 0 where none does; NaN where a rate is
    not known. Source: Rohlicek, Russell, Roukos & Gish 1989.
    """
    if any(np.isnan(point.false_alarms) for point in points):
        return float("nan")
    best = [max((point.recall for point in points if point.false_alarms <= rate), default=0.0) for rate in RATES]
    return float(np.mean(best))
