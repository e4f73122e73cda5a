"""The decoders of a transducer in plain Python: what the compiled ones are held to, and what asks any other network."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from carousel.decoding.hypothesis import DecodingError, common

if TYPE_CHECKING:
    from carousel.decoding.transducer import Network, TransducerBeam, TransducerGreedy

LOOKED_AT = 10
"""How many hypotheses a frame extends at most, for each that it keeps: a network that hardly ever says blank would go
on for very long."""

Report = tuple[list[int], list[int], list[int], list[float], float, float]
"""Labels, starts, ends, peaks, log-probability and score."""


class GreedySearch:
    """One sequence, read by the likeliest label at each step."""

    def __init__(self, decoder: "TransducerGreedy") -> None:
        self._decoder, self._time, self._total = decoder, 0, 0.0
        self._prediction, self._state = decoder.network.predict(None, None)
        self._labels: list[int] = []
        self._spans: list[tuple[int, int, float]] = []

    def push(self, frames: Tensor) -> None:
        """Take the next frames, (frames, features)."""
        for frame in frames:
            self._step(frame)
            self._time += 1

    def _step(self, frame: Tensor) -> None:
        network, blank = self._decoder.network, self._decoder.alphabet.blank
        for count in range(self._decoder.most_per_frame + 1):
            (costs,) = _joined(network, frame, self._prediction, self._time)
            best = int(np.argmax(costs)) if count < self._decoder.most_per_frame else blank
            self._total += costs[best]
            if best == blank:
                return
            self._labels.append(best)
            self._spans.append((self._time, self._time + 1, costs[best]))
            self._prediction, self._state = network.predict(torch.tensor([best]), self._state)

    def best(self, count: int) -> list[Report]:
        """The one reading."""
        return [_report(self._labels, self._spans, self._total, self._total)][:count]

    def stable(self) -> int:
        """All labels stand."""
        return len(self._labels)


class _Prefix:
    """A label sequence, and what the prediction network says after it: asked once, when it is wanted."""

    def __init__(self, network: "Network", labels: tuple[int, ...] = (), parent: "_Prefix | None" = None) -> None:
        self.labels = labels
        self._network, self._parent = network, parent
        self._longer: WeakValueDictionary[int, _Prefix] = WeakValueDictionary()

    @cached_property
    def said(self) -> tuple[Tensor, Any]:
        """Prediction (1, features) and state."""
        if self._parent is None:
            return self._network.predict(None, None)
        return self._network.predict(torch.tensor([self.labels[-1]]), self._parent.said[1])

    def longer(self, label: int) -> "_Prefix":
        """The same with one label more."""
        known = self._longer.get(label)
        if known is None:
            self._longer[label] = known = _Prefix(self._network, (*self.labels, label), self)
        return known


class _Reading(NamedTuple):
    """A hypothesis of the beam."""

    prefix: _Prefix
    log_probability: float
    best: float
    """of the one likeliest way to emit the labels, which the spans tell of"""
    spans: tuple[tuple[int, int, float], ...]
    language: float

    @property
    def labels(self) -> tuple[int, ...]:
        return self.prefix.labels

    @property
    def score(self) -> float:
        return self.log_probability + self.language


class BeamSearch:
    """One sequence, read by the beam search of Graves 2012."""

    def __init__(self, decoder: "TransducerBeam") -> None:
        self._decoder, self._time = decoder, 0
        self._held = {(): _Reading(_Prefix(decoder.network), 0.0, 0.0, (), 0.0)}

    def push(self, frames: Tensor) -> None:
        """Take the next frames, (frames, features)."""
        for frame in frames:
            self._held = _Frame(self._decoder, frame, self._time, self._held).search()
            self._time += 1

    def best(self, count: int) -> list[Report]:
        """The best of what is held, the best first."""
        ranked = sorted(self._held.values(), key=lambda reading: -self._rank(reading))[:count]
        return [_report(each.labels, each.spans, each.log_probability, each.score) for each in ranked]

    def stable(self) -> int:
        """How many first labels all have in common."""
        return common(list(self._held))

    def _rank(self, reading: _Reading) -> float:
        return reading.score / max(1, len(reading.labels)) if self._decoder.normalized else reading.score


class _Frame:
    """One frame of the search."""

    def __init__(self, decoder: "TransducerBeam", frame: Tensor, t: int, held: dict[tuple[int, ...], _Reading]) -> None:
        self._decoder, self._frame, self._t, self._held = decoder, frame, t, held
        predictions = torch.cat([reading.prefix.said[0] for reading in held.values()])
        joined = _joined(decoder.network, frame, predictions, t)
        self._known: dict[tuple[int, ...], list[float]] = dict(zip(held, joined, strict=True))

    def search(self) -> dict[tuple[int, ...], _Reading]:
        """What is held after the frame."""
        decoder = self._decoder
        growing = [(-reading.score, labels, 0, reading) for labels, reading in self._merged()]
        heapify(growing)
        gone: list[_Reading] = []
        costs_of_gone: list[float] = []
        while growing:
            cost, _, emitted, reading = heappop(growing)
            if bisect_left(costs_of_gone, cost) >= decoder.beam or len(gone) >= LOOKED_AT * decoder.beam:
                break
            symbols = self._costs(reading.prefix)
            blank = symbols[decoder.alphabet.blank]
            gone.append(reading._replace(log_probability=reading.log_probability + blank, best=reading.best + blank))
            insort(costs_of_gone, -gone[-1].score)
            if emitted < decoder.most_per_frame:
                for longer in self._longer(reading, symbols):
                    heappush(growing, (-longer.score, longer.labels, emitted + 1, longer))
        kept = sorted(gone, key=lambda each: -each.score)[: decoder.beam]
        return {each.labels: each for each in kept}

    def _costs(self, prefix: _Prefix) -> list[float]:
        """Log-probabilities of all labels after these."""
        if prefix.labels not in self._known:
            (self._known[prefix.labels],) = _joined(self._decoder.network, self._frame, prefix.said[0], self._t)
        return self._known[prefix.labels]

    def _merged(self) -> Iterator[tuple[tuple[int, ...], _Reading]]:
        return ((labels, self._with_beginnings(reading)) for labels, reading in self._held.items())

    def _with_beginnings(self, reading: _Reading) -> _Reading:
        """A hypothesis with what leads to it from beginnings of it that are held too, by labels of this frame alone."""
        total, best, spans = reading.log_probability, reading.best, reading.spans
        labels = reading.labels
        for size in range(max(0, len(labels) - self._decoder.most_per_frame), len(labels)):
            start = self._held.get(labels[:size])
            if start is None:
                continue
            costs = self._emitted(start.prefix, labels[size:])
            total = float(np.logaddexp(total, start.log_probability + sum(costs)))
            if start.best + sum(costs) > best:
                best = start.best + sum(costs)
                spans = (*start.spans, *((self._t, self._t + 1, cost) for cost in costs))
        return reading._replace(log_probability=total, best=best, spans=spans)

    def _emitted(self, prefix: _Prefix, labels: Sequence[int]) -> list[float]:
        """What it costs to emit these labels one after the other."""
        found = []
        for label in labels:
            found.append(self._costs(prefix)[label])
            prefix = prefix.longer(label)
        return found

    def _longer(self, reading: _Reading, costs: list[float]) -> Iterator[_Reading]:
        """One label more, but for those that were held before the frame: there this way has been counted."""
        for label, cost in enumerate(costs):
            labels = (*reading.labels, label)
            if label == self._decoder.alphabet.blank or labels in self._held or cost == -np.inf:
                continue
            yield _Reading(
                reading.prefix.longer(label),
                reading.log_probability + cost,
                reading.best + cost,
                (*reading.spans, (self._t, self._t + 1, cost)),
                reading.language + self._decoder.gain(labels),
            )


def _joined(network: "Network", frame: Tensor, predictions: Tensor, time: int) -> list[list[float]]:
    """Log-probabilities of all labels after each prediction. Raises DecodingError for NaN."""
    costs = network.join(frame, predictions).tolist()
    if any(np.isnan(row[0]) for row in costs):
        raise DecodingError(f"the network says NaN at frame {time}")
    return costs


def _report(
    labels: Sequence[int], spans: Sequence[tuple[int, int, float]], log_probability: float, score: float
) -> Report:
    starts, ends, peaks = ([span[part] for span in spans] for part in range(3))
    return list(labels), starts, ends, peaks, log_probability, score  # type: ignore[return-value]
