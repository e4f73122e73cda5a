"""Many networks of one shape over time, in one call: for searches that try whole populations of weights."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carousel.cells import Cell, find
from carousel.ops.operands import Inputs, Noise, State, Steps, Weights
from carousel.ops.recurrence import ALL_STEPS, NO_NOISE, layer, recurrence
from carousel.ops.shapes import ShapeError

AXES = {
    **dict.fromkeys(("x", "gates"), 3),
    **dict.fromkeys(("W", "R", "p", "G", "P", "norm_recurrent", "norm_cell"), 2),
    **dict.fromkeys(("hidden", "cell", "state_gates"), 2),
    **dict.fromkeys(Noise._fields, 3),
    **{"b": 1, "lengths": 1, "reset": 2},
}
"""How many axes each operand has for one network."""
_STATE = ("hidden", "cell", "state_gates")


def population(
    cell: str | Cell,
    inputs: Inputs | Tensor,
    weights: Weights,
    state: State | None = None,
    *,
    steps: Steps = ALL_STEPS,
    noise: Noise = NO_NOISE,
) -> tuple[Tensor, State]:
    """Run P networks of one shape: `layer`, or given pre-activations `recurrence`, of each, in one call.

    Every operand has the axes that it has there, and is the same for all networks, or one more (networks) in front:
    W (P, rows, features), x (time, batch, features) or (P, time, batch, features), and so on. At least one has it.

    Returns outputs (P, time, batch, output) and the last state with (P, batch, ·). Without gradients the compiled
    loops run, a network on one thread; else products over all networks at once in plain torch, differentiable.

    Raises ShapeError (a ValueError) or TypeError if operands do not fit, or none has an axis of networks.
    """
    row = find(cell)
    given = [*(inputs if isinstance(inputs, Inputs) else (inputs,)), *weights, *_parts(state), *_parts(steps.fresh)]
    given += [*noise, steps.lengths, steps.reset]
    names = [*(Inputs._fields if isinstance(inputs, Inputs) else ("gates",)), *Weights._fields, *_STATE, *_STATE]
    names += [*Noise._fields, "lengths", "reset"]
    axes = [_axis(name, tensor) for name, tensor in zip(names, given, strict=True)]
    _check_networks(names, given, axes)

    def one(*tensors: Tensor | None) -> tuple[Tensor, ...]:
        """The outputs and the last state of one network."""
        count = len(names) - len(Weights._fields) - 2 * len(_STATE) - len(Noise._fields) - 2
        first, rest = tensors[:count], iter(tensors[count:])
        own = Weights(*(next(rest) for _ in Weights._fields))
        start, fresh = (_joined([next(rest) for _ in _STATE]) for _ in range(2))
        masks = Noise(*(next(rest) for _ in Noise._fields))
        at = steps._replace(lengths=next(rest), reset=next(rest), fresh=fresh)
        run, operand = (layer, Inputs(*first)) if count > 1 else (recurrence, first[0])  # type: ignore[arg-type]
        outputs, last = run(row, operand, own, start, steps=at, noise=masks)  # type: ignore[arg-type]
        return tuple(part for part in (outputs, *last) if part is not None)

    outputs, *last = torch.vmap(one, tuple(axes))(*given)
    return outputs, State(*last)


def _parts(state: State | None) -> Sequence[Tensor | None]:
    return (None, None, None) if state is None else state


def _joined(parts: Sequence[Tensor | None]) -> State | None:
    hidden, cell, gates = parts
    return None if hidden is None or cell is None else State(hidden, cell, gates)


def _axis(name: str, tensor: Tensor | None) -> int | None:
    """Where the networks are counted: in front, or nowhere if one tensor is for all."""
    if tensor is None or tensor.dim() == AXES[name]:
        return None
    if tensor.dim() != AXES[name] + 1:
        raise ShapeError(
            f"{name} has shape {tuple(tensor.shape)}; it has {AXES[name]} axes, or one more in front for the networks"
        )
    return 0


def _check_networks(names: Sequence[str], given: Sequence[Tensor | None], axes: Sequence[int | None]) -> None:
    counts = {n: t.shape[0] for n, t, axis in zip(names, given, axes, strict=True) if t is not None and axis == 0}
    if len(set(counts.values())) != 1:
        told = ", ".join(f"{name} for {count}" for name, count in counts.items()) or "no operand has an axis for them"
        raise ShapeError(f"how many networks there are is not clear: {told}")
