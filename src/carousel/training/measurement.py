"""What a Kalman filter measures: a model's answers, what they should be, and how each depends on the weights."""

import warnings
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
    """The derivative of each answer for each weight, float64 (numbers, weights).

    The graph stays, for further answers of the same output. All answers go back at once, by torch's batched
    gradients; where an operation of the model knows none, one after the other.
    """
    ones = torch.eye(len(answers), dtype=answers.dtype, device=answers.device)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # torch warns where it loops by itself, which is slower
            slopes = _slopes(answers, weights, ones, batched=True)
    except (RuntimeError, UserWarning, NotImplementedError):
        each = [_slopes(answers, weights, one, batched=False) for one in ones]
        slopes = [None if parts[0] is None else torch.stack(parts) for parts in zip(*each, strict=True)]  # type: ignore[arg-type]
    rows = [
        (answers.new_zeros(len(answers), weight.numel()) if slope is None else slope.reshape(len(answers), -1)).double()
        for weight, slope in zip(weights, slopes, strict=True)
    ]
    return torch.cat(rows, dim=1)


def _slopes(answers: Tensor, weights: Sequence[Tensor], given: Tensor, *, batched: bool) -> Sequence[Tensor | None]:
    return torch.autograd.grad(answers, weights, given, retain_graph=True, allow_unused=True, is_grads_batched=batched)


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
