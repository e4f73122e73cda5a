"""How wrong a model is on data that it does not learn from."""

from typing import Any, cast

import torch

from carousel.data import Batches
from carousel.training.method import Model, terms


def validation_loss(model: Model, batches: Batches) -> float:
    """The model's mean loss per term over these batches, in evaluation mode and without gradients.

    In a stream the state is carried from batch to batch.
    """
    device, dtype = placement(model)
    was_training = model.training
    model.train(False)
    total = count = 0.0
    state = None
    with torch.no_grad():
        for raw in batches.epoch(0):
            batch = raw.to(device, dtype)
            share = terms(model, batch)
            if batch.reset is not None and hasattr(model, "carry"):
                output, state = cast(Any, model).carry(batch, state)
            else:
                output = model(batch)
            total += model.loss(output, batch).item() * share
            count += share
    model.train(was_training)
    return total / max(count, 1e-30)


def placement(model: Model) -> tuple[torch.device, torch.dtype]:
    """The device and the floating-point type of the model's parameters."""
    found = [parameter for _, parameter in model.named_parameters() if parameter.is_floating_point()]
    return (found[0].device, found[0].dtype) if found else (torch.device("cpu"), torch.float32)
