"""Decoders of a transducer, held to the loss: what a hypothesis costs is the sum over all its alignments."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from carousel.decoding import DecodingError, TransducerBeam, TransducerGreedy
from carousel.nn import Prediction, Transducer
from tests.decoding.oracle import ABC, BOTH, LAST, compiled, model

TIME = 3


@pytest.fixture(autouse=True, params=BOTH)
def _compiled(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test holds both."""
    with compiled(request.param):
        yield


def network(blank: int = 0, labels: int = 4, hidden: int | None = 7) -> Transducer:
    """With outputs far from even, so that hypotheses differ."""
    net = Transducer(5, Prediction(labels, 6, blank=blank), hidden).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(4)
    return net


def frames(time: int = TIME, batch: int = 1) -> Tensor:
    return torch.randn(time, batch, 5, dtype=torch.float64)


def costs(net: Transducer, x: Tensor, most: int) -> dict[tuple[int, ...], float]:
    """The log-probability of every label sequence up to a length."""
    symbols = [label for label in range(net.prediction.labels) if label != net.prediction.blank]
    found = {}
    for labels in (each for size in range(most + 1) for each in itertools.product(symbols, repeat=size)):
        given = torch.tensor([labels], dtype=torch.int64).reshape(1, -1)
        found[labels] = -net.loss(x, given, [len(x)], [len(labels)], "sum").item()
    return found


@pytest.mark.parametrize("blank", [0, 2])
def test_sums_are_those_of_all_alignments(blank: int) -> None:
    alphabet = ABC if blank == 0 else LAST
    net, x = network(blank, len(alphabet)), frames()
    expected = costs(net, x, 2)
    with torch.no_grad():
        (found,) = TransducerBeam(net, alphabet, beam=10_000, most_per_frame=2).n_best(x, count=10_000)
    short: dict[tuple[int, ...], float] = {each.labels: each.log_probability for each in found if len(each.labels) <= 2}
    assert short.keys() == expected.keys()
    for labels, cost in expected.items():
        assert short[labels] == pytest.approx(cost, rel=1e-9)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_a_wide_beam_finds_the_best() -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        net, x = network(), frames()
        known: dict[tuple[int, ...], float] = costs(net, x, 4)
        (found,) = TransducerBeam(net, ABC, beam=20, most_per_frame=4)(x)
        if len(found.labels) <= 4:
            assert found.labels == max(known, key=lambda labels: known[labels])
            assert found.log_probability == pytest.approx(known[found.labels], abs=0.05)
            assert found.log_probability <= known[found.labels] + 1e-9


def test_a_language_model_changes_the_order() -> None:
    net, x, language = network(), frames(), model(2)
    (found,) = TransducerBeam(net, ABC, 10_000, language, 0.8, 0.3, most_per_frame=2).n_best(x, count=50)
    for each in found:
        words = list(each.text)
        added = sum(language.log_probability(word, ["<s>", *words[:at]]) for at, word in enumerate(words))
        assert each.score == pytest.approx(each.log_probability + 0.8 * added + 0.3 * len(words))


def test_ranked_by_score_a_label() -> None:
    net, x = network(), frames()
    (found,) = TransducerBeam(net, ABC, 200, normalized=True, most_per_frame=2).n_best(x, count=20)
    shares = [each.score / max(1, len(each.labels)) for each in found]
    assert shares == sorted(shares, reverse=True)


def test_labels_lie_on_the_likeliest_way() -> None:
    net, x = network(), frames()
    (found,) = TransducerBeam(net, ABC, beam=10_000, most_per_frame=2).n_best(x, count=10_000)
    for each in (each for each in found if len(each.labels) == 2):
        with torch.no_grad():
            said = net.prediction(torch.tensor([each.labels]))[0]
            table = torch.stack([net.join(frame, said) for frame in x[:, 0]])
        ways = {}
        for places in itertools.combinations_with_replacement(range(TIME), 2):
            blanks = [sum(place <= t for place in places) for t in range(TIME)]
            cost = sum(table[place, u, label] for u, (place, label) in enumerate(zip(places, each.labels, strict=True)))
            ways[places] = float(cost + sum(table[t, u, 0] for t, u in enumerate(blanks)))
        best = max(ways, key=lambda places: ways[places])
        assert tuple(symbol.start for symbol in each.symbols) == best
        sure = [
            float(table[place, u, label].exp()) for u, (place, label) in enumerate(zip(best, each.labels, strict=True))
        ]
        np.testing.assert_allclose([symbol.confidence for symbol in each.symbols], sure)


def test_greedy_takes_the_likeliest_label_at_each_step() -> None:
    net, x = network(), frames(6, 2)
    found = TransducerGreedy(net, ABC, most_per_frame=3)(x, [6, 4])
    for at, length in enumerate((6, 4)):
        labels: list[int] = []
        for frame in x[:length, at]:
            for _ in range(3):
                with torch.no_grad():
                    said = net.prediction(torch.tensor([labels], dtype=torch.int64).reshape(1, -1))[:, -1]
                    best = int(net.join(frame, said)[0].argmax())
                if best == 0:
                    break
                labels.append(best)
        assert list(found[at].labels) == labels
    assert TransducerBeam(net, ABC, 8)(x, [6, 4])[0].log_probability >= found[0].log_probability - 1e-9


@pytest.mark.parametrize("decoder", [TransducerGreedy, TransducerBeam])
def test_a_network_that_never_says_blank_comes_to_an_end(decoder: type) -> None:
    net = network()
    assert net.output is not None
    with torch.no_grad():
        net.output.bias[0] = -1e4
    (found,) = decoder(net, ABC, most_per_frame=2)(frames())
    assert len(found.labels) == 2 * TIME if decoder is TransducerGreedy else len(found.labels) <= 2 * TIME


def test_nothing_is_read_in_no_frames() -> None:
    net = network()
    assert [each.text for each in TransducerBeam(net, ABC)(frames(0, 2))] == ["", ""]
    assert [each.text for each in TransducerGreedy(net, ABC)(frames(0, 2))] == ["", ""]


@pytest.mark.parametrize(
    ("x", "lengths", "message"),
    [
        (torch.zeros(3, 5), None, r"shape \(3, 5\)"),
        (torch.zeros(3, 1, 5), [4], "lengths are"),
        (torch.zeros(3, 1, 5), [1, 1], "lengths"),
    ],
)
def test_refusals(x: Tensor, lengths: list[int] | None, message: str) -> None:
    with pytest.raises(DecodingError, match=message):
        TransducerGreedy(network(), ABC)(x.double(), lengths)


@pytest.mark.parametrize("decoder", [TransducerGreedy, TransducerBeam])
def test_frames_are_taken_as_arrays_and_in_any_precision(decoder: type) -> None:
    read, x = decoder(network(), ABC), frames().to(torch.float16)
    (expected,) = read(x.double())
    for given in (x, x.double().numpy(), x.numpy()):
        assert read(given) == [expected]
        stream = read.stream()
        stream.push(given[:, 0])
        assert stream.finish() == [expected]
    with pytest.raises(DecodingError, match=r"frames have shape .*; the network takes \d+ features each"):
        read(torch.zeros(3, 1, 99))


def test_no_beam() -> None:
    with pytest.raises(DecodingError, match="beam is 0"):
        TransducerBeam(network(), ABC, 0)
