"""What a decoder says, and what it is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


class DecodingError(ValueError):
    """Log-probabilities, a language model or a dictionary that cannot be decoded with; the message says what would
    do."""


class Symbols(Protocol):
    """What a decoder asks of an alphabet: `carousel.data.Alphabet` answers."""

    @property
    def blank(self) -> int: ...
    def __len__(self) -> int: ...
    def symbol(self, label: int) -> str: ...
    def text(self, labels: Sequence[int]) -> str: ...
    def encode(self, text: str) -> list[int]: ...


@dataclass(frozen=True)
class Written:
    """One symbol of a transcription, and where it was read."""

    symbol: str
    start: int
    """the first frame of its run on the best alignment"""
    end: int
    """the frame behind its last one"""
    confidence: float
    """the greatest probability that the network gives it in that run, from 0 to 1"""


@dataclass(frozen=True)
class Hypothesis:
    """One reading of a sequence."""

    text: str
    labels: tuple[int, ...]
    symbols: tuple[Written, ...]
    log_probability: float
    """of the labels by the network alone, natural; the decoder says over which alignments it is a sum"""
    score: float
    """by which hypotheses are ranked: with the language model and the bonus"""
    words: tuple[Written, ...] = ()
    """words with their frames and the least confidence of their symbols, from decoders that know words"""


NOTHING = Hypothesis("", (), (), -np.inf, -np.inf)
"""The answer where no reading is allowed."""


class Partial(NamedTuple):
    """What a stream has heard so far."""

    hypothesis: Hypothesis
    stable: int
    """so many first labels of it will not change any more, whatever comes"""


def check_whole(name: str, value: Any, what: str, most: int | None = None) -> None:
    """Raise DecodingError unless a decoder's option is a whole number of something, at least 1."""
    number = isinstance(value, Real) and not isinstance(value, bool) and value == value // 1
    if not number or not 1 <= float(value) <= (np.inf if most is None else most):
        bounds = "1 or more" if most is None else f"from 1 to {most}"
        raise DecodingError(f"{name} is {value!r}; it is a whole number of {what}, {bounds}")


def check_weights(weight: Any, bonus: Any) -> None:
    """Raise DecodingError unless a language model's weight and the bonus can be summed up."""
    numbers = all(isinstance(each, Real) and np.isfinite(float(each)) for each in (weight, bonus))
    if not numbers or weight < 0:
        raise DecodingError(f"weight is {weight!r} and bonus {bonus!r}; give finite numbers, a weight of 0 or more")


def written(alphabet: Symbols, labels: Sequence[int], spans: Sequence[tuple[int, int, float]]) -> tuple[Written, ...]:
    """Symbols with (start, end, log-probability at the peak)."""
    return tuple(
        Written(alphabet.symbol(label), int(start), int(end), float(np.exp(min(peak, 0.0))))
        for label, (start, end, peak) in zip(labels, spans, strict=True)
    )


def sequences(log_probs: Any, lengths: Any, alphabet: Symbols) -> list[Reals]:
    """Each sequence's log-probabilities (frames, labels), of (time, batch, labels) and lengths (batch,) or None.

    Takes tensors and arrays; (time, labels) is one sequence. Raises DecodingError for shapes that disagree with each
    other or with the alphabet, and for numbers that are no log-probabilities.
    """
    values = as_array(log_probs)
    values = values[:, None] if values.ndim == 2 else values
    if values.ndim != 3 or values.shape[2] != len(alphabet):
        raise DecodingError(
            f"log-probabilities have shape {np.shape(log_probs)}; give (time, batch, {len(alphabet)}), one for each "
            "label of the alphabet and its blank"
        )
    time, batch = values.shape[:2]
    counts = np.full(batch, time) if lengths is None else np.asarray(as_array(lengths), dtype=np.int64)
    if counts.shape != (batch,) or (counts < 0).any() or (counts > time).any():
        raise DecodingError(f"lengths are {counts.tolist()}; give {batch} whole numbers from 0 to {time}")
    return [checked(values[:count, at], at) for at, count in enumerate(counts)]


def piece(log_probs: Any, alphabet: Symbols, before: int) -> Reals:
    """The next frames (frames, labels) of a stream of which so many came before. Raises DecodingError for others."""
    frames = as_array(log_probs)
    if frames.ndim != 2 or frames.shape[1] != len(alphabet):
        raise DecodingError(f"a piece of a stream has shape {frames.shape}; give (frames, {len(alphabet)})")
    return checked(frames, f"of the stream, frame {before} on,")


def checked(frames: Reals, sample: object) -> Reals:
    """Dense frames. Raises DecodingError for NaN and for what lies above the logarithm of one."""
    if frames.size and not frames.max() <= 1e-3:  # NaN compares false
        worst = np.argwhere(~(frames <= 1e-3))[0].tolist()
        raise DecodingError(
            f"sample {sample} has {frames[tuple(worst)]} at (frame, label) {worst}; give logarithms of probabilities, "
            "such as log_softmax makes of scores"
        )
    return np.ascontiguousarray(frames)


def as_array(values: Any) -> Reals:
    """A tensor or an array as float64."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def reported(
    alphabet: Symbols,
    labels: Sequence[int],
    starts: Sequence[int],
    ends: Sequence[int],
    peaks: Sequence[float],
    log_probability: float,
    score: float,
) -> Hypothesis:
    """What a search reports, as a reading: its labels, with the first frame, the end and the peak of each."""
    symbols = written(alphabet, labels, list(zip(starts, ends, peaks, strict=True)))
    return Hypothesis(alphabet.text(labels), tuple(labels), symbols, log_probability, score)


def common(prefixes: Sequence[Sequence[int]]) -> int:
    """How many first labels all of these, one at least, have in common."""
    shortest = min(map(len, prefixes))
    return next((at for at in range(shortest) if len({each[at] for each in prefixes}) > 1), shortest)
