"""What a Kalman filter measures: a model's answers, what they should be, and how each depends on the weights."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carousel.data import Batch
from carousel.training.method import Model


def measured(model: Model, output: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Answers, with their graph, and wanted values, both (numbers,), where the target is observed.

    A model says them itself in `errors(output, batch)`, before any mask; without it the answers are the output, if the
    loss is the mean squared error. Raises TypeError for a model with another loss.
    """
    errors = getattr(model, "errors", None)
    answers, wanted = _plain(model, output, batch) if errors is None else errors(output, batch)
    if batch.mask is not None:
        answers, wanted = answers[batch.mask], wanted[batch.mask]
    return answers.flatten(), wanted.detach().flatten()


def jacobian(answers: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """The derivative of each answer for each weight, float64 (numbers, weights); one pass backwards a number.

    The graph stays, for further answers of the same output. It is a loop because torch's batched backward pass cannot
    go through the compiled kernels.
    """
    rows = answers.new_zeros(len(answers), sum(weight.numel() for weight in weights), dtype=torch.float64)
    for row, answer in zip(rows, answers, strict=True):
        slopes = torch.autograd.grad(answer, weights, retain_graph=True, allow_unused=True)
        at = 0
        for weight, slope in zip(weights, slopes, strict=True):
            if slope is not None:
                row[at : at + weight.numel()] = slope.flatten()
            at += weight.numel()
    return rows


def _plain(model: Model, output: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The output and the target of a model whose loss is the mean squared error between them."""
    target = batch.target
    if target is not None and target.is_floating_point() and target.shape == output.shape:
        squares = (output - target).detach().square()
        squares = squares if batch.mask is None else squares[batch.mask]
        if torch.isclose(model.loss(output, batch).detach(), squares.mean(), rtol=1e-3):
            return output, target
    raise TypeError(
        f"{type(model).__name__} does not say how its answers differ from what they should be, and its loss is not the "
        "mean squared error of its output: a Kalman filter needs a method errors(output, batch) that returns answers "
        "and wanted values of one shape (SequenceRegressor with loss='squared_error', SequenceClassifier and "
        "SequenceLabeler have it)"
    )
