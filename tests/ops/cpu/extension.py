"""The compiled extension for the tests, its operands, and results with gradients."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from carousel.cells import Cell, layout
from carousel.ops import Backend, Inputs, LayerOperands, Operands, Reference
from carousel.ops.cpu import CPU, extension
from carousel.testing import Problem

needs_extension = pytest.mark.skipif(
    extension.module is None and not os.environ.get("CI"), reason=f"{extension.missing}"
)
"""Skips where nothing was built, but never in CI: there it has to be built."""

TARGETS: list[str] = extension.module.TARGETS if extension.module else ["none"]
EVERYTHING = Problem("all", 9, 5, 3, 6, projection=2, ragged=True, reset=True, reverse=True, noise=True)


@contextmanager
def target(name: str) -> Iterator[None]:
    """Inside, the kernels of this instruction set run."""
    before = extension.module.target()
    extension.module.use(name)
    try:
        yield
    finally:
        extension.module.use(before)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Inside, torch and the kernels may use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def from_inputs(cell: Cell, operands: Operands, features: int) -> LayerOperands:
    """The same operands with inputs in place of the pre-activations, all leaves that want gradients."""
    like, rows = operands.gates, operands.gates.shape[2]
    drawn = (torch.randn(*like.shape[:2], features), torch.randn(rows, features), torch.randn(rows))
    inputs = Inputs(*(leaf(tensor.to(like)) for tensor in drawn))
    assert rows == layout.total(layout.rows(cell, operands.hidden))
    return LayerOperands(inputs, operands.state, operands.weights, operands.steps, operands.noise)


def leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_()


def leaves(operands: Operands) -> Operands:
    """The same operands, each a leaf that wants a gradient if it can have one; masks want none."""
    tensors = [leaf(t) if t is not None and t.is_floating_point() else t for t in operands.tensors()]
    return replace(Operands.gather(tensors, reverse=operands.steps.reverse), noise=operands.noise)


def results(backend: Backend, cell: Cell, operands: Operands | LayerOperands) -> list[Tensor]:
    """Outputs, last state, and the gradients of their weighted sum by all that wants one."""
    run = backend.layer if isinstance(operands, LayerOperands) else backend.recurrence
    outputs, state = run(cell, operands)  # type: ignore[arg-type]
    values = [value for value in (outputs, *state) if value is not None]
    wanted = [t for t in operands.tensors() if t is not None and t.requires_grad]
    loss = torch.stack(
        [(value * torch.linspace(-1, 2, value.numel()).view(value.shape)).sum() for value in values]
    ).sum()
    return values + list(torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True))


def agree(cell: Cell, operands: Operands | LayerOperands, *, atol: float = 1e-10) -> None:
    """The kernels run these operands, and give what the reference gives."""
    assert CPU().refuses(cell, operands) is None
    got, expected = (results(backend, cell, operands) for backend in (CPU(), Reference()))
    torch.testing.assert_close(got, expected, rtol=1e-5 if operands.like.dtype is torch.float32 else 1e-9, atol=atol)
