"""Schedules, against torch's own where torch has them."""

import pytest
import torch
from torch.optim import SGD, Optimizer, lr_scheduler

from carousel.training.schedule import check_schedule, scheduler

STEPS = 20


def optimizer() -> Optimizer:
    return SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)


def rates(made: lr_scheduler.LRScheduler, steps: int = STEPS) -> list[float]:
    """The learning rate of each step."""
    seen = []
    for _ in range(steps):
        seen.append(made.optimizer.param_groups[0]["lr"])
        made.optimizer.step()
        made.step()
    return seen


def ours(name: str, warmup: float = 0, **options: float) -> list[float]:
    return rates(scheduler(optimizer(), name, options, steps=STEPS, warmup=warmup))


def test_constant_stays() -> None:
    assert ours("constant") == [0.5] * STEPS


def test_cosine_is_torchs() -> None:
    torchs = rates(lr_scheduler.CosineAnnealingLR(optimizer(), STEPS, eta_min=0.05))
    assert ours("cosine", end=0.1) == pytest.approx(torchs)


def test_step_is_torchs() -> None:
    assert ours("step", drops=3, factor=0.5) == pytest.approx(rates(lr_scheduler.StepLR(optimizer(), 5, gamma=0.5)))


def test_step_has_no_further_drop_at_the_end() -> None:
    made = scheduler(optimizer(), "step", {}, steps=3, warmup=0)
    assert rates(made, 5) == pytest.approx([0.5, 0.05, 0.005, 0.005, 0.005])


def test_one_cycle_is_torchs() -> None:
    torchs = lr_scheduler.OneCycleLR(optimizer(), 0.5, total_steps=21, pct_start=1 / 3, cycle_momentum=False)
    made = ours("one_cycle", rise=0.3)
    assert made == pytest.approx(rates(torchs))


def test_warm_up_rises_linearly_and_the_schedule_takes_what_is_left() -> None:
    assert ours("constant", warmup=4) == pytest.approx([0.1, 0.2, 0.3, 0.4] + [0.5] * 16)
    assert ours("constant", warmup=0.2) == ours("constant", warmup=4)
    left = scheduler(optimizer(), "cosine", {}, steps=STEPS - 4, warmup=0)
    assert ours("cosine", warmup=4)[4:] == pytest.approx(rates(left, 16))


def test_an_unknown_schedule_or_option_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no learning-rate schedule is called 'cosin'; there are constant, cosine, "):
        check_schedule("cosin", {})
    with pytest.raises(TypeError, match=r"schedule 'step' has no option 'gamma'; it has drops, factor"):
        check_schedule("step", {"gamma": 0.1})
    with pytest.raises(TypeError, match=r"schedule 'constant' has no option 'end'; it has none"):
        check_schedule("constant", {"end": 0.1})
