"""The extended Kalman filter of weights, as numbers alone: derivatives and errors in, the weights' change out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from carousel.ops.filter_noise import Variances
from carousel.training.method import DivergenceError


@dataclass
class Block:
    """Groups of one size: positions int64 (groups, size) among all weights, covariance float64 (groups, size, size)."""

    positions: Tensor
    covariance: Tensor


class KalmanFilter:
    """Weights estimated from what a model answers, with one covariance matrix for each group of weights.

    groups: positions of each group's weights; together they are all weights, each once. One group of all is the
    extended Kalman filter, several are its decoupled form, in which groups share their errors and nothing else. All
    numbers are float64. Every covariance stays symmetric and positive definite: what a measurement teaches is taken
    off as V^T V from one Cholesky factor, and the process noise is added.

    Source: Puskorius and Feldkamp 1994.
    """

    def __init__(self, groups: Sequence[Tensor], initial_covariance: float) -> None:
        sizes = sorted({len(group) for group in groups})
        stacks = [torch.stack([group for group in groups if len(group) == size]) for size in sizes]
        self.blocks = [Block(stack, _scaled_identity(stack, initial_covariance)) for stack in stacks]

    def update(self, jacobian: Tensor, errors: Tensor, noise: Variances) -> Tensor:
        """Learn from one measurement; the change of the weights (weights,).

        jacobian: (numbers, weights), of the answers; errors: (numbers,), wanted minus answered.
        Raises DivergenceError when the errors' covariance is no longer finite and positive definite.
        """
        slopes = [jacobian[:, block.positions].transpose(0, 1) for block in self.blocks]
        spread = [slope @ block.covariance for slope, block in zip(slopes, self.blocks, strict=True)]
        factor = _factor(_uncertainty(slopes, spread, noise.measurement))
        whitened = torch.linalg.solve_triangular(factor, errors[:, None], upper=False)
        change = torch.zeros_like(jacobian[0])
        for block, part in zip(self.blocks, spread, strict=True):
            known = torch.linalg.solve_triangular(factor, part, upper=False)
            change[block.positions] = (known.mT @ whitened)[..., 0]
            _learn(block, known, noise.process)
        return change

    def trace(self) -> float:
        """The sum of all weights' variances."""
        return sum(block.covariance.diagonal(dim1=-2, dim2=-1).sum().item() for block in self.blocks)


def _scaled_identity(positions: Tensor, scale: float) -> Tensor:
    groups, size = positions.shape
    return scale * torch.eye(size, dtype=torch.float64, device=positions.device).repeat(groups, 1, 1)


def _uncertainty(slopes: list[Tensor], spread: list[Tensor], noise: float) -> Tensor:
    """The covariance of the errors, sum of H K H^T over all groups + R: (numbers, numbers)."""
    total = sum((part @ slope.mT).sum(0) for part, slope in zip(spread, slopes, strict=True))
    assert isinstance(total, Tensor)
    total.diagonal().add_(noise)
    return total


def _factor(uncertainty: Tensor) -> Tensor:
    factor, failed = torch.linalg.cholesky_ex(uncertainty)
    if failed.item() or not torch.isfinite(factor).all():
        raise DivergenceError(
            "the covariance of the errors is no longer finite and positive definite; raise final_measurement_noise, "
            "or lower initial_covariance"
        )
    return factor


def _learn(block: Block, known: Tensor, noise: float) -> None:
    """K - G H K + Q for each group, given V = L^-1 H K with L L^T the errors' covariance."""
    left = torch.baddbmm(block.covariance, known.mT, known, alpha=-1)
    block.covariance = (left + left.mT) / 2
    block.covariance.diagonal(dim1=-2, dim2=-1).add_(noise)
