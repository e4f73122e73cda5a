"""What a run is, in values that JSON can hold: a checkpoint of another run is told by these."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from torch import Tensor

from carousel.data import Batch, Batches
from carousel.training.checkpoint import tensor_bytes
from carousel.training.method import Method, Model
from carousel.training.plan import Plan
from carousel.training.validation import placement


def run_identity(
    model: Model, batches: Batches, method: Method, plan: Plan, validation: Batches | None
) -> dict[str, Any]:
    """Everything that must be the same for a run to go on exactly; of a model, what its modules print of themselves.

    Raises TypeError for a model whose state holds something else than tensors.
    """
    identity = {
        "model": re.sub(r" at 0x[0-9a-f]+", "", repr(model)).splitlines(),
        "weights": kinds(model.state_dict()),
        "device": placement(model)[0].type,
        "method": {"name": method.name, **method.options()},
        "plan": plan.course(),
        "training data": _describe(batches),
        "validation data": None if validation is None else _describe(validation),
    }
    return json.loads(json.dumps(identity, default=repr))


def kinds(tensors: Mapping[str, Any]) -> dict[str, str]:
    """The type and shape of each tensor, in words. Raises TypeError for a value that is no tensor."""
    if strange := [name for name, value in tensors.items() if not isinstance(value, Tensor)]:
        kind = type(tensors[strange[0]]).__name__
        raise TypeError(f"the model's state {strange[0]!r} is a {kind}; a checkpoint holds tensors only")
    return {name: f"{value.dtype} {tuple(value.shape)}" for name, value in tensors.items()}


def _describe(batches: Batches) -> dict[str, Any]:
    return {"batches": len(batches), "first epoch": _fingerprint(batches.epoch(0))}


def _fingerprint(epoch: Iterator[Batch]) -> str:
    digest = hashlib.sha256()
    for batch in epoch:
        for name in (field.name for field in fields(batch)):
            if (tensor := getattr(batch, name)) is not None:
                digest.update(name.encode() + tensor_bytes(tensor.cpu()))
    return digest.hexdigest()[:12]
