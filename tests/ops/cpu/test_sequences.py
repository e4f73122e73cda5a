"""Whole sequences without gradients, by one call: what the long way gives, and left to it where it is not plain."""

from typing import Any

import pytest
import torch
from torch import Tensor

import carousel
from carousel.ops import only
from tests.ops.cpu.extension import needs_extension

pytestmark = needs_extension
STACKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two layers": {"num_layers": 2},
    "batch first": {"batch_first": True, "num_layers": 2},
    "no bias": {"bias": False},
    "projection": {"proj_size": 5, "num_layers": 2},
    "peephole": {"cell": "peephole"},
    "full gate recurrence": {"cell": "full_gate_recurrence"},
    "matrix": {"cell": "peephole_matrix"},
    "blocks": {"cell": "lstm1997", "block": 2, "num_layers": 2},
    "no output gate": {"cell": "no_output_gate"},
    "zoneout": {"cell": "peephole", "zoneout": (0.25, 0.5), "num_layers": 2},
    "zoneout, projection": {"zoneout": 0.5, "proj_size": 5},
}


@pytest.fixture(autouse=True)
def without_gradients() -> Any:
    with torch.no_grad():
        yield


def inputs(lstm: carousel.LSTM, time: int, batch: int) -> list[Tensor]:
    """The same sequences as they may lie in memory, rows apart, and columns apart."""
    shape = (batch, time) if lstm.batch_first else (time, batch)
    x = torch.randn(*shape, lstm.input_size, dtype=torch.float64)
    wide = torch.zeros(*shape, 2 * lstm.input_size, dtype=torch.float64)
    wide[..., ::2] = x
    return [x, x.transpose(0, 1).contiguous().transpose(0, 1), wide[..., ::2]]


@pytest.mark.parametrize("size", [(1, 3), (7, 1), (20, 5), (1, 40)], ids=str)
@pytest.mark.parametrize("name", STACKS)
def test_agrees_with_the_reference(name: str, size: tuple[int, int]) -> None:
    lstm = carousel.LSTM(6, 10, **STACKS[name]).double().eval()
    for x in inputs(lstm, *size):
        for state in (None, tuple(torch.randn_like(part) for part in lstm(x)[1])):
            outputs, last = lstm(x, state)
            with only("reference"):
                expected, after = lstm(x, state)
            torch.testing.assert_close((outputs, *last), (expected, *after), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", STACKS)
def test_the_short_way_is_taken(name: str) -> None:
    lstm = carousel.LSTM(6, 10, **STACKS[name]).eval()
    x = torch.randn(4, 3, 6)
    assert lstm._stream is not None
    assert lstm._stream(x, None, lstm._parameters, lstm.batch_first) is not None


def negated(*shape: int) -> Tensor:
    """A tensor whose memory holds minus its numbers, densely."""
    pairs = torch.randn(2, *shape).movedim(0, -1)
    return torch.view_as_complex(pairs.contiguous()).conj().imag.as_strided(shape, torch.empty(shape).stride())


@pytest.mark.parametrize(
    "given",
    [
        torch.randn(3, 2, 5), torch.randn(3, 2, 7), torch.randn(3, 6), torch.randn(3, 2, 6, dtype=torch.float64),
        torch.randn(3, 2, 12)[..., ::2], torch.randn(0, 2, 6), torch.randn(3, 0, 6), torch.randn(3, 2, 6).bfloat16(),
        negated(3, 2, 6), None, [[1.0]],
    ],
)  # fmt: skip
def test_what_is_not_plainly_right_is_left_to_the_long_way(given: Any) -> None:
    lstm = carousel.LSTM(6, 10)
    assert lstm._stream is not None
    assert lstm._stream(given, None, lstm._parameters) is None


@pytest.mark.parametrize("options", [{"norm": "ba2016"}, {"residual": True}], ids=str)
def test_what_is_computed_outside_of_the_loops_takes_the_long_way(options: dict[str, Any]) -> None:
    lstm = carousel.LSTM(10, 10, **options).eval()
    assert lstm._stream is not None
    assert lstm._stream(torch.randn(3, 2, 10), None, lstm._parameters) is None


def test_a_learnt_state_is_where_it_begins() -> None:
    lstm = carousel.LSTM(6, 10, learn_initial_state=True)
    lstm.get_parameter("initial_c_l0").fill_(3.0)
    x = torch.randn(4, 3, 6)
    with only("reference"):
        expected, _ = lstm(x)
    torch.testing.assert_close(lstm(x)[0], expected)


def test_dropout_is_drawn_while_training() -> None:
    lstm = carousel.LSTM(6, 10, 2, dropout=0.5)
    x = torch.randn(4, 3, 6)
    assert not torch.equal(lstm(x)[0], lstm(x)[0])
    lstm.eval()
    assert torch.equal(lstm(x)[0], lstm(x)[0])
