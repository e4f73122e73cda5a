"""`carousel.LSTMCell`: one step of any cell, in place of torch.nn.LSTMCell."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

import carousel
from carousel.cells import VARIANTS


@pytest.mark.parametrize("bias", [True, False])
def test_is_torch_s(bias: bool) -> None:
    torch.manual_seed(3)
    theirs = nn.LSTMCell(3, 5, bias)
    torch.manual_seed(3)
    ours = carousel.LSTMCell(3, 5, bias)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert repr(ours) == repr(theirs)
    x, state = torch.randn(2, 3), (torch.randn(2, 5), torch.randn(2, 5))
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours(x, state), theirs(x, state))
    torch.testing.assert_close(ours(x[0], (state[0][0], state[1][0])), theirs(x[0], (state[0][0], state[1][0])))
    theirs.load_state_dict(carousel.LSTMCell(3, 5, bias).state_dict(), strict=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("options", [{}, {"block": 2}, {"norm": "ba2016"}], ids=str)
@pytest.mark.parametrize("name", VARIANTS)
def test_steps_make_the_layer(name: str, options: dict[str, Any]) -> None:
    cell = carousel.LSTMCell(3, 4, cell=name, dtype=torch.float64, **options)
    layer = carousel.LSTM(3, 4, cell=name, dtype=torch.float64, **options)
    layer.load_state_dict({f"{key}_l0": value for key, value in cell.state_dict().items()}, strict=True)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    out, last = layer(x)
    state = None
    for t in range(5):
        state = cell(x[t], state)
        torch.testing.assert_close(state[0], out[t])
    torch.testing.assert_close(state, tuple(part[0] for part in last))


@pytest.mark.parametrize("name", ["lstm", "peephole", "fgr"])
def test_autocast_gives_bfloat16_as_the_layer_does(name: str) -> None:
    cell, x = carousel.LSTMCell(3, 4, cell=name), torch.randn(2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert {part.dtype for part in cell(x)} == {torch.bfloat16}
        assert {part.dtype for part in cell(x, cell(x))} == {torch.bfloat16}


def test_it_is_transformed_and_copied() -> None:
    cell, x = carousel.LSTMCell(3, 4, cell="peephole"), torch.randn(2, 3)
    parameters = dict(cell.named_parameters())

    def hidden(p: Any, one: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(cell, p, (one,))[0]

    torch.testing.assert_close(torch.vmap(hidden, (None, 0))(parameters, x), cell(x)[0])
    torch.testing.assert_close(copy.deepcopy(cell)(x), cell(x))
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(cell, fullgraph=True, backend="eager")(x), cell(x))


def test_zoneout_of_a_step() -> None:
    cell = carousel.LSTMCell(3, 4, zoneout=1.0)
    state = (torch.randn(2, 4), torch.randn(2, 4))
    torch.testing.assert_close(cell(torch.randn(2, 3), state), state)


@pytest.mark.parametrize(
    ("x", "state", "error", "words"),
    [
        ((2, 2, 3), None, ValueError, "Expected input to be 1D or 2D, got 3D instead"),
        ((2, 4), None, RuntimeError, "input has inconsistent input_size: got 4 expected 3"),
        ((2, 3), [(2, 5)], RuntimeError, "hx must hold 2 tensors .*, got 1"),
        ((2, 3), [(2, 4), (2, 5)], RuntimeError, "hidden1 has inconsistent hidden_size: got 5, expected 4"),
        ((2, 3), [(3, 4), (3, 4)], RuntimeError, "Input batch size 2 doesn't match hidden0 batch size 3"),
        ((3,), [(2, 4), (2, 4)], RuntimeError, r"hx\[0\] is 2-D beside a 1-D input"),
        ((2, 3), [(4,), (4,)], RuntimeError, r"hx\[0\] is 1-D beside a 2-D input"),
    ],
)
def test_wrong_shapes(x: Any, state: Any, error: type[Exception], words: str) -> None:
    given = None if state is None else tuple(torch.zeros(shape) for shape in state)
    with pytest.raises(error, match=words):
        carousel.LSTMCell(3, 4)(torch.zeros(x), given)


def test_wrong_dtypes() -> None:
    wide = torch.zeros(2, 4, dtype=torch.float64)
    with pytest.raises(RuntimeError, match=r"hx\[0\] is torch.float64 but the input is torch.float32; convert it"):
        carousel.LSTMCell(3, 4)(torch.zeros(2, 3), (wide, wide))
