"""Registration with torch.library: the recurrence as one opaque operator for torch.compile and torch.export.

Its schema is derived from the fields of `Operands`. Eager calls do not pass here: they reach a backend
directly, so that function transforms and higher derivatives see plain torch on the reference.
"""

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor

from carousel.cells import Cell, layout, row
from carousel.ops.backend import pick
from carousel.ops.operands import Operands, State

_NAMES = Operands.names()
_REQUIRED = ("gates", "initial_hidden", "initial_cell")
_ARGUMENTS = ", ".join(f"Tensor{'' if name in _REQUIRED else '?'} {name}" for name in _NAMES)
_SCHEMA = f"({_ARGUMENTS}, int[] row, bool reverse)"

torch.library.define("carousel::recurrence", f"{_SCHEMA} -> (Tensor, Tensor, Tensor, Tensor)")
torch.library.define("carousel::recurrence_backward", f"(Tensor[] gradients, {_SCHEMA[1:]} -> Tensor[]")


def recurrence(cell: Cell, operands: Operands) -> tuple[Tensor, State]:
    """The recurrence through the opaque operator: one node in a graph, whatever the length."""
    outputs, hidden, state, gates = torch.ops.carousel.recurrence(
        *operands.tensors(), row.encode(cell), operands.steps.reverse
    )
    return outputs, State(hidden, state, gates if cell.full_gate_recurrence else None)


@torch.library.impl("carousel::recurrence", "CompositeExplicitAutograd")
def _run(*arguments):  # type: ignore[no-untyped-def]
    cell, operands = _decode(arguments)
    outputs, state = pick(cell, operands).recurrence(cell, operands)
    return outputs, *_owned(operands, state)


@torch.library.register_fake("carousel::recurrence")
def _shapes(*arguments):  # type: ignore[no-untyped-def]
    cell, operands = _decode(arguments)
    gates = operands.gates
    outputs = gates.new_empty(gates.shape[0], gates.shape[1], operands.output)
    sent = layout.total(layout.sent_rows(cell, operands.hidden)) if cell.full_gate_recurrence else 0
    widths = (operands.output, operands.hidden, sent)
    return outputs, *(gates.new_empty(gates.shape[1], width) for width in widths)


@torch.library.impl("carousel::recurrence_backward", "CompositeExplicitAutograd")
def _run_backward(gradients, *arguments):  # type: ignore[no-untyped-def]
    tensors = [t if t is None else t.detach().requires_grad_(t.is_floating_point()) for t in arguments[: len(_NAMES)]]
    return [
        gradient.contiguous()
        for gradient in _gradients(gradients, tensors, arguments[len(_NAMES) :], create_graph=False)
    ]


@torch.library.register_fake("carousel::recurrence_backward")
def _backward_shapes(gradients, *arguments):  # type: ignore[no-untyped-def]
    return [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in _floating(arguments)]


def _backward(ctx, *gradients):  # type: ignore[no-untyped-def]
    arguments = (*ctx.saved_tensors, *ctx.rest)
    if torch.is_grad_enabled() and not torch.compiler.is_compiling() and not _tracing(gradients):
        given = _gradients(gradients, list(ctx.saved_tensors), ctx.rest, create_graph=True)
    else:
        given = torch.ops.carousel.recurrence_backward(list(gradients), *arguments)
    each = iter(given)
    by_name = [None if t is None or not t.is_floating_point() else next(each) for t in ctx.saved_tensors]
    return *by_name, None, None


def _setup_context(ctx, inputs, output):  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs[: len(_NAMES)])
    ctx.rest = inputs[len(_NAMES) :]


torch.library.register_autograd("carousel::recurrence", _backward, setup_context=_setup_context)


def _gradients(gradients, tensors, rest, *, create_graph):  # type: ignore[no-untyped-def]
    """Gradients of all floating operands by autograd through the reference-like run; zeros where unused."""
    with torch.enable_grad():
        cell, operands = _decode((*tensors, *rest))
        outputs, state = pick(cell, operands).recurrence(cell, operands)
        results = [outputs, *(s for s in state if s is not None)]
        pairs = [
            (result, gradient) for result, gradient in zip(results, gradients, strict=False) if result.requires_grad
        ]
        wanted = _floating(tensors)
        return torch.autograd.grad(
            [result for result, _ in pairs], wanted, [gradient for _, gradient in pairs],
            create_graph=create_graph, allow_unused=True, materialize_grads=True,
        )  # fmt: skip


def _decode(arguments) -> tuple[Cell, Operands]:  # type: ignore[no-untyped-def]
    *tensors, numbers, reverse = arguments
    return row.decode(list(numbers)), Operands.gather(tensors, reverse=reverse)


def _floating(tensors) -> list[Tensor]:  # type: ignore[no-untyped-def]
    return [t for t in tensors if isinstance(t, Tensor) and t.is_floating_point()]


def _owned(operands: Operands, state: State) -> list[Tensor]:
    """The state sharing no memory: an operator returns neither its input nor a tensor twice."""
    seen = {t.data_ptr() for t in operands.state if t is not None}
    owned = []
    for part in state:
        tensor = operands.gates.new_empty(operands.gates.shape[1], 0) if part is None else part
        owned.append(tensor.clone() if tensor.data_ptr() in seen else tensor)
        seen.add(tensor.data_ptr())
    return owned


def _tracing(tensors) -> bool:  # type: ignore[no-untyped-def]
    return any(isinstance(t, FakeTensor | FunctionalTensor) for t in tensors)
