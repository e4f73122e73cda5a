"""Nets that learn from endless streams, several side by side, each until it is perfect: the protocol from 2000 on.

A stream of training ends with the first wrong answer; a test is several streams with frozen weights. As many nets as
there are places learn at once, and when one is done the next takes its place.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from carousel.data.synthetic.stream import Stream
from carousel.training import OnlineLearner, Trials

Draw = Callable[[int, np.random.Generator], Stream]


@dataclass(frozen=True, kw_only=True)
class Course:
    """What nets go through.

    build: nets from a seed and their number. draw: so many strings. reset: the state is put back before each string.
    train, test: the trials of both; a net is perfect when all its test streams are `test.longest` long.
    streams, steps: at most so many training streams and steps a net. tests: streams of a test.
    promising: a test comes after a training stream that was as long as this, and as a tenth of the net's longest,
    share: as long as the net has gone through at most so many steps of tests for each step of training.
    chunk: steps between two looks at the nets. places: nets that learn, or are tested, at once.
    judged: the mean of a net that never was perfect is that of test streams of at most so many right answers.
    measure: something else to know of a perfect net.
    """

    build: Callable[[int, int], OnlineLearner]
    draw: Draw
    train: Trials
    test: Trials
    streams: int
    steps: int
    promising: int
    share: float = 1.0
    reset: bool = False
    tests: int = 10
    chunk: int = 1000
    places: int = 8
    judged: int = 100_000
    measure: Callable[[OnlineLearner], float] | None = None


class Source:
    """Endless streams side by side, a piece at a time."""

    def __init__(self, draw: Draw, rng: np.random.Generator, lanes: int) -> None:
        self._draw, self._rng, self._lanes, self._strings = draw, rng, lanes, 8
        self._left = self._drawn()

    def take(self, steps: int) -> Stream:
        """The next steps (time, lanes)."""
        while min(len(lane.targets) for lane in self._left) < steps:
            self._strings = min(2 * self._strings, 512)
            pairs = zip(self._left, self._drawn(), strict=True)
            self._left = [Stream(*(torch.cat(parts) for parts in zip(*pair, strict=True))) for pair in pairs]
        taken = Stream(
            *(torch.stack([part[:steps] for part in parts], dim=1) for parts in zip(*self._left, strict=True))
        )
        self._left = [Stream(*(part[steps:] for part in lane)) for lane in self._left]
        return taken

    def _drawn(self) -> list[Stream]:
        """As many strings for each lane."""
        stream = self._draw(self._lanes * self._strings, self._rng)
        starts = stream.begins.nonzero().flatten()[:: self._strings].tolist()
        sizes = [stop - start for start, stop in zip(starts, [*starts[1:], len(stream.begins)], strict=True)]
        return [Stream(*parts) for parts in zip(*(part.split(sizes) for part in stream), strict=True)]


class Tests:
    """Streams of tests, side by side: all begin with the same pieces, which are kept, and go on with new ones."""

    KEPT = 14

    def __init__(self, draw: Draw, rng: np.random.Generator, lanes: int) -> None:
        self._source, self._kept = Source(draw, rng, lanes), list[Stream]()

    def pieces(self) -> Iterator[Stream]:
        """Pieces of a test's streams, without end: 100 steps, 200, and so on up to 10,000."""
        sizes = [min(100 * 2**place, 10000) for place in range(self.KEPT)]
        for place, size in enumerate(sizes):
            if place == len(self._kept):
                self._kept.append(self._source.take(size))
            yield self._kept[place]
        source = copy(self._source)
        while True:
            yield source.take(sizes[-1])


@dataclass
class Record:
    """One net on its way."""

    seed: int
    streams: int = 0
    steps: int = 0
    longest: int = 0
    tests: int = 0
    tested: int = 0
    mean: float = 0.0
    perfect: bool = False
    measured: float | None = None

    def result(self) -> dict[str, Any]:
        """What is kept of it: training streams and steps until it was done, and how long test streams then were."""
        return {name: getattr(self, name) for name in ("seed", "streams", "steps", "perfect", "mean", "measured")}


def run(course: Course, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """All these nets, each from its seed, in the order in which they are done."""
    return list(_Pool(course, seeds).run())


class _Pool:
    def __init__(self, course: Course, seeds: Sequence[int]) -> None:
        self.course, self.waiting = course, list(seeds)
        places = min(course.places, len(seeds))
        self.learner = course.build(0, places)
        sizes = [min(course.places, course.tests - first) for first in range(0, course.tests, course.places)]
        self.testers = [(course.build(0, size), self._streams(size, seeds[0])) for size in sizes]
        self.source = Source(course.draw, np.random.default_rng([seeds[0], 1]), 1)
        self.at = {place: self._enter(place) for place in range(places)}

    def run(self) -> Iterator[dict[str, Any]]:
        while self.at:
            lengths = attempt(self.course, self.learner, self.source.take(self.course.chunk), self.course.train)
            for place, record in list(self.at.items()):
                self._note(record, place, lengths[place])
                if record.perfect or record.streams >= self.course.streams or record.steps >= self.course.steps:
                    yield self._leave(place).result()

    def _streams(self, lanes: int, seed: int) -> Tests:
        return Tests(self.course.draw, np.random.default_rng([seed, lanes, 2]), lanes)

    def _enter(self, place: int) -> Record:
        """The next net takes the place."""
        seed = self.waiting.pop(0)
        self.learner.renew(place, self.course.build(seed, 1))
        return Record(seed)

    def _leave(self, place: int) -> Record:
        record = self.at.pop(place)
        if not record.perfect:
            self._judge(record, place, whole=True)
        if not record.perfect and record.mean >= self.course.judged:
            self._judge(record, place, whole=False)
        if self.waiting:
            self.at[place] = self._enter(place)
        return record

    def _note(self, record: Record, place: int, lengths: list[int]) -> None:
        """What came of some steps; a test where one is due."""
        record.streams += len(lengths)
        record.steps += self.course.chunk
        longest = max(lengths, default=0)
        promising = longest >= max(self.course.promising, record.longest / 10)
        record.longest = max(record.longest, longest)
        if promising and record.tested <= self.course.share * record.steps:
            self._judge(record, place, whole=False)

    def _judge(self, record: Record, place: int, *, whole: bool) -> None:
        """Test a net."""
        record.tests += 1
        found = self._test(record, place, whole=whole)
        record.perfect = min(found) >= self.course.test.longest
        if record.perfect and self.course.measure:
            record.measured = self.course.measure(self.testers[0][0])
        if whole or record.perfect:
            record.mean = fmean(found)

    def _test(self, record: Record, place: int, *, whole: bool) -> list[int]:
        """How long each test stream is; if not the `whole` is asked for, only until the first of them ends."""
        found = list[int]()
        for tester, streams in self.testers:
            for net in range(tester.nets):
                tester.renew(net, self.learner, place)
            lengths, steps = tested(self.course, tester, streams, whole=whole)
            record.tested += steps * tester.nets
            found += lengths
            if not whole and min(found) < self.course.test.longest:
                break
        return found


def tested(course: Course, nets: OnlineLearner, streams: Tests, *, whole: bool) -> tuple[list[int], int]:
    """How long a frozen stream of each net lasts, each its own; and the steps that were taken to see it.

    Without the `whole`, they end with the first wrong answer, and those that outlast it count as 0; with it none goes
    beyond what is judged.
    """
    found, taken = [-1] * nets.nets, 0
    how = replace(course.test, longest=min(course.judged, course.test.longest)) if whole else course.test
    for piece in streams.pieces():
        lengths = attempt(course, nets, piece, how, frozen=True, starts=piece.begins & (taken == 0))
        found = [ended[0] if ended else known for ended, known in zip(lengths, found, strict=True)]
        taken += len(piece.targets)
        if min(found) >= 0 or (not whole and any(0 <= length < course.test.longest for length in found)):
            break
    return [max(length, 0) for length in found], taken


def attempt(
    course: Course,
    nets: OnlineLearner,
    stream: Stream,
    how: Trials,
    *,
    frozen: bool = False,
    starts: Tensor | None = None,
) -> list[list[int]]:
    """Trials of nets on a stream of several lanes (time, lanes)."""
    return nets.attempt(
        stream.inputs,
        stream.targets,
        how,
        starts=stream.begins if starts is None else starts,
        observed=stream.observed,
        begins=stream.begins if course.reset else None,
        learn=not frozen,
    )
