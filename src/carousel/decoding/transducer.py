"""Decoders of a transducer: greedy, and the beam search of Graves 2012."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple, Protocol
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from carousel.decoding.hypothesis import DecodingError, Hypothesis, Symbols, written
from carousel.decoding.ngram import NGram

MOST_PER_FRAME = 20
LOOKED_AT = 10
"""How many hypotheses a frame extends at most, for each that it keeps: a network that hardly ever says blank would go
on for
very long."""


class Network(Protocol):
    """What a decoder asks of a transducer: `carousel.nn.Transducer` answers."""

    def predict(self, label: Tensor | None, state: Any) -> tuple[Tensor, Any]:
        """What the prediction network says after one label more, (1, features), and its state; at the beginning both
        are None."""
        ...

    def join(self, frame: Tensor, prediction: Tensor) -> Tensor:
        """Log-probabilities of all labels, (hypotheses, labels), of one frame (features,) and predictions
        (hypotheses, features)."""
        ...


class _Prefix:
    """A label sequence, and what the prediction network says after it: asked once, when it is wanted."""

    def __init__(self, network: Network, labels: tuple[int, ...] = (), parent: "_Prefix | None" = None) -> None:
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


@dataclass(frozen=True, eq=False)
class TransducerGreedy:
    """At each frame the likeliest label, until that is the blank.

    most_per_frame: labels at most in one frame, so that a network that never says blank comes to an end.
    """

    network: Network
    alphabet: Symbols
    most_per_frame: int = MOST_PER_FRAME

    def __call__(self, frames: Tensor, lengths: Any = None) -> list[Hypothesis]:
        """Read each sequence of what the transcription network says, (time, batch, features)."""
        with torch.no_grad():
            return [self._decode(each) for each in _sequences(frames, lengths)]

    def _decode(self, frames: Tensor) -> Hypothesis:
        prediction, state = self.network.predict(None, None)
        labels, spans, total = [], [], 0.0
        for t, frame in enumerate(frames):
            for count in range(self.most_per_frame + 1):
                costs = self.network.join(frame, prediction)[0]
                best = int(costs.argmax()) if count < self.most_per_frame else self.alphabet.blank
                total += float(costs[best])
                if best == self.alphabet.blank:
                    break
                labels.append(best)
                spans.append((t, t + 1, float(costs[best])))
                prediction, state = self.network.predict(torch.tensor([best]), state)
        return Hypothesis(
            self.alphabet.text(labels), tuple(labels), written(self.alphabet, labels, spans), total, total
        )


@dataclass(frozen=True, eq=False)
class TransducerBeam:
    """The beam search of Graves 2012: hypotheses are summed over all ways to emit them that the beam holds.

    At each frame prefixes of a hypothesis that are held too add to it what leads from them to it in this frame; then
    the
    likeliest ones are extended until `beam` hypotheses that have gone on to the next frame are likelier than all
    others.

    Args:
        network, alphabet: what to read with.
        beam: how many hypotheses go on to the next frame.
        language_model, weight, bonus: as in `PrefixBeam`, over symbols: ranked is log p + weight log p_model + bonus
            |y|.
        normalized: rank the last hypotheses by score a label, as Graves 2012 does; False ranks by the score itself.
        most_per_frame: labels at most that one frame may add to a hypothesis.
    """

    network: Network
    alphabet: Symbols
    beam: int = 10
    language_model: NGram | None = None
    weight: float = 1.0
    bonus: float = 0.0
    normalized: bool = False
    most_per_frame: int = MOST_PER_FRAME

    def __post_init__(self) -> None:
        if self.beam < 1 or self.beam != int(self.beam):
            raise DecodingError(f"beam is {self.beam!r}; it is a whole number of hypotheses, 1 or more")

    def __call__(self, frames: Tensor, lengths: Any = None) -> list[Hypothesis]:
        """The best reading of each sequence of what the transcription network says, (time, batch, features)."""
        return [found[0] for found in self.n_best(frames, lengths, 1)]

    def n_best(self, frames: Tensor, lengths: Any = None, count: int = 10) -> list[list[Hypothesis]]:
        """The best readings of each sequence, `count` at most, the best first."""
        with torch.no_grad():
            return [self._decode(each, count) for each in _sequences(frames, lengths)]

    def _decode(self, frames: Tensor, count: int) -> list[Hypothesis]:
        held = {(): _Reading(_Prefix(self.network), 0.0, 0.0, (), 0.0)}
        for t, frame in enumerate(frames):
            held = _Frame(self, frame, t, held).search()
        scored = [(self._final(reading), reading) for reading in held.values()]
        scored = sorted(scored, key=lambda pair: -pair[0])[:count]
        return [self._hypothesis(reading) for _, reading in scored]

    def _hypothesis(self, reading: _Reading) -> Hypothesis:
        symbols = written(self.alphabet, reading.labels, reading.spans)
        text = self.alphabet.text(reading.labels)
        return Hypothesis(text, reading.labels, symbols, reading.log_probability, reading.score)

    def _final(self, reading: _Reading) -> float:
        return reading.score / max(1, len(reading.labels)) if self.normalized else reading.score

    def gain(self, labels: Sequence[int]) -> float:
        """What bonus and language model add for the last label."""
        if self.language_model is None:
            return self.bonus
        *context, word = ["<s>", *(self.alphabet.symbol(label) for label in labels)]
        return self.bonus + self.weight * self.language_model.log_probability(word, context)


class _Frame:
    """One frame of the search."""

    def __init__(self, decoder: TransducerBeam, frame: Tensor, t: int, held: dict[tuple[int, ...], _Reading]) -> None:
        self._decoder, self._frame, self._t, self._held = decoder, frame, t, held
        predictions = torch.cat([reading.prefix.said[0] for reading in held.values()])
        self._known: dict[tuple[int, ...], list[float]] = dict(
            zip(held, decoder.network.join(frame, predictions).tolist(), strict=True)
        )

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
            self._known[prefix.labels] = self._decoder.network.join(self._frame, prefix.said[0])[0].tolist()
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


def _sequences(frames: Tensor, lengths: Any) -> list[Tensor]:
    """The frames of each sequence, (frames, features)."""
    if frames.dim() != 3:
        raise DecodingError(f"frames have shape {tuple(frames.shape)}; give (time, batch, features)")
    time, batch = frames.shape[:2]
    counts = [time] * batch if lengths is None else [int(length) for length in lengths]
    if len(counts) != batch or not all(0 <= count <= time for count in counts):
        raise DecodingError(f"lengths are {counts}; give {batch} whole numbers from 0 to {time}")
    return [frames[:count, at] for at, count in enumerate(counts)]
