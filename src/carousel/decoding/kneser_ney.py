"""Interpolated, modified Kneser-Ney smoothing: an n-gram model from sentences (Chen & Goodman 1998)."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from carousel.decoding.arpa import HIGHEST_ORDER, LN10, Entries
from carousel.decoding.hypothesis import DecodingError, check_whole

Counts = dict[tuple[str, ...], int]

BEGIN, END, UNKNOWN, SPACE = "<s>", "</s>", "<unk>", "<space>"
"""A model's own words; the last stands for " ", which would tear a line of an ARPA file apart."""
NEVER = -99 * LN10
"""The logarithm of what cannot be, as ARPA files write it: <s>, and an unknown word where there is no <unk>."""
DISCOUNTS = (0.5, 1.0, 1.5)
"""For tables too small to estimate discounts from: what is taken from counts of one, two, and more."""


def estimate(sentences: Iterable[Sequence[str]], order: int) -> Entries:
    """The entries of each order. Raises DecodingError for nothing to count, or words that are the model's own."""
    check_whole("order", order, "words", HIGHEST_ORDER)
    order = int(order)
    counted = _counted(sentences, order)
    tables = [_continuations(counted, at) for at in range(order)]
    words = [word for (word,) in tables[0]] + [UNKNOWN]
    probabilities: dict[tuple[str, ...], float] = {(): 1 / len(words)}
    weights: dict[tuple[str, ...], float] = {}
    for table in tables:
        weights |= _interpolate(table, probabilities)
    probabilities[UNKNOWN,] = weights[()] / len(words)
    del probabilities[()]
    never = {(BEGIN,): 0.0}
    found: list[dict[tuple[str, ...], tuple[float, float]]] = [{} for _ in range(order)]
    for gram, probability in (never | probabilities).items():
        found[len(gram) - 1][gram] = (_log(probability), _log(weights.get(gram, 1.0)))
    return tuple(found)


def in_model(word: str) -> str:
    """How a model writes a word, or a symbol."""
    return SPACE if word == " " else word


def _counted(sentences: Iterable[Sequence[str]], order: int) -> list[Counts]:
    """How often each sequence of 1 to `order` words came."""
    counts: list[Counts] = [Counter() for _ in range(order)]
    for number, sentence in enumerate(sentences):
        words = [in_model(word) for word in sentence]
        if strange := [word for word in words if word in (BEGIN, END, UNKNOWN) or word.split() != [word]]:
            raise DecodingError(
                f"sentence {number} holds {strange[0]!r}; words have no spaces, and {BEGIN}, {END}, {UNKNOWN} are the "
                "model's own"
            )
        line = (BEGIN, *words, END)
        for size in range(1, order + 1):
            for at in range(len(line) - size + 1):
                counts[size - 1][line[at : at + size]] += 1
    if not counts[0]:
        raise DecodingError("there are no sentences to count")
    del counts[0][BEGIN,]
    return counts


def _continuations(counted: list[Counts], at: int) -> Counts:
    """Counts for one order: for all but the highest, how many different words came before, if any could."""
    if at + 1 == len(counted):
        return counted[at]
    before = Counter(gram[1:] for gram in counted[at + 1])
    return {gram: count if gram[0] == BEGIN else before[gram] for gram, count in counted[at].items()}


def _interpolate(table: Counts, probabilities: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    """Add the probabilities of one order, each mixed with that of the order below; return the weight of that for each
    context."""
    discounts = _discounts(table)
    total: dict[tuple[str, ...], int] = defaultdict(int)
    taken: dict[tuple[str, ...], float] = defaultdict(float)
    for gram, count in table.items():
        total[gram[:-1]] += count
        taken[gram[:-1]] += discounts[min(count, 3) - 1]
    weights = {context: taken[context] / total[context] for context in total}
    for gram, count in table.items():
        own = (count - discounts[min(count, 3) - 1]) / total[gram[:-1]]
        lower = probabilities[gram[1:]] if len(gram) > 1 else probabilities[()]
        probabilities[gram] = own + weights[gram[:-1]] * lower
    return weights


def _discounts(table: Counts) -> tuple[float, ...]:
    """D(i) = i - (i + 1) Y n(i + 1) / n(i), Y = n1 / (n1 + 2 n2), where n(i) sequences came i times."""
    times = Counter(table.values())
    n = [times[count] for count in range(1, 5)]
    if not all(n[:3]):
        return DISCOUNTS
    share = n[0] / (n[0] + 2 * n[1])
    found = tuple(i - (i + 1) * share * n[i] / n[i - 1] for i in (1, 2, 3))
    return found if all(0 < each < i for i, each in enumerate(found, start=1)) else DISCOUNTS


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else NEVER
