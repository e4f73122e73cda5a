"""A step of a few sequences, or all steps, without gradients: one call into the extension, and little else.

Weights are read where they lie at every step; nothing of them is kept, so that nothing can grow stale.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, is_autocast_enabled, is_grad_enabled
from torch._C import _are_functorch_transforms_active, _get_tracing_state, _len_torch_dispatch_stack
from torch.autograd import forward_ad
from torch.compiler import is_compiling
from torch.nn import Parameter

from carousel.cells import Cell, layout, row
from carousel.ops.backend import allows
from carousel.ops.cpu import extension

MANY, WORK = 16, 4e6
"""More sequences than this are faster through the loop, which packs the weights first and takes several threads, unless
these operations are enough for all of them: the loop takes one thread then."""


class StreamedLayer(NamedTuple):
    """A layer's sizes, and its parameters by role (one of the extension's `STREAMED`): their name and shape."""

    sizes: layout.Sizes
    weights: Mapping[str, tuple[str, tuple[int, ...]]]


class Stream:
    """A cell, or a stack of layers of one width, as the extension streams it: made once, called at every step.

    `stacked` says that inputs have an axis of one step and states one of layers; `residual` and `zoneout` (of the
    hidden and the cell state, by its expectation) are those of the module at rest.
    """

    def __init__(
        self,
        cell: Cell,
        layers: Sequence[StreamedLayer],
        *,
        stacked: bool = False,
        residual: bool = False,
        zoneout: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._made_of = cell, tuple(layers), stacked, residual, zoneout
        self._made = _made_by_extension(*self._made_of) if _table() else None
        self._stacked = stacked

    def __reduce__(self) -> Any:
        """A copy is made anew, on the machine where it is wanted."""
        return _made, self._made_of

    def __call__(
        self,
        x: Tensor,
        state: Sequence[Tensor] | None,
        parameters: Mapping[str, Tensor | None],
        batch_first: bool = False,
    ) -> Any:
        """The state after the step, of a stack the pair of outputs and state; None to take the way of all others.

        A cell's `x` is (batch, features) or (features,), and each part of `state` (batch, units) or (units,). A
        stack's `x` is (time, batch, features), or (batch, time, features) with `batch_first`, and each part of `state`
        (layers, batch, units), or None for zeros. Whatever is not plainly right gives None, and the other way words
        the error.
        """
        if self._made is None or not _allowed():
            return None
        after = None if state is None else self._made.step(x, state, parameters, batch_first)
        if after is not None or not self._stacked:
            return after
        return self._made.sequences(x, state, parameters, batch_first, torch.get_num_threads())

    def networks(
        self,
        parameters: Mapping[str, Tensor | None],
        joint: tuple[Tensor, Tensor | None, Tensor | None],
        blank: int,
    ) -> Any:
        """A transducer's networks, this stack of them over labels as one-hot vectors, as searches in compiled code ask
        them: a capsule with `carousel::Networks`; None where they have to ask torch.

        `joint` is W_p (width, features), and of a network of its own W (labels, width) and its bias. Weights are read
        where they lie now.
        """
        if self._made is None or not _allowed():
            return None
        now = {name: None if weight is None else weight.detach() for name, weight in parameters.items()}
        return self._made.networks(now, [None if each is None else each.detach() for each in joint], blank)


def _made(
    cell: Cell, layers: Sequence[StreamedLayer], stacked: bool, residual: bool, zoneout: tuple[float, float]
) -> Stream:
    return Stream(cell, layers, stacked=stacked, residual=residual, zoneout=zoneout)


def _made_by_extension(
    cell: Cell, layers: Sequence[StreamedLayer], stacked: bool, residual: bool, zoneout: tuple[float, float]
) -> Any:
    """The extension's own stream."""
    given = [((sizes.inputs, sizes.hidden, sizes.output), _placed(weights)) for sizes, weights in layers]
    sizes = layers[0].sizes
    widths = [sizes.output, sizes.hidden]
    if cell.full_gate_recurrence:
        widths.append(layout.total(layout.sent_rows(cell, sizes.hidden)))
    uses = (_table(), Tensor, Parameter, Tensor.is_neg, torch.empty_like)
    most = min(_most(cell, layer.sizes) for layer in layers)
    return extension.module.Stream(row.encode(cell), widths, given, (stacked, residual), zoneout, most, uses)


def _most(cell: Cell, sizes: layout.Sizes) -> int:
    """How many sequences are faster here than through the loop."""
    operations = 2 * layout.total(layout.rows(cell, sizes.hidden)) * (sizes.inputs + sizes.output)
    return max(MANY, int(WORK / max(operations, 1)))


def _placed(weights: Mapping[str, tuple[str, tuple[int, ...]]]) -> list[tuple[str, int, tuple[int, ...]]]:
    return [(name, extension.module.STREAMED.index(role), shape) for role, (name, shape) in weights.items()]


@cache
def _table() -> Any:
    """torch's table of DLPack functions, by which the extension looks at tensors; None without both."""
    return extension.module and getattr(Tensor, "__dlpack_c_exchange_api__", None)


def _allowed() -> bool:
    """Whether nobody wants to see or differentiate single operations."""
    return (
        not is_grad_enabled()
        and allows("cpu")
        and not is_autocast_enabled("cpu")
        and not is_compiling()
        and not _are_functorch_transforms_active()
        and not _len_torch_dispatch_stack()
        and _get_tracing_state() is None
        and forward_ad._current_level < 0
    )
