"""`LSTM`: layers of any cell, in place of torch.nn.LSTM."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from carousel.cells import Cell, layout, name_of
from carousel.nn import inputs
from carousel.nn.initialization import Initializer, initializer, set_forget_bias
from carousel.nn.layer import Layer
from carousel.nn.parameters import LayerShape, LayerWeights, with_options
from carousel.nn.regularization import Dropout, regularization
from carousel.nn.state import StateForm, StateTensor, map_state
from carousel.ops import Choice, Operands, Recompute, State, explain
from carousel.ops.cpu import Stream
from carousel.ops.shapes import check_recompute

BATCHED, UNBATCHED = 3, 2


class LSTM(nn.RNNBase):
    """Layers of an LSTM cell: a drop-in for `torch.nn.LSTM` that runs every cell of the table.

    Positional arguments, defaults, shapes, error classes, parameter names and initial weights are those of
    torch.nn.LSTM, so that its checkpoints load here and ours there.

    Args:
        input_size: features of each step.
        hidden_size: cells a layer; a list gives each layer a width of its own.
        num_layers: layers; may be left out if `hidden_size` is a list.
        bias: whether there are biases.
        batch_first: whether inputs and outputs are (batch, time, features) instead of (time, batch, features).
        dropout: dropped from the outputs of each layer but the last.
        bidirectional: a second cell runs from each sequence's end; outputs are joined (Graves & Schmidhuber 2005).
        proj_size: features that leave the layer and recur, fewer than cells (Sak et al. 2014); 0 for none.
        device, dtype: of the parameters.
        cell: a name of the table (`carousel.cells.VARIANTS`) or a `carousel.Cell`.
        block: cells that share their gates (Hochreiter & Schmidhuber 1997).
        norm: layer normalisation inside the cell: "ba2016", "torch_sample", or True for the first.
        zoneout: probability that a unit keeps its old value, for both states or (hidden, cell).
        recurrent_dropout: a probability (one mask a sequence on h_{t-1}) or `carousel.Dropout(p, per="step")`
            (on the candidate).
        input_dropout: a probability or `carousel.Dropout`, on the inputs of every layer.
        weight_drop: probability of dropping each recurrent weight for one call.
        init: "torch", "keras", "orthogonal", "chrono", "chrono:SPAN", or a function of (LayerShape, parameters).
        forget_bias: the sum of both biases of the forget gate at the start.
        residual: add a layer's input to its output where their widths agree.
        learn_initial_state: make the state at a sequence's start a parameter.
        recompute: keep the state only every so many steps while training, and run each segment between them again on
            the way back: less memory for more time, and the same numbers (Chen et al. 2016). "auto" takes the square
            root of the number of steps; None keeps everything.

    Parameters of layer k are `weight_ih_lk` (rows, inputs), `weight_hh_lk` (rows of gates into which something
    recurs, output), `bias_ih_lk`, `bias_hh_lk`, `weight_hr_lk` (projection), and beyond torch `weight_ch_lk`
    (peepholes, one row each in the order i f o), `weight_gh_lk` (full gate recurrence),
    `ln_{ih,hh,ch}_{weight,bias}_lk` and `initial_{h,c}_lk`; the reverse direction adds `_reverse`. Gates lie in the
    order i f z o.

    Raises ValueError or TypeError, with torch's words where it has them, if an argument is out of range.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        cell: str | Cell = "lstm",
        block: int | None = None,
        norm: str | bool | None = None,
        zoneout: float | tuple[float, float] = 0.0,
        recurrent_dropout: float | Dropout = 0.0,
        input_dropout: float | Dropout = 0.0,
        weight_drop: float = 0.0,
        init: str | Initializer = "torch",
        forget_bias: float | None = None,
        residual: bool = False,
        learn_initial_state: bool = False,
        recompute: Recompute = None,
    ) -> None:
        widths = _widths(hidden_size, num_layers)
        num_layers = len(widths) if widths else num_layers
        narrowest = min(widths) if widths else hidden_size
        torch_arguments = (num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        checked = nn.RNNBase("LSTM", input_size, narrowest, *torch_arguments, device="meta")  # type: ignore[arg-type]
        nn.Module.__init__(self)
        for name in nn.RNNBase.__constants__:
            setattr(self, name, getattr(checked, name))
        widths = widths or [self.hidden_size] * num_layers
        self.hidden_size = self.hidden_size if len(set(widths)) == 1 else tuple(widths)  # type: ignore[assignment]
        self.cell = with_options(cell, block, norm, proj_size)
        self.regularization = regularization(zoneout, recurrent_dropout, input_dropout, weight_drop)
        check_recompute(recompute)
        self.recompute: Recompute = recompute
        self.residual = residual
        self.forget_bias = forget_bias
        self._initializer = initializer(init)
        self._shapes = _layer_shapes(self, widths, learn_initial_state)
        self._stream = _stream(self)
        self._register_parameters(device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial values for all parameters."""
        for shape, suffix in self._layers():
            named = {name: getattr(self, name + suffix) for name in shape.parameters}
            self._initializer(shape, named)
            if self.forget_bias is not None:
                set_forget_bias(shape, named, self.forget_bias)

    def flatten_parameters(self) -> None:
        """Nothing: no backend here needs the weights in one block of memory."""

    def forward(  # type: ignore[override]
        self,
        input: Tensor | PackedSequence,
        hx: Sequence[StateTensor] | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Any, tuple[StateTensor, ...]]:
        """Run all layers over a batch of sequences.

        Args:
            input: (time, batch, features), (batch, time, features) with batch_first, (time, features) for one
                sequence, or a PackedSequence.
            hx: the state to start from, (h_0, c_0), each (layers * directions, batch, units); zeros, or the learnt
                state, if None. Under full gate recurrence a third tensor holds the last gate activations. Where
                widths differ, each is a tuple of one tensor a layer.
            lengths: (batch,) integers from 0 to time, on any device, in any order. Steps at and after a length change
                nothing and give zeros; the reverse direction starts at each sequence's own end.
            reset: (time, batch) booleans, laid out as the input is: True clears the state before that step, for
                sequences that begin in the middle of a stream.

        Returns:
            The outputs of the last layer in the form of the input, and the state after each sequence's last step.

        Raises:
            ValueError, TypeError or RuntimeError, as torch.nn.LSTM does, if shapes, dtypes or devices disagree.
        """
        if lengths is None and reset is None and self._stream and self._is_plain(hx):
            after = self._stream(input, hx, self._parameters, self.batch_first)  # type: ignore[arg-type]
            if after is not None:
                return after
        ragged, states = self._prepare(input, hx, lengths, reset)
        output, last = self._run(ragged, states)
        return ragged.restore(output, self.batch_first), self._finish(ragged, last)

    def trace(self, input: Tensor, *, lengths: Tensor | Sequence[int] | None = None) -> list[dict[str, Tensor]]:
        """What happens inside: for each layer and direction the learned gates, "cell" and "hidden" over time.

        Returns a list of dicts of tensors (time, batch, units), in the order of time for both directions.
        """
        ragged, states = self._prepare(input, None, lengths, None)
        traced: list[dict[str, Tensor]] = []
        self._run(ragged, states, watch=lambda layer, operands: traced.append(
            {name: torch.stack(steps) for name, steps in layer.trace(operands).items()}
        ))  # fmt: skip
        return traced

    def operands(self, input: Tensor, *, lengths: Tensor | Sequence[int] | None = None) -> list[Operands]:
        """What the loop of each layer and direction is given for such an input: pre-activations, weights, first state.

        With `carousel.ops` anything can be asked of a loop that no module answers, such as its Jacobians.
        """
        ragged, states = self._prepare(input, None, lengths, None)
        given: list[Operands] = []
        self._run(ragged, states, watch=lambda layer, operands: given.append(operands.with_gates()))
        return given

    def explain(self, input: Tensor | None = None) -> list[Choice]:
        """Which backend runs the first layer on such an input (or a small one), and why not the others."""
        weight = next(self.parameters())
        probe = weight.new_zeros(2, 1, self.input_size) if input is None else input
        ragged, states = self._prepare(probe, None, None, None)
        operands = self._layer(0, reverse=False).operands(ragged.x, states[0] if states else None, None, None)
        return explain(self.cell, operands)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """(layers * directions, batch, hidden): the size of c_0 for such an input, as in torch.nn.LSTM."""
        layers, batch, _ = self.get_expected_hidden_size(input, batch_sizes)
        return layers, batch, self.hidden_size

    def check_forward_args(  # type: ignore[override]
        self, input: Tensor, hidden: tuple[Tensor, Tensor], batch_sizes: Tensor | None
    ) -> None:
        """Raise, in torch's words, unless input and (h_0, c_0) have the sizes of this module."""
        self.check_input(input, batch_sizes)
        expected = (self.get_expected_hidden_size(input, batch_sizes), self.get_expected_cell_size(input, batch_sizes))
        for at, (tensor, size) in enumerate(zip(hidden, expected, strict=True)):
            self.check_hidden_size(tensor, size, f"Expected hidden[{at}] size {{}}, got {{}}")

    def permute_hidden(self, hx: tuple[StateTensor, ...], permutation: Tensor | None) -> tuple[StateTensor, ...]:  # type: ignore[override]
        """The state with its sequences in another order; as it is if there is none."""
        return hx if permutation is None else map_state(hx, lambda tensor: tensor.index_select(1, permutation))

    def extra_repr(self) -> str:
        """torch's arguments, then the options that differ from it."""
        options = {
            "cell": name_of(self.cell.with_options(projection=False)),
            "residual": self.residual,
            "forget_bias": self.forget_bias,
            "recompute": self.recompute,
            "zoneout": self.regularization.zoneout,
            "recurrent_dropout": self.regularization.recurrent,
            "input_dropout": self.regularization.input,
            "weight_drop": self.regularization.weight,
        }
        usual = ("lstm", False, None, (0.0, 0.0), Dropout(0.0))
        shown = {name: value for name, value in options.items() if value not in usual}
        return ", ".join([super().extra_repr(), *(f"{name}={value!r}" for name, value in shown.items())])

    def _register_parameters(self, device: Any, dtype: Any) -> None:
        """Make the parameters, and the lists of names by which RNNBase finds them."""
        self._flat_weights_names: list[str] = []
        self._all_weights: list[list[str]] = []
        for shape, suffix in self._layers():
            parameters = {name + suffix: value for name, value in shape.empty(device, dtype).items()}
            for name, value in parameters.items():
                self.register_parameter(name, value)
            self._all_weights.append(list(parameters))
            self._flat_weights_names.extend(parameters)
        self._init_flat_weights()

    def _layers(self) -> Iterator[tuple[LayerShape, str]]:
        """Shape and name suffix of each layer and direction, in torch's order."""
        for number, shape in enumerate(self._shapes):
            yield shape, f"_l{number}"
            if self.bidirectional:
                yield shape, f"_l{number}_reverse"

    def _layer(self, number: int, *, reverse: bool) -> Layer:
        shape, suffix = self._shapes[number], f"_l{number}{'_reverse' if reverse else ''}"
        named = {name: getattr(self, name + suffix) for name in shape.parameters}
        return Layer(LayerWeights(shape, named), self.regularization, reverse, self.training, self.recompute)

    def _is_plain(self, hx: object) -> bool:
        """Whether this call drops nothing at random, and begins with the given state or zeros."""
        if hx is None and self._shapes[0].learn_initial_state:
            return False
        return not (self.training and (self.regularization.active or self.dropout))

    def _form(self) -> StateForm:
        return StateForm(self._shapes, 2 if self.bidirectional else 1)

    def _prepare(
        self, x: Tensor | PackedSequence, hx: Sequence[StateTensor] | None, lengths: object, reset: object
    ) -> tuple[inputs.Ragged, list[State] | None]:
        """Check the caller's input and state, and bring them to one form."""
        if isinstance(x, PackedSequence):
            self.check_input(x.data, x.batch_sizes)
            ragged = inputs.unpacked(x, lengths, reset)
            hx = None if hx is None else self.permute_hidden(tuple(hx), x.sorted_indices)
        else:
            if x.dim() not in (UNBATCHED, BATCHED):
                raise ValueError(f"LSTM: Expected input to be 2D or 3D, got {x.dim()}D instead")
            self.check_input(x if x.dim() == BATCHED else x.unsqueeze(0), None)
            ragged = inputs.padded(x, lengths, reset, self.batch_first)
            hx = None if hx is None else _batched_state(hx, ragged.batched)
        return ragged, None if hx is None else self._form().split(hx, ragged.x)

    def _run(
        self, ragged: inputs.Ragged, states: list[State] | None, watch: Callable[..., object] | None = None
    ) -> tuple[Tensor, list[State]]:
        """All layers, one after another; `watch` is shown every layer and its operands."""
        x, last = ragged.x, []
        for number in range(self.num_layers):
            outputs = []
            for reverse in (False, True) if self.bidirectional else (False,):
                layer = self._layer(number, reverse=reverse)
                operands = layer.operands(x, states[len(last)] if states else None, ragged.lengths, ragged.reset)
                if watch:
                    watch(layer, operands)
                output, state = layer.run(operands)
                outputs.append(output)
                last.append(state)
            x = self._between(x, torch.cat(outputs, dim=2) if self.bidirectional else outputs[0], number)
        return x, last

    def _between(self, x: Tensor, output: Tensor, number: int) -> Tensor:
        """What a layer hands on: residual connection, and dropout if it is not the last."""
        if self.residual and x.shape == output.shape:
            output = output + x
        if number < self.num_layers - 1 and self.dropout:
            return F.dropout(output, self.dropout, self.training)
        return output

    def _finish(self, ragged: inputs.Ragged, states: list[State]) -> tuple[StateTensor, ...]:
        """The last state in the caller's form."""
        state = self._form().join(states)
        if ragged.packed is not None:
            return self.permute_hidden(state, ragged.packed.unsorted_indices)
        return state if ragged.batched else map_state(state, lambda tensor: tensor.squeeze(1))


def _widths(hidden_size: object, num_layers: int) -> list[int] | None:
    """One width a layer if `hidden_size` is a list."""
    if not isinstance(hidden_size, list | tuple):
        return None
    if not hidden_size or not all(isinstance(width, int) for width in hidden_size):
        raise TypeError(f"hidden_size should be an int, or a list of one int a layer, got: {hidden_size!r}")
    if num_layers not in (1, len(hidden_size)):
        raise ValueError(
            f"num_layers is {num_layers}, but hidden_size lists {len(hidden_size)} layers; leave num_layers out"
        )
    return list(hidden_size)


def _layer_shapes(lstm: LSTM, widths: list[int], learn_initial_state: bool) -> list[LayerShape]:
    directions = 2 if lstm.bidirectional else 1
    shapes, features = [], lstm.input_size
    for width in widths:
        sizes = layout.Sizes(features, width, lstm.proj_size)
        shapes.append(LayerShape(lstm.cell, sizes, lstm.bias, learn_initial_state))
        features = sizes.output * directions
    return shapes


def _stream(lstm: LSTM) -> Stream | None:
    """How single steps of these layers are streamed, if they are of one width and direction."""
    if lstm.bidirectional or isinstance(lstm.hidden_size, tuple):
        return None
    layers = [shape.streamed(suffix) for shape, suffix in lstm._layers()]
    zoneout = lstm.regularization.zoneout
    return Stream(lstm.cell, layers, stacked=True, residual=lstm.residual, zoneout=zoneout)


def _batched_state(hx: Sequence[StateTensor], batched: bool) -> Sequence[StateTensor]:
    """The state with a batch axis; RuntimeError, in torch's words, if it has the wrong number of axes."""
    dims = BATCHED if batched else UNBATCHED
    tensors = [part for part in hx if isinstance(part, Tensor)]
    if any(tensor.dim() != dims for tensor in tensors):
        kind = "batched 3-D" if batched else "unbatched 2-D"
        got = ", ".join(f"{tensor.dim()}-D" for tensor in tensors)
        raise RuntimeError(f"For {kind} input, hx and cx should also be {dims}-D but got ({got}) tensors")
    return hx if batched else map_state(hx, lambda tensor: tensor.unsqueeze(1))
