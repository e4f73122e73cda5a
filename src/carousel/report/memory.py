"""Inside the memory: gates, cell states and gradient norms of one real sequence in a trained network."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from carousel.nn import LSTM
from carousel.report.errors import ReportError
from carousel.report.findings import ActivationMap, GradientFlow, Line, MemoryFindings
from carousel.report.gradients import PATHS, gradient_norms, per_cell

MAX_STEPS, MAX_UNITS, MAX_LAGS, MAX_OUTPUTS = 400, 48, 200, 64
MAX_WIDTH = 128
GATES = {"input": "input gate i", "forget": "forget gate f", "output": "output gate o"}
_SUM = "the root mean square, over the units k of the last hidden state h_T, of the norm of"


@dataclass(frozen=True)
class Labels:
    """What the page calls the sequence, its features and its steps."""

    sequence: str = "One held-out sequence"
    features: Sequence[str] | None = None
    time: Sequence[str] | None = None


def look_inside(network: nn.Module, run: Callable[[], Any], labels: Labels | None = None) -> MemoryFindings:
    """Watch the network's LSTM while `run` sends one real sequence through the network, then look inside it.

    `run` takes no argument and calls the network on a batch of one; the input that reaches the first LSTM in it counts.
    Features are named after `labels` only if the LSTM has as many inputs.

    Raises:
        ReportError: the network has no LSTM that can be traced, or `run` did not use it.
    """
    layer = next(
        (module for module in network.modules() if hasattr(module, "trace") and hasattr(module, "hidden_size")), None
    )
    if layer is None:
        raise ReportError(f"no LSTM with a trace() in this {type(network).__name__}: there is no memory to look into")
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(
        lambda module, inputs, named: seen.append(_sequence(inputs[0])), with_kwargs=True
    )
    try:
        with torch.no_grad():
            run()
    finally:
        hook.remove()
    if not seen:
        raise ReportError(f"the {type(network).__name__} ran without using its LSTM")
    return look_inside_layer(layer, _first(seen[0], layer).to(next(layer.parameters()).dtype), labels)


def _sequence(entered: Any) -> Tensor:
    if isinstance(entered, nn.utils.rnn.PackedSequence):
        return nn.utils.rnn.pad_packed_sequence(entered)[0]
    return entered


def _first(x: Tensor, layer: Any) -> Tensor:
    """The first sequence of what entered the layer, as (time, features)."""
    if x.dim() == 2:
        return x
    return x[0] if layer.batch_first else x[:, 0]


def look_inside_layer(layer: Any, x: Tensor, labels: Labels | None = None) -> MemoryFindings:
    """MemoryFindings of an LSTM layer with a `trace`, for one sequence x (time, features) as the layer receives it.

    The last layer's forward direction is shown, on at most the last 400 steps and the 48 units whose state moves most.
    """
    labels = labels or Labels()
    training = layer.training
    layer.eval()
    try:
        x = x.detach()
        with torch.no_grad():
            states = layer.trace(_batched(x, layer))[(layer.num_layers - 1) * _directions(layer)]
        gradients = gradient_flow(layer, x)
    finally:
        layer.train(training)
    return _findings(layer, x, {name: value[:, 0] for name, value in states.items()}, gradients, labels)


def _batched(x: Tensor, layer: Any, size: int = 1) -> Tensor:
    axis = 0 if layer.batch_first else 1
    return torch.stack([x] * size, dim=axis)


def _directions(layer: Any) -> int:
    return 2 if layer.bidirectional else 1


def _findings(layer: Any, x: Tensor, states: dict[str, Tensor], gradients: tuple, labels: Labels) -> MemoryFindings:
    begin = max(0, len(x) - MAX_STEPS)
    cell = states["cell"][begin:]
    forget = per_cell(states["forget"][begin:], cell) if "forget" in states else None
    units = _units(cell, forget)
    gates = tuple(
        ActivationMap(title, _rows(per_cell(states[name][begin:], cell), units))
        for name, title in GATES.items()
        if name in states
    )
    known = labels.features if labels.features and len(labels.features) == x.shape[1] else None
    names = known or [f"feature {index + 1}" for index in range(x.shape[1])]
    return MemoryFindings(
        sequence=labels.sequence,
        inputs=tuple(Line(name, _rounded(x[begin:, index])) for index, name in enumerate(names)),
        gates=gates,
        cell_state=ActivationMap("cell state c", _rows(cell, units)),
        units=tuple(units),
        units_total=cell.shape[1],
        order="in the order of the layer" if forget is None else "those with the most open forget gate on top",
        layer=_layer_name(layer),
        gradients=gradients,
        time=tuple(labels.time[begin:]) if labels.time and len(labels.time) == len(x) else None,
        jacobians=_jacobians(layer, x),
    )


def _layer_name(layer: Any) -> str:
    place = f"layer {layer.num_layers} of {layer.num_layers}" if layer.num_layers > 1 else "the LSTM layer"
    return f"{place}, forward direction" if layer.bidirectional else place


def _units(cell: Tensor, forget: Tensor | None) -> list[int]:
    """The units to draw: those whose state moves most, by their mean forget gate; the first is the lowest row."""
    moving = torch.argsort(cell.std(0, correction=0), descending=True, stable=True)[:MAX_UNITS]
    if forget is None:
        return moving.sort(descending=True).values.tolist()
    return moving[torch.argsort(forget.mean(0)[moving], stable=True)].tolist()


def _rows(values: Tensor, units: list[int]) -> tuple[tuple[float, ...], ...]:
    return tuple(_rounded(values[:, unit]) for unit in units)


def _rounded(values: Tensor) -> tuple[float, ...]:
    return tuple(round(value, 4) for value in values.detach().double().cpu().tolist())


def gradient_flow(layer: Any, x: Tensor) -> tuple[GradientFlow, ...]:
    """Gradient norms by lag, exact: a batch of copies of the sequence, one for each unit k of h_T, in one pass back.

    With respect to the cell state handed on by each step (all layers; the hidden state held fixed), and to the input.
    A bidirectional layer cannot run step by step: there, only the forward direction's gradient to the input is given.
    """
    outputs = _kept_outputs(layer, x)
    return (_flow_to_inputs(layer, x, outputs),) if layer.bidirectional else _flow_by_steps(layer, x, outputs)


def _jacobians(layer: Any, x: Tensor) -> tuple[GradientFlow, ...]:
    """Norms of the last layer's Jacobians by lag; of no layer wider than 128 cells, where they would take long."""
    if not isinstance(layer, LSTM) or not len(x) or _widest(layer) > MAX_WIDTH:
        return ()
    norms = gradient_norms(layer, _batched(x, layer), min(MAX_LAGS, len(x)))
    return tuple(
        GradientFlow(path, f"the largest singular value of {PATHS[path]}", norms.middle(path))
        for path in norms.spectral
    )


def _widest(layer: LSTM) -> int:
    return max(layer.hidden_size) if isinstance(layer.hidden_size, tuple) else layer.hidden_size


def _kept_outputs(layer: Any, x: Tensor) -> list[int]:
    """At most 64 units of the last hidden state (of the forward direction), evenly spaced."""
    with torch.no_grad():
        width = layer(_batched(x[:1], layer))[0].shape[-1] // _directions(layer)
    size = min(width, MAX_OUTPUTS)
    return [index * width // size for index in range(size)]


def _flow_by_steps(layer: Any, x: Tensor, outputs: list[int]) -> tuple[GradientFlow, ...]:
    copies = len(outputs)
    state = _state_after(layer, x[: max(0, len(x) - MAX_LAGS)], copies)
    steps: list[list[Tensor]] = []
    cells: list[list[Tensor]] = []
    hidden = x
    for row in x[-MAX_LAGS:]:
        step = _batched(row.unsqueeze(0), layer, copies).requires_grad_()
        hidden, state = layer(step, state)
        steps.append([step])
        cells.append([state[1]] if isinstance(state[1], Tensor) else list(state[1]))
    chosen = hidden.reshape(copies, -1)[range(copies), outputs].sum()
    norms = _norms(chosen, [*cells[:-1], *steps], copies)
    return (
        GradientFlow("cell state", f"{_SUM} ∂h_T,k / ∂c_t, with h_t held fixed", (None, *norms[len(cells) - 2 :: -1])),
        GradientFlow("input", f"{_SUM} ∂h_T,k / ∂x_t", norms[: len(cells) - 2 : -1]),
    )


def _state_after(layer: Any, x: Tensor, copies: int) -> Any:
    """The state after the steps that lie too far back to be drawn."""
    if not len(x):
        return None
    with torch.no_grad():
        return layer(_batched(x, layer, copies))[1]


def _norms(chosen: Tensor, groups: list[list[Tensor]], copies: int) -> list[float]:
    """The norm of the gradient of `chosen` with respect to each group of tensors."""
    grads = iter(torch.autograd.grad(chosen, [tensor for group in groups for tensor in group], allow_unused=True))
    return [_norm([next(grads) for _ in group], copies) for group in groups]


def _norm(grads: Sequence[Tensor | None], copies: int) -> float:
    squares = [float(grad.double().square().sum()) for grad in grads if grad is not None]
    return math.sqrt(sum(squares) / copies)


def _flow_to_inputs(layer: Any, x: Tensor, outputs: list[int]) -> GradientFlow:
    copies = len(outputs)
    batch = _batched(x, layer, copies).requires_grad_()
    hidden = layer(batch)[0]
    last = hidden[:, -1] if layer.batch_first else hidden[-1]
    (grad,) = torch.autograd.grad(last[range(copies), outputs].sum(), batch)
    by_time = grad.unbind(1 if layer.batch_first else 0)
    norms = [_norm([step], copies) for step in by_time[::-1][:MAX_LAGS]]
    return GradientFlow("input", f"{_SUM} ∂h_T,k / ∂x_t, forward direction", norms)
