"""The filter's numbers against closed forms in numpy, and its covariances over a hundred thousand updates."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from carousel.ops.filter_noise import Variances
from carousel.training import DivergenceError
from carousel.training.filter import KalmanFilter

Floats = NDArray[np.float64]
GROUPS = [torch.tensor([0, 3]), torch.tensor([1, 4]), torch.tensor([2])]


def measurements(count: int, rows: int, weights: int, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """Jacobians and errors."""
    rng = np.random.default_rng(seed)
    return [(torch.tensor(rng.normal(size=(rows, weights))), torch.tensor(rng.normal(size=rows))) for _ in range(count)]


def dense(slopes: Floats, errors: Floats, covariance: Floats, noise: Variances) -> tuple[Floats, Floats]:
    """The change of the weights and the next covariance by the textbook's equations."""
    total = slopes @ covariance @ slopes.T + noise.measurement * np.eye(len(slopes))
    gain = covariance @ slopes.T @ np.linalg.inv(total)
    return gain @ errors, covariance - gain @ slopes @ covariance + noise.process * np.eye(len(covariance))


def test_decoupled_is_global_whose_covariances_between_groups_are_forgotten() -> None:
    found = KalmanFilter(GROUPS, 10.0)
    same_group = np.zeros((5, 5))
    for group in GROUPS:
        same_group[np.ix_(group.numpy(), group.numpy())] = 1
    covariance = 10 * np.eye(5)
    for slopes, errors in measurements(20, 3, 5):
        noise = Variances(0.5, 0.01)
        change, covariance = dense(slopes.numpy(), errors.numpy(), covariance, noise)
        covariance *= same_group
        np.testing.assert_allclose(found.update(slopes, errors, noise), change, rtol=1e-9, atol=1e-12)
    whole = np.zeros((5, 5))
    for block in found.blocks:
        for positions, part in zip(block.positions.numpy(), block.covariance.numpy(), strict=True):
            whole[np.ix_(positions, positions)] = part
    np.testing.assert_allclose(whole, covariance, rtol=1e-9, atol=1e-12)
    assert found.trace() == pytest.approx(np.trace(covariance))


def test_one_measurement_at_a_time_is_all_at_once() -> None:
    (slopes, errors), whole, parts = measurements(1, 6, 5)[0], *(KalmanFilter([torch.arange(5)], 2.0) for _ in "ab")
    change = whole.update(slopes, errors, Variances(0.5, 0.0))
    step_by_step = torch.zeros(5, dtype=torch.float64)
    for slope, error in zip(slopes.split(1), errors.split(1), strict=True):
        step_by_step += parts.update(slope, error - slope @ step_by_step, Variances(0.5, 0.0))
    torch.testing.assert_close(step_by_step, change)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("measurement", "process", "hundreds"), [(1e-6, 0.0, 1000), (1e-6, 1e-6, 100), (3.0, 0.0, 100)]
)
def test_covariances_stay_symmetric_and_positive_definite(measurement: float, process: float, hundreds: int) -> None:
    found = KalmanFilter(GROUPS, 100.0)
    for slopes, errors in measurements(100, 2, 5) * hundreds:
        found.update(slopes, errors, Variances(measurement, process))
    for block in found.blocks:
        assert torch.equal(block.covariance, block.covariance.mT)
        assert torch.linalg.eigvalsh(block.covariance).min() > 0
        torch.linalg.cholesky(block.covariance)


def test_errors_without_a_covariance_stop_the_run() -> None:
    slopes, errors = measurements(1, 3, 5)[0]
    with pytest.raises(DivergenceError, match="covariance of the errors is no longer finite"):
        KalmanFilter(GROUPS, 1.0).update(slopes * torch.nan, errors, Variances(1.0, 0.0))
