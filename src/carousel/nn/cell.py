"""`LSTMCell`: one step of any cell, in place of torch.nn.LSTMCell."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from carousel.cells import Cell, layout, name_of
from carousel.nn.initialization import Initializer, initializer, set_forget_bias
from carousel.nn.layer import Layer
from carousel.nn.parameters import LayerShape, LayerWeights, with_options
from carousel.nn.regularization import regularization
from carousel.ops import State
from carousel.ops.cpu import Stream


class LSTMCell(nn.RNNCellBase):
    """One step of an LSTM cell: a drop-in for `torch.nn.LSTMCell` that runs every cell of the table.

    Args:
        input_size, hidden_size, bias, device, dtype: as in torch.nn.LSTMCell.
        cell, block, norm, zoneout, init, forget_bias: as in `carousel.LSTM`.

    Parameters are `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, and beyond torch `weight_ch`, `weight_gh` and `ln_…`,
    shaped as in `carousel.LSTM`.

    Raises ValueError if a size is not positive or does not suit the cell.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        cell: str | Cell = "lstm",
        block: int | None = None,
        norm: str | bool | None = None,
        zoneout: float | tuple[float, float] = 0.0,
        init: str | Initializer = "torch",
        forget_bias: float | None = None,
    ) -> None:
        nn.Module.__init__(self)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self.cell = with_options(cell, block, norm)
        self.forget_bias = forget_bias
        self._regularization = regularization(zoneout, 0.0, 0.0, 0.0)
        self._initializer = initializer(init)
        self._shape = LayerShape(self.cell, layout.Sizes(input_size, hidden_size), bias)
        self._stream = Stream(self.cell, [self._shape.streamed()], zoneout=self._regularization.zoneout)
        for name, parameter in self._shape.empty(device, dtype).items():
            self.register_parameter(name, parameter)
        if not bias:
            self.register_parameter("bias_ih", None)
            self.register_parameter("bias_hh", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial values for all parameters."""
        named = self._named()
        self._initializer(self._shape, named)
        if self.forget_bias is not None:
            set_forget_bias(self._shape, named, self.forget_bias)

    def forward(self, input: Tensor, hx: Sequence[Tensor] | None = None) -> tuple[Tensor, ...]:
        """Take one step.

        Args:
            input: (batch, features) or (features,).
            hx: (h, c), each (batch, hidden) or (hidden,); zeros if None. Under full gate recurrence a third tensor
                holds the last gate activations (zeros if it is left out).

        Returns:
            The state after the step, in the form of `hx`.

        Raises:
            ValueError or RuntimeError, in torch's words, if shapes disagree.
        """
        if hx is not None and not (self.training and self._regularization.active):
            after = self._stream(input, hx, self._parameters)
            if after is not None:
                return after
        if input.dim() not in (1, 2):
            raise ValueError(f"LSTMCell: Expected input to be 1D or 2D, got {input.dim()}D instead")
        batched = input.dim() == 2
        x = input if batched else input.unsqueeze(0)
        if x.shape[1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}")
        layer = Layer(LayerWeights(self._shape, self._named()), self._regularization, training=self.training)
        state = None if hx is None else self._state(hx, x, batched)
        _, after = layer.run(layer.operands(x.unsqueeze(0), state, None, None))
        return tuple(part if batched else part.squeeze(0) for part in after if part is not None)

    def extra_repr(self) -> str:
        """torch's arguments, then the cell if it is not torch's."""
        name = name_of(self.cell)
        return super().extra_repr() + ("" if name == "lstm" else f", cell={name!r}")

    def _named(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in self._shape.parameters}

    def _state(self, hx: Sequence[Tensor], x: Tensor, batched: bool) -> State:
        """The caller's state with a batch axis, checked."""
        widths = self._shape.state_widths
        if len(hx) not in (2, len(widths)):
            raise RuntimeError(f"hx must hold {len(widths)} tensors ({', '.join(widths)}), got {len(hx)}")
        parts = [
            _checked(at, part, width, x, batched)
            for at, (part, width) in enumerate(zip(hx, widths.values(), strict=False))
        ]
        missing = list(widths.values())[len(parts) :]
        return State(*parts, *(x.new_zeros(x.shape[0], width) for width in missing))


def _checked(at: int, part: Tensor, width: int, x: Tensor, batched: bool) -> Tensor:
    if part.dim() not in (1, 2):
        raise ValueError(f"LSTMCell: Expected hx[{at}] to be 1D or 2D, got {part.dim()}D instead")
    rows = part if batched else part.unsqueeze(0)
    if rows.dim() != 2:
        raise RuntimeError(
            f"hx[{at}] is {part.dim()}-D beside a {2 if batched else 1}-D input; give both a batch axis or neither"
        )
    if rows.shape[0] != x.shape[0]:
        raise RuntimeError(f"Input batch size {x.shape[0]} doesn't match hidden{at} batch size {rows.shape[0]}")
    if rows.shape[1] != width:
        raise RuntimeError(f"hidden{at} has inconsistent hidden_size: got {rows.shape[1]}, expected {width}")
    if rows.dtype != x.dtype and not torch.is_autocast_enabled(x.device.type):
        raise RuntimeError(f"hx[{at}] is {rows.dtype} but the input is {x.dtype}; convert it: hx[{at}].to({x.dtype})")
    return rows
