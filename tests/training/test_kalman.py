"""The decoupled extended Kalman filter as a method: against closed forms, by name, in chunks, and resumed."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from carousel.data import Batch, Batches, SequenceBatches, StreamBatches
from carousel.nn import LSTM
from carousel.training import BPTT, DEKF, Plan, fit, method_named
from carousel.training.measurement import jacobian, measured
from tests.training.problem import Summer, batches, summer, timeless, train, weights

STEADY: dict[str, Any] = {"final_measurement_noise": 0.5, "measurement_noise": 0.5}
ALWAYS: dict[str, Any] = {**STEADY, "process_noise": 1e-3, "final_process_noise": 1e-3}
QUICK: dict[str, Any] = {"measurement_noise": 1.0, "final_measurement_noise": 0.1}


class Line(nn.Module):
    """A linear map of the last step."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.map = nn.Linear(2, 1, dtype=dtype)

    def forward(self, batch: Batch) -> Tensor:
        return self.map(batch.inputs[-1])[:, 0]

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        assert batch.target is not None
        return nn.functional.mse_loss(output, batch.target)


class Scaled(Line):
    """The same, times a number."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, batch: Batch) -> Tensor:
        return self.scale * super().forward(batch)


class Stepwise(nn.Module):
    """The sum so far, at every step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.lstm = LSTM(2, 3, dtype=torch.float64)
        self.head = nn.Linear(3, 1, dtype=torch.float64)

    def forward(self, batch: Batch) -> Tensor:
        return self.carry(batch, None)[0]

    def carry(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        outputs, state = self.lstm(batch.inputs, state, lengths=batch.lengths, reset=batch.reset)
        return self.head(outputs)[..., 0], state

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        assert batch.target is not None
        assert batch.mask is not None
        return (output - batch.target)[batch.mask].square().mean()


def sums(count: int = 6, batch_size: int = 3) -> SequenceBatches:
    """Sequences of unequal length with the running mean as the target."""
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(int(rng.integers(4, 8)), 2)) for _ in range(count)]
    targets = [series.sum(1).cumsum() / 4 for series in inputs]
    return SequenceBatches(inputs, targets, batch_size=batch_size, step_targets=True)


def streams(steps: int) -> StreamBatches:
    """The same sequences in two lanes, so many steps a batch."""
    source = sums()
    return StreamBatches(source.sequences, source.target, lanes=2, steps=steps, shuffle=False)


def updated(method: DEKF, model: Any, source: Batches, epochs: int = 1) -> list[float]:
    """Losses of plain updates without the loop."""
    method.prepare(model, len(source), epochs)
    return [
        method.update(model, batch.to("cpu", torch.float64)) for epoch in range(epochs) for batch in source.epoch(epoch)
    ]


def test_a_linear_model_learns_the_ridge_regression_of_all_it_has_seen() -> None:
    model, source = Line(), batches(20, 3)
    start = torch.cat([weight.detach().flatten() for weight in model.parameters()]).numpy()
    updated(
        DEKF(groups="global", initial_covariance=2.0, process_noise=0, final_process_noise=0, **STEADY), model, source
    )
    whole = next(batches(20, 20, shuffle=False).epoch(0)).to("cpu", torch.float64)
    assert whole.target is not None
    X = np.hstack([whole.inputs[-1].numpy(), np.ones((20, 1))])
    precision = X.T @ X / 0.5 + np.eye(3) / 2.0
    expected = np.linalg.solve(precision, X.T @ whole.target.numpy() / 0.5 + start / 2.0)
    found = torch.cat([weight.detach().flatten() for weight in model.parameters()]).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("rows", [1, 2, 256])
def test_the_answers_of_an_update_may_enter_in_parts(rows: int) -> None:
    found, expected = Line(), Line()
    found.load_state_dict(expected.state_dict())
    for model, own in ((found, rows), (expected, 4)):
        updated(DEKF(groups="global", rows=own, **QUICK), model, batches())
    for a, b in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_rows_of_the_jacobian_are_derivatives_of_the_answers() -> None:
    model, batch = summer(dtype=torch.float64), next(batches().epoch(0)).to("cpu", torch.float64)
    answers, wanted = measured(model, model(batch), batch)
    assert batch.target is not None
    assert torch.equal(wanted, batch.target)
    named = {name: weight.detach() for name, weight in model.named_parameters()}
    slopes: Any = jacrev(lambda given: functional_call(model, given, (batch,)))(named)
    expected = torch.cat([slopes[name].flatten(1) for name in named], dim=1)
    torch.testing.assert_close(jacobian(answers, list(model.parameters())), expected)


def test_a_weight_that_no_answer_depends_on_stays() -> None:
    model = Line()
    model.idle = nn.Parameter(torch.ones(2, 2, dtype=torch.float64))
    updated(DEKF(**QUICK), model, batches())
    assert torch.equal(model.idle, torch.ones(2, 2, dtype=torch.float64))


def test_masked_targets_are_not_measured() -> None:
    model, batch = Stepwise(), next(sums().epoch(0)).to("cpu", torch.float64)
    answers, wanted = measured(model, model(batch), batch)
    assert batch.mask is not None
    assert batch.target is not None
    assert len(answers) == int(batch.mask.sum()) < batch.mask.numel()
    assert torch.equal(wanted, batch.target[batch.mask])


def test_it_learns_in_far_fewer_sequences_than_gradient_descent() -> None:
    def after(method: Any, epochs: int) -> float:
        return train(summer(), Plan(epochs=epochs), method).loss

    found = after(DEKF(), 10)
    assert found < 0.5
    for rate in (0.003, 0.01, 0.03, 0.1):
        assert after(BPTT(optimizer="sgd", learning_rate=rate), 50) > 2 * found


def test_noise_goes_from_first_to_last() -> None:
    method, model = DEKF(process_noise=1e-2, final_process_noise=1e-3), summer()
    method.prepare(model, 5, 2)
    seen = []
    for batch in [*batches(20).epoch(0), *batches(20).epoch(1)]:
        seen.append(method.measures())
        method.update(model, batch.to("cpu", torch.float32))
    first, last = seen[0], seen[-1]
    assert first["measurement_noise"] == 100
    assert last["measurement_noise"] == pytest.approx(100 * (3 / 100) ** 0.9)
    assert last["process_noise"] == pytest.approx(1e-2 * 0.1**0.9)
    assert last["innovation"] > 0
    assert last["trace"] < first["trace"] == pytest.approx(100 * sum(w.numel() for w in model.parameters()))


def test_chunks_as_long_as_the_sequences_are_whole_sequences() -> None:
    whole, chunked = Stepwise(), Stepwise()
    assert updated(DEKF(**QUICK), whole, sums()) == updated(DEKF(every=7, **QUICK), chunked, sums())
    assert weights(whole) == weights(chunked)


class Recording(Stepwise):
    """Notes the steps that it is asked for, and whether a derivative comes with the state."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def carry(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        assert state is None or not any(part.requires_grad for part in state)
        self.asked.append(len(batch.inputs))
        return super().carry(batch, state)


@pytest.mark.parametrize(("every", "reach", "asked"), [(2, None, [2, 2, 2, 1]), (2, 4, [2, 4, 4, 3]), (1, 1, [1] * 7)])
def test_derivatives_reach_back_so_many_steps(every: int, reach: int | None, asked: list[int]) -> None:
    model = Recording()
    updated(DEKF(every=every, reach=reach, **QUICK), model, sums(6, 6))
    assert model.asked == asked


def test_the_state_is_carried_from_chunk_to_chunk() -> None:
    stiff = DEKF(every=2, initial_covariance=1e-12, process_noise=0, final_process_noise=0)
    (found,), (expected,) = updated(stiff, Stepwise(), sums(6, 6)), updated(DEKF(), Stepwise(), sums(6, 6))
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("every", [None, 3])
def test_a_step_with_all_targets_missing_teaches_nothing(every: int | None) -> None:
    model, batch = Stepwise(), next(sums(6, 6).epoch(0)).to("cpu", torch.float64)
    assert batch.mask is not None
    before = weights(model)
    method = DEKF(every=every, **QUICK)
    method.prepare(model, 1, 1)
    mask = batch.mask & (torch.arange(len(batch.mask)) < 0)[:, None]
    if every:
        assert method.update(model, replace(batch, mask=mask)) == 0
        assert weights(model) == before


def test_it_learns_online() -> None:
    losses = updated(DEKF(every=1, reach=4, **QUICK), Stepwise(), sums(30, 1), 4)
    assert np.mean(losses[-30:]) < 0.2 * np.mean(losses[:5])


@pytest.mark.parametrize("steps", [4, 6])
def test_a_stream_goes_on_in_its_next_batch(steps: int) -> None:
    whole, cut = Stepwise(), Stepwise()
    expected = updated(DEKF(every=2, **ALWAYS), whole, streams(100))
    found = updated(DEKF(every=2, **ALWAYS), cut, streams(steps))
    assert weights(cut) == weights(whole)
    assert len(found) > len(expected) == 1


def test_a_stream_that_was_stopped_goes_on_with_the_same_bits() -> None:
    source = [batch.to("cpu", torch.float64) for batch in streams(4).epoch(0)]
    whole, first, second = Stepwise(), DEKF(every=2, **QUICK), DEKF(every=2, **QUICK)
    updated(DEKF(every=2, **QUICK), whole, streams(4))
    model = Stepwise()
    first.prepare(model, len(source), 1)
    for batch in source[:2]:
        first.update(model, batch)
    second.prepare(model, len(source), 1)
    second.restore(*first.state())
    for batch in source[2:]:
        second.update(model, batch)
    assert weights(model) == weights(whole)


def test_a_weight_may_be_a_single_number() -> None:
    model = Scaled()
    before = model.scale.item()
    losses = updated(DEKF(**QUICK), model, batches(), 4)
    assert losses[-1] < losses[0]
    assert model.scale.item() != before


def test_a_model_that_cannot_go_on_or_tell_its_errors_is_refused() -> None:
    with pytest.raises(TypeError, match=r"every=2 carries the state on, but Summer has no method carry"):
        train(summer(), Plan(epochs=1), DEKF(every=2))
    with pytest.raises(ValueError, match="every= needs a target at each step"):
        updated(DEKF(every=2), Stepwise(), batches())

    class Absolute(Summer):
        def loss(self, output: Tensor, batch: Batch) -> Tensor:
            assert batch.target is not None
            return (output - batch.target).abs().mean()

    with pytest.raises(TypeError, match=r"Absolute does not say how its answers differ .* errors\(output, batch\)"):
        train(Absolute(), Plan(epochs=1), DEKF())


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("groups", "gate", "groups is 'gate'; it can be unit, layer, global"),
        ("every", 0, "every is 0; it is a whole number of at least 1"),
        ("rows", 0, "rows is 0; it is a whole number of at least 1"),
        ("reach", 4, "reach is 4 and every None; reach is a multiple of every"),
    ],
)
def test_options_are_checked(option: str, value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        method_named("dekf", **{option: value})


def test_numbers_of_numpy_are_taken() -> None:
    method = method_named("dekf", every=np.int64(2), reach=np.int64(4), process_noise=np.float32(0.25))
    assert method.options() == DEKF(every=2, reach=4, process_noise=0.25).options()
    assert {type(value) for value in method.options().values() if value in (2, 4, 0.25)} == {int, float}
    assert DEKF(every=np.int64(2)).options() == DEKF(every=2).options()  # type: ignore[arg-type]


def test_too_many_covariances_are_refused() -> None:
    model = Line()
    model.map = nn.Linear(20000, 1)
    with pytest.raises(ValueError, match="groups='global' needs 4e.08 covariances, more than 2e.08"):
        DEKF(groups="global").prepare(model, 1, 1)


@pytest.mark.parametrize("every", [None, 1])
def test_weights_stay_when_a_loss_is_not_finite(every: int | None) -> None:
    model, batch = Stepwise(), next(sums(6, 6).epoch(0)).to("cpu", torch.float64)
    assert batch.target is not None
    batch.target[3, 2] = torch.inf
    before = weights(model)
    method = DEKF(every=every, **QUICK)
    method.prepare(model, 1, 1)
    with pytest.raises(FloatingPointError, match="the loss became inf; raise final_measurement_noise"):
        method.update(model, batch)
    assert weights(model) == before


@pytest.mark.parametrize("groups", ["unit", "global"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_run_that_was_stopped_goes_on_with_the_same_bits(tmp_path: Path, groups: str, dtype: torch.dtype) -> None:
    def run(name: str, stops: int) -> tuple[Any, Any]:
        plan, reports = Plan(epochs=3, checkpoint=tmp_path / name), []
        while True:
            model = summer(0.3, dtype)
            for report in fit(model, batches(), DEKF(groups=groups), plan):
                reports.append(report)
                if len(reports) % 4 == 0 and len(reports) <= 4 * stops:
                    break
            if reports[-1].stopped:
                return weights(model), timeless(reports[-1].history)

    assert run("whole", 0) == run("stopped", 3)


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    def run(name: str, kill_at: int | None) -> int:
        process = os.fork()
        if process:
            return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        model, plan = summer(0.3), Plan(epochs=3, checkpoint=tmp_path / name, checkpoint_updates=1)
        for report in fit(model, batches(), DEKF(), plan):
            if report.update == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        torch.save(model.state_dict(), tmp_path / f"{name}.pt")
        os._exit(0)

    assert run("whole", None) == 0
    assert [run("killed", at) for at in (2, 5, 9, None)] == [-signal.SIGKILL] * 3 + [0]
    found, expected = (torch.load(tmp_path / f"{name}.pt") for name in ("killed", "whole"))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
