"""The state that a module takes and returns, and its parts for each layer and direction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from carousel.nn.parameters import LayerShape
from carousel.ops import State

StateTensor = Tensor | tuple[Tensor, ...]
"""(layers * directions, batch, units), or one such tensor a layer where the layers' widths differ."""


@dataclass(frozen=True)
class StateForm:
    """How the states of a stack lie in the tensors that the caller sees."""

    layers: list[LayerShape]
    directions: int

    @property
    def names(self) -> tuple[str, ...]:
        """The tensors of a state: hidden and cell, and gates under full gate recurrence."""
        return self.layers[0].cell.state

    @property
    def uniform(self) -> bool:
        """Whether all layers have the same width, so that their states stack."""
        return len({layer.sizes.hidden for layer in self.layers}) == 1

    def split(self, hx: Sequence[StateTensor], like: Tensor) -> list[State]:
        """One State a layer and direction, from the caller's tensors for the batch of `like` (time, batch, …).

        Raises RuntimeError, as torch does, if a size, device or dtype disagrees.
        """
        if not isinstance(hx, tuple | list) or len(hx) not in (2, len(self.names)):
            raise RuntimeError(
                f"hx must be a tuple of {len(self.names)} tensors ({', '.join(self.names)}), got {_kind(hx)}"
            )
        columns = [self._column(at, tensor, like) for at, tensor in enumerate(hx)]
        if len(hx) < len(self.names):
            columns.append([like.new_zeros(like.shape[1], layer.state_widths["gates"]) for layer in self._each()])
        return [State(*parts) for parts in zip(*columns, strict=True)]

    def join(self, states: list[State]) -> tuple[StateTensor, ...]:
        """The caller's tensors from one State a layer and direction."""
        columns = [list(column) for column in zip(*(state[: len(self.names)] for state in states), strict=True)]
        if self.uniform:
            return tuple(torch.stack(column) for column in columns)
        step = self.directions
        return tuple(
            tuple(torch.stack(column[at : at + step]) for at in range(0, len(column), step)) for column in columns
        )

    def _each(self) -> list[LayerShape]:
        return [layer for layer in self.layers for _ in range(self.directions)]

    def _column(self, at: int, given: StateTensor, like: Tensor) -> list[Tensor]:
        """One tensor of the state, cut into layers and directions."""
        widths = [layer.state_widths[self.names[at]] for layer in self.layers]
        if self.uniform:
            expected = (len(self.layers) * self.directions, like.shape[1], widths[0])
            return list(_checked(at, given, expected, like).unbind(0))
        if isinstance(given, Tensor) or len(given) != len(widths):
            raise RuntimeError(
                f"hx[{at}] must be {len(widths)} tensors, one a layer, because their widths differ: {widths}"
            )
        parts = (
            _checked(at, part, (self.directions, like.shape[1], width), like)
            for part, width in zip(given, widths, strict=True)
        )
        return [row for part in parts for row in part.unbind(0)]


def map_state(hx: Sequence[StateTensor], change: Callable[[Tensor], Tensor]) -> tuple[StateTensor, ...]:
    """The same state with a function applied to each tensor."""
    return tuple(change(part) if isinstance(part, Tensor) else tuple(change(p) for p in part) for part in hx)


def _checked(at: int, tensor: StateTensor, expected: tuple[int, ...], like: Tensor) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise RuntimeError(f"Expected hidden[{at}] to be a tensor of size {expected}, got {_kind(tensor)}")
    if tuple(tensor.shape) != expected:
        raise RuntimeError(f"Expected hidden[{at}] size {expected}, got {list(tensor.shape)}")
    if tensor.device != like.device:
        raise RuntimeError(
            f"Input and hidden tensors are not at the same device, found input tensor at {like.device} "
            f"and hidden tensor at {tensor.device}"
        )
    if tensor.dtype != like.dtype and not torch.is_autocast_enabled(like.device.type):
        raise RuntimeError(
            f"hidden[{at}] is {tensor.dtype} but the input is {like.dtype}; convert it: hidden.to({like.dtype})"
        )
    return tensor


def _kind(value: object) -> str:
    return f"{type(value).__name__} of {len(value)}" if isinstance(value, tuple | list) else type(value).__name__
