"""One step without gradients on the short way: every plain row, fresh weights, and who takes the long way."""

import copy
from typing import Any

import pytest
import torch

import carousel
from carousel.cells import VARIANTS
from carousel.ops import only
from carousel.ops.cpu import Stream
from tests.ops.cpu.extension import needs_extension

pytestmark = needs_extension


def reference(module: torch.nn.Module, *arguments: object) -> Any:
    with only("reference"):
        return module(*arguments)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(("inputs", "hidden", "batch"), [(1, 1, 1), (3, 17, 2), (33, 63, 4), (5, 18, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_step_agrees_with_the_reference(name: str, inputs: int, hidden: int, batch: int, dtype: torch.dtype) -> None:
    cell = carousel.LSTMCell(inputs, hidden, cell=name, dtype=dtype)
    x, h, c = (torch.randn(batch, width, dtype=dtype) for width in (inputs, hidden, hidden))
    with torch.no_grad():
        for ours, theirs in zip(cell(x, (h, c)), reference(cell, x, (h, c)), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_layer_of_one_step_is_streamed(batch_first: bool) -> None:
    layer = carousel.LSTM(5, 7, cell="peephole", batch_first=batch_first)
    x, state = torch.randn(1, 3, 5), (torch.randn(1, 3, 7), torch.randn(1, 3, 7))
    x = x.transpose(0, 1).contiguous() if batch_first else x
    with torch.no_grad():
        output, after = layer(x, state)
        expected, after_expected = reference(layer, x, state)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(after, after_expected)
    assert output.data_ptr() != after[0].data_ptr()


def test_weights_may_change_between_steps_by_any_road() -> None:
    cell = carousel.LSTMCell(3, 4)
    given = torch.randn(2, 3), (torch.randn(2, 4), torch.randn(2, 4))
    with torch.no_grad():
        cell(*given)
        cell.weight_hh.data.numpy()[:] *= 2
        torch.testing.assert_close(cell(*given), reference(cell, *given))
        cell.weight_ih = torch.nn.Parameter(torch.randn(16, 3))
        torch.testing.assert_close(cell(*given), reference(cell, *given))


def test_only_plain_tensors_without_gradients_are_streamed() -> None:
    stream, weights = Stream(VARIANTS["lstm"]), carousel.LSTMCell(3, 4)
    listed = [weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh, None]
    x, h = torch.randn(2, 3), torch.randn(2, 4)
    assert stream(x, h, h, listed) is None
    with torch.no_grad():
        assert stream(x, h, h, listed) is not None
        assert stream(x, h.double(), h, listed) is None
        assert stream(x, torch.randn(4, 2).T, h, listed) is None
        assert stream(torch.randn(99, 3), torch.randn(99, 4), torch.randn(99, 4), listed) is None
        with only("reference"):
            assert stream(x, h, h, listed) is None


def test_a_streaming_module_can_be_copied() -> None:
    cell = carousel.LSTMCell(3, 4)
    given = torch.randn(2, 3), (torch.randn(2, 4), torch.randn(2, 4))
    with torch.no_grad():
        torch.testing.assert_close(copy.deepcopy(cell)(*given), cell(*given))
