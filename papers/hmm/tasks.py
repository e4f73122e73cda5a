"""Temporal order over any gap, for models that learn strings and for nets; and hidden Markov models of it by hand."""

import numpy as np
import torch
from torch import Tensor

from carousel.data.synthetic.strings import Strings, answered, laid_out, whole
from papers.hmm.models import Model, Symbols

DISTRACTORS, X, TRIGGER, START, SYMBOLS, CLASSES = 4, 4, 6, 7, 8, 4
"""Symbols: a to d are 0 to 3, X and Y 4 and 5, the last one 6, the first one 7; then one for each order."""


def order(count: int, length: int, generator: torch.Generator) -> Strings:
    """Experiment 6a of 1997, drawn out: `length` symbols or a tenth more, X or Y after a tenth and after a half."""
    tenth = max(1, length // 10)
    lengths = whole(length, length + tenth, count, generator)
    places = [whole(low, low + tenth, count, generator) for low in (tenth, length // 2)]
    kinds = [whole(0, 1, count, generator) for _ in places]
    first, last = laid_out(lengths)
    symbols = torch.randint(0, DISTRACTORS, (int(lengths.sum()),), generator=generator)
    symbols[first], symbols[last] = START, TRIGGER
    for kind, place in zip(kinds, places, strict=True):
        symbols[first + place] = X + kind
    classes = torch.nn.functional.one_hot(2 * kinds[0] + kinds[1], CLASSES)
    return answered(symbols.unsqueeze(1), lengths, classes.double())


def classes(strings: Strings) -> Tensor:
    """The class of each string (strings,)."""
    return strings.targets[strings.last, 0].argmax(1)


def with_class(strings: Strings) -> list[Symbols]:
    """Each string with a symbol for its class behind it."""
    parts = strings.inputs[:, 0].split(strings.lengths.tolist())
    behind = SYMBOLS + classes(strings)
    return [torch.cat([part, own.view(1)]).numpy() for part, own in zip(parts, behind, strict=True)]


def right(model: Model, strings: Strings) -> float:
    """The share of strings whose class a model thinks likeliest."""
    found = []
    for string in with_class(strings):
        foretold = model.foretold(string[None])[0, -1, SYMBOLS:]
        found.append(int(foretold.argmax()) == string[-1] - SYMBOLS)
    return float(np.mean(found))


def by_hand(length: int) -> Model:
    """The order as a model: what was seen is the state, and each state lasts as long on the average as in the strings.

    States: the start; distractors before; X, Y; distractors between, by what was seen; the four second symbols;
    distractors behind, the trigger and the class, by the order.
    """
    gaps = [max(1.0, length * share) for share in (0.15 - 0.01, 0.4, 0.5)]
    seen = [1, 1, 2, 2, 4, 4, 4, 4]
    begin = np.cumsum([0, *seen])
    emit, move = np.zeros((begin[-1], SYMBOLS + CLASSES)), np.zeros((begin[-1], begin[-1]))
    emit[0, START] = 1
    for stage, gap in zip((1, 3, 5), gaps, strict=True):
        at = np.arange(begin[stage], begin[stage + 1])
        emit[at, :DISTRACTORS] = 1 / DISTRACTORS
        move[at, at] = 1 - 1 / (gap + 1)
    for kind in range(2):
        emit[begin[2] + kind, X + kind] = 1
        move[begin[1], begin[2] + kind] = 0.5 / (gaps[0] + 1)
        move[begin[2] + kind, begin[3] + kind] = 1
    for kind in range(4):
        emit[begin[4] + kind, X + kind % 2] = emit[begin[6] + kind, TRIGGER] = emit[begin[7] + kind, SYMBOLS + kind] = 1
        move[begin[3] + kind // 2, begin[4] + kind] = 0.5 / (gaps[1] + 1)
        move[begin[4] + kind, begin[5] + kind] = move[begin[6] + kind, begin[7] + kind] = 1
        move[begin[5] + kind, begin[6] + kind] = 1 / (gaps[2] + 1)
        move[begin[7] + kind, 0] = 1
    move[0, begin[1]] = 1
    return Model(np.eye(begin[-1])[0], move, emit)
