"""The decoders of the best single alignment: best path, and the alignment of given labels."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from carousel.decoding import extension, reference
from carousel.decoding.hypothesis import DecodingError, Hypothesis, Reals, Symbols, sequences, written


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


def _best_path(frames: Reals, alphabet: Symbols) -> Hypothesis:
    path = frames.argmax(axis=1) if len(frames) else np.zeros(0, dtype=np.int64)
    peaks = frames[np.arange(len(frames)), path]
    labels, spans, start = [], [], 0
    for label, run in groupby(path.tolist()):
        end = start + len(list(run))
        if label != alphabet.blank:
            labels.append(label)
            spans.append((start, end, float(peaks[start:end].max())))
        start = end
    total = float(peaks.sum())
    return Hypothesis(alphabet.text(labels), tuple(labels), written(alphabet, labels, spans), total, total)


def align(log_probs: Any, labels: Sequence[int], alphabet: Symbols) -> Hypothesis:
    """Where given labels lie: their best alignment with one sequence's log-probabilities (time, labels).

    `log_probability` is that of this one path. Raises DecodingError if the labels need more frames than there are.
    """
    (frames,) = sequences(log_probs, None, alphabet)
    labels = [int(label) for label in labels]
    text = alphabet.text(labels)
    run = reference if extension.module is None else extension.module
    score, *spans = run.align(frames, labels, alphabet.blank)
    if score == -np.inf:
        raise DecodingError(f"{len(frames)} frames hold no alignment of {text!r}; give more frames or fewer labels")
    return Hypothesis(text, tuple(labels), written(alphabet, labels, list(zip(*spans, strict=True))), score, score)
