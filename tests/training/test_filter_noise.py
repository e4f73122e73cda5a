"""The one description of the noise that every Kalman filter of weights takes."""

from math import inf, nan
from typing import Any

import pytest
import torch

from carousel.ops.filter_noise import FilterNoise, Variances
from carousel.training import OnlineFilter, method_named
from carousel.training.kalman import DEKF
from tests.training.problem import batches, summer

EVERY = [FilterNoise, OnlineFilter, DEKF]


@pytest.mark.parametrize("made", EVERY)
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"initial_covariance": 0}, "initial_covariance is 0; it is a finite number above 0"),
        ({"measurement_noise": nan}, "measurement_noise is nan; it is a finite number above 0"),
        ({"final_measurement_noise": inf}, "final_measurement_noise is inf; it is a finite number above 0"),
        ({"process_noise": -1}, "process_noise goes from -1 to 1e-06; both are finite and above 0, or both are 0"),
        ({"final_process_noise": 0.0}, "process_noise goes from 0.01 to 0.0; both are finite and above 0, or both"),
        ({"final_process_noise": inf}, "process_noise goes from 0.01 to inf; both are finite"),
        ({"annealing_updates": 0}, "annealing_updates is 0; it is a whole number of at least 1, or None"),
        ({"annealing_updates": 0.5}, "annealing_updates is 0.5; it is a whole number of at least 1, or None"),
    ],
)
def test_every_filter_checks_the_same_options(made: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        made(**options)


def test_noise_goes_geometrically_from_first_to_last() -> None:
    noise = FilterNoise(measurement_noise=8.0, final_measurement_noise=0.5, process_noise=4.0, final_process_noise=1.0)
    assert noise.noise_at(0.0) == Variances(8.0, 4.0)
    assert noise.noise_at(0.5) == Variances(2.0, 2.0)
    assert noise.noise_at(1.0) == Variances(0.5, 1.0)
    assert noise.factors(4) == pytest.approx(((1 / 16) ** 0.25, (1 / 4) ** 0.25))
    assert FilterNoise(process_noise=0, final_process_noise=0).noise_at(0.5).process == 0


def test_both_filters_reach_the_last_noise_after_the_same_updates() -> None:
    given: dict[str, Any] = {"annealing_updates": 4, "final_process_noise": 1e-3}
    method, model = method_named("dekf", **given), summer()
    method.prepare(model, 100, 1)
    by = OnlineFilter(**given)
    batch = next(batches(4).epoch(0)).to("cpu", torch.float32)
    measurement, process, left = by.begins
    seen = []
    for _ in range(6):
        seen.append((method.measures()["measurement_noise"], method.measures()["process_noise"]))
        assert seen[-1] == pytest.approx((measurement, process))
        method.update(model, batch)
        factors = by.factors(by.updates) if left > 0 else (1.0, 1.0)
        measurement, process, left = measurement * factors[0], process * factors[1], left - 1
    assert seen[4] == pytest.approx((3.0, 1e-3))
    assert seen[5] == seen[4] != seen[3]
