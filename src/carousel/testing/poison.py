"""Memory filled with NaN, so that whatever reads what nobody wrote is found out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from carousel.ops import Operands


@contextmanager
def poisoned_memory() -> Iterator[None]:
    """Inside, memory that torch hands out unwritten holds NaN (or the largest integer), in its own operators too."""
    mode, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode, warn_only=warns)


def poisoned_padding(operands: Operands) -> Operands:
    """The same operands with NaN in all pre-activations behind a sequence's end."""
    gates, lengths = operands.gates, operands.steps.lengths
    if lengths is None:
        return operands
    behind = torch.arange(gates.shape[0], device=gates.device).unsqueeze(1) >= lengths
    return replace(operands, gates=gates.masked_fill(behind.unsqueeze(2), float("nan")))
