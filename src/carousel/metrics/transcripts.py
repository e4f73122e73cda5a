"""Measures of transcriptions: edit distance, and error rates with their confidence intervals."""

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Symbols = Sequence[Hashable]
Integers = NDArray[np.int64]


class Edit(NamedTuple):
    """One step of an alignment: `kind` is "same", "substitution", "insertion" or "deletion"; absent symbols are
    None."""

    kind: str
    truth: Hashable | None
    prediction: Hashable | None


class ErrorRate(NamedTuple):
    """How many symbols are wrong, as a share of the truth's. Lower is better; it can exceed 1."""

    rate: float
    low: float
    high: float
    """ends of the confidence interval"""
    errors: int
    symbols: int
    """of the truth"""

    def __str__(self) -> str:
        return f"{self.rate:.2%} ({self.low:.2%} to {self.high:.2%}; {self.errors} of {self.symbols})"


def edit_distance(truth: Symbols, prediction: Symbols) -> int:
    """Return the least number of substitutions, insertions and deletions from truth to prediction (Levenshtein
    1966)."""
    return int(_distances(truth, prediction)[-1, -1])


def edits(truth: Symbols, prediction: Symbols) -> list[Edit]:
    """Return one shortest way from truth to prediction, symbol by symbol; of equals it takes substitutions first."""
    table, found = _distances(truth, prediction), []
    row, column = len(truth), len(prediction)
    while row or column:
        true = truth[row - 1] if row else None
        said = prediction[column - 1] if column else None
        both = row and column
        if both and table[row, column] == table[row - 1, column - 1] + (true != said):
            found.append(Edit("same" if true == said else "substitution", true, said))
            row, column = row - 1, column - 1
        elif row and table[row, column] == table[row - 1, column] + 1:
            found.append(Edit("deletion", true, None))
            row -= 1
        else:
            found.append(Edit("insertion", None, said))
            column -= 1
    return found[::-1]


def error_rate(
    truths: Sequence[Symbols],
    predictions: Sequence[Symbols],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> ErrorRate:
    """Return the edit distances of all samples over the symbols of all truths, such as phonemes: the label error rate.

    The interval is that of the bootstrap over whole samples (Bisani & Ney 2004): samples are drawn with replacement
    `resamples` times, and the middle `confidence` of their rates is told.

    Raises ValueError if there are no symbols, or not as many predictions as truths.
    """
    if len(truths) != len(predictions):
        raise ValueError(
            f"there are {len(truths)} truths and {len(predictions)} predictions; give one of each a sample"
        )
    if not 0 < confidence < 1 or resamples < 1:
        raise ValueError(f"confidence is {confidence} and resamples {resamples}; give a share below 1, and 1 or more")
    symbols = np.array([len(truth) for truth in truths], dtype=np.int64)
    if not symbols.sum():
        raise ValueError("the truths have no symbols; a rate needs at least one")
    errors = np.array([edit_distance(*pair) for pair in zip(truths, predictions, strict=True)], dtype=np.int64)
    low, high = _interval(errors, symbols, confidence, np.random.default_rng(seed).integers, resamples)
    return ErrorRate(float(errors.sum() / symbols.sum()), low, high, int(errors.sum()), int(symbols.sum()))


def character_error_rate(truths: Sequence[str], predictions: Sequence[str], **options: float) -> ErrorRate:
    """Return the `error_rate` of texts by characters, spaces among them; the options are those of `error_rate`."""
    return error_rate(truths, predictions, **options)  # type: ignore[arg-type]


def word_error_rate(truths: Sequence[str], predictions: Sequence[str], **options: float) -> ErrorRate:
    """Return the `error_rate` of texts by words, which white space divides; the options are those of `error_rate`."""
    return error_rate([text.split() for text in truths], [text.split() for text in predictions], **options)  # type: ignore[arg-type]


def _interval(
    errors: Integers, symbols: Integers, confidence: float, integers: Callable[..., Integers], resamples: int
) -> tuple[float, float]:
    rates = []
    while len(rates) < resamples:
        drawn = integers(len(errors), size=len(errors))
        rates.append(errors[drawn].sum() / max(1, symbols[drawn].sum()))
    low, high = np.quantile(rates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _distances(truth: Symbols, prediction: Symbols) -> Integers:
    """The distance between each beginning of the truth and each of the prediction, (truth + 1, prediction + 1)."""
    numbers: dict[Hashable, int] = {}
    first, second = (
        np.array([numbers.setdefault(symbol, len(numbers)) for symbol in symbols], dtype=np.int64)
        for symbols in (truth, prediction)
    )
    steps = np.arange(len(second) + 1)
    table = np.empty((len(first) + 1, len(second) + 1), dtype=np.int64)
    table[0] = steps
    for row, symbol in enumerate(first, start=1):
        before = table[row - 1]
        kept = np.minimum(before[1:] + 1, before[:-1] + (second != symbol))
        # An insertion costs one a symbol: with that taken off, the cheapest so far is a running minimum.
        table[row] = np.minimum.accumulate(np.concatenate([[row], kept]) - steps) + steps
    return table
