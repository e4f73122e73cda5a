"""What parameters are called in a module, and the way from these names to the operands of an operator."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from carousel.cells import Cell, find, layout
from carousel.ops import Weights
from carousel.ops.cpu.stream import StreamedLayer

WEIGHTS = {
    "W": "weight_ih",
    "R": "weight_hh",
    "b": "bias_ih",
    "bias_hh": "bias_hh",
    "P": "weight_hr",
    "p": "weight_ch",
    "G": "weight_gh",
}
NORMS = {"norm_input": "ln_ih", "norm_recurrent": "ln_hh", "norm_cell": "ln_ch"}
STREAMED = {
    **{role: name for role, name in WEIGHTS.items() if role != "bias_hh"},
    "b_recurrent": WEIGHTS["bias_hh"],
    **{f"{role.removeprefix('norm_')}_{part}": f"{name}_{suffix}"
       for role, name in NORMS.items() for part, suffix in (("gain", "weight"), ("bias", "bias"))},
}  # fmt: skip
"""The extension's name of each weight of a step, and the module's."""
INITIAL = {"hidden": "initial_h", "cell": "initial_c", "gates": "initial_g"}


def with_options(cell: str | Cell, block: int | None, norm: str | bool | None, proj_size: int = 0) -> Cell:
    """The cell of that name with the options of a module; None, and no projection, leave the row as it is."""
    options: dict[str, object] = {} if block is None else {"block": block}
    if norm:
        options["norm"] = "ba2016" if norm is True else norm
    if proj_size:
        options["projection"] = True
    found = find(cell).with_options(**options)
    if found.projection and not proj_size:
        raise ValueError("this cell has a projection: say to how many features by proj_size of carousel.LSTM")
    return found


@dataclass(frozen=True)
class LayerShape:
    """What decides the parameters of one layer and direction."""

    cell: Cell
    sizes: layout.Sizes
    bias: bool = True
    learn_initial_state: bool = False

    state_widths: dict[str, int] = field(init=False, repr=False, compare=False)
    """Units of each tensor of the state."""
    read_width: int = field(init=False, repr=False, compare=False)
    """How many numbers the recurrent matrix reads."""
    parameters: dict[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)
    """Parameter names without suffix, and their shapes, torch's own first and in torch's order."""

    def __post_init__(self) -> None:
        found = {
            "state_widths": _state_widths(self.cell, self.sizes),
            "read_width": layout.read_width(self.cell, self.sizes.hidden, self.sizes.output),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "parameters", self._parameters())

    def _parameters(self) -> dict[str, tuple[int, ...]]:
        roles = layout.parameters(self.cell, self.sizes)
        shapes = {
            "W": roles["W"],
            "R": roles.get("R"),
            "b": roles["b"],
            "bias_hh": roles["R"][:1] if "R" in roles else None,
        }
        if not self.bias:
            shapes |= {"b": None, "bias_hh": None}
        shapes |= {role: roles.get(role) for role in ("P", "p", "G")}
        named = {WEIGHTS[role]: shape for role, shape in shapes.items() if shape is not None}
        for role, name in NORMS.items():
            if role in roles:
                named |= {f"{name}_weight": roles[role][1:], f"{name}_bias": roles[role][1:]}
        if self.learn_initial_state:
            named |= {INITIAL[name]: (width,) for name, width in self.state_widths.items()}
        return named

    def streamed(self, suffix: str = "") -> StreamedLayer:
        """What a step reads, under the names that the parameters have with this suffix."""
        shapes = self.parameters
        weights = {role: (name + suffix, shapes[name]) for role, name in STREAMED.items() if name in shapes}
        return StreamedLayer(self.sizes, weights)

    def empty(self, device: torch.device | str | None, dtype: torch.dtype | None) -> dict[str, nn.Parameter]:
        """Parameters with memory, without values."""
        return {
            name: nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
            for name, shape in self.parameters.items()
        }


def _state_widths(cell: Cell, sizes: layout.Sizes) -> dict[str, int]:
    sent = layout.total(layout.sent_rows(cell, sizes.hidden))
    return dict(zip(cell.state, (sizes.output, sizes.hidden, sent), strict=False))


@dataclass(frozen=True)
class LayerWeights:
    """The parameters of one layer and direction by name, as they are at this call."""

    shape: LayerShape
    named: dict[str, Tensor]

    @property
    def W(self) -> Tensor:
        """Input weights (rows, inputs)."""
        return self.named["weight_ih"]

    def bias(self) -> Tensor | None:
        """b = bias_ih + bias_hh, the latter only in the rows of gates into which something recurs."""
        if not self.shape.bias:
            return None
        b, recurrent = self.named["bias_ih"], self.named.get("bias_hh")
        cell, hidden = self.shape.cell, self.shape.sizes.hidden
        if recurrent is None:
            return b
        if cell.recurrent == cell.learned:
            return b + recurrent
        spans = layout.recurrent_rows(cell, hidden)
        rows = layout.rows(cell, hidden)
        return torch.cat([b[at] + recurrent[spans[gate]] if gate in spans else b[at] for gate, at in rows.items()])

    def norm(self, role: str) -> Tensor | None:
        """Gain and bias of a layer norm, stacked (2, units)."""
        name = NORMS[role]
        gain = self.named.get(f"{name}_weight")
        return None if gain is None else torch.stack([gain, self.named[f"{name}_bias"]])

    def recurrent(self, R: Tensor | None) -> Weights:
        """The weights inside the loop, with R as given (it may have been dropped from)."""
        named = self.named
        return Weights(
            R, named.get("weight_ch"), named.get("weight_gh"), named.get("weight_hr"),
            self.norm("norm_recurrent"), self.norm("norm_cell"),
        )  # fmt: skip

    def initial(self) -> list[Tensor] | None:
        """The learnt initial state, one vector a state tensor."""
        if not self.shape.learn_initial_state:
            return None
        return [self.named[INITIAL[name]] for name in self.shape.cell.state]
