"""Methods that carry gradients forwards in time: the same learning as backpropagation, or cut as in 1997."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import carousel
from carousel.cells.variants import VARIANTS
from carousel.data import Batch
from carousel.training import BPTT, METHODS, RTRL, Method, Plan, Rule1997, fit, method_named
from tests.training.problem import batches, summer, weights


class Small(nn.Module):
    """One LSTM and a linear readout of its last outputs."""

    def __init__(self, lstm: nn.RNNBase | None = None, **options: Any) -> None:
        super().__init__()
        self.lstm = lstm or carousel.LSTM(2, 4, dtype=torch.float64, **options)
        self.readout = nn.Linear(4, 1, dtype=torch.float64)

    def forward(self, batch: Batch) -> Tensor:
        inputs = batch.inputs.double()
        outputs = self.lstm(inputs.transpose(0, 1) if self.lstm.batch_first else inputs)[0]
        return self.readout(outputs.transpose(0, 1)[-1] if self.lstm.batch_first else outputs[-1])[:, 0]

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        assert batch.target is not None
        return nn.functional.mse_loss(output, batch.target.double())


def small(**options: Any) -> Small:
    torch.manual_seed(3)
    return Small(**options)


def trained(method: Method, **options: Any) -> dict[str, Tensor]:
    model = small(**options)
    for _ in fit(model, batches(), method, Plan(epochs=2)):
        pass
    return model.state_dict()


@pytest.mark.parametrize("cell", VARIANTS)
def test_rtrl_learns_what_backpropagation_learns(cell: str) -> None:
    expected = trained(BPTT(learning_rate=0.02), cell=cell)
    got = trained(method_named("rtrl", learning_rate=0.02), cell=cell)
    torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("options", [{"bias": False}, {"batch_first": True}, {"cell": "peephole", "block": 2}])
def test_rtrl_knows_the_options_of_a_layer(options: dict[str, Any]) -> None:
    expected = trained(BPTT(learning_rate=0.02), **options)
    torch.testing.assert_close(
        trained(method_named("rtrl", learning_rate=0.02), **options), expected, rtol=1e-7, atol=1e-9
    )


def test_the_rule_of_1997_learns_otherwise_and_learns() -> None:
    model = small()
    reports = list(fit(model, batches(), method_named("rule1997", learning_rate=0.05), Plan(epochs=30)))
    assert reports[-1].loss < reports[0].loss / 3
    assert weights(model) != weights(small())
    got, expected = (trained(method_named(name), cell="lstm1997") for name in ("rule1997", "bptt"))
    assert not torch.equal(got["lstm.weight_hh_l0"], expected["lstm.weight_hh_l0"])


def test_padding_and_torchs_own_module() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(2, 4, dtype=torch.float64)
    model = Small(lstm)
    plain = {name: value.clone() for name, value in model.state_dict().items()}
    for _ in fit(model, batches(), method_named("rtrl"), Plan(epochs=1)):
        pass
    got = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(plain)
    for _ in fit(model, batches(), BPTT(), Plan(epochs=1)):
        pass
    torch.testing.assert_close(got, model.state_dict(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bidirectional": True}, "the layer is bidirectional: take bidirectional=False"),
        ({"num_layers": 2}, "num_layers is 2: take num_layers=1"),
        ({"zoneout": 0.1}, "the layer drops or keeps values at random"),
        ({"norm": True}, "has a norm; learning forwards in time knows rows without projection and norm"),
        ({"learn_initial_state": True}, "the initial state is learned"),
    ],
)
@pytest.mark.parametrize("name", ["rtrl", "rule1997"])
def test_other_models_are_refused(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        METHODS[name]().prepare(small(**options), 1, 1)


def test_more_than_one_layer_of_torchs_is_refused() -> None:
    with pytest.raises(ValueError, match="num_layers is 2: take num_layers=1"):
        method_named("rtrl").prepare(summer(), 1, 1)


def test_too_much_to_carry_is_refused() -> None:
    model = summer()
    model.lstm, model.readout = nn.LSTM(2, 400), nn.Linear(400, 1)
    with pytest.raises(ValueError, match="would carry .* numbers from step to step.*method='rule1997'"):
        list(fit(model, batches(), method_named("rtrl"), Plan(epochs=1)))


@pytest.mark.parametrize("kind", [RTRL, Rule1997])
def test_a_stopped_run_goes_on_to_the_same_bits(kind: type[Method], tmp_path: Path) -> None:
    whole, stopped, resumed = small(), small(), small()
    list(fit(whole, batches(), kind(), Plan(epochs=2)))
    plan = Plan(epochs=2, checkpoint=tmp_path / "checkpoint.safetensors", checkpoint_updates=1)
    for report in fit(stopped, batches(), kind(), plan):
        if report.update == 4:
            break
    list(fit(resumed, batches(), kind(), plan))
    assert weights(resumed) == weights(whole)
