"""Operators of torch.library: how a function over operands becomes one opaque node for torch.compile and torch.export.

Eager calls do not pass here: they reach a backend directly, so that function transforms and higher derivatives
see plain torch on the reference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor

Arguments = Sequence[Any]
Tensors = Sequence[Tensor | None]


@dataclass(frozen=True)
class Operator:
    """An operator `carousel::name` over named tensors and plain numbers.

    `tensors` are words of a schema such as "Tensor gates" and "Tensor? R", `numbers` the words that follow them.
    `run` computes the outputs from the arguments, `shapes` makes empty tensors of their shapes.
    """

    name: str
    tensors: tuple[str, ...]
    numbers: tuple[str, ...]
    outputs: int
    run: Callable[[Arguments], Tensors]
    shapes: Callable[[Arguments], Tensors]

    def register(self) -> None:
        """Define the operator, its shapes for tracing, its gradient, and the operator that computes the gradient."""
        name, schema = f"carousel::{self.name}", ", ".join((*self.tensors, *self.numbers))
        torch.library.define(name, f"({schema}) -> ({', '.join(['Tensor'] * self.outputs)})")
        torch.library.impl(name, "CompositeExplicitAutograd", lambda *arguments: _owned(self.run(arguments), arguments))
        torch.library.register_fake(name, lambda *arguments: tuple(self.shapes(arguments)))
        torch.library.define(f"{name}_backward", f"(Tensor[] gradients, bool[] wanted, {schema}) -> Tensor[]")
        torch.library.impl(f"{name}_backward", "CompositeExplicitAutograd", self._run_backward)
        torch.library.register_fake(f"{name}_backward", _like_wanted)
        torch.library.register_autograd(name, self._backward, setup_context=self._save)

    def __call__(self, *arguments: Any) -> tuple[Tensor, ...]:
        """The outputs, through torch's dispatcher."""
        return getattr(torch.ops.carousel, self.name)(*arguments)

    def _save(self, ctx: Any, inputs: Arguments, output: Tensors) -> None:
        ctx.save_for_backward(*inputs[: len(self.tensors)])
        ctx.numbers = inputs[len(self.tensors) :]

    def _backward(self, ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of all arguments; as plain torch where the gradient itself will be differentiated."""
        saved, wanted = ctx.saved_tensors, list(ctx.needs_input_grad[: len(self.tensors)])
        if torch.is_grad_enabled() and not _tracing(gradients):
            seen = [t if t is None else t.view_as(t) for t in saved]  # of two, one made from the other, each its own
            given = self._gradients(gradients, wanted, (*seen, *ctx.numbers), create_graph=True)
        else:
            backward = getattr(torch.ops.carousel, f"{self.name}_backward")
            given = backward(list(gradients), wanted, *saved, *ctx.numbers)
        each = iter(given)
        return *(next(each) if want else None for want in wanted), *(None for _ in ctx.numbers)

    def _run_backward(self, gradients: Tensors, wanted: Sequence[bool], *arguments: Any) -> list[Tensor]:
        leaves = [
            t if t is None else t.detach().requires_grad_(want) for t, want in zip(arguments, wanted, strict=False)
        ]
        given = self._gradients(gradients, wanted, (*leaves, *arguments[len(leaves) :]), create_graph=False)
        return [gradient.contiguous() for gradient in given]

    def _gradients(
        self, gradients: Tensors, wanted: Sequence[bool], arguments: Arguments, *, create_graph: bool
    ) -> tuple[Tensor, ...]:
        """Gradients of the wanted tensors, by autograd through another run; zeros where one is not used."""
        with torch.enable_grad():
            pairs = [
                (result, gradient)
                for result, gradient in zip(self.run(arguments), gradients, strict=True)
                if result is not None and result.requires_grad
            ]
            results, given = zip(*pairs, strict=True)
            return torch.autograd.grad(
                results, _chosen(wanted, arguments), given,
                create_graph=create_graph, allow_unused=True, materialize_grads=True,
            )  # fmt: skip


def _like_wanted(gradients: Tensors, wanted: Sequence[bool], *arguments: Any) -> list[Tensor]:
    chosen = _chosen(wanted, arguments)
    return [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in chosen]


def _chosen(wanted: Sequence[bool], arguments: Arguments) -> list[Tensor]:
    return [each for each, want in zip(arguments, wanted, strict=False) if want]


def _floating(arguments: Arguments) -> list[Tensor]:
    return [each for each in arguments if isinstance(each, Tensor) and each.is_floating_point()]


def _owned(outputs: Tensors, arguments: Arguments) -> tuple[Tensor, ...]:
    """The outputs sharing no memory: an operator returns neither its input nor a tensor twice."""
    given = _floating(arguments)
    seen = {tensor.data_ptr() for tensor in given}
    owned = []
    for output in outputs:
        tensor = given[0].new_empty(0) if output is None else output
        owned.append(tensor.clone() if tensor.data_ptr() in seen else tensor)
        seen.add(tensor.data_ptr())
    return tuple(owned)


def _tracing(gradients: Tensors) -> bool:
    return torch.compiler.is_compiling() or any(isinstance(each, FakeTensor | FunctionalTensor) for each in gradients)
