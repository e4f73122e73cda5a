"""Strings without end: each is one of the grammar, and the targets say what may come next."""

import re

import numpy as np
import pytest

from carousel.data.synthetic.continual_order import SYMBOLS as ORDER
from carousel.data.synthetic.continual_order import continual_order
from carousel.data.synthetic.continual_reber import SYMBOLS, continual_reber


def inner_is_legal(text: str) -> bool:
    """Whether the Reber automaton, written down once more, takes this string."""
    edges = {
        (0, "T"): 1, (0, "P"): 2, (1, "S"): 1, (1, "X"): 3, (2, "T"): 2, (2, "V"): 4,
        (3, "X"): 2, (3, "S"): 5, (4, "P"): 3, (4, "V"): 5,
    }  # fmt: skip
    state: int | None = 0
    for symbol in text[1:-1]:
        state = edges.get((state, symbol)) if state is not None else None
    return text[0] == "B" and text[-1] == "E" and state == 5


@pytest.fixture
def strings() -> list[str]:
    stream = continual_reber(3000, np.random.default_rng(1))
    text = "".join(SYMBOLS[symbol] for symbol in stream.inputs.tolist())
    starts = stream.begins.nonzero().flatten().tolist()
    return [text[start:stop] for start, stop in zip(starts, [*starts[1:], None], strict=True)]


def test_each_string_is_one_of_the_embedded_grammar(strings: list[str]) -> None:
    assert len(strings) == 3000
    for text in strings:
        assert text[0] == "B" and text[-1] == "E" and text[1] == text[-2] in "TP"
        assert inner_is_legal(text[2:-2]), text


def test_every_fork_is_even(strings: list[str]) -> None:
    assert np.mean([text[1] == "T" for text in strings]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([text[3] == "T" for text in strings]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([len(text) for text in strings]) == pytest.approx(12, abs=0.3)  # by the expectations of its states
    assert min(len(text) for text in strings) == 9


def test_targets_are_the_symbols_that_may_come() -> None:
    stream = continual_reber(5000, np.random.default_rng(2))
    symbols, targets = stream.inputs.numpy(), stream.targets.numpy()
    assert (targets[np.arange(len(symbols) - 1), symbols[1:]] == 1).all()
    assert targets[-1].tolist() == [1, 0, 0, 0, 0, 0, 0]
    seen: dict[str, set[str]] = {}
    text = "".join(SYMBOLS[symbol] for symbol in symbols)
    for at in range(12, len(text) - 1):
        legal = "".join(SYMBOLS[k] for k in range(7) if targets[at, k])
        seen.setdefault(legal, set()).add(text[at + 1])
    assert all(set(legal) == came for legal, came in seen.items())
    assert set(seen) == {"B", "TP", "SX", "TV", "PV", "T", "P", "E"}
    assert stream.observed.all()


def test_the_same_seed_draws_the_same() -> None:
    one, two, other = (continual_reber(50, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one.inputs.tolist() == two.inputs.tolist() != other.inputs.tolist()


def test_order_strings_tell_their_class_at_the_end_alone() -> None:
    stream = continual_order(400, np.random.default_rng(5))
    text = "".join(ORDER[symbol] for symbol in stream.inputs.tolist())
    starts = stream.begins.nonzero().flatten().tolist()
    strings = [text[start:stop] for start, stop in zip(starts, [*starts[1:], None], strict=True)]
    ends = stream.observed.nonzero().flatten()
    assert (ends + 1).tolist() == [*starts[1:], len(text)]
    assert stream.targets[~stream.observed].abs().sum() == 0
    for string, target in zip(strings, stream.targets[ends].tolist(), strict=True):
        found = re.fullmatch("E[a-d]*([XY])[a-d]*([XY])[a-d]*([XY])[a-d]*B", string)
        assert found and 100 <= len(string) <= 110
        assert 10 <= found.start(1) <= 20 and 33 <= found.start(2) <= 43 and 66 <= found.start(3) <= 76
        kind = int("".join("01"[mark == "Y"] for mark in found.groups()), 2)
        assert target == [float(place == kind) for place in range(8)]
    assert len({tuple(target) for target in stream.targets[ends].tolist()}) == 8
