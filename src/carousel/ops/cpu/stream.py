"""One step of a few sequences without gradients: one call into the extension, and little else.

Weights are read where they lie at every step; nothing of them is kept, so that nothing can grow stale.
"""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from carousel.cells import Cell, row
from carousel.ops.backend import allows
from carousel.ops.cpu import extension

KINDS = {torch.float32: 0, torch.float64: 1}
MANY = 4
"""More sequences than this are faster through the loop, which packs the weights first."""


class Stream:
    """A cell as the extension streams it: made once for a module, called at every step."""

    def __init__(self, cell: Cell) -> None:
        self._plain = not (cell.block > 1 or cell.norm or cell.projection or cell.full_gate_recurrence)
        self._row = row.encode(cell)

    def __call__(
        self, x: Tensor, h: Tensor, c: Tensor, weights: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor] | None:
        """h_t and c_t, shaped as h and c, or None where the step has to take the way of all others.

        `x` (…, features), `h` and `c` (…, hidden) hold as many numbers a sequence; `weights` are W, R, both biases and
        the peepholes, None where there are none.
        """
        kind, hidden = KINDS.get(x.dtype), c.shape[-1]
        if not self._plain or kind is None or not _allowed():
            return None
        batch = c.numel() // hidden
        if batch > MANY or not all(_readable(each, x.dtype) for each in (x, h, c, *weights)):
            return None
        after = torch.empty_like(h), torch.empty_like(c)
        given = (x, h, c, *weights, *after)
        addresses = [0 if each is None else each.data_ptr() for each in given]
        extension.module.stream(kind, self._row, (1, batch, x.shape[-1], hidden, hidden), addresses)
        return after


def _readable(tensor: Tensor | None, dtype: torch.dtype) -> bool:
    """Whether the extension can read the tensor's memory as it lies."""
    if tensor is None:
        return True
    plain = type(tensor) is Tensor or type(tensor) is Parameter
    return plain and tensor.dtype is dtype and tensor.is_cpu and tensor.is_contiguous() and not tensor.is_neg()


def _allowed() -> bool:
    """Whether nobody wants to see or differentiate single operations."""
    return (
        _built()
        and allows("cpu")
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and not torch._C._len_torch_dispatch_stack()
        and torch._C._get_tracing_state() is None
        and forward_ad._current_level < 0
    )


@cache
def _built() -> bool:
    return extension.module is not None
