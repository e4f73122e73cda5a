"""The compiled decoders of a transducer, held to those in plain Python on small random networks."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from carousel.cells import VARIANTS, Cell, Gate
from carousel.data import Alphabet
from carousel.decoding import DecodingError, Hypothesis, NGram, TransducerBeam, TransducerGreedy, extension, prefix
from carousel.nn import Prediction, Transducer
from tests.decoding.oracle import ABC, BOTH, LAST, compiled, model, needs_extension

pytestmark = needs_extension
FEATURES = 5
LETTERS = Alphabet(tuple("abcdefghijk"))
CELLS: dict[str, str | Cell] = {
    **{name: name for name in VARIANTS},
    "other": Cell(input=Gate("hard_sigmoid"), squash="softsign", source="graves2012"),
    "normed": Cell(norm="ba2016", source="ba2016"),
}


def network(
    labels: int = 4, *, dtype: torch.dtype = torch.float64, joint: int | None = 7, spread: float = 4, **options: Any
) -> Transducer:
    """With outputs far from even, so that hypotheses differ, and blanks often."""
    net = Transducer(FEATURES, Prediction(labels, 6, **options), joint).to(dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(spread)
        (net.of_frame if net.output is None else net.output).bias[net.prediction.blank] += 3
    return net


def frames(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, FEATURES, dtype=dtype)


def is_compiled(decoder: Any) -> bool:
    with torch.no_grad():
        return decoder._compiled() is not None


def check_same(found: list[Hypothesis], expected: list[Hypothesis], tolerance: float) -> None:
    assert [each.labels for each in found] == [each.labels for each in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.text == other.text
        np.testing.assert_allclose(
            (one.log_probability, one.score), (other.log_probability, other.score), rtol=tolerance
        )
        assert [own[:3] for own in places(one)] == [own[:3] for own in places(other)]
        np.testing.assert_allclose(*([own[3] for own in places(each)] for each in (one, other)), rtol=tolerance)


def places(hypothesis: Hypothesis) -> list[tuple[str, int, int, float]]:
    return [(own.symbol, own.start, own.end, own.confidence) for own in hypothesis.symbols]


def check_decoder(decoder: Any, x: Tensor, lengths: list[int] | None = None, tolerance: float = 1e-9) -> None:
    assert is_compiled(decoder)
    found = decoder.n_best(x, lengths, 20)
    with compiled(False):
        expected = decoder.n_best(x, lengths, 20)
    assert len(found) == len(expected) == x.shape[1]
    for own, other in zip(found, expected, strict=True):
        check_same(own, other, tolerance)


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_reads_the_same_in_both(cell: str) -> None:
    for joint, layers in itertools.product((None, 7), (1, 2)):
        net = network(joint=joint, cell=CELLS[cell], layers=layers)
        x = frames(8, 3)
        check_decoder(TransducerBeam(net, ABC, 4), x, [8, 0, 5])
        check_decoder(TransducerGreedy(net, ABC), x, [8, 0, 5])


@pytest.mark.parametrize("joint", [None, 9], ids=["sum", "network"])
@pytest.mark.parametrize("beam", [1, 3, 10])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"language_model": model(), "weight": 0.5, "bonus": 0.4},
        {"language_model": model(1), "weight": 0.3, "normalized": True},
        {"bonus": -1.5, "most_per_frame": 1},
        {"bonus": 2.0, "most_per_frame": 3},
        {"most_per_frame": 1},
    ],
    ids=["alone", "model", "share", "one", "three", "none"],
)
def test_a_narrow_beam_drops_the_same_in_both(options: dict[str, Any], beam: int, joint: int | None) -> None:
    for seed in range(8):
        torch.manual_seed(seed)
        check_decoder(TransducerBeam(network(joint=joint), ABC, beam, **options), frames(12, 1))


@pytest.mark.parametrize("spread", [0.5, 3, 10])
def test_more_labels_than_a_vector_has_lanes(spread: float) -> None:
    for blank, joint in itertools.product((0, 5, 11), (None, 20)):
        alphabet = Alphabet(LETTERS.symbols, blank=blank)
        net = network(12, joint=joint, blank=blank, spread=spread, cell="lstm")
        check_decoder(TransducerBeam(net, alphabet, 6), frames(15, 2), [15, 9])


def test_single_precision() -> None:
    for seed, joint in itertools.product(range(4), (None, 20)):
        torch.manual_seed(seed)
        net = network(12, joint=joint, dtype=torch.float32)
        check_decoder(TransducerBeam(net, LETTERS, 8), frames(25, 2, dtype=torch.float32), tolerance=2e-5)
        check_decoder(TransducerGreedy(net, LETTERS), frames(25, 2, dtype=torch.float32), tolerance=2e-5)


def test_ties_are_broken_alike() -> None:
    """A network that says nothing of anything: all labels are as likely, whatever came before."""
    net = network(joint=None)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    for beam in (1, 2, 7):
        check_decoder(TransducerBeam(net, ABC, beam), frames(4, 1))


def test_labels_that_cannot_be() -> None:
    net = network(joint=None)
    with torch.no_grad():
        net.of_frame.bias[2] = -torch.inf
    check_decoder(TransducerBeam(net, ABC, 5), frames(10, 2))


def test_a_model_without_a_beginning_and_without_unknown_words() -> None:
    bare = NGram(({("a",): (-1.0, -0.5), ("b",): (-2.0, 0.0)}, {("a", "b"): (-0.1, 0.0)}))
    check_decoder(TransducerBeam(network(), ABC, 5, bare, 0.1), frames(10, 2))


def test_what_no_longer_matters_is_forgotten_and_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = network(), frames(300, 1)
    (expected,) = TransducerBeam(net, ABC, 6, model()).n_best(x)
    monkeypatch.setattr(prefix, "REMEMBERED", 20)
    assert TransducerBeam(net, ABC, 6, model()).n_best(x) == [expected]


def test_threads_share_a_batch_and_change_nothing() -> None:
    net, x = network(), frames(20, 7)
    lengths, threads = [20, 0, 3, 20, 17, 1, 20], torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        expected = TransducerBeam(net, ABC).n_best(x, lengths)
        torch.set_num_threads(3)
        assert TransducerBeam(net, ABC).n_best(x, lengths) == expected
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("wanted", BOTH)
@pytest.mark.parametrize("decoder", [TransducerGreedy, TransducerBeam])
@pytest.mark.parametrize("pieces", [[1] * 12, [5, 0, 7], [12]], ids=str)
def test_a_stream_ends_as_the_whole_does(pieces: list[int], decoder: Any, wanted: bool) -> None:
    net, x = network(), frames(12, 1)
    with compiled(wanted):
        reader = decoder(net, ABC)
        (whole,) = reader.n_best(x, count=5)
        stream, partials = reader.stream(), []
        for piece in x[:, 0].split(pieces):
            partials.append(stream.push(piece))
        check_same(stream.finish(5), whole, 1e-12)
    for earlier, later in itertools.pairwise(partials):
        assert later.hypothesis.labels[: earlier.stable] == earlier.hypothesis.labels[: earlier.stable]
    assert partials[-1].hypothesis.labels == whole[0].labels


@pytest.mark.parametrize("decoder", [TransducerGreedy, TransducerBeam])
def test_what_will_not_change_is_the_same_in_both(decoder: Any) -> None:
    net, x, heard = network(), frames(60, 1)[:, 0], []
    for wanted in (True, False):
        with compiled(wanted):
            stream = decoder(net, ABC).stream()
            heard.append([stream.push(piece) for piece in x.split(3)])
    for one, other in zip(*heard, strict=True):
        check_same([one.hypothesis], [other.hypothesis], 1e-9)
        assert one.stable == other.stable
    whole = [own.stable == len(own.hypothesis.labels) for own in heard[0]]
    assert all(whole) if decoder is TransducerGreedy else not all(whole)
    assert heard[0][-1].stable > 3


@pytest.mark.parametrize("wanted", BOTH)
@pytest.mark.parametrize("decoder", [TransducerGreedy, TransducerBeam])
def test_nan_is_an_error(decoder: Any, wanted: bool) -> None:
    net, x = network(), frames(6, 2)
    with compiled(wanted):
        x[4, 1, 2] = torch.nan
        with pytest.raises(DecodingError, match="sample 1 has NaN or infinity"):
            decoder(net, ABC)(x)
        decoder(net, ABC)(x, [6, 4])
        with pytest.raises(DecodingError, match="NaN"):
            decoder(net, ABC).stream().push(x[:, 1])
        with torch.no_grad():
            net.of_labels.weight[1, 1] = torch.nan
        with pytest.raises(DecodingError, match="the network says NaN at frame 0"):
            decoder(net, ABC)(x, [6, 4])


def test_a_search_that_failed_can_be_asked_again() -> None:
    net, x = network(), frames(6, 1)[:, 0]
    stream = TransducerBeam(net, ABC, 5).stream()
    stream.push(x[:3])
    with torch.no_grad():
        kept = net.of_labels.weight.clone()
        net.of_labels.weight[1, 1] = torch.nan
        for _ in range(2):
            with pytest.raises(DecodingError, match="NaN at frame 3"):
                stream.push(x[3:])
        net.of_labels.weight.copy_(kept)
    assert len(stream.finish(5)) == 5


def test_weights_are_those_of_now() -> None:
    net, x = network(), frames(12, 1)
    decoder = TransducerBeam(net, ABC, 4)
    before = decoder.n_best(x)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(-1)
    assert decoder.n_best(x) != before
    check_decoder(decoder, x)
    net.float()
    check_decoder(decoder, x.float(), tolerance=1e-4)


def test_memory_lives_as_long_as_a_stream_reads_it() -> None:
    net, x = network(), frames(12, 1)
    stream = TransducerBeam(net, ABC, 4).stream()
    expected = TransducerBeam(net, ABC, 4).n_best(x)
    net.float()
    del net
    check_same([stream.push(x[:, 0]).hypothesis], expected[0][:1], 1e-12)


class Hooked(Transducer):
    def join(self, frame: Tensor, prediction: Tensor) -> Tensor:
        return super().join(frame, prediction)


def test_networks_that_python_has_to_ask() -> None:
    plain = network()
    assert is_compiled(TransducerGreedy(plain, ABC))
    assert not is_compiled(TransducerGreedy(network(dtype=torch.bfloat16), ABC))
    assert not is_compiled(TransducerGreedy(Hooked(FEATURES, Prediction(4, 6)), ABC))
    hooked, seen = network(), list[object]()
    hooked.of_labels.register_forward_hook(lambda *given: seen.append(given))
    TransducerBeam(hooked, ABC)(frames(3, 1))
    assert seen
    normed = network()
    nn.utils.parametrizations.weight_norm(normed.of_labels)
    assert not is_compiled(TransducerGreedy(normed, ABC))
    with compiled(False):
        assert not is_compiled(TransducerGreedy(plain, ABC))


def test_an_alphabet_of_other_labels() -> None:
    for net in (network(), network(3)):
        for decoder in (TransducerGreedy(net, LAST), TransducerBeam(net, LAST)):
            with pytest.raises(DecodingError, match="labels with the blank 0, the alphabet 3 with 2"):
                decoder(frames(3, 1))


def test_the_extension_refuses_what_would_leave_its_memory() -> None:
    module = extension.module
    with torch.no_grad():
        asked = network().compiled()
    assert asked is not None
    settings = module.transducer_settings((4, 0, 3, 2), (1.0, 0.0), False, None, [], -1)
    search = module.transducer_beam(settings, asked.networks, 9)
    with pytest.raises(ValueError, match="one number for each unit"):
        module.push_transducers([search], [np.zeros((2, 3))], 1)
    with pytest.raises(ValueError, match="as the networks take them"):
        module.push_transducers([search], [np.zeros((2, 7), dtype=np.float32)], 1)
    with pytest.raises(ValueError, match="one array for each search"):
        module.push_transducers([search], [], 1)
    with pytest.raises(ValueError, match="symbols and blank"):
        module.transducer_beam(
            module.transducer_settings((5, 0, 3, 2), (1.0, 0.0), False, None, [], -1), asked.networks, 9
        )
    language = module.Automaton([0, 0], [], [], [], [0.0], [0], -1.0)
    with pytest.raises(ValueError, match="one word for each symbol"):
        module.transducer_settings((4, 0, 3, 2), (1.0, 0.0), False, language, [], -1)
