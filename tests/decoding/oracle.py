"""Small problems for the decoders, and exhaustive search over all paths: every way to label every frame."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from carousel.data import Alphabet
from carousel.decoding import NGram, extension

Reals = NDArray[np.float64]
Labels = tuple[int, ...]

needs_extension = pytest.mark.skipif(
    extension.module is None and not os.environ.get("CI"), reason=f"{extension.missing}"
)
BOTH = [pytest.param(True, id="compiled", marks=needs_extension), pytest.param(False, id="python")]
"""The decoders that were compiled, and those in plain Python."""

ABC = Alphabet(("a", "b", "c"))
SPACED = Alphabet(("a", "b", " "))
LAST = Alphabet(("a", "b"), blank=2)
SENTENCES = ["abba", "abc", "cab", "bba", "ab", "cc", "abba"]


@contextmanager
def compiled(wanted: bool) -> Iterator[None]:
    """Inside, the compiled decoders run, or those in plain Python."""
    before = extension.module
    extension.module = before if wanted else None
    try:
        yield
    finally:
        extension.module = before


def log_probs(time: int, labels: int, seed: int = 0, spread: float = 2.0) -> Reals:
    """(time, labels)"""
    scores = np.random.default_rng(seed).normal(size=(time, labels)) * spread
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


def paths(frames: Reals) -> Iterator[tuple[Labels, float]]:
    """Every path with its log-probability."""
    for path in itertools.product(range(frames.shape[1]), repeat=len(frames)):
        yield path, float(sum(frames[t, label] for t, label in enumerate(path)))


def sums(frames: Reals, alphabet: Alphabet) -> dict[Labels, float]:
    """The log-probability of every label sequence, over all of its paths."""
    found: dict[Labels, float] = {}
    for path, cost in paths(frames):
        labels = tuple(alphabet.collapse(path))
        found[labels] = float(np.logaddexp(found.get(labels, -np.inf), cost))
    return found


def bests(frames: Reals, alphabet: Alphabet) -> dict[Labels, tuple[float, Labels]]:
    """The likeliest path of every label sequence."""
    found: dict[Labels, tuple[float, Labels]] = {}
    for path, cost in paths(frames):
        labels = tuple(alphabet.collapse(path))
        found[labels] = max(found.get(labels, (-np.inf, path)), (cost, path))
    return found


def model(order: int = 3) -> NGram:
    """Of symbols."""
    return NGram.estimate([list(line) for line in SENTENCES], order)


def word_model(order: int = 2) -> NGram:
    return NGram.estimate([line.split() for line in ("ab b", "a ab", "b", "ab ab b", "a")], order)
