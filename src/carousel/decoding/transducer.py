"""Decoders of a transducer: greedy, and the beam search of Graves 2012."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from carousel.decoding import extension, prefix
from carousel.decoding.automaton import Automaton
from carousel.decoding.hypothesis import (
    DecodingError,
    Hypothesis,
    Partial,
    Symbols,
    check_weights,
    check_whole,
    reported,
)
from carousel.decoding.kneser_ney import BEGIN
from carousel.decoding.ngram import NGram
from carousel.decoding.transducer_reference import BeamSearch, GreedySearch

MOST_PER_FRAME = 20


class Network(Protocol):
    """What a decoder asks of a transducer: `carousel.nn.Transducer` answers.

    Where it has a method `compiled`, and that gives `Compiled`, a search in compiled code asks that in place of it.
    Where it has `takes`, the features of a frame and their dtype, frames are held to that and converted.
    """

    def predict(self, label: Tensor | None, state: Any) -> tuple[Tensor, Any]:
        """What the prediction network says after one label more, (1, features), and its state; at the beginning both
        are None."""
        ...

    def join(self, frame: Tensor, prediction: Tensor) -> Tensor:
        """Log-probabilities of all labels, (hypotheses, labels), of one frame (features,) and predictions
        (hypotheses, features)."""
        ...


class Compiled(Protocol):
    """A transducer as a search in compiled code asks it, without a word of Python."""

    @property
    def networks(self) -> Any:
        """A capsule with `carousel::Networks` of ops/cpu/networks.h."""
        ...

    @property
    def labels(self) -> int:
        """How many there are, with the blank."""
        ...

    @property
    def blank(self) -> int: ...

    @property
    def frames(self) -> Callable[[Tensor], Tensor]:
        """What the joint network adds of each frame, of frames (..., features)."""
        ...


class _Decoder(ABC):
    """What both decoders have in common: sequences on the way in, hypotheses on the way out."""

    network: Network
    alphabet: Symbols

    def __call__(self, frames: Tensor, lengths: Any = None) -> list[Hypothesis]:
        """The best reading of each sequence of what the transcription network says, (time, batch, features)."""
        return [found[0] for found in self.n_best(frames, lengths, 1)]

    def n_best(self, frames: Tensor, lengths: Any = None, count: int = 10) -> list[list[Hypothesis]]:
        """The best readings of each sequence, `count` at most, the best first.

        Raises DecodingError for shapes that disagree, and where frames or the network's answers are NaN.
        """
        with torch.no_grad():
            frames = _fitting(_takes(self.network), frames)
            counts = _lengths(frames, lengths)
            compiled = self._compiled()
            heard = [self._search(compiled) for _ in counts]
            _push(heard, compiled, [frames[:length, at] for at, length in enumerate(counts)])
        return [self.hypotheses(search, count) for search in heard]

    def stream(self) -> "TransducerStream":
        """A reader of one sequence that comes piece by piece."""
        with torch.no_grad():
            compiled = self._compiled()
            return TransducerStream(self, self._search(compiled), compiled)

    def hypotheses(self, search: Any, count: int) -> list[Hypothesis]:
        """The best of what a search holds."""
        return [reported(self.alphabet, *each) for each in search.best(count)]

    def _compiled(self) -> Compiled | None:
        """The network as the compiled search asks it; None where it is not there, or cannot be asked so."""
        made = getattr(self.network, "compiled", None)
        found: Compiled | None = None if extension.module is None or made is None else made()
        here = len(self.alphabet), self.alphabet.blank
        if found is not None and (found.labels, found.blank) != here:
            raise DecodingError(
                f"the network knows {found.labels} labels with the blank {found.blank}, the alphabet {here[0]} with "
                f"{here[1]}; give the alphabet that it was made for"
            )
        return found

    @abstractmethod
    def _search(self, compiled: Compiled | None) -> Any:
        """A search from the beginning."""


@dataclass(frozen=True, eq=False)
class TransducerGreedy(_Decoder):
    """At each frame the likeliest label, until that is the blank.

    most_per_frame: labels at most in one frame, so that a network that never says blank comes to an end.
    """

    network: Network
    alphabet: Symbols
    most_per_frame: int = MOST_PER_FRAME

    def __post_init__(self) -> None:
        check_whole("most_per_frame", self.most_per_frame, "labels")

    def _search(self, compiled: Compiled | None) -> Any:
        if compiled is None:
            return GreedySearch(self)
        return extension.module.transducer_greedy(compiled.networks, int(self.most_per_frame))


@dataclass(frozen=True, eq=False)
class TransducerBeam(_Decoder):
    """The beam search of Graves 2012: hypotheses are summed over all ways to emit them that the beam holds.

    At each frame prefixes of a hypothesis that are held too add to it what leads from them to it in this frame; then
    the likeliest ones are extended until `beam` hypotheses that have gone on to the next frame are likelier than all
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
        check_whole("beam", self.beam, "hypotheses")
        check_whole("most_per_frame", self.most_per_frame, "labels")
        check_weights(self.weight, self.bonus)

    def gain(self, labels: Sequence[int]) -> float:
        """What bonus and language model add for the last label."""
        if self.language_model is None:
            return self.bonus
        *context, word = [BEGIN, *(self.alphabet.symbol(label) for label in labels)]
        return self.bonus + self.weight * self.language_model.log_probability(word, context)

    def _search(self, compiled: Compiled | None) -> Any:
        if compiled is None:
            return BeamSearch(self)
        return extension.module.transducer_beam(self._settings, compiled.networks, prefix.REMEMBERED)

    @cached_property
    def _settings(self) -> Any:
        sizes = (len(self.alphabet), self.alphabet.blank, int(self.beam), int(self.most_per_frame))
        weights = (float(self.weight), float(self.bonus))
        model = None if self.language_model is None else Automaton(self.language_model)
        if model is None:
            return extension.module.transducer_settings(sizes, weights, self.normalized, None, [], -1)
        labels = range(len(self.alphabet))
        words = [-1 if label == self.alphabet.blank else model.number(self.alphabet.symbol(label)) for label in labels]
        begin = model.number(BEGIN)
        return extension.module.transducer_settings(sizes, weights, self.normalized, model.compiled, words, begin)


class TransducerStream:
    """One sequence that comes piece by piece: at its end the same hypotheses as of the whole."""

    def __init__(self, decoder: _Decoder, search: Any, compiled: Compiled | None) -> None:
        self._decoder, self._search, self._compiled = decoder, search, compiled
        self._takes = _takes(decoder.network)

    def push(self, frames: Tensor) -> Partial:
        """Hear the next frames of the transcription network, (frames, features), and say what is best so far."""
        with torch.no_grad():
            frames = _fitting(self._takes, frames)
            _lengths(frames.unsqueeze(1), None)
            _push([self._search], self._compiled, [frames])
        return Partial(self._decoder.hypotheses(self._search, 1)[0], self._search.stable())

    def finish(self, count: int = 1) -> list[Hypothesis]:
        """The best readings of all that was heard, as if it ended here; more may still be pushed."""
        return self._decoder.hypotheses(self._search, count)


def _push(searches: list[Any], compiled: Compiled | None, frames: list[Tensor]) -> None:
    """Give each search its frames, the compiled ones in as many threads as there are cores."""
    if compiled is None:
        for search, each in zip(searches, frames, strict=True):
            search.push(each)
        return
    given = [np.ascontiguousarray(compiled.frames(each).numpy()) for each in frames]
    try:
        extension.module.push_transducers(searches, given, torch.get_num_threads())
    except ValueError as error:
        raise DecodingError(str(error)) from None


def _takes(network: Network) -> tuple[int, torch.dtype] | None:
    """The features of a frame and their dtype, where a network says so."""
    return getattr(network, "takes", None)


def _fitting(takes: tuple[int, torch.dtype] | None, frames: Any) -> Tensor:
    """Frames (..., features), a tensor or an array, as a network takes them. Raises DecodingError for others."""
    given = torch.as_tensor(frames)
    width, dtype = takes or (given.shape[-1] if given.dim() else 0, given.dtype)
    if not given.dim() or given.shape[-1] != width:
        raise DecodingError(f"frames have shape {tuple(given.shape)}; the network takes {width} features each")
    return given.to(dtype)


def _lengths(frames: Tensor, lengths: Any) -> list[int]:
    """The length of each sequence of finite frames (time, batch, features). Raises DecodingError for others."""
    if frames.dim() != 3:
        raise DecodingError(f"frames have shape {tuple(frames.shape)}; give (time, batch, features)")
    time, batch = frames.shape[:2]
    counts = [time] * batch if lengths is None else [int(length) for length in lengths]
    if len(counts) != batch or not all(0 <= count <= time for count in counts):
        raise DecodingError(f"lengths are {counts}; give {batch} whole numbers from 0 to {time}")
    for at, count in enumerate(counts):
        if not bool(frames[:count, at].isfinite().all()):
            raise DecodingError(f"sample {at} has NaN or infinity among its frames; give finite numbers")
    return counts
