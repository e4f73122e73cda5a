"""The networks behind a forecast, taken alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from carousel.data import Batch
from carousel.nn import LSTM
from carousel.tasks.forecasting.linear import last_value
from carousel.tasks.forecasting.network import DirectNetwork, ForecastNetwork, Layout, RecursiveNetwork, Start
from carousel.tasks.forecasting.window import fill_forward, steps_since, window_scale
from tests.tasks.forecasts import quick, wave

LAYOUT = Layout(
    context=6, read=4, horizon=3, targets=1, past=0, future=0, static=0, flagged=True, levels=(0.1, 0.5, 0.9),
    window_scaled=False,
)  # fmt: skip


def batch(seed: int = 0) -> Batch:
    """Windows of one target with its flags, all observed."""
    values = torch.randn(6, 5, 1, generator=torch.Generator().manual_seed(seed))
    inputs = torch.cat([values, torch.ones(6, 5, 1), torch.zeros(6, 5, 1)], dim=-1)
    target = torch.randn(3, 5, 1, generator=torch.Generator().manual_seed(seed + 1))
    return Batch(inputs=inputs, indices=torch.arange(5), target=target, mask=torch.ones(3, 5, 1, dtype=torch.bool))


def network(kind: type[ForecastNetwork], layout: Layout = LAYOUT) -> ForecastNetwork:
    """A network on the last value."""
    made = kind(lambda width: LSTM(width, 4), layout, 0.0)
    steps = made.base.shape[1]
    made.start_from(Start(last_value(1, steps, layout.context), np.ones((3, 1)), np.ones(1)))
    return made


def test_recursion_is_taught_with_the_truth_and_then_goes_on_alone() -> None:
    made, given = network(RecursiveNetwork), batch()
    assert given.target is not None
    changed = given.target.clone()
    changed[0] += 1
    other = replace(given, target=changed)
    taught, otherwise = made.train()(given), made(other)
    torch.testing.assert_close(taught[0], otherwise[0])
    assert ((taught[1:] - otherwise[1:]).abs().amax((0, 2, 3)) > 0.1).all()
    alone = made.eval()(given)
    torch.testing.assert_close(alone, made(other), rtol=0, atol=0)
    torch.testing.assert_close(alone[0], taught[0])


def test_recursion_taught_its_own_medians_is_recursion_alone() -> None:
    """The pass over all steps at once and the loop over single steps are one computation."""
    made, given = network(RecursiveNetwork), batch()
    with torch.no_grad():
        alone = made.eval()(given)
        taught = made.train()(replace(given, target=alone[..., 1]))
    torch.testing.assert_close(taught, alone, rtol=1e-5, atol=1e-6)


def test_missing_targets_count_in_no_loss() -> None:
    made, given = network(DirectNetwork), batch()
    assert given.target is not None
    assert given.mask is not None
    mask = given.mask.clone()
    mask[1, 2] = False
    spoiled = given.target.clone()
    spoiled[1, 2] = 1e6
    output = made(given)

    def loss(target: Tensor, mask: Tensor) -> float:
        return made.loss(output, replace(given, target=target, mask=mask)).item()

    assert loss(spoiled, mask) == loss(given.target, mask)
    assert loss(spoiled, given.mask) > 1e3


def test_the_loss_is_the_pinball_loss_in_units_of_the_base_errors() -> None:
    made, given = network(DirectNetwork), batch()
    assert given.target is not None
    made.spread.fill_(2.0)
    output = made(given)
    error = (given.target[..., None] - output) / 2
    levels = torch.tensor([0.1, 0.5, 0.9])
    expected = torch.where(error > 0, levels * error, (levels - 1) * error).mean()
    torch.testing.assert_close(made.loss(output, given), expected)


def test_gaps_are_filled_with_the_last_value_before_them() -> None:
    values = torch.tensor([9.0, 1.0, 0.0, 0.0, 5.0]).view(5, 1, 1)
    observed = torch.tensor([False, True, False, False, True]).view(5, 1, 1)
    assert fill_forward(values, observed).flatten().tolist() == [9.0, 1.0, 1.0, 1.0, 5.0]
    whole, since = steps_since(values, values, observed)
    assert whole.flatten().tolist() == [9.0, 1.0, 0.0, 0.0, 5.0, 5.0, 1.0, 1.0, 1.0, 5.0]
    torch.testing.assert_close(since.flatten().expm1(), torch.tensor([1.0, 0.0, 1.0, 2.0, 0.0]))


def test_a_gap_in_the_context_leaves_the_base_where_it_was() -> None:
    made, given = network(DirectNetwork), batch()
    inputs = given.inputs.clone()
    inputs[-1, :, :2] = 0
    before = replace(given, inputs=torch.cat([inputs[:-1], inputs[-2:-1] * torch.tensor([1.0, 0.0, 0.0])]))
    torch.testing.assert_close(made(replace(given, inputs=inputs)), made(before))


def test_a_window_of_its_own_scale_is_forecast_in_its_own_scale() -> None:
    made, given = network(DirectNetwork, replace(LAYOUT, window_scaled=True)), batch()
    moved = given.inputs.clone()
    moved[..., 0] = 7 + 100 * moved[..., 0]
    torch.testing.assert_close(made(replace(given, inputs=moved)), 7 + 100 * made(given), rtol=1e-4, atol=1e-3)
    level, scale = window_scale(torch.full((4, 1, 1), 3.0), True)
    assert level.item() == 3.0
    assert scale.item() > 0


def test_series_without_names_are_those_of_the_training_only_when_as_many() -> None:
    fitted = quick(scale_of="series").fit([wave(), 1000 * wave()])
    alone = fitted.predict([1000 * wave()]).median
    both = fitted.predict([wave(), 1000 * wave()]).median
    np.testing.assert_allclose(both, fitted.predict().median, rtol=1e-6)
    np.testing.assert_allclose(alone[0], both[1], rtol=0.05)
    swapped = fitted.predict([1000 * wave(), wave()]).median
    assert not np.allclose(swapped[::-1], both, rtol=0.05)


@pytest.mark.parametrize("scale_of", ["window", "series"])
def test_a_small_series_is_not_lost_beside_a_large_one(scale_of: str) -> None:
    small, large = quick(scale_of=scale_of).fit([wave(), 1e7 * wave(level=3)]).predict().median
    assert abs(small - wave(124)[-4:]).max() < 1
    assert abs(large / 1e7 - 3 - wave(124)[-4:]).max() < 1
