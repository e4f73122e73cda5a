"""`recompute=`: segments run again on the way back; the numbers are those of a module that keeps everything."""

from typing import Any

import pytest
import torch
from torch import Tensor

import carousel
from carousel.nn import Dropout
from tests.ops.cpu.extension import needs_extension

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "stack": {"num_layers": 2, "bidirectional": True, "proj_size": 2, "cell": "peephole"},
    "noise": {"zoneout": 0.3, "recurrent_dropout": 0.3, "input_dropout": 0.3, "weight_drop": 0.3},
    "noise a step": {"recurrent_dropout": Dropout(0.3, per="step"), "bidirectional": True},
    "norm": {"norm": True, "learn_initial_state": True, "bidirectional": True},
    "full gate recurrence": {"cell": "fgr", "num_layers": 2, "learn_initial_state": True},
}
"""Modules that differ in what a segment has to be handed."""


def make(recompute: Any, **options: Any) -> carousel.LSTM:
    torch.manual_seed(0)
    return carousel.LSTM(3, 4, dtype=torch.float64, recompute=recompute, **options)


def learnt(lstm: carousel.LSTM, x: Tensor, **call: Any) -> list[Tensor]:
    """Outputs, last state and all gradients of a step of training, from the same random state."""
    torch.manual_seed(1)
    outputs, state = lstm(x, **call)
    loss = outputs.square().sum() + sum(part.sum() for part in state)
    return [outputs, *state, *torch.autograd.grad(loss, [x, *lstm.parameters()])]


@needs_extension
@pytest.mark.parametrize("recompute", [1, 3, 8, "auto"])
@pytest.mark.parametrize("name", OPTIONS)
def test_nothing_else_changes(name: str, recompute: Any) -> None:
    x = torch.randn(8, 4, 3, dtype=torch.float64, requires_grad=True)
    call = {"lengths": torch.tensor([8, 0, 5, 3]), "reset": torch.rand(8, 4) < 0.3}
    modules = (make(how, **OPTIONS[name]) for how in (recompute, None))
    torch.testing.assert_close(*(learnt(module, x, **call) for module in modules))


@needs_extension
def test_any_form_of_input() -> None:
    x = torch.randn(4, 8, 3, dtype=torch.float64, requires_grad=True)
    few, whole = (make(how, batch_first=True) for how in (3, None))
    torch.testing.assert_close(learnt(few, x), learnt(whole, x))
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [5, 8, 1, 7], batch_first=True, enforce_sorted=False)
    torch.testing.assert_close(few(packed)[0].data, whole(packed)[0].data)


def test_says_so() -> None:
    assert "recompute=3" in repr(make(3))
    assert "recompute='auto'" in repr(make("auto"))
    assert "recompute" not in repr(make(None))


@needs_extension
def test_explains_itself() -> None:
    x = torch.randn(50, 2, 3, dtype=torch.float64)
    assert "keeps a state every 8 steps" in make("auto").explain(x)[0].reason
    assert make(None).explain(x)[0].reason == "runs"


@pytest.mark.parametrize(
    ("recompute", "error", "words"),
    [
        (0, ValueError, "recompute is 0; pass every how many steps a state is kept"),
        ("sqrt", ValueError, "recompute is 'sqrt'"),
        (2.5, TypeError, "recompute is 2.5"),
        (False, TypeError, "recompute is False"),
    ],
)
def test_what_it_must_not_be(recompute: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make(recompute)
