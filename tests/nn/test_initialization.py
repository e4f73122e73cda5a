"""Initial values: torch's, Keras', orthogonal, chrono, and the forget bias."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

import carousel
from carousel.cells import VARIANTS
from carousel.nn.parameters import LayerShape

HIDDEN = 16


def make(cell: str = "lstm", **options: Any) -> carousel.LSTM:
    return carousel.LSTM(3, HIDDEN, 2, bidirectional=True, cell=cell, **options)


def biases(lstm: carousel.LSTM, gate: int) -> Tensor:
    """The sum of both biases in all layers and directions, at a gate of the four."""
    own = slice(gate * HIDDEN, (gate + 1) * HIDDEN)
    parameters = dict(lstm.named_parameters())
    ends = [name.removeprefix("bias_ih") for name in parameters if name.startswith("bias_ih")]
    return torch.stack([(parameters[f"bias_ih{end}"] + parameters[f"bias_hh{end}"])[own] for end in ends])


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("init", ["torch", "keras", "orthogonal"])
def test_every_cell_starts_every_way(name: str, init: str) -> None:
    lstm = make(name, init=init, norm=True, learn_initial_state=True, block=2)
    out, _ = lstm(torch.randn(4, 2, 3))
    assert out.isfinite().all()
    assert out.any()
    for key, value in lstm.state_dict().items():
        if key.startswith("ln_"):
            assert (value == (1 if "_weight_" in key else 0)).all(), key
        if key.startswith("initial_"):
            assert not value.any(), key


def test_torch_s_are_uniform_in_one_over_root_hidden() -> None:
    for key, value in make("peephole").state_dict().items():
        assert value.abs().max() <= 1 / math.sqrt(HIDDEN), key
        assert value.std() > 0.4 / math.sqrt(HIDDEN), key


def test_keras_has_zero_biases_but_for_the_forget_gate() -> None:
    lstm = make(init="keras")
    assert (biases(lstm, 1) == 1).all()
    assert all((biases(lstm, gate) == 0).all() for gate in (0, 2, 3))


@pytest.mark.parametrize("init", ["keras", "orthogonal"])
def test_orthogonal_blocks(init: str) -> None:
    for key, value in make(init=init).state_dict().items():
        if key.startswith("weight_hh"):
            for block in value.split(HIDDEN):
                torch.testing.assert_close(block @ block.T, torch.eye(HIDDEN), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("init", "span"), [("chrono", 1000), ("chrono:784", 784), ("chrono:20", 20)])
def test_chrono_spreads_memory_over_the_span(init: str, span: int) -> None:
    """b_f = log U(1, span - 1), b_i = -b_f: the longest time constants come near the span."""
    lstm = make(init=init)
    forget, input_ = biases(lstm, 1), biases(lstm, 0)
    torch.testing.assert_close(input_, -forget)
    assert forget.min() >= 0
    assert forget.max() <= math.log(span - 1)
    assert forget.max() >= math.log(span / 2)
    assert not torch.equal(forget[0], forget[1])


def test_chrono_sets_what_a_coupled_cell_has() -> None:
    lstm = make("coupled", init="chrono:50")
    assert (biases(lstm, 0) <= 0).all()


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5])
@pytest.mark.parametrize("init", ["torch", "keras", "orthogonal"])
def test_forget_bias_is_the_sum_of_both(value: float, init: str) -> None:
    lstm = make(init=init, forget_bias=value)
    assert (biases(lstm, 1) == value).all()
    if init == "torch":
        assert (biases(lstm, 0) != 0).any()


def test_forget_bias_of_the_peephole_matrix_lies_in_the_right_rows() -> None:
    """R has three gates there and W four: the forget rows lie at different places of both biases only by luck."""
    lstm = carousel.LSTM(3, HIDDEN, cell="peephole_matrix", forget_bias=3.0)
    state = lstm.state_dict()
    total = state["bias_ih_l0"][HIDDEN : 2 * HIDDEN] + state["bias_hh_l0"][HIDDEN : 2 * HIDDEN]
    assert (total == 3).all()


def test_a_function_may_initialise() -> None:
    seen: list[tuple[int, list[str]]] = []

    def mine(shape: LayerShape, named: Mapping[str, Tensor]) -> None:
        seen.append((shape.sizes.inputs, list(named)))
        for value in named.values():
            torch.nn.init.constant_(value, 0.5)

    lstm = carousel.LSTM(3, HIDDEN, 2, init=mine)
    assert [inputs for inputs, _ in seen] == [3, HIDDEN]
    assert seen[0][1] == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    assert all((value == 0.5).all() for value in lstm.state_dict().values())


def test_the_cell_starts_as_the_layer() -> None:
    torch.manual_seed(4)
    cell = carousel.LSTMCell(3, HIDDEN, cell="peephole", init="chrono:30", forget_bias=2.0)
    torch.manual_seed(4)
    layer = carousel.LSTM(3, HIDDEN, cell="peephole", init="chrono:30", forget_bias=2.0)
    for key, value in cell.state_dict().items():
        assert torch.equal(value, layer.state_dict()[f"{key}_l0"]), key


WRONG = {
    "name": ({"init": "xavier"}, "init is 'xavier'; it can be torch, keras, orthogonal, chrono"),
    "span": ({"init": "chrono:1"}, "init is 'chrono:1'.*SPAN"),
    "span of words": ({"init": "chrono:long"}, "init is 'chrono:long'"),
    "span of another": ({"init": "torch:3"}, "init is 'torch:3'"),
    "no forget gate": ({"cell": "nfg", "forget_bias": 1.0}, "forget_bias=1.0 needs a learned forget gate"),
    "no bias": ({"bias": False, "forget_bias": 1.0}, "forget_bias=1.0 needs"),
    "chrono without bias": ({"bias": False, "init": "chrono"}, 'init="chrono" sets the biases'),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_initialisation(what: str) -> None:
    options, words = WRONG[what]
    with pytest.raises(ValueError, match=words):
        make(**options)
