"""The loss of a transducer in compiled loops and under autograd."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from carousel.ops import transducer_reference as reference
from carousel.ops.cpu import extension, several
from carousel.ops.cpu.autograd import Gradients, through_reference
from carousel.ops.transducer_reference import Lattice

KINDS = {torch.float32: 0, torch.float64: 1}


def refuses(*given: Tensor | None) -> str | None:
    """Why plain torch runs instead."""
    if extension.module is None:
        return extension.missing
    tensors = [tensor for tensor in given if tensor is not None]
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return "function transforms need plain torch operations"
    if torch._C._len_torch_dispatch_stack() or torch.compiler.is_compiling():
        return "a dispatch mode or a compiler wants to see plain torch operations"
    if any(not tensor.is_cpu or tensor.dtype not in KINDS or tensor.dtype != tensors[0].dtype for tensor in tensors):
        return "its loops read float32 or float64 on the processor"
    return None


def emissions(scores: Tensor, lattice: Lattice, prediction: Tensor | None) -> tuple[Tensor, Tensor]:
    """Log-probabilities of blank and label; only the logarithms of the places' sums are saved beside what came."""
    return _Emissions.apply(lattice, scores, prediction)  # type: ignore[return-value]


def lattice_loss(blank: Tensor, label: Tensor, lattice: Lattice) -> Tensor:
    """The loss of each sequence, (batch,); its gradients are found in the same call."""
    return _Loss.apply(lattice, blank, label)  # type: ignore[return-value]


class _Emissions(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, lattice: Lattice, scores: Tensor, prediction: Tensor | None) -> tuple[Tensor, Tensor]:
        batch, width = lattice.labels.shape
        shape = (batch, scores.shape[1], width + 1)
        given = {"scores": scores, "prediction": prediction}
        made = {"log_blank": scores.new_empty(shape), "normalizer": scores.new_empty(shape)}
        made["log_label"] = scores.new_empty(*shape[:2], width)
        _enter("transducer_emissions", lattice, (*shape, scores.shape[-1]), {**given, **made})
        ctx.lattice = lattice
        ctx.save_for_backward(scores, prediction, made["normalizer"])
        return made["log_blank"], made["log_label"]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        scores, prediction, normalizer = ctx.saved_tensors
        lattice, needed = ctx.lattice, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():

            def again(seen: Gradients) -> Gradients:
                return reference.emissions(seen[0], lattice, seen[1])  # type: ignore[arg-type]

            return None, *through_reference(again, (scores, prediction), needed, gradients)
        given = {"scores": scores, "prediction": prediction, "normalizer": normalizer}
        sizes = (*normalizer.shape, scores.shape[-1])

        def back(own: Gradients) -> Gradients:
            found = {"grad_scores": torch.empty_like(scores, memory_format=torch.contiguous_format)}
            if prediction is not None:
                found["grad_prediction"] = torch.empty_like(prediction, memory_format=torch.contiguous_format)
            named = dict(zip(("grad_blank", "grad_label"), own, strict=True))
            _enter("transducer_emissions_backward", lattice, sizes, {**given, **named, **found})
            return [found["grad_scores"], found.get("grad_prediction")]

        return None, *several.passes(back, gradients)


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, lattice: Lattice, blank: Tensor, label: Tensor) -> Tensor:
        loss = torch.empty(len(blank), dtype=torch.float64)
        found = {"loss": loss, "scratch": loss.new_empty(2 * blank.numel())}
        if any(ctx.needs_input_grad):
            found |= {"grad_blank": blank.new_zeros(blank.shape), "grad_label": label.new_zeros(label.shape)}
        _enter("transducer_lattice", lattice, (*blank.shape, 0), {"log_blank": blank, "log_label": label, **found})
        ctx.lattice = lattice
        ctx.save_for_backward(blank, label, found.get("grad_blank"), found.get("grad_label"))
        return loss.to(blank.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        blank, label, by_blank, by_label = ctx.saved_tensors
        if torch.is_grad_enabled():

            def again(seen: Gradients) -> Gradients:
                return [reference.lattice_loss(seen[0], seen[1], ctx.lattice)]  # type: ignore[arg-type]

            return None, *through_reference(again, (blank, label), ctx.needs_input_grad[1:], (gradient,))
        scale = gradient[:, None, None]
        return None, by_blank * scale, by_label * scale


def _enter(name: str, lattice: Lattice, sizes: tuple[int, ...], tensors: dict[str, Tensor | None]) -> None:
    """Call the extension; sizes are (batch, time, positions, symbols)."""
    named = {"labels": lattice.labels, "frames": lattice.frames, "counts": lattice.counts, **tensors}
    dense = {key: tensor.contiguous() for key, tensor in named.items() if tensor is not None}
    pointers = [dense[key].data_ptr() if key in dense else 0 for key in extension.module.TRANSDUCER_POINTERS]
    numbers = [*sizes, lattice.blank]
    kind = KINDS[tensors["scores" if "scores" in dense else "log_blank"].dtype]  # type: ignore[union-attr]
    getattr(extension.module, name)(kind, numbers, pointers, torch.get_num_threads())
