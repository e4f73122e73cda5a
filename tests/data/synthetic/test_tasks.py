"""Each task of 1997 held to the paper's description, string by string."""

import pytest
import torch
from torch import Tensor

from carousel.data.synthetic import (
    Strings,
    embedded_reber,
    long_lag,
    marked_pairs,
    memorised,
    shuffled,
    temporal_order,
    two_sequences,
)
from carousel.data.synthetic.reber import SYMBOLS, ranked

COUNT = 2000


def drawn(task, count: int = COUNT, **options) -> Strings:
    return task(count, torch.Generator().manual_seed(0), **options)


def each(strings: Strings) -> list[tuple[Tensor, Tensor]]:
    """Inputs and targets of each string."""
    lengths = strings.lengths.tolist()
    return list(zip(strings.inputs[:, 0].split(lengths), strings.targets[:, 0].split(lengths), strict=True))


@pytest.mark.parametrize(
    "task", [embedded_reber, memorised, shuffled, long_lag, two_sequences, marked_pairs, temporal_order]
)
def test_a_generator_says_what_is_drawn(task) -> None:
    one, same = (drawn(task, 20) for _ in range(2))
    assert torch.equal(one.inputs, same.inputs)
    assert torch.equal(one.targets, same.targets)
    assert not torch.equal(one.inputs, task(20, torch.Generator().manual_seed(1)).inputs[: len(one.inputs)])
    assert one.count == 20


@pytest.mark.parametrize(("relevant", "places"), [(2, [(10, 20), (50, 60)]), (3, [(10, 20), (33, 43), (66, 76)])])
def test_temporal_order(relevant: int, places: list[tuple[int, int]]) -> None:
    strings = drawn(temporal_order, relevant=relevant)
    seen: set[int] = set()
    for symbols, targets in each(strings):
        assert 100 <= len(symbols) <= 110
        assert (symbols[0], symbols[-1]) == (7, 6)
        at = ((symbols == 4) | (symbols == 5)).nonzero()[:, 0].tolist()
        assert len(at) == relevant
        assert all(low <= place <= high for place, (low, high) in zip(at, places, strict=True))
        seen.update(at)
        number = sum(2**k * int(symbols[place] - 4) for k, place in enumerate(reversed(at)))
        assert targets[-1].argmax() == number
        assert targets.sum() == 1
        others = symbols[1:-1][(symbols[1:-1] != 4) & (symbols[1:-1] != 5)]
        assert others.max() < 4
    assert seen == {place for low, high in places for place in range(low, high + 1)}
    assert set(strings.lengths.tolist()) == set(range(100, 111))
    assert strings.targets.sum(0).min() > COUNT / 2**relevant * 0.7
    with pytest.raises(ValueError, match=r"relevant is 4; it can be 2 .* or 3"):
        drawn(temporal_order, relevant=4)


@pytest.mark.parametrize("product", [False, True])
def test_marked_pairs(product: bool) -> None:
    strings = drawn(marked_pairs, least=60, product=product)
    first_marked = 0
    places = set()
    for pairs, targets in each(strings):
        values, marks = pairs.T
        assert 60 <= len(values) <= 66
        assert (marks[0], marks[-1]) == (-1, -1)
        at = (marks == 1).nonzero()[:, 0].tolist()
        places.update(at)
        if len(at) == 1:  # the other one is the first pair
            first_marked += 1
            assert values[0] == (1 if product else 0)
            at = [0, *at]
        assert len(at) == 2
        assert min(at) < 10
        assert max(at) < 29
        one, other = values[at].tolist()
        assert targets[-1].item() == pytest.approx(one * other if product else 0.5 + (one + other) / 4)
        assert ((marks == 0).sum() + (marks == 1).sum() + 2) == len(marks)
    numbers = strings.inputs[:, 0, 0]
    assert (numbers.min() >= 0) if product else (numbers.min() < -0.99)
    assert numbers.max() > 0.99
    assert places == set(range(1, 29))
    assert COUNT * 0.08 < first_marked < COUNT * 0.2
    with pytest.raises(ValueError, match="least is 20; with 10 early pairs it is 22 or more"):
        drawn(marked_pairs, least=20)


@pytest.mark.parametrize("informative", [1, 3])
@pytest.mark.parametrize("noisy", [False, True])
def test_two_sequences(noisy: bool, informative: int) -> None:
    strings = drawn(two_sequences, least=50, informative=informative, noisy=noisy)
    heads, tails = [], []
    for numbers, targets in each(strings):
        assert 50 <= len(numbers) <= 55
        sign = 2 * targets[-1] - 1
        heads.append(sign * numbers[:informative, 0])
        tails.append(numbers[informative:, 0])
    head, tail = torch.cat(heads), torch.cat(tails)
    assert head.mean().item() == pytest.approx(1, abs=0.03)
    assert head.var().item() == pytest.approx(0.2 if noisy else 0, abs=0.02)
    assert tail.mean().item() == pytest.approx(0, abs=0.02)
    assert tail.var().item() == pytest.approx(0.2, abs=0.01)


def test_two_sequences_with_noise_on_the_target() -> None:
    strings = drawn(two_sequences, noisy=True, targets=(0.2, 0.8), target_noise=True)
    first = torch.stack([numbers[:3].sum() > 0 for numbers, _ in each(strings)])
    answers = strings.targets[strings.last, 0, 0]
    assert answers[first].mean().item() == pytest.approx(0.2, abs=0.05)
    assert answers[~first].mean().item() == pytest.approx(0.8, abs=0.05)
    assert answers[first].var().item() == pytest.approx(0.1, abs=0.02)


def test_the_same_between_x_and_y() -> None:
    for symbols, targets in each(drawn(memorised, 50, symbols=10)):
        assert symbols[1:].tolist() == list(range(9))
        assert targets.argmax(1).tolist() == [*range(9), symbols[0]]
        assert symbols[0] in (9, 10)


def test_anything_between_x_and_y() -> None:
    strings = drawn(shuffled, symbols=10)
    for symbols, targets in each(strings):
        assert targets.argmax(1).tolist() == [*symbols[1:].tolist(), symbols[0]]
        assert symbols[0] in (9, 10)
        assert len(symbols) == 10
    within = strings.inputs[~strings.begins]
    assert within.bincount().min() > 0.9 * len(within) / 9
    assert within.max() == 8
    assert strings.observed.all()
    told = drawn(shuffled, symbols=10, ends=True)
    assert told.observed.equal(told.ends) and told.targets.equal(strings.targets)


def test_long_lags() -> None:
    strings = drawn(long_lag, lag=20, distractors=5)
    for symbols, targets in each(strings):
        assert (symbols[0], symbols[-1]) == (6, 5)
        assert symbols[1] - 7 == targets[-1].argmax()
        assert symbols[2:-1].max() < 5
        assert len(symbols) >= 23
    more = (strings.lengths - 23).double()
    assert more.min() == 0
    assert more.mean().item() == pytest.approx(9, abs=0.6)
    assert (more == 0).double().mean().item() == pytest.approx(0.1, abs=0.02)


def test_embedded_reber() -> None:
    strings = drawn(embedded_reber)
    texts = set()
    for symbols, targets in each(strings):
        text = "".join(SYMBOLS[symbol] for symbol in symbols) + SYMBOLS[targets[-1].argmax()]
        texts.add(text)
        assert (text[0], text[-1]) == ("B", "E")
        assert text[1] == text[-2]
        assert text[1] in "TP"
        assert text[2] == "B"
        assert text[-3] == "E"
        assert targets.argmax(1).tolist() == [*symbols[1:].tolist(), SYMBOLS.index("E")]
    assert min(map(len, texts)) == 9
    assert {"BTBTXSETE", "BPBPVVEPE", "BTBTSXSETE", "BPBPTVPSEPE"} <= texts
    assert (strings.lengths + 1).double().mean().item() == pytest.approx(11.5, abs=0.5)


def test_legal_symbols_are_those_that_come() -> None:
    strings = drawn(embedded_reber)
    assert strings.legal is not None
    assert (strings.legal & (strings.targets == 1)).any(2).all()
    counts = strings.legal.sum(2)[:, 0]
    assert set(counts.tolist()) == {1, 2}
    assert (counts[strings.first] == 2).all()
    assert (counts[strings.last] == 1).all()
    assert (counts[strings.last - 1] == 1).all()
    context: dict[str, set[int]] = {}
    for (symbols, targets), legal in zip(
        each(strings), strings.legal[:, 0].split(strings.lengths.tolist()), strict=True
    ):
        text = "".join(SYMBOLS[symbol] for symbol in symbols)
        for step, may in enumerate(legal):
            if may.sum() == 2:
                context.setdefault(f"{text[: step + 1]} {may.tolist()}", set()).add(int(targets[step].argmax()))
    assert max(map(len, context.values())) == 2


def test_ranks_tell_the_two_criteria_apart() -> None:
    strings = drawn(embedded_reber, 30)
    assert strings.legal is not None
    strict, easy = ranked(strings, strings.legal.double())
    assert strict.all()
    assert easy.all()
    one = strings.targets.clone()
    strict, easy = ranked(strings, one)
    assert not strict.any()
    assert easy.all()
    one[strings.last[3] - 1] = 1 - one[strings.last[3] - 1]
    assert ranked(strings, one)[1][:, 0].tolist() == [place != 3 for place in range(30)]
