"""The way back: a launch or two for each step, and the products that sum over all of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carousel.cells import layout
from carousel.ops.operands import Operands
from carousel.ops.triton.kernels import backward, together, whole
from carousel.ops.triton.kernels.flow import Flow
from carousel.ops.triton.kernels.memory import Saved, States
from carousel.ops.triton.loop import Loop
from carousel.ops.triton.tiers import STEPS, TOGETHER, WHOLE

Named = dict[str, Tensor | None]


def gradients(loop: Loop, saved: Saved, given: Sequence[Tensor | None]) -> Named:
    """The gradients of all operands by their names, from those of the outputs and of the last state."""
    flow = flow_of(loop, given)
    raw = _walk(loop, saved, flow) if all(loop.counts) else None
    found = _of_states(flow) | _of_weights(loop, saved, flow, raw)
    return {"gates": flow.gates, **found}


def flow_of(loop: Loop, given: Sequence[Tensor | None]) -> Flow:
    """Memory for gradients; those of the last state are the first that are carried."""
    outputs, *state = given
    cell, weights, size, like = loop.cell, loop.operands.weights, loop.size, loop.initial.cell
    narrow = loop.operands.gates
    carried = States(*(_start(part, mine, loop) for part, mine in zip(state, loop.initial, strict=True)))
    fresh = States(*(None if part is None else torch.zeros_like(part, dtype=loop.dtype) for part in loop.given.fresh))
    read = States(*(None if part is None else torch.empty_like(part, dtype=loop.dtype) for part in loop.initial))
    return Flow(
        None if outputs is None else outputs.to(loop.dtype).contiguous(),
        carried,
        fresh,
        narrow.new_empty(*loop.counts, size.rows),
        narrow.new_empty(*loop.counts, size.recurrent) if cell.norm else None,
        read,
        torch.empty_like(like) if cell.norm and cell.projection and loop.tier == STEPS else None,
        narrow.new_empty(*loop.counts, size.output) if cell.projection else None,
        *(None if weight is None else like.new_zeros(loop.operands.batch, *weight.shape)
          for weight in (weights.p, weights.norm_recurrent, weights.norm_cell)),
    )  # fmt: skip


def _start(gradient: Tensor | None, like: Tensor | None, loop: Loop) -> Tensor | None:
    if like is None:
        return None
    if gradient is None:
        return torch.zeros_like(like, dtype=loop.dtype)
    return gradient.to(loop.dtype).clone(memory_format=torch.contiguous_format)


def _walk(loop: Loop, saved: Saved, flow: Flow) -> Tensor | None:
    """From the last step to the first, and what P multiplied at each of them."""
    tile, rows = loop.back, loop.rows(loop.back)
    call, row_call = loop.call_back(saved, tile), loop.call_back(saved, rows)
    raw = loop.operands.gates.new_empty(*loop.counts, loop.size.hidden) if loop.cell.projection else None
    if loop.tier == WHOLE:
        loop.launch(whole.backwards, tile, *loop.counts, call, flow, raw)
        return raw
    if loop.tier == TOGETHER:
        loop.launch(together.backwards, tile, *loop.counts, call, flow, loop.flags(tile))
        return raw
    for t, later in loop.later():
        last = t == loop.order[-1]
        if loop.multiplies and not last:
            loop.launch_wide(backward.recur_back, tile, later, *loop.counts, call, flow)
        if loop.cell.projection:
            loop.launch_wide(backward.collect, tile, t, *loop.counts, call, flow, last)
        if flow.raw is not None:
            loop.launch(backward.unproject, tile, t, *loop.counts, call, flow)
        loop.launch(backward.retreat, rows, t, *loop.counts, row_call, flow, raw, last)
    if loop.multiplies:
        loop.launch_wide(backward.recur_back, tile, loop.order[0], *loop.counts, call, flow)
    loop.launch_wide(backward.finish, tile, loop.order[0], *loop.counts, call, flow)
    return raw


def _recurrent(loop: Loop) -> dict[str, slice]:
    return layout.recurrent_rows(loop.cell, loop.size.hidden)


def _of_states(flow: Flow) -> Named:
    initial = {f"initial_{name}": part for name, part in flow.carried._asdict().items()}
    return initial | {f"fresh_{name}": part for name, part in flow.fresh._asdict().items()}


def _of_weights(loop: Loop, saved: Saved, flow: Flow, raw: Tensor | None) -> Named:
    sums = {"p": flow.p, "norm_recurrent": flow.norm_recurrent, "norm_cell": flow.norm_cell}
    found: Named = {name: None if each is None else each.sum(0) for name, each in sums.items()}
    weights = loop.operands.weights
    if weights.R is not None:
        found["R"] = _of_recurrent(loop, saved, flow)
    if weights.G is not None:
        found["G"] = _of_sent(loop, saved, flow)
    if weights.P is not None:
        found["P"] = torch.zeros_like(weights.P) if raw is None else _summed(flow.projected, raw, loop)
    return found


def _of_recurrent(loop: Loop, saved: Saved, flow: Flow) -> Tensor:
    """Each gate's rows: its gradients times what it read."""
    places, parts = layout.rows(loop.cell, loop.size.hidden), []
    reads = {
        "hidden": lambda: _read(loop, saved.outputs, loop.initial.hidden, loop.given.fresh.hidden),
        "cell": lambda: _read(loop, saved.cells, loop.initial.cell, loop.given.fresh.cell),
    }
    read = {name: reads[name]() for name in loop.cell.reads}
    for gate, at in _recurrent(loop).items():
        given = flow.gates[..., places[gate]] if flow.products is None else flow.products[..., at]
        parts.append(_summed(given, read[loop.cell.gate(gate).recurrent or "hidden"], loop))
    return torch.cat(parts)


def _read(loop: Loop, states: Tensor, initial: Tensor, fresh: Tensor | None) -> Tensor:
    """What R read at each step."""
    read = _before(loop, states, initial, fresh)
    mask = loop.operands.noise.drop_hidden
    return read if mask is None else read * mask


def _of_sent(loop: Loop, saved: Saved, flow: Flow) -> Tensor:
    places = layout.rows(loop.cell, loop.size.hidden)
    chosen = [places[gate] for gate in loop.cell.sending]
    activations = torch.cat([saved.activations[..., at] for at in chosen], 2).to(loop.dtype)
    read = _before(loop, _without_padding(activations, loop.operands), loop.initial.gates, loop.given.fresh.gates)
    return _summed(torch.cat([flow.gates[..., at] for at in chosen], 2), read, loop)


def _without_padding(values: Tensor, operands: Operands) -> Tensor:
    lengths = operands.steps.lengths
    if lengths is None:
        return values
    return values.masked_fill((_steps(values) >= lengths).unsqueeze(2), 0)


def _before(loop: Loop, states: Tensor, initial: Tensor, fresh: Tensor | None) -> Tensor:
    """The state that each step started from (time, batch, width), from those after all steps."""
    steps, start = loop.operands.steps, initial.unsqueeze(0)
    if not states.shape[0]:
        return states
    moved = torch.cat([states[1:], start] if steps.reverse else [start, states[:-1]])
    if steps.reverse and steps.lengths is not None:
        moved = torch.where((_steps(states) + 1 < steps.lengths).unsqueeze(2), moved, start)
    if steps.reset is None:
        return moved
    begins = steps.reset.roll(-1, 0) if steps.reverse else steps.reset
    if steps.reverse:
        begins = begins & (_steps(states) < states.shape[0] - 1)
    if steps.lengths is not None:
        begins = begins & (_steps(states) + int(steps.reverse) < steps.lengths)
    return torch.where(begins.unsqueeze(2), torch.zeros_like(start) if fresh is None else fresh.unsqueeze(0), moved)


def _steps(values: Tensor) -> Tensor:
    return torch.arange(values.shape[0], device=values.device).unsqueeze(1)


def _summed(given: Tensor, read: Tensor, loop: Loop) -> Tensor:
    """Σ over steps and sequences of given ⊗ read, in the operands' dtype."""
    dtype = loop.operands.like.dtype
    return given.flatten(0, 1).T.to(dtype) @ read.flatten(0, 1).to(dtype)
