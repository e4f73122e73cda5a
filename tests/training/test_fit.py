"""The loop: what it reports, when it stops, and what it leaves behind."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from carousel.data import Batch, Batches
from carousel.training import BPTT, DivergenceError, Plan, Report, fit, validation_loss
from tests.training.problem import Scripted, Summer, batches, summer, timeless, train, weights

VALIDATION = batches(9, seed=1, shuffle=False)


def falls_then_rises(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    """Validation losses as given, one an epoch."""
    waiting = iter(values)
    monkeypatch.setattr("carousel.training.run.validation_loss", lambda *_: next(waiting))


def value_of(model: Summer) -> float:
    """The number that `Scripted` set all weights to."""
    return next(model.parameters()).flatten()[0].item()


def test_each_update_is_reported() -> None:
    reports = list(fit(summer(), batches(), BPTT(), Plan(2), validation=VALIDATION))
    assert [report.update for report in reports] == list(range(1, 13))
    assert [report.epoch for report in reports] == [1] * 6 + [2] * 6
    assert [report.update for report in reports if report.end_of_epoch] == [6, 12]
    assert {(report.epochs, report.updates) for report in reports} == {(2, 12)}
    assert [report.stopped for report in reports] == [None] * 11 + ["all epochs are done"]
    assert [report.validation is None for report in reports] == ([True] * 5 + [False]) * 2
    assert reports[-1].remaining_seconds == 0 < reports[0].remaining_seconds
    assert [len(report.history) for report in reports] == [0] * 5 + [1] * 6 + [2]


def test_the_loss_is_the_mean_of_the_epoch_so_far_by_sequence() -> None:
    reports = list(fit(summer(), batches(9, batch_size=4), Scripted(), Plan(2)))
    assert [report.loss for report in reports] == pytest.approx([1, 1.5, 13 / 9 + 2 / 9, 4, 4.5, (16 + 20 + 6) / 9])


def test_the_history_has_one_record_an_epoch() -> None:
    last = train(summer(), Plan(3), BPTT(learning_rate=0.02, schedule="step"), validate=True)
    assert [record["epoch"] for record in last.history] == [1, 2, 3]
    assert [record["updates"] for record in last.history] == [6, 12, 18]
    assert last.history[-1]["validation"] == last.validation
    assert [record["learning_rate"] for record in last.history] == pytest.approx([0.002, 0.0002, 0.0002])
    assert all(record["gradient_norm"] > 0 and record["seconds"] > 0 for record in last.history)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    runs = []
    for seed, callers in ((0, 5), (0, 6), (1, 5)):
        model = summer(dropout=0.3)
        torch.manual_seed(callers)
        last = train(model, Plan(2, seed=seed))
        runs.append((weights(model), timeless(last.history)))
    assert runs[0] == runs[1] != runs[2]


def test_the_callers_random_numbers_are_left_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(8)
    torch.manual_seed(3)
    drawn = [torch.rand(1)]
    run = fit(summer(dropout=0.3), batches(), BPTT(), Plan(1))
    torch.manual_seed(3)
    drawn = [torch.rand(1) for _ in run] + [torch.rand(1) for _ in range(2)]
    torch.testing.assert_close(torch.cat(drawn), expected, rtol=0, atol=0)


def test_what_the_caller_draws_does_not_change_the_run() -> None:
    quiet, noisy = summer(dropout=0.3), summer(dropout=0.3)
    list(fit(quiet, batches(), BPTT(), Plan(1)))
    for _ in fit(noisy, batches(), BPTT(), Plan(1)):
        torch.rand(3)
        noisy.eval()
    assert weights(noisy) == weights(quiet)


def test_training_is_in_training_mode_and_validation_in_evaluation_mode() -> None:
    seen: list[tuple[bool, bool]] = []
    model = summer()
    model.register_forward_hook(lambda *_: seen.append((model.training, torch.is_grad_enabled())))
    model.eval()
    list(fit(model, batches(), BPTT(), Plan(1), validation=VALIDATION))
    assert seen == [(True, True)] * 6 + [(False, False)] * 3
    assert not model.training


def test_validation_loss_is_the_mean_over_sequences() -> None:
    model = summer()
    whole = next(batches(9, 9, seed=1, shuffle=False).epoch(0)).to("cpu", torch.float32)
    assert validation_loss(model, VALIDATION) == pytest.approx(model.loss(model(whole), whole).item(), rel=1e-6)
    assert model.training


def test_it_stops_early_and_ends_with_the_best_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    falls_then_rises(monkeypatch, 3, 1, 2, 1, 5)
    model = summer()
    reports = list(fit(model, batches(), Scripted(), Plan(9, patience=2), validation=VALIDATION))
    assert reports[-1].stopped == "the validation loss has not fallen since epoch 2"
    assert reports[-1].epoch == 4
    assert [report.best for report in reports if report.end_of_epoch] == [3, 1, 1, 1]
    assert value_of(model) == 12
    assert reports[-1].remaining_seconds == 0


def test_the_best_weights_are_there_with_the_last_report(monkeypatch: pytest.MonkeyPatch) -> None:
    falls_then_rises(monkeypatch, 1, 2)
    model = summer()
    for report in fit(model, batches(), Scripted(), Plan(2), validation=VALIDATION):
        assert value_of(model) == (report.update if report.stopped is None else 6)


def test_the_last_weights_stay_without_validation_or_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model = summer()
    list(fit(model, batches(), Scripted(), Plan(2)))
    assert value_of(model) == 12
    falls_then_rises(monkeypatch, 1, 2)
    list(fit(model, batches(), Scripted(), Plan(2, keep_best=False), validation=VALIDATION))
    assert value_of(model) == 12


def stop_by_closing(run: Iterator[Report]) -> None:
    for report in run:
        if report.update == 15:
            break
    run.close()  # pyright: ignore[reportAttributeAccessIssue]


def stop_by_interrupt_between_updates(run: Iterator[Report]) -> None:
    with pytest.raises(KeyboardInterrupt):
        for report in run:
            if report.update == 15:
                raise KeyboardInterrupt


def stop_by_interrupt_inside_an_update(run: Iterator[Report]) -> None:
    with pytest.raises(KeyboardInterrupt):
        list(run)


STOPS = [stop_by_closing, stop_by_interrupt_between_updates, stop_by_interrupt_inside_an_update]


def interrupted(update: int) -> float:
    if update == 16:
        raise KeyboardInterrupt
    return 1.0


@pytest.mark.parametrize("stop", STOPS)
def test_what_was_learned_stays_when_it_is_stopped(
    stop: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best epoch's weights with validation, the latest without."""
    falls_then_rises(monkeypatch, 1, 2)
    best, latest = summer(), summer()
    stop(fit(best, batches(), Scripted(interrupted), Plan(9), validation=VALIDATION))
    stop(fit(latest, batches(), Scripted(interrupted), Plan(9)))
    assert value_of(best) == 6
    assert value_of(latest) == 15


def diverges(update: int) -> float:
    if update == 15:
        raise DivergenceError("the loss became nan; lower the learning rate")
    return 1.0


def test_divergence_names_epoch_and_update_and_keeps_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    model = summer()
    latest = r"^epoch 3, update 15 of 18: the loss became nan; lower .* rate. The weights after update 14 are kept$"
    with pytest.raises(DivergenceError, match=latest):
        list(fit(model, batches(), Scripted(diverges), Plan(3)))
    assert value_of(model) == 14
    falls_then_rises(monkeypatch, 1, 2)
    with pytest.raises(DivergenceError, match="The weights of epoch 1, the best so far, are kept"):
        list(fit(model, batches(), Scripted(diverges), Plan(3), validation=VALIDATION))
    assert value_of(model) == 6


def test_a_real_run_that_diverges_is_stopped() -> None:
    model = summer()
    with pytest.raises(DivergenceError, match=r"^epoch \d+, update \d+ of 300: the (loss|gradient's norm) became"):
        train(model, Plan(50), BPTT(learning_rate=1e30, optimizer="sgd", clip_norm=None))
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_a_validation_loss_that_is_not_finite_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    falls_then_rises(monkeypatch, 1, math.nan)
    expected = r"^end of epoch 2, after update 12 of 18: the validation loss became nan; .* The weights of epoch 1"
    with pytest.raises(DivergenceError, match=expected):
        list(fit(summer(), batches(), Scripted(), Plan(3), validation=VALIDATION))


class Short(Batches):
    """Announces more than it has."""

    def __len__(self) -> int:
        return 3

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        return batches(4, 2).epoch(number, start)


class Empty(Short):
    def __len__(self) -> int:
        return 0


def test_data_that_cannot_work_are_refused_before_training() -> None:
    with pytest.raises(ValueError, match="there is no training batch"):
        fit(summer(), Empty(), BPTT(), Plan(1))
    with pytest.raises(ValueError, match="there is no validation batch"):
        fit(summer(), batches(), BPTT(), Plan(1), validation=Empty())
    with pytest.raises(ValueError, match="patience=2 needs validation data"):
        fit(summer(), batches(), BPTT(), Plan(1, patience=2))
    with pytest.raises(ValueError, match="Short announces 3 batches an epoch, but epoch 1 ended after 2"):
        list(fit(summer(), Short(), BPTT(), Plan(1)))


@pytest.mark.parametrize(
    "options", [{"epochs": 0}, {"epochs": 1.5}, {"seed": -1}, {"patience": 0}, {"checkpoint_updates": 0}]
)
def test_a_number_outside_its_range_is_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} is {options[name]}; it is a whole number of at least [01]"):
        Plan(**{"epochs": 1, **options})


def test_a_negative_time_is_refused() -> None:
    with pytest.raises(ValueError, match="checkpoint_seconds is -1; it is a number of at least 0"):
        Plan(1, checkpoint_seconds=-1)


def test_batches_come_in_the_models_dtype() -> None:
    assert train(summer(dtype=torch.float64), Plan(1)).loss > 0
