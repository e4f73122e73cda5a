"""The nets of the counting languages, and the tests that they are put to."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from carousel.data.synthetic.counting import LANGUAGES
from carousel.data.synthetic.strings import Strings
from papers.gers2001.nets import Backpropagated, answers, online, online_net, reach, signed, training_numbers
from papers.perezortiz2003.continual import stream
from papers.perezortiz2003.run import first_run, reber_nets


@pytest.mark.parametrize(("name", "weights"), [("anbn", 38), ("anbmbman", 110), ("anbncn", 90)])
def test_nets_have_as_many_weights_as_in_the_paper(name: str, weights: int) -> None:
    assert online_net(LANGUAGES[name]).learned().sum() == weights


def test_the_net_of_2000_has_424_weights() -> None:
    settings = {"reber_sgd": {"learning_rate": 0.5, "momentum": 0.0}, "nets": 1, "reber_spread": 0.2}
    nets = reber_nets(settings | {"reber_biases": [0.5, 1.0, 1.5, 2.0]}, "sgd", 0)
    assert nets.net.learned().sum() == 424
    assert nets.weights["W"][0, :12, -1].tolist() == [-0.5, -1, -1.5, -2, 0.5, 1, 1.5, 2, *[0.0] * 4]


def test_backpropagated_nets_are_the_online_nets() -> None:
    language = LANGUAGES["anbncn"]
    strings = language.strings(torch.tensor([[2], [1], [4]]))
    expected = answers(online(language, seed=3, spread=0.1))(strings)
    found = Backpropagated(language, seed=3, spread=0.1)(strings)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LANGUAGES)
def test_reach_ends_before_the_first_string_that_is_not_accepted(name: str) -> None:
    language = LANGUAGES[name]

    def wrong_from(*limits: int) -> Callable[[Strings], Tensor]:
        def answer(strings: Strings) -> Tensor:
            longest = torch.bincount(strings.string_of * language.symbols + strings.inputs[:, 0])
            numbers = longest.unflatten(0, (-1, language.symbols))[:, 1:].amax(1)
            sign = torch.stack([torch.where(numbers < limit, 1, -1) for limit in limits], dim=1)
            return signed(strings.targets) * sign[strings.string_of].unsqueeze(2)

        return answer

    assert reach(wrong_from(7, 1, 99), language, 12, only=(0, 1, 2)) == {0: 6, 1: 0, 2: 12}
    assert reach(wrong_from(7), language, 5) == {0: 5}


def test_training_sets() -> None:
    assert training_numbers(LANGUAGES["anbn"], 3).tolist() == [[1], [2], [3]]
    assert training_numbers(LANGUAGES["anbmbman"], 3).tolist() == [[1, 1], [1, 2], [2, 1]]


def test_the_stream_is_one_of_legal_symbols() -> None:
    given = stream(5000, torch.Generator().manual_seed(0))
    assert torch.equal(given.symbols[1:], given.following[:-1])
    assert bool(given.legal.gather(1, given.following.unsqueeze(1)).all())
    assert set(given.legal.sum(1).tolist()) == {1, 2}
    whole = "".join("BTPSXVE"[symbol] for symbol in given.symbols.tolist())
    strings = [text for text in whole.replace("EBTB", "E BTB").replace("EBPB", "E BPB").split(" ")][:-1]
    assert len(strings) > 300
    assert all(text[1] == text[-2] and text[-1] == "E" for text in strings)


def test_a_run_is_found_where_it_becomes_long_enough() -> None:
    right = torch.tensor([[1, 1, 0, 1, 1, 1], [0, 1, 1, 0, 1, 1], [1, 1, 1, 0, 0, 0]]).bool().T
    assert first_run(right, 3).tolist() == [6, 0, 3]
