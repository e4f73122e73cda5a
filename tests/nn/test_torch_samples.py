"""torch's own test samples for nn.LSTM and nn.LSTMCell, every one, run on ours: outputs, gradients, errors."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

import carousel

OURS = {nn.LSTM: carousel.LSTM, nn.LSTMCell: carousel.LSTMCell}
TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-12}
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


@cache
def entry(kind: type[nn.Module]) -> Any:
    return next(info for info in module_db if info.module_cls is kind)


def samples(kind: type[nn.Module], dtype: torch.dtype) -> list[Any]:
    torch.manual_seed(0)
    info = entry(kind)
    return list(info.module_inputs_func(info, torch.device("cpu"), dtype, requires_grad=True, training=True))


def error_samples(kind: type[nn.Module], dtype: torch.dtype) -> list[Any]:
    info = entry(kind)
    return list(info.module_error_inputs_func(info, torch.device("cpu"), dtype, requires_grad=False, training=True))


CASES = [
    pytest.param(kind, at, id=f"{kind.__name__}-{at}")
    for kind in OURS
    for at in range(len(samples(kind, torch.float32)))
]
ERRORS = [
    pytest.param(kind, at, id=f"{kind.__name__}-{at}")
    for kind in OURS
    for at in range(len(error_samples(kind, torch.float32)))
]


def test_these_are_all_of_them() -> None:
    """If torch's list grows, so does ours; if it shrinks, this test wants to know."""
    counts = {kind: sum(case.values[0] is kind for case in CASES) for kind in OURS}
    assert counts[nn.LSTM] >= 32
    assert counts[nn.LSTMCell] >= 2
    assert len(ERRORS) >= 18


def build(kind: type[nn.Module], sample: Any, dtype: torch.dtype) -> nn.Module:
    arguments = sample.constructor_input
    torch.manual_seed(1)
    return kind(*arguments.args, **{"dtype": dtype, **arguments.kwargs})


def tensors(nest: object) -> Iterator[Tensor]:
    if isinstance(nest, Tensor):
        yield nest
    elif isinstance(nest, tuple | list):
        for part in nest:
            yield from tensors(part)


def run(module: nn.Module, given: tuple[Any, ...]) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs, and gradients by all inputs, states and parameters."""
    outputs = list(tensors(module(*given)))
    torch.manual_seed(2)
    weights = [torch.randn(output.shape).to(output.dtype) for output in outputs]
    wanted = [*tensors(given), *module.parameters()]
    return outputs, list(torch.autograd.grad(outputs, wanted, weights))


def exactly(nest: Any) -> Any:
    """The same inputs in float64."""
    if isinstance(nest, Tensor):
        return nest.detach().double().requires_grad_()
    return tuple(exactly(part) for part in nest)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own, about itself
@DTYPES
@pytest.mark.parametrize(("kind", "at"), CASES)
def test_samples(kind: type[nn.Module], at: int, dtype: torch.dtype) -> None:
    """Theirs computes in float64 on the same numbers: in float32 either strays from that by some 7e-7."""
    sample = samples(kind, dtype)[at]
    theirs, ours = build(kind, sample, dtype), build(OURS[kind], sample, dtype)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)
    given = sample.forward_input.args
    expected, got = run(theirs.double(), exactly(given)), run(ours, given)
    for name, our, their in zip(("outputs", "gradients"), got, expected, strict=True):
        apart = [((a - b).abs().max() / b.abs().max().clamp(min=1)).item() for a, b in zip(our, their, strict=True)]
        assert max(apart) < TOLERANCE[dtype], f"{name} differ by {apart}, relative to the largest entry"


@DTYPES
@pytest.mark.parametrize(("kind", "at"), CASES)
def test_their_reference_functions_hold_for_ours(kind: type[nn.Module], at: int, dtype: torch.dtype) -> None:
    sample = samples(kind, dtype)[at]
    ours, given = build(OURS[kind], sample, dtype), sample.forward_input
    expected = sample.reference_fn(ours, *given.args, **given.kwargs)
    got = ours(*given.args, **given.kwargs)
    torch.testing.assert_close(list(tensors(got)), list(tensors(expected)), rtol=0, atol=TOLERANCE[dtype])


@DTYPES
@pytest.mark.parametrize(("kind", "at"), ERRORS)
def test_error_samples(kind: type[nn.Module], at: int, dtype: torch.dtype) -> None:
    """The same class of error with the same words; where torch's own words miss its pattern, its class."""
    sample = error_samples(kind, dtype)[at]
    if sample.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR:
        with pytest.raises(sample.error_type, match=sample.error_regex):
            construct(OURS[kind], sample)
        return
    module, given = construct(OURS[kind], sample), sample.module_error_input.forward_input
    with pytest.raises(sample.error_type) as caught:
        module(*given.args, **given.kwargs)
    assert re.search(sample.error_regex, str(caught.value))


def construct(kind: type[nn.Module], sample: Any) -> nn.Module:
    arguments = sample.module_error_input.constructor_input
    return kind(*arguments.args, **arguments.kwargs)
