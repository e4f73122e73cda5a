"""Backpropagation through time: each option does what it says."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from carousel.data import Batch, SequenceBatches
from carousel.nn import weight_noise
from carousel.training import BPTT, DivergenceError, Plan
from tests.training.problem import Summer, batches, summer, train, weights


def updated(method: BPTT, model: Summer, source: SequenceBatches, epochs: int = 1) -> Summer:
    """The model after training by hand, without the loop."""
    method.prepare(model, len(source), epochs)
    for epoch in range(epochs):
        for batch in source.epoch(epoch):
            method.update(model, batch.to("cpu", next(model.parameters()).dtype))
        method.end_epoch(model)
    return model


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
def test_the_optimizers_are_torchs(name: str) -> None:
    model, twin = summer(), summer()
    makers = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
        "rmsprop": torch.optim.RMSprop,
    }
    torchs = makers[name](twin.parameters(), lr=0.01, weight_decay=0.1)
    updated(BPTT(learning_rate=0.01, optimizer=name, weight_decay=0.1, clip_norm=None), model, batches())
    for batch in (raw.to("cpu", torch.float32) for raw in batches().epoch(0)):
        torchs.zero_grad()
        twin.loss(twin(batch), batch).backward()
        torchs.step()
    assert weights(model) == weights(twin)


def test_options_go_to_the_optimizer() -> None:
    plain = updated(BPTT(optimizer="sgd"), summer(), batches())
    momentum = updated(BPTT(optimizer="sgd", optimizer_options={"momentum": 0.9}), summer(), batches())
    assert weights(plain) != weights(momentum)


def test_it_learns() -> None:
    first = train(summer(), Plan(1))
    last = train(summer(), Plan(60))
    assert last.loss < first.loss / 20


def test_the_gradient_is_clipped_by_its_norm() -> None:
    model, source = summer(), batches()
    before = nn.utils.parameters_to_vector(model.parameters()).clone()
    method = BPTT(optimizer="sgd", learning_rate=1.0, clip_norm=1e-3)
    method.prepare(model, 1, 1)
    method.update(model, next(source.epoch(0)).to("cpu", torch.float32))
    moved = nn.utils.parameters_to_vector(model.parameters()) - before
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-3)
    assert method.measures()["gradient_norm"] > 1e-2


def test_accumulation_equals_the_large_batch() -> None:
    """Also where an epoch ends in the middle of a large batch."""
    options: dict[str, Any] = {"optimizer": "adam", "learning_rate": 0.02, "schedule": "cosine", "warmup": 2}
    large = updated(BPTT(**options), summer(dtype=torch.float64), batches(batch_size=8), epochs=3)
    small = updated(BPTT(**options, accumulate=4), summer(dtype=torch.float64), batches(batch_size=2), epochs=3)
    for ours, expected in zip(small.parameters(), large.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)


class Labeller(nn.Module):
    """One value a step, with a loss over the observed steps."""

    def __init__(self) -> None:
        super().__init__()
        self.readout = nn.Linear(2, 1, dtype=torch.float64)

    def forward(self, batch: Batch) -> Tensor:
        return self.readout(batch.inputs)[..., 0]

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        assert batch.target is not None
        return (output - batch.target)[batch.mask].square().mean()


def test_accumulation_weighs_batches_by_their_observed_steps() -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(length, 2)) for length in (9, 1, 4, 2)]
    targets = [sequence.sum(1) for sequence in sequences]
    models = []
    for size, accumulate in ((4, 1), (1, 4)):
        torch.manual_seed(0)
        models.append(Labeller())
        source = SequenceBatches(sequences, targets, batch_size=size, step_targets=True)
        updated(BPTT(optimizer="sgd", accumulate=accumulate), models[-1], source)  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(models[0].readout.weight, models[1].readout.weight, rtol=1e-12, atol=0)


def test_bfloat16_runs_the_model_under_autocast_and_keeps_the_weights() -> None:
    seen: list[torch.dtype] = []
    model = summer()
    model.readout.register_forward_hook(lambda *call: seen.append(call[2].dtype))
    updated(BPTT(precision="bfloat16"), model, batches())
    assert set(seen) == {torch.bfloat16}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert weights(model) != weights(updated(BPTT(), summer(), batches()))


def test_bfloat16_learns() -> None:
    assert (
        train(summer(), Plan(40), BPTT(precision="bfloat16", learning_rate=0.02)).loss
        < train(summer(), Plan(1)).loss / 5
    )


@pytest.mark.parametrize("clip_norm", [None, 2.0])
def test_a_loss_that_is_not_finite_stops_before_the_weights_change(clip_norm: float | None) -> None:
    model, method = summer(), BPTT(clip_norm=clip_norm, learning_rate=0.125)
    batch = next(batches().epoch(0)).to("cpu", torch.float32)
    method.prepare(model, 1, 1)
    before = weights(model)
    batch.inputs[0, 0, 0] = math.nan
    advice = r"lower the learning rate \(now 0.125\) or clip the gradient \(.*clip_norm="
    with pytest.raises(DivergenceError, match=f"the loss became nan; {advice}"):
        method.update(model, batch)
    assert weights(model) == before


def test_a_gradient_that_is_not_finite_stops_before_the_weights_change() -> None:
    model, method = summer(), BPTT()
    batch = next(batches().epoch(0)).to("cpu", torch.float32)
    method.prepare(model, 1, 1)
    before = weights(model)
    model.readout.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(DivergenceError, match="the gradient's norm became (inf|nan)"):
        method.update(model, batch)
    assert weights(model) == before
    assert all(parameter.grad is None for parameter in model.parameters())


def test_frozen_parameters_stay() -> None:
    model = summer()
    model.lstm.requires_grad_(False)
    frozen = copy.deepcopy(model.lstm)
    updated(BPTT(), model, batches())
    assert weights(model.lstm) == weights(frozen)
    assert weights(model.readout) != weights(summer().readout)


def test_weight_noise_lies_on_the_weights_while_a_batch_is_computed() -> None:
    """A step of plain descent is by the gradient at the noisy weights, from the weights themselves."""
    seen: list[Tensor] = []
    model, twin = summer(dtype=torch.float64), summer(dtype=torch.float64)
    model.readout.register_forward_hook(lambda *call: seen.append(call[0].weight.detach().clone()))
    batch = next(batches().epoch(0)).to("cpu", torch.float64)
    method = BPTT(optimizer="sgd", learning_rate=0.1, clip_norm=None, weight_noise=0.5)
    method.prepare(model, 1, 1)
    torch.manual_seed(5)
    method.update(model, batch)
    torch.manual_seed(5)
    with weight_noise(twin.parameters(), 0.5):
        torch.testing.assert_close(seen[0], twin.readout.weight)
        twin.loss(twin(batch), batch).backward()
    for ours, other in zip(model.parameters(), twin.parameters(), strict=True):
        assert other.grad is not None
        torch.testing.assert_close(ours, other - 0.1 * other.grad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0}, "learning_rate is 0; it is a finite number above 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan; it is a finite number above 0"),
        ({"clip_norm": -1.0}, "clip_norm is -1.0; it is a finite number above 0"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1; it is a finite number of at least 0"),
        ({"warmup": -1}, "warmup is -1; it is a finite number of at least 0"),
        ({"accumulate": 0}, "accumulate is 0; it is a whole number of batches, 1 or more"),
        ({"accumulate": 1.5}, "accumulate is 1.5; it is a whole number of batches, 1 or more"),
        ({"weight_noise": -0.1}, "weight_noise is -0.1; it is a finite number of at least 0"),
        ({"optimizer": "lion"}, "optimizer is 'lion'; it can be adam, adamw, sgd, rmsprop"),
        ({"precision": "float16"}, "precision is 'float16'; it can be float32, bfloat16"),
        ({"schedule": "plateau"}, "no learning-rate schedule is called 'plateau'"),
    ],
)
def test_an_option_outside_its_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BPTT(**options)
