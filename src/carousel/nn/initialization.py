"""Initial values of a layer's parameters."""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from carousel.cells import layout
from carousel.nn.parameters import LayerShape

if TYPE_CHECKING:
    from collections.abc import Mapping

Initializer = Callable[[LayerShape, "Mapping[str, Tensor]"], None]
CHRONO_SPAN = 1000


def torch_uniform(shape: LayerShape, named: "Mapping[str, Tensor]") -> None:
    """Uniform in ±1/√hidden for weights and biases in torch's order: bit-identical to torch.nn.LSTM for a seed."""
    bound = 1 / math.sqrt(max(shape.sizes.hidden, 1))
    for name in _drawn(named):
        nn.init.uniform_(named[name], -bound, bound)
    _fixed(named)


def keras(shape: LayerShape, named: "Mapping[str, Tensor]") -> None:
    """Glorot-uniform W, orthogonal R, zero biases, forget bias 1, as Keras; but each gate has an orthogonal block."""
    for name in _drawn(named):
        nn.init.xavier_uniform_(named[name]) if named[name].dim() > 1 else nn.init.zeros_(named[name])
    _orthogonal_blocks(shape, named)
    _fixed(named)
    if shape.bias and "forget" in shape.cell.learned:
        set_forget_bias(shape, named, 1.0)


def orthogonal(shape: LayerShape, named: "Mapping[str, Tensor]") -> None:
    """As torch, with each gate's block of R orthogonal."""
    torch_uniform(shape, named)
    _orthogonal_blocks(shape, named)


def chrono(shape: LayerShape, named: "Mapping[str, Tensor]", *, span: int = CHRONO_SPAN) -> None:
    """As torch, with b_f = log U(1, span - 1) and b_i = -b_f, for dependencies up to `span` steps.

    Source: tallec2018.
    """
    torch_uniform(shape, named)
    rows = layout.rows(shape.cell, shape.sizes.hidden)
    if not shape.bias or not {"input", "forget"} & set(rows):
        raise ValueError('init="chrono" sets the biases of the input and forget gates; this layer has none to set')
    units = layout.units(shape.cell, "forget", shape.sizes.hidden)
    drawn = torch.empty(units).uniform_(1, max(span - 1, 2)).log_()
    for gate, value in (("forget", drawn), ("input", -drawn)):
        if gate in rows:
            _set_bias(shape, named, gate, value)


INITIALIZERS: dict[str, Initializer] = {
    "torch": torch_uniform,
    "keras": keras,
    "orthogonal": orthogonal,
    "chrono": chrono,
}


def initializer(init: str | Initializer) -> Initializer:
    """The initializer of that name ("chrono:784" gives chrono its span); a function is returned as it is.

    Raises ValueError if the name is unknown.
    """
    if callable(init):
        return init
    name, _, span = str(init).partition(":")
    if name == "chrono" and span.isdigit() and int(span) > 1:
        return partial(chrono, span=int(span))
    if name not in INITIALIZERS or span:
        raise ValueError(
            f'init is {init!r}; it can be {", ".join(INITIALIZERS)}, "chrono:SPAN" (2 or more), or a function'
        )
    return INITIALIZERS[name]


def set_forget_bias(shape: LayerShape, named: "Mapping[str, Tensor]", value: float) -> None:
    """Make the sum of both forget-gate biases this value (Gers, Schmidhuber & Cummins 2000).

    Raises ValueError if the cell has no forget gate to learn or no biases.
    """
    if not shape.bias or "forget" not in shape.cell.learned:
        raise ValueError(f"forget_bias={value} needs a learned forget gate with a bias; this cell has none")
    _set_bias(shape, named, "forget", value)


def _drawn(named: "Mapping[str, Tensor]") -> list[str]:
    return [name for name in named if name.startswith(("weight_", "bias_"))]


def _fixed(named: "Mapping[str, Tensor]") -> None:
    for name in set(named) - set(_drawn(named)):
        nn.init.ones_(named[name]) if name.startswith("ln_") and name.endswith("_weight") else nn.init.zeros_(
            named[name]
        )


@torch.no_grad()
def _orthogonal_blocks(shape: LayerShape, named: "Mapping[str, Tensor]") -> None:
    for at in layout.recurrent_rows(shape.cell, shape.sizes.hidden).values():
        block = named["weight_hh"][at]
        block.copy_(nn.init.orthogonal_(torch.empty_like(block, dtype=torch.float32)))


@torch.no_grad()
def _set_bias(shape: LayerShape, named: "Mapping[str, Tensor]", gate: str, value: Tensor | float) -> None:
    spans = layout.recurrent_rows(shape.cell, shape.sizes.hidden)
    if gate in spans:
        named["bias_hh"][spans[gate]] = 0.0
    at = layout.rows(shape.cell, shape.sizes.hidden)[gate]
    named["bias_ih"][at] = value.to(named["bias_ih"]) if isinstance(value, Tensor) else value
