"""The transducer head: the loss in pieces, the networks of the papers, and training that begins from others'."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carousel.nn import CTC, LSTM, NextLabel, Prediction, Transducer, pad_labels
from carousel.ops import ShapeError, transducer_loss

TARGETS = [[1, 2, 2], [3], []]
LENGTHS = [7, 2, 5]


def head(hidden: int | None, frames_at_once: int | None = None, blank: int = 0) -> Transducer:
    return Transducer(6, Prediction(4, 5, blank=blank), hidden, frames_at_once).double()


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    labels, counts = pad_labels(TARGETS)
    return torch.randn(7, 3, 6, dtype=torch.float64, requires_grad=True), labels, counts


@pytest.mark.parametrize("hidden", [None, 8])
def test_the_equations_of_the_papers(hidden: int | None) -> None:
    """y = W tanh(W_l l + W_p p + b) + b (2013), or the sum of both networks' scores (2012), and the loss of all of
    it."""
    net, (x, labels, counts) = head(hidden), inputs()
    one_hot = F.one_hot(labels, 4)[..., 1:].double()
    said = net.prediction.lstm(F.pad(one_hot, (0, 0, 1, 0)).transpose(0, 1))[0].transpose(0, 1)
    frames = x.transpose(0, 1) @ net.of_frame.weight.T + net.of_frame.bias
    scores = frames.unsqueeze(2) + (said @ net.of_labels.weight.T).unsqueeze(1)
    if net.output is not None:
        scores = torch.tanh(scores) @ net.output.weight.T + net.output.bias
    expected = transducer_loss(scores, labels, LENGTHS, counts)
    torch.testing.assert_close(net.loss(x, labels, LENGTHS, counts, "none"), expected)
    torch.testing.assert_close(net.loss(x, labels, LENGTHS, counts), expected.mean())


@pytest.mark.parametrize("step", [1, 3, 7, 100, None])
def test_pieces_change_nothing(step: int | None) -> None:
    x, labels, counts = inputs()
    torch.manual_seed(1)
    whole = head(8, 0)
    pieces = head(8, step)
    pieces.load_state_dict(whole.state_dict())
    found = []
    for net in (whole, pieces):
        x.grad = None
        net.loss(x, labels, LENGTHS, counts).backward()
        found.append([x.grad, *(parameter.grad for parameter in net.parameters())])
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-12)


def test_pieces_take_less_memory() -> None:
    """What is saved for the way back does not grow with the frames beyond two numbers a place."""

    def saved(step: int) -> int:
        total, net = 0, head(64, step)
        x, labels = torch.randn(64, 2, 6, dtype=torch.float64), torch.randint(1, 4, (2, 15))

        def pack(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            net.loss(x, labels, [64, 64], [15, 15])
        return total

    assert saved(0) > 64 * 2 * 16 * 64
    assert saved(4) < saved(0) / 4


@pytest.mark.parametrize("blank", [0, 3])
def test_a_step_is_what_the_whole_says(blank: int) -> None:
    net = head(None, blank=blank).prediction
    labels = torch.tensor([[1, 2, 1]])
    whole, state = net(labels), None
    for at in range(4):
        said, state = net.step(labels[:, at - 1] if at else None, state)
        torch.testing.assert_close(said, whole[:, at])


def test_the_blank_is_no_input() -> None:
    net = Prediction(4, 5, blank=2)
    assert net.lstm.input_size == 3
    encoded = net._one_hot(torch.tensor([0, 1, 2, 3]))
    assert encoded.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_the_next_label_and_the_end() -> None:
    net = NextLabel(Prediction(4, 5)).double()
    labels, counts = pad_labels(TARGETS)
    costs = -net(labels)
    expected = [
        costs[0, 0, 1] + costs[0, 1, 2] + costs[0, 2, 2] + costs[0, 3, 0],
        costs[1, 0, 3] + costs[1, 1, 0],
        costs[2, 0, 0],
    ]
    torch.testing.assert_close(net.loss(labels, counts, "none"), torch.stack(expected))


def test_networks_that_were_trained_before_are_taken_as_they_are() -> None:
    """As in 2013: the transcription network by CTC, the prediction network by itself, then both in a transducer."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(1, 4, (16, 3), generator=draw)
    x = (
        F.one_hot(labels.repeat_interleave(3, dim=1), 4).double().transpose(0, 1)
        + torch.randn(9, 16, 4, generator=draw) * 0.3
    )
    lengths, counts = [9] * 16, [3] * 16
    stack, ctc, language = (
        LSTM(4, 12, bidirectional=True).double(),
        CTC(24, 4).double(),
        NextLabel(Prediction(4, 8)).double(),
    )
    _train(nn.ModuleList([stack, ctc]), lambda: ctc.loss(ctc(stack(x)[0]), labels, lengths, counts), 60)
    _train(language, lambda: language.loss(labels, counts), 40)
    before = {name: value.clone() for name, value in language.prediction.state_dict().items()}
    net = Transducer(24, language.prediction, 16).double()
    assert all(torch.equal(value, before[name]) for name, value in net.prediction.state_dict().items())
    warm = _train(nn.ModuleList([stack, net]), lambda: net.loss(stack(x)[0], labels, lengths, counts), 30)
    torch.manual_seed(0)
    fresh, other = LSTM(4, 12, bidirectional=True).double(), Transducer(24, Prediction(4, 8), 16).double()
    cold = _train(nn.ModuleList([fresh, other]), lambda: other.loss(fresh(x)[0], labels, lengths, counts), 30)
    assert warm[-1] < 0.9 * cold[-1]


def _train(model: nn.Module, loss: object, steps: int) -> list[float]:
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.02), []
    for _ in range(steps):
        value = loss()  # type: ignore[operator]
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


@pytest.mark.parametrize(
    ("labels", "counts", "message"),
    [
        ([[1, 4]], [2], "sample 0 has label 4 at 1; labels are 0 to 3 without the blank, 0"),
        ([[1, -1]], [2], "sample 0 has label -1 at 1"),
        ([[0, 1]], [2], "sample 0 has the blank, 0, among its labels, at 0"),
        ([[1.0, 2.0]], [2], "torch.float32"),
        ([[1, 2]], [3], "counts are"),
        ([[1, 2]], [1.5], "counts are .* give whole numbers"),
    ],
)
def test_labels_that_are_none(labels: list[list[float]], counts: list[float], message: str) -> None:
    """Of a transducer, and of what trains its prediction network alone."""
    given: tuple[Any, ...] = torch.tensor(labels), counts
    with pytest.raises(ShapeError, match=message):
        NextLabel(Prediction(4, 5)).loss(*given)
    with pytest.raises(ShapeError, match=message):
        head(8).loss(torch.zeros(7, 1, 6, dtype=torch.float64), given[0], [7], given[1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Prediction(1, 4), "there are 1 labels"),
        (lambda: Prediction(3, 4, blank=3), "the blank is 3"),
        (lambda: Transducer(4, Prediction(3, 4), 8, -1), "frames_at_once is -1"),
    ],
)
def test_refusals(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_a_prediction_network_is_asked_for() -> None:
    with pytest.raises(TypeError, match="prediction is 3; give a Prediction"):
        Transducer(4, 3)  # type: ignore[arg-type]
