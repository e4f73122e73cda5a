"""Zoneout, dropout inside, and weight drop: what is drawn, how often, and what is left at test time."""

from typing import Any

import pytest
import torch
from torch import Tensor

import carousel
from carousel.nn import Dropout
from carousel.nn.regularization import regularization

TIME, BATCH, HIDDEN = 5, 3, 4


def make(**options: Any) -> carousel.LSTM:
    return carousel.LSTM(3, HIDDEN, dtype=torch.float64, **options)


def batch() -> Tensor:
    return torch.randn(TIME, BATCH, 3, dtype=torch.float64)


def twin(lstm: carousel.LSTM, **options: Any) -> carousel.LSTM:
    """The same weights without the regularisation."""
    plain = make(num_layers=lstm.num_layers, bidirectional=lstm.bidirectional, **options)
    plain.load_state_dict(lstm.state_dict(), strict=True)
    return plain


ALL = {
    "zoneout": {"zoneout": 0.4},
    "zoneout of the cell": {"zoneout": (0.0, 0.4)},
    "recurrent dropout a sequence": {"recurrent_dropout": 0.4},
    "recurrent dropout a step": {"recurrent_dropout": Dropout(0.4, per="step")},
    "input dropout a sequence": {"input_dropout": 0.4},
    "input dropout a step": {"input_dropout": Dropout(0.4, per="step")},
    "weight drop": {"weight_drop": 0.4},
}


@pytest.mark.parametrize("kind", ALL)
def test_one_seed_draws_the_same_and_two_draw_differently(kind: str) -> None:
    lstm, x = make(**ALL[kind]), batch()
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(lstm(x)[0])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("kind", [kind for kind in ALL if "zoneout" not in kind])
def test_nothing_is_dropped_at_test_time(kind: str) -> None:
    lstm, x = make(**ALL[kind], num_layers=2, bidirectional=True).eval(), batch()
    before = torch.get_rng_state()
    result = lstm(x)
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(result, twin(lstm)(x))


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("cell", ["lstm", "peephole_matrix", "fgr"])
def test_every_parameter_still_learns(kind: str, cell: str) -> None:
    lstm = make(cell=cell, bidirectional=True, **ALL[kind])
    lstm(batch(), lengths=[5, 2, 1])[0].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in lstm.parameters())


def test_zoneout_keeps_old_values_exactly() -> None:
    """With p = 1 nothing ever changes; with p = 0.5 about half of all units stand still at each step."""
    lstm, x = make(zoneout=1.0), batch()
    start = tuple(torch.randn(1, BATCH, HIDDEN, dtype=torch.float64) for _ in range(2))
    torch.testing.assert_close(lstm(x, start)[1], start)
    wide = carousel.LSTM(3, 200, zoneout=(0.5, 0.0), dtype=torch.float64)
    out, _ = wide(torch.randn(20, 10, 3, dtype=torch.float64))
    share = (out[1:] == out[:-1]).double().mean().item()
    assert share == pytest.approx(0.5, abs=0.01)


def test_zoneout_at_test_time_mixes_by_its_probability() -> None:
    lstm, x = make(zoneout=(0.3, 0.1)).eval(), batch()[:1]
    h, c = (torch.randn(1, BATCH, HIDDEN, dtype=torch.float64) for _ in range(2))
    _, (free_h, free_c) = twin(lstm)(x, (h, c))
    _, (mixed_h, mixed_c) = lstm(x, (h, c))
    torch.testing.assert_close(mixed_h, 0.7 * free_h + 0.3 * h)
    torch.testing.assert_close(mixed_c, 0.9 * free_c + 0.1 * c)


def test_zoneout_at_test_time_is_the_mean_of_training() -> None:
    """One step from one state, 4000 draws in one batch: the mean lies within four standard errors."""
    lstm = make(zoneout=0.3)
    x, h = torch.randn(1, 1, 3, dtype=torch.float64), torch.randn(1, 1, HIDDEN, dtype=torch.float64)
    many = [part.expand(-1, 4000, -1) for part in (x, h)]
    drawn = lstm(many[0], (many[1], many[1]))[0][0]
    expected = lstm.eval()(x, (h, h))[0][0, 0]
    error = drawn.std(dim=0) / 4000**0.5
    assert ((drawn.mean(dim=0) - expected).abs() < 4 * error).all()


@pytest.mark.parametrize(("per", "times"), [("sequence", 1), ("step", 50)])
def test_masks(per: Any, times: int) -> None:
    """One mask a sequence or one a step, a different one for each sequence, scaled by 1 / (1 - p)."""
    like = torch.zeros(50, 40, 1, dtype=torch.float64)
    mask = Dropout(0.25, per=per).mask(like, 50, 30)
    assert mask is not None
    assert mask.shape == (times, 40, 30)
    assert mask.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (mask == 0).double().mean().item() == pytest.approx(0.25, abs=0.05)
    assert not torch.equal(mask[:, 0], mask[:, 1])
    assert Dropout(0.0, per=per).mask(like, 50, 30) is None


@pytest.mark.parametrize(
    "options", [{}, {"cell": "peephole_matrix"}, {"cell": "peephole_matrix", "proj_size": 2}], ids=str
)
def test_recurrent_dropout_a_sequence_falls_on_what_r_reads(options: dict[str, Any]) -> None:
    """Gal & Ghahramani: with everything dropped, only the input drives the gates; the state itself stays."""
    lstm, x = make(recurrent_dropout=1.0, **options), batch()
    plain = twin(lstm, **options)
    with torch.no_grad():
        plain.get_parameter("weight_hh_l0").zero_()
    torch.testing.assert_close(lstm(x), plain(x))


def test_recurrent_dropout_a_step_falls_on_the_candidate() -> None:
    """Semeniuta et al.: nothing is written, nothing is lost."""
    lstm, x = make(cell="nfg", recurrent_dropout=Dropout(1.0, per="step")), batch()
    start = tuple(torch.randn(1, BATCH, HIDDEN, dtype=torch.float64) for _ in range(2))
    torch.testing.assert_close(lstm(x, start)[1][1], start[1])


def test_a_mask_of_a_sequence_is_the_same_at_every_step() -> None:
    """A linear integrator of one input shows the input's mask: constant along a sequence, or changing."""
    ones = torch.ones(40, 8, 1, dtype=torch.float64)
    for per, constant in (("sequence", True), ("step", False)):
        drop = regularization(0.0, 0.0, Dropout(0.5, per=per), 0.0)  # type: ignore[arg-type]
        dropped = drop.drop_input(ones, training=True)
        assert (dropped == dropped[:1]).all().item() is constant


def test_input_dropout_falls_on_every_layer_and_direction() -> None:
    lstm, x = make(num_layers=2, bidirectional=True, input_dropout=1.0), batch()
    torch.testing.assert_close(lstm(x)[0], lstm(torch.zeros_like(x))[0])


def test_weight_drop_leaves_the_parameter_whole() -> None:
    lstm, x = make(weight_drop=0.5), batch()
    before = lstm.state_dict()["weight_hh_l0"].clone()
    first, second = lstm(x)[0], lstm(x)[0]
    assert torch.equal(lstm.state_dict()["weight_hh_l0"], before)
    assert not torch.equal(first, second)
    first.sum().backward()
    gradient = lstm.get_parameter("weight_hh_l0").grad
    assert gradient is not None
    assert (gradient == 0).double().mean().item() == pytest.approx(0.5, abs=0.2)


def test_all_of_it_dropped_is_no_recurrence() -> None:
    lstm, x = make(weight_drop=1.0), batch()
    plain = twin(lstm)
    with torch.no_grad():
        plain.get_parameter("weight_hh_l0").zero_()
    torch.testing.assert_close(lstm(x), plain(x))


def test_residual_dropout_and_lengths_go_together() -> None:
    lstm = carousel.LSTM(4, 4, 3, dropout=0.5, residual=True, zoneout=0.1, input_dropout=0.1, weight_drop=0.1)
    out, _ = lstm(torch.randn(TIME, BATCH, 4), lengths=[5, 0, 2])
    assert (out[:, 1] == 0).all()
    assert (out[2:, 2] == 0).all()


WRONG = {
    "zoneout of 2": ({"zoneout": 2.0}, ValueError, "zoneout is 2.0; a probability lies between 0 and 1"),
    "zoneout of three": ({"zoneout": (0.1, 0.1, 0.1)}, ValueError, "pass one probability, or two"),
    "zoneout of words": ({"zoneout": "some"}, TypeError, "zoneout is 'some'; pass a probability"),
    "negative": ({"recurrent_dropout": -0.1}, ValueError, "recurrent_dropout is -0.1"),
    "truth": ({"input_dropout": True}, TypeError, "input_dropout is True"),
    "weight": ({"weight_drop": 1.5}, ValueError, "weight_drop is 1.5"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_probabilities(what: str) -> None:
    options, error, words = WRONG[what]
    with pytest.raises(error, match=words):
        make(**options)


def test_a_mask_per_what() -> None:
    with pytest.raises(ValueError, match="per is 'batch'; a mask is drawn per 'sequence' or per 'step'"):
        Dropout(0.1, per="batch")  # type: ignore[arg-type]
