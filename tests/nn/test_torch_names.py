"""torch's own tests of its RNNs, restated for ours under their names (test_nn.py, test_packed_sequence.py)."""

import pickle
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import weight_norm
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

import carousel
from carousel.cells import Cell, Gate, Open

INPUT, HIDDEN, LAYERS, BATCH, TIME = 3, 5, 2, 4, 6


def update(x: Tensor, lstm: carousel.LSTM, hx: Any = None) -> None:
    lstm(x, hx)


def wrong(words: str, x: tuple[int, ...], state: Any = None, **options: Any) -> None:
    """A RuntimeError with these words from an input and a state of these shapes."""
    lstm = carousel.LSTM(INPUT, HIDDEN, LAYERS, **options)
    given = None if state is None else tuple(torch.zeros(shape) for shape in state)
    with pytest.raises((RuntimeError, ValueError), match=words):
        lstm(torch.zeros(x), given)


def test_rnn_args_check() -> None:
    h, c = (LAYERS, BATCH, HIDDEN), (LAYERS, BATCH, HIDDEN)
    x = (TIME, BATCH, INPUT)
    wrong("input.size\\(-1\\) must be equal to input_size. Expected 3, got 4", (TIME, BATCH, 4))
    wrong("Expected input to be 2D or 3D, got 4D", (1, TIME, BATCH, INPUT))
    wrong("Expected input to be 2D or 3D, got 1D", (INPUT,))
    wrong(r"Expected hidden\[0\] size \(2, 4, 5\), got \[2, 4, 6\]", x, ((LAYERS, BATCH, 6), c))
    wrong(r"Expected hidden\[0\] size \(2, 4, 5\), got \[1, 4, 5\]", x, ((1, BATCH, HIDDEN), c))
    wrong(r"Expected hidden\[0\] size \(2, 4, 5\), got \[2, 3, 5\]", x, ((LAYERS, 3, HIDDEN), c))
    wrong(r"Expected hidden\[1\] size \(2, 4, 5\), got \[2, 4, 6\]", x, (h, (LAYERS, BATCH, 6)))
    wrong(r"Expected hidden\[0\] size \(4, 4, 5\), got \[2, 4, 5\]", x, (h, c), bidirectional=True)
    wrong("For batched 3-D input, hx and cx should also be 3-D", x, (h[1:], c[1:]))
    wrong("For unbatched 2-D input, hx and cx should also be 2-D", (TIME, INPUT), (h, c))
    wrong("hx must be a tuple of 2 tensors", x, (h,))
    wrong("hx must be a tuple of 2 tensors", x, (h, c, c))


def test_projections_lstm_args_check() -> None:
    h, c, x = (LAYERS, BATCH, 2), (LAYERS, BATCH, HIDDEN), (TIME, BATCH, INPUT)
    wrong(r"Expected hidden\[0\] size \(2, 4, 2\), got \[2, 4, 5\]", x, (c, c), proj_size=2)
    wrong(r"Expected hidden\[1\] size \(2, 4, 5\), got \[2, 4, 2\]", x, (h, h), proj_size=2)
    lstm = carousel.LSTM(INPUT, HIDDEN, LAYERS, proj_size=2)
    assert lstm(torch.zeros(x), (torch.zeros(h), torch.zeros(c)))[0].shape == (TIME, BATCH, 2)


@pytest.mark.parametrize("proj_size", [0, 2])
def test_rnn_check_device(proj_size: int) -> None:
    """The meta device stands for another one."""
    lstm, x = carousel.LSTM(INPUT, HIDDEN, LAYERS, proj_size=proj_size), torch.zeros(TIME, BATCH, INPUT)
    h, c = torch.zeros(LAYERS, BATCH, proj_size or HIDDEN), torch.zeros(LAYERS, BATCH, HIDDEN)
    with pytest.raises(RuntimeError, match="Input and hidden tensors are not at the same device"):
        lstm(x, (h.to("meta"), c))
    with pytest.raises(RuntimeError, match="hidden tensor at meta"):
        lstm(x, (h, c.to("meta")))


def test_rnn_check_dtype() -> None:
    lstm, x = carousel.LSTM(INPUT, HIDDEN), torch.zeros(TIME, BATCH, INPUT)
    state = torch.zeros(1, BATCH, HIDDEN, dtype=torch.float64)
    with pytest.raises(RuntimeError, match=r"hidden\[0\] is torch.float64 but the input is torch.float32; convert it"):
        lstm(x, (state, state))
    with pytest.raises(ValueError, match="RNN input dtype .* does not match weight dtype"):
        lstm(x.double())


@pytest.mark.parametrize("proj_size", [0, 2])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_rnn_initial_hidden_state(batch_first: bool, bidirectional: bool, proj_size: int) -> None:
    """Zeros given are zeros left out."""
    lstm = carousel.LSTM(
        INPUT, HIDDEN, LAYERS, batch_first=batch_first, bidirectional=bidirectional, proj_size=proj_size
    )
    x, directions = torch.randn(4, 4, INPUT), 2 if bidirectional else 1
    h, c = (torch.zeros(LAYERS * directions, 4, width) for width in (proj_size or HIDDEN, HIDDEN))
    torch.testing.assert_close(lstm(x, (h, c)), lstm(x))


def test_cudnn_weight_tying() -> None:
    """A parameter of two names stays one through training."""
    lstm = carousel.LSTM(INPUT, HIDDEN, LAYERS, bidirectional=True)
    lstm.bias_ih_l0_reverse = lstm.bias_ih_l0
    x = torch.randn(TIME, BATCH, INPUT)
    optimizer = torch.optim.SGD(lstm.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        lstm(x)[0].square().sum().backward()
        optimizer.step()
    assert lstm.bias_ih_l0_reverse is lstm.bias_ih_l0
    untied = carousel.LSTM(INPUT, HIDDEN, LAYERS, bidirectional=True)
    untied.load_state_dict(lstm.state_dict())
    torch.testing.assert_close(untied(x), lstm(x))
    assert len(list(lstm.parameters())) == len(list(untied.parameters())) - 1


def test_cudnn_weight_format() -> None:
    """Weights put in by hand are used, whatever their strides."""
    lstm, x = carousel.LSTM(INPUT, HIDDEN), torch.randn(TIME, BATCH, INPUT)
    expected = lstm(x)[0]
    weight = lstm.get_parameter("weight_hh_l0").data
    lstm.weight_hh_l0 = nn.Parameter(weight.T.contiguous().T)
    torch.testing.assert_close(lstm(x)[0], expected)
    with torch.no_grad():
        lstm.get_parameter("weight_hh_l0").mul_(2)
    assert not torch.equal(lstm(x)[0], expected)


def test_rnn_weight_norm() -> None:
    """The old weight_norm, by hooks."""
    with pytest.warns(FutureWarning):
        lstm = weight_norm(carousel.LSTM(INPUT, HIDDEN), "weight_hh_l0")
    x = torch.randn(TIME, BATCH, INPUT)
    before = lstm(x)[0]
    with torch.no_grad():
        lstm.get_parameter("weight_hh_l0_g").mul_(3)
    after = lstm(x)[0]
    assert not torch.equal(before, after)
    after.sum().backward()
    assert lstm.get_parameter("weight_hh_l0_v").grad is not None


def test_partial_flat_weights() -> None:
    """A missing weight is one error when it is used, and back in its place all is well."""
    lstm, x = carousel.LSTM(INPUT, HIDDEN), torch.randn(TIME, BATCH, INPUT)
    expected, weight = lstm(x)[0], lstm.weight_hh_l0
    del lstm.weight_hh_l0
    with pytest.raises(AttributeError, match="weight_hh_l0"):
        lstm(x)
    lstm.weight_hh_l0 = weight
    torch.testing.assert_close(lstm(x)[0], expected)


@pytest.mark.parametrize("p", [0.0, 0.27, 0.5, 0.73, 1.0])
def test_RNN_dropout(p: float) -> None:
    """A cell that passes its input on shows what dropout between layers does: 0, or 1 / (1 - p) of it."""
    through = Cell(Open(), Open(), Gate("identity", recurrent=None), Open(), squash="identity")
    lstm = carousel.LSTM(10, 1000, 2, bias=False, dropout=p, cell=through)
    with torch.no_grad():
        lstm.get_parameter("weight_ih_l0").fill_(1)
        lstm.get_parameter("weight_ih_l1").copy_(torch.eye(1000))
    out = lstm(torch.ones(1, 10, 10))[0]
    assert (out == 0).double().mean().item() == pytest.approx(p, abs=0.02)
    torch.testing.assert_close(out[out != 0], torch.full_like(out[out != 0], 10 / (1 - p or 1)))
    assert (lstm.eval()(torch.ones(1, 10, 10))[0] == 10).all()


def test_RNN_dropout_state() -> None:
    """Masks come from torch's own generator: its state is all there is to a run, also through pickling."""
    lstm, x = carousel.LSTM(INPUT, HIDDEN, 3, dropout=0.5), torch.randn(TIME, BATCH, INPUT)
    state = torch.get_rng_state()
    first, second = lstm(x)[0], lstm(x)[0]
    torch.set_rng_state(state)
    twin = pickle.loads(pickle.dumps(lstm))
    assert torch.equal(twin(x)[0], first)
    assert torch.equal(twin(x)[0], second)


def test_RNN_change_dropout() -> None:
    lstm, x = carousel.LSTM(INPUT, HIDDEN, 2, dropout=0.5), torch.randn(TIME, BATCH, INPUT)
    assert not torch.equal(lstm(x)[0], lstm(x)[0])
    lstm.dropout = 0.0
    assert torch.equal(lstm(x)[0], lstm(x)[0])


@pytest.mark.parametrize("dropout", [-0.1, 1.1, True])
def test_invalid_dropout(dropout: Any) -> None:
    with pytest.raises(ValueError, match="dropout should be a number in range"):
        carousel.LSTM(INPUT, HIDDEN, 2, dropout=dropout)


def test_dropout_of_one_layer_warns() -> None:
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last recurrent layer"):
        carousel.LSTM(INPUT, HIDDEN, dropout=0.5)


@pytest.mark.parametrize("proj_size", [-1, 5, 6])
def test_invalid_proj_size(proj_size: int) -> None:
    with pytest.raises(ValueError, match="proj_size"):
        carousel.LSTM(INPUT, HIDDEN, proj_size=proj_size)


def test_RNN_input_size_zero() -> None:
    with pytest.raises(ValueError, match="input_size must be greater than zero"):
        carousel.LSTM(0, HIDDEN)


def test_rnn_batch_of_zero() -> None:
    out, (h, c) = carousel.LSTM(INPUT, HIDDEN, LAYERS)(torch.zeros(TIME, 0, INPUT))
    assert (out.shape, h.shape, c.shape) == ((TIME, 0, HIDDEN), (LAYERS, 0, HIDDEN), (LAYERS, 0, HIDDEN))


def test_LSTM_cell() -> None:
    """Ten steps, with biases and without."""
    for bias in (True, False):
        x, h, c = torch.randn(3, 10), torch.randn(3, 20), torch.randn(3, 20)
        cell, theirs = carousel.LSTMCell(10, 20, bias), nn.LSTMCell(10, 20, bias)
        cell.load_state_dict(theirs.state_dict())
        ours = expected = (h, c)
        for _ in range(10):
            ours, expected = cell(x, ours), theirs(x, expected)
        torch.testing.assert_close(ours, expected)
        (ours[0] + ours[1]).sum().backward()


def test_LSTM_cell_forward_hidden_size() -> None:
    cell, x = carousel.LSTMCell(10, 20), torch.randn(3, 10)
    for h, c in ((21, 20), (20, 21)):
        with pytest.raises(RuntimeError, match="inconsistent hidden_size: got 21, expected 20"):
            cell(x, (torch.randn(3, h), torch.randn(3, c)))


def test_LSTM_cell_forward_input_size() -> None:
    with pytest.raises(RuntimeError, match="inconsistent input_size: got 11 expected 10"):
        carousel.LSTMCell(10, 20)(torch.randn(3, 11), (torch.randn(3, 20), torch.randn(3, 20)))


GRID = list(product((True, False), (True, False), (1, 2), (0.0, 0.3), (True, False), ("padded", "packed", "ragged")))


@pytest.mark.parametrize(("bias", "both", "layers", "dropout", "strided", "form"), GRID)
@pytest.mark.filterwarnings("ignore:dropout option adds dropout after all but last")
def test_RNN_cpu_vs_torch(bias: bool, both: bool, layers: int, dropout: float, strided: bool, form: str) -> None:
    """The 64 combinations of _test_RNN_cpu_vs_cudnn and more: ours against torch's, outputs and all gradients."""
    options: dict[str, Any] = {"bias": bias, "bidirectional": both, "dropout": dropout}
    theirs = nn.LSTM(INPUT, HIDDEN, layers, dtype=torch.float64, **options)
    ours = carousel.LSTM(INPUT, HIDDEN, layers, dtype=torch.float64, **options)
    ours.load_state_dict(theirs.state_dict())
    if dropout and form == "ragged":
        theirs, ours = theirs.eval(), ours.eval()
    x = (
        torch.randn(TIME, BATCH, 2 * INPUT, dtype=torch.float64)[..., ::2]
        if strided
        else torch.randn(TIME, BATCH, INPUT).double()
    )
    directions = 2 if both else 1
    state = [torch.randn(layers * directions, BATCH, HIDDEN, dtype=torch.float64) for _ in range(2)]
    results = [run(module, x, state, form) for module in (theirs, ours)]
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=1e-12)


def run(module: nn.Module, x: Tensor, state: list[Tensor], form: str) -> list[Tensor]:
    """Outputs, last state, and gradients by input, state and parameters."""
    given = [tensor.detach().clone().requires_grad_() for tensor in (x, *state)]
    lengths = torch.tensor({"padded": [6, 6, 6, 6], "packed": [6, 6, 6, 6], "ragged": [4, 6, 1, 3]}[form])
    torch.manual_seed(7)
    if form == "ragged" and isinstance(module, carousel.LSTM):
        out, last = module(given[0], (given[1], given[2]), lengths=lengths)
    elif form == "padded":
        out, last = module(given[0], (given[1], given[2]))
    else:
        packed = pack_padded_sequence(given[0], lengths, enforce_sorted=False)
        packed, last = module(packed, (given[1], given[2]))
        out, _ = pad_packed_sequence(packed)
    loss = (out * torch.arange(1, out.numel() + 1).view_as(out).sin()).sum() + last[0].sum() - last[1].square().sum()
    return [out, *last, *torch.autograd.grad(loss, [*given, *module.parameters()])]


def test_variable_sequence() -> None:
    """A packed batch is its sequences one by one."""
    lstm = carousel.LSTM(INPUT, HIDDEN, bidirectional=True)
    sequences = [torch.randn(length, INPUT) for length in (2, 5, 3)]
    padded, lengths = pad_packed_sequence(lstm(pack_sequence(sequences, enforce_sorted=False))[0])
    assert lengths.tolist() == [2, 5, 3]
    for at, sequence in enumerate(sequences):
        torch.testing.assert_close(padded[: len(sequence), at], lstm(sequence)[0])
