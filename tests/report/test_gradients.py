"""Jacobian norms by lag, held against torch.autograd.functional.jacobian and closed forms."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from carousel.cells import VARIANTS, CellError, Gate, find
from carousel.nn import LSTM
from carousel.ops import Operands, Weights
from carousel.report import ReportError, fresh_norms, gradient_norms, random_inputs
from carousel.report.gradients import elman, jacobian_norms, known_nets, plain_rnn, unrolled

WITHOUT_PEEPHOLES: dict[str, dict[str, Any]] = {
    "lstm1997": {}, "lstm": {}, "coupled": {"input": Gate(), "output": Gate()},
    "no_input_gate": {"forget": Gate(), "output": Gate()},
}  # fmt: skip
OPTIONS: list[dict[str, Any]] = [{"cell": name} for name in VARIANTS]
OPTIONS += [{"num_layers": 2}, {"proj_size": 2}, {"block": 2, "cell": "lstm1997"}, {"norm": "ba2016"}]
OPTIONS += [{"bidirectional": True}]


def _oracle(lstm: LSTM, x: Tensor, lag: int) -> tuple[Tensor, Tensor]:
    """∂h_T/∂h_{T-q} and ∂c_T/∂c_{T-q} of a one-layer module, by running it on from its state at T-q."""
    _, state = lstm(x[: len(x) - lag]) if lag < len(x) else lstm(x[:0])

    def last(h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        _, (h_T, c_T, *_) = lstm(x[len(x) - lag :], (h, c, *state[2:]))
        return h_T.flatten(), c_T.flatten()

    jacobian: Any = torch.autograd.functional.jacobian(last, state[:2])
    (to_h, _), (_, to_c) = jacobian
    return to_h.flatten(1), to_c.flatten(1)


@pytest.mark.parametrize("options", [option for option in OPTIONS if not {"num_layers", "bidirectional"} & set(option)])
def test_norms_are_those_of_the_jacobian(options: dict[str, Any]) -> None:
    lstm, x = LSTM(3, 6, dtype=torch.float64, **options), random_inputs(9, 1, 3)
    found = gradient_norms(lstm, x, (1, 4, 8))
    for at, lag in enumerate(found.lags):
        for path, jacobian in zip(("hidden", "cell"), _oracle(lstm, x, lag), strict=True):
            expected = torch.linalg.matrix_norm(jacobian, 2).item()
            assert found.spectral[path][0, at].item() == pytest.approx(expected, rel=1e-9)
            assert found.frobenius[path][0, at].item() == pytest.approx(jacobian.norm().item(), rel=1e-9)


def test_of_a_stack_the_last_layer_is_followed() -> None:
    stack, x = LSTM(3, 6, num_layers=2, dtype=torch.float64), random_inputs(7, 2, 3)
    below, top = LSTM(3, 6, dtype=torch.float64), LSTM(6, 6, dtype=torch.float64)
    for alone, layer in ((below, "_l0"), (top, "_l1")):
        weights = {name: value for name, value in stack.state_dict().items() if layer in name}
        alone.load_state_dict({name.replace(layer, "_l0"): value for name, value in weights.items()})
    expected = gradient_norms(top, below(x)[0], 5)
    assert torch.equal(gradient_norms(stack, x, 5).spectral["hidden"], expected.spectral["hidden"])


def test_of_both_directions_the_forward_one_is_followed() -> None:
    both, one, x = LSTM(3, 4, bidirectional=True), LSTM(3, 4), random_inputs(6, 1, 3)
    one.load_state_dict({name: value for name, value in both.state_dict().items() if "reverse" not in name})
    assert torch.equal(gradient_norms(both, x, 5).spectral["cell"], gradient_norms(one, x, 5).spectral["cell"])


def test_a_plain_rnn_is_followed_too() -> None:
    rnn, x = torch.nn.RNN(2, 5, dtype=torch.float64), random_inputs(8, 1, 2)
    found = jacobian_norms(plain_rnn(rnn, x), 6, "rnn")
    _, h = rnn(x[:2])
    jacobian = torch.autograd.functional.jacobian(lambda h: rnn(x[2:], h)[1].flatten(), h)
    assert isinstance(jacobian, Tensor)
    expected = torch.linalg.matrix_norm(jacobian.flatten(1), 2)
    assert found.spectral["hidden"][0, -1].item() == pytest.approx(expected.item(), rel=1e-9)
    assert set(found.spectral) == {"hidden"}


def test_a_linear_rnn_shrinks_by_its_radius() -> None:
    q, _ = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))
    found = jacobian_norms(elman(0.9 * q, torch.zeros(200, 1, 6, dtype=torch.float64), "identity"), 200, "linear")
    assert found.factor("hidden") == pytest.approx(0.9, rel=1e-12)
    assert found.spectral["hidden"][0, 200].item() == pytest.approx(0.9**200, rel=1e-10)


@pytest.mark.parametrize("block", [1, 2])
def test_the_carousel_of_1997_is_exactly_one(block: int) -> None:
    lstm = LSTM(3, 8, cell="lstm1997", block=block)
    assert (gradient_norms(lstm, random_inputs(300, 2, 3), 300).spectral["carousel"] == 1).all()


@pytest.mark.parametrize("cell", ["lstm1997", "lstm", "coupled", "no_input_gate"])
def test_with_the_recurrence_cut_the_jacobian_of_the_cell_is_the_carousel(cell: str) -> None:
    """As the truncated rule of 1997 cuts it: what recurs is given, and has no slope."""
    plain = find(cell).with_options(**WITHOUT_PEEPHOLES[cell])
    lstm, x = LSTM(3, 4, cell=plain, dtype=torch.float64), random_inputs(30, 1, 3)
    with torch.no_grad():
        given, hidden = lstm.operands(x)[0], lstm.trace(x)[0]["hidden"]
        gates = (
            given.gates
            + torch.cat([given.state.hidden.unsqueeze(0), hidden[:-1]]) @ lstm.get_parameter("weight_hh_l0").T
        )
        cut = jacobian_norms(unrolled(lstm.cell, Operands(gates, given.state, Weights())), 30, "cut")
    assert torch.allclose(cut.spectral["cell"], gradient_norms(lstm, x, 30).spectral["carousel"], rtol=1e-11, atol=0)


def test_the_carousel_is_the_product_of_the_forget_gates() -> None:
    lstm = LSTM(3, 4, block=2, dtype=torch.float64)
    x = random_inputs(12, 1, 3)
    found = gradient_norms(lstm, x, 12)
    forget = lstm.trace(x)[0]["forget"][:, 0].detach()
    assert found.spectral["carousel"][0, 5].item() == pytest.approx(forget[-5:].prod(0).max().item(), rel=1e-12)
    twice = forget.prod(0).repeat_interleave(2)
    assert found.frobenius["carousel"][0, 12].item() == pytest.approx(twice.norm().item(), rel=1e-12)


def test_with_gates_of_biases_alone_the_factor_is_the_forget_gate() -> None:
    lstm = LSTM(3, 4, forget_bias=3.0, dtype=torch.float64)
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0"):
            lstm.get_parameter(name).zero_()
    found = gradient_norms(lstm, random_inputs(50, 2, 3), 50)
    for path in ("carousel", "cell"):
        assert found.factor(path) == pytest.approx(1 / (1 + math.exp(-3)), rel=1e-12)


def test_the_middle_and_the_band_are_over_sequences() -> None:
    found = fresh_norms("lstm", random_inputs(20, 9, 2), 20, hidden=4)
    low, high = found.band("hidden")
    middle = found.middle("hidden")
    assert all(a <= b <= c for a, b, c in zip(low, middle, high, strict=True))
    assert low[20] < middle[20] < high[20]
    assert middle[20] == pytest.approx(found.spectral["hidden"][:, 20].log().mean().exp().item())


def test_lags_reach_back_to_the_first_step() -> None:
    assert fresh_norms("rnn", random_inputs(5, 1, 2), 100, hidden=3).lags == (0, 1, 2, 3, 4, 5)
    with pytest.raises(ReportError, match="0 sequences of 5 steps"):
        fresh_norms("lstm", random_inputs(5, 0, 2), hidden=3)


@pytest.mark.parametrize("lags", [[], [6], -1, [-2]])
def test_lags_beyond_all_steps_are_refused(lags: Any) -> None:
    with pytest.raises(ReportError, match="lags is .*; over 5 steps give some between 0 and 5"):
        fresh_norms("lstm", random_inputs(5, 1, 2), lags, hidden=3)


def test_what_has_no_jacobian_is_refused() -> None:
    x = random_inputs(5, 1, 2)
    with pytest.raises(TypeError, match=r"lstm is a torch.*LSTM; give a carousel\.LSTM"):
        gradient_norms(torch.nn.LSTM(2, 3), x)  # type: ignore[arg-type]
    x[2] = torch.nan
    for name in ("lstm", "rnn"):
        with pytest.raises(ReportError, match="the inputs or the weights hold NaN or infinity"):
            fresh_norms(name, x, hidden=3)


def test_a_seed_gives_the_weights_of_torch_and_leaves_the_generator() -> None:
    x, before = random_inputs(6, 1, 2), torch.get_rng_state()
    found = fresh_norms("rnn", x, 6, hidden=3, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    again = jacobian_norms(plain_rnn(torch.nn.RNN(2, 3, dtype=torch.float64), x), 6, "rnn")
    assert torch.equal(found.spectral["hidden"], again.spectral["hidden"])


def test_names_of_nets() -> None:
    assert known_nets(["all"]) == ["rnn", *VARIANTS]
    assert known_nets(["lstm", "rnn", "lstm"]) == ["lstm", "rnn"]
    with pytest.raises(CellError, match="no cell is called 'gru'"):
        known_nets(["gru"])
