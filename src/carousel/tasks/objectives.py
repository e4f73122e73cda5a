"""What training lowers: functions of a network's output and a batch, each a mean over the batch."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from carousel.data import Batch

Objective = Callable[[Tensor, Batch], Tensor]


@dataclass(frozen=True)
class CrossEntropy:
    """Mean negative log probability of the true class, over series or over all steps that have a label.

    `weights` (classes,) multiply the terms; they should be 1 on average over the training labels.
    """

    weights: Tensor | None = None

    def __call__(self, output: Tensor, batch: Batch) -> Tensor:
        assert batch.target is not None
        weights = None if self.weights is None else self.weights.to(output)
        losses = F.cross_entropy(output.flatten(0, -2), batch.target.flatten(), weight=weights, reduction="none")
        count = losses.numel() if batch.mask is None else batch.mask.sum().clamp_min(1)
        return losses.sum() / count


def absolute_error(output: Tensor, batch: Batch) -> Tensor:
    """Mean absolute difference."""
    return F.l1_loss(output, batch.target)  # pyright: ignore[reportArgumentType]


def huber(output: Tensor, batch: Batch) -> Tensor:
    """Squared difference up to one standard deviation of the target, beyond it the absolute one (Huber 1964)."""
    return F.smooth_l1_loss(output, batch.target)  # pyright: ignore[reportArgumentType]


def squared_error(output: Tensor, batch: Batch) -> Tensor:
    """Mean squared difference."""
    return F.mse_loss(output, batch.target)  # pyright: ignore[reportArgumentType]


def told(objective: Objective) -> str:
    """The objective in words, with its weights if it has any."""
    if isinstance(objective, CrossEntropy):
        return "cross_entropy" + ("" if objective.weights is None else f", weights={objective.weights.tolist()}")
    return getattr(objective, "__name__", type(objective).__name__)


REGRESSION = {"squared_error": squared_error, "absolute_error": absolute_error, "huber": huber}


def differences(objective: Objective, output: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Answers and wanted values, of one shape, whose squared differences stand for the objective.

    Numbers are compared as they are; of classes, probabilities with 1 for the true class and 0 for the others, both
    times the root of the class's weight. Raises ValueError for objectives that are no squared differences.
    """
    target = batch.target
    assert target is not None
    if objective is squared_error:
        return output, target
    if not isinstance(objective, CrossEntropy):
        raise ValueError(
            f"'{told(objective)}' is no squared difference, which this method needs; take loss='squared_error'"
        )
    codes = target.clamp_min(0)
    wanted = torch.zeros_like(output).scatter_(-1, codes.unsqueeze(-1), 1.0)
    root = 1.0 if objective.weights is None else objective.weights.to(output)[codes].sqrt().unsqueeze(-1)
    return output.softmax(-1) * root, wanted * root


def wanted(objective: Objective, batch: Batch, outputs: int) -> tuple[Tensor, Tensor | None]:
    """What linear outputs should say (..., outputs), and the weight of each row (...), if any: of classes one-hot."""
    target = batch.target
    assert target is not None
    if not isinstance(objective, CrossEntropy):
        return target, None
    codes = target.clamp_min(0)
    values = F.one_hot(codes, outputs).to(batch.inputs)
    weight = None if objective.weights is None else objective.weights.to(batch.inputs)[codes]
    if batch.mask is not None:
        weight = batch.mask if weight is None else weight * batch.mask
    return values, weight


def sharpness(objective: Objective, output: Tensor, batch: Batch) -> Tensor:
    """The factor that makes logits of outputs fitted to zeros and ones, by the lowest objective; 1 for numbers."""
    factor = output.new_ones(())
    if isinstance(objective, CrossEntropy):
        for reach in (torch.logspace(-1, 1, 9), torch.logspace(-0.2, 0, 5)):
            tried = factor * reach.to(output)
            factor = tried[torch.stack([objective(each * output, batch) for each in tried]).argmin()]
    return factor
