"""The decoders of the best single alignment: best path, whole or in a stream, and the alignment of given labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from carousel.decoding import extension, reference
from carousel.decoding.hypothesis import (
    DecodingError,
    Hypothesis,
    Partial,
    Reals,
    Symbols,
    piece,
    reported,
    sequences,
    written,
)


def best_path(log_probs: Any, lengths: Any, alphabet: Symbols) -> list[Hypothesis]:
    """Read each sequence by the likeliest label of every frame: repeated ones once, then without blanks.

    Graves et al. 2006. `log_probability` is that of this one path.

    Args:
        log_probs: (time, batch, labels), or (time, labels) for one sequence.
        lengths: (batch,) frames of each, or None for all.
        alphabet: says which label is the blank, and what the others write.

    Raises DecodingError if they disagree.
    """
    return [_best_path(frames, alphabet) for frames in sequences(log_probs, lengths, alphabet)]


class BestPathStream:
    """The best path of one sequence that comes piece by piece: at its end, the same hypothesis as of the whole."""

    def __init__(self, alphabet: Symbols) -> None:
        self._alphabet, self._last = alphabet, alphabet.blank
        self._frames, self._total = 0, 0.0
        self._labels: list[int] = []
        self._spans: list[tuple[int, int, float]] = []

    def push(self, log_probs: Any) -> Partial:
        """Hear the next frames, (frames, labels), and say what was read so far: all of it stands, but for the end of
        its last symbol.

        Raises DecodingError for other shapes.
        """
        frames = piece(log_probs, self._alphabet, self._frames)
        for label, peak in zip(frames.argmax(axis=1).tolist(), frames.max(axis=1).tolist(), strict=True):
            self._hear(label, peak)
        return Partial(self._hypothesis(), len(self._labels))

    def finish(self, count: int = 1) -> list[Hypothesis]:
        """The one reading of all that was heard, as if it ended here; more may still be pushed."""
        return [self._hypothesis()][:count]

    def _hear(self, label: int, peak: float) -> None:
        now = self._frames
        if label != self._alphabet.blank and label == self._last:
            start, _, greatest = self._spans[-1]
            self._spans[-1] = (start, now + 1, max(greatest, peak))
        elif label != self._alphabet.blank:
            self._labels.append(label)
            self._spans.append((now, now + 1, peak))
        self._frames, self._total, self._last = now + 1, self._total + peak, label

    def _hypothesis(self) -> Hypothesis:
        text, symbols = self._alphabet.text(self._labels), written(self._alphabet, self._labels, self._spans)
        return Hypothesis(text, tuple(self._labels), symbols, self._total, self._total)


def _best_path(frames: Reals, alphabet: Symbols) -> Hypothesis:
    return BestPathStream(alphabet).push(frames).hypothesis


def align(log_probs: Any, labels: Sequence[int], alphabet: Symbols) -> Hypothesis:
    """Where given labels lie: their best alignment with one sequence's log-probabilities (time, labels).

    `log_probability` is that of this one path. Raises DecodingError if the labels need more frames than there are.
    """
    (frames,) = sequences(log_probs, None, alphabet)
    labels = [int(label) for label in labels]
    text = alphabet.text(labels)
    run = reference if extension.module is None else extension.module
    score, starts, ends, peaks = run.align(frames, labels, alphabet.blank)
    if score == -np.inf:
        raise DecodingError(f"{len(frames)} frames hold no alignment of {text!r}; give more frames or fewer labels")
    return reported(alphabet, labels, starts, ends, peaks, score, score)
