"""The oracle: every cell in plain torch, one line an equation, gradients by autograd. It refuses nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.cells import Cell, Complement, Gate, Open, layout
from carousel.ops.backend import AnyOperands, Backend
from carousel.ops.operands import Moment, Noise, Operands, State, StepOperands, Steps

SQUASH = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "identity": lambda x: x,
    "g1997": lambda x: 4 * torch.sigmoid(x) - 2,
    "h1997": lambda x: 2 * torch.sigmoid(x) - 1,
    "hard_sigmoid": lambda x: F.relu6(x + 3) / 6,  # in float64 the slope of torch's own is 1/6 of float32
    "softsign": F.softsign,
    "relu": torch.relu,
}


@dataclass(frozen=True)
class _Grid:
    """A cell at a point whose predecessors (one in a sequence) have the states previous[k] (batch, hidden, …)."""

    cell: Cell
    parts: dict[str, Tensor]
    previous: tuple[Tensor, ...]
    p: Tensor | None

    def activation(self, gate: str, seen: tuple[Tensor, ...]) -> Tensor | None:
        """squash(pre-activation + sum over the states it peeps at of p ⊙ c); None if the gate is open."""
        if isinstance(getattr(self.cell, gate), Open):
            return None
        pre = self.parts[gate]
        for row, state in zip(self._peephole_rows(gate), seen, strict=False):
            pre = pre + self._peep(row, state, 1 if gate == "candidate" else self.cell.block)
        return SQUASH[self.cell.gate(gate).squash](pre)

    def forget(self) -> list[Tensor | None]:
        """One forget gate a predecessor; each peeps at its own predecessor only."""
        if isinstance(self.cell.forget, Open):
            return [None] * len(self.previous)
        copies = (
            self.parts["forget"].chunk(len(self.previous), dim=1) if len(self.previous) > 1 else [self.parts["forget"]]
        )
        pre = list(copies)
        for k, row in enumerate(self._peephole_rows("forget")):
            pre[k] = pre[k] + self._peep(row, self.previous[k], self.cell.block)
        return [SQUASH[self.cell.forget.squash](pre_k) for pre_k in pre]  # type: ignore[union-attr]

    def _peephole_rows(self, gate: str) -> range:
        rows = layout.peephole_rows(self.cell, len(self.previous)).get(gate, slice(0, 0))
        return range(rows.start, rows.stop)

    def _peep(self, row: int, state: Tensor, sharing: int) -> Tensor:
        """p ⊙ c, summed over the cells that share the gate (of the candidate none): each has a peephole of its own."""
        assert self.p is not None
        p = self.p[row]
        seen = p.reshape(p.shape + (1,) * (state.dim() - 1 - p.dim())) * state
        return seen.unflatten(1, (-1, sharing)).sum(2) if sharing > 1 else seen


def step(cell: Cell, operands: StepOperands, drop: Tensor | None = None) -> Moment:
    """One step given the pre-activations: see `carousel.ops.step`. `drop` multiplies the candidate."""
    pre, previous, p, norm = operands
    states = previous.unbind(0)
    grid = _Grid(cell, _parts(cell, pre, previous.shape[2], len(states)), states, p)
    i, f = _input_and_forget(grid)
    z = grid.activation("candidate", states)
    z = z if drop is None or z is None else z * drop
    c = reduce(add, (_gated(f_k, c_k) for f_k, c_k in zip(f, states, strict=True))) + _gated(i, z)
    c = _norm(c, norm) if cell.norm == "torch_sample" else c
    o = grid.activation("output", (c,) if _peeps_at_current(cell) else states)
    h = _gated(o, SQUASH[cell.squash](_norm(c, norm) if cell.norm == "ba2016" else c))
    forget = f[0] if len(f) == 1 else _joined(f)
    return Moment(h, c, {"input": i, "forget": forget, "candidate": z, "output": o})


def unroll(cell: Cell, operands: Operands) -> Iterator[tuple[int, Moment, State]]:
    """Run a cell over time, yielding (t, what the step computed, the state after it) in the order of the loop."""
    operands = _without_padding(operands)
    state = _widened(operands.state)
    fresh = _widened(operands.steps.fresh) if operands.steps.fresh else None
    gates = operands.gates.unbind(0)
    for t in _order(len(gates), operands.steps):
        state = put_back(state, fresh, operands.steps, t)
        moment = _advance(cell, operands, gates[t], state, t)
        new = State(*_zoned_out(operands.noise, moment, state, t), _sent(cell, moment.gates))
        state = new if operands.steps.lengths is None else _where(t < operands.steps.lengths, new, state)
        yield t, moment, state


def recurrence(cell: Cell, operands: Operands) -> tuple[Tensor, State]:
    """All outputs (time, batch, output) and the last state: see `carousel.ops.recurrence`."""
    gates, lengths = operands.gates, operands.steps.lengths
    outputs: list[Tensor] = [gates.new_empty(0)] * gates.shape[0]
    state = operands.state
    for t, _, state in unroll(cell, operands):
        outputs[t] = state.hidden if lengths is None else state.hidden * (t < lengths).unsqueeze(1)
    stacked = torch.stack(outputs) if outputs else gates.new_zeros(0, gates.shape[1], operands.output)
    return stacked.to(gates.dtype), State(*(None if s is None else s.to(gates.dtype) for s in state))  # type: ignore[arg-type]


def _advance(cell: Cell, operands: Operands, gates: Tensor, state: State, t: int) -> Moment:
    """Add what recurs to the pre-activations of step t, and take the step."""
    weights, noise = operands.weights, operands.noise
    pre = gates.to(state.cell.dtype)
    pre = _recur(cell, pre, dropped(cell, state, noise, t), operands)
    drop = None if noise.drop_candidate is None else _at(noise.drop_candidate, t)
    moment = step(cell, StepOperands(pre, state.cell.unsqueeze(0), weights.p, weights.norm_cell), drop)
    if weights.P is None:
        return moment
    return moment._replace(hidden=F.linear(moment.hidden, weights.P.to(moment.hidden.dtype)))


def dropped(cell: Cell, state: State, noise: Noise, t: int) -> State:
    """The state as R reads it at step t, with a mask on the hidden state, or on the cell state in the matrix form."""
    if noise.drop_hidden is None:
        return state
    mask = _at(noise.drop_hidden, t)
    hidden = state.hidden * mask if "hidden" in cell.reads else state.hidden
    return State(hidden, state.cell * mask if "cell" in cell.reads else state.cell, state.gates)


def _recur(cell: Cell, pre: Tensor, state: State, operands: Operands) -> Tensor:
    """pre + R h_{t-1} (or R c_{t-1}) + G (i, f, o)_{t-1}, each into the rows of its gates."""
    weights, hidden = operands.weights, operands.hidden
    rows, parts = layout.rows(cell, hidden), {}
    if weights.R is not None:
        recurring = products(cell, weights.R.to(pre.dtype), state)
        if weights.norm_recurrent is not None:
            recurring = _norm(recurring, weights.norm_recurrent)
        if cell.recurrent == cell.learned and weights.G is None:
            return pre + recurring
        parts = {gate: recurring[:, at] for gate, at in layout.recurrent_rows(cell, hidden).items()}
    if weights.G is not None and state.gates is not None:
        sent = F.linear(state.gates, weights.G.to(pre.dtype))
        for gate, at in layout.sent_rows(cell, hidden).items():
            parts[gate] = parts[gate] + sent[:, at] if gate in parts else sent[:, at]
    return torch.cat([pre[:, at] + parts[gate] if gate in parts else pre[:, at] for gate, at in rows.items()], dim=1)


def products(cell: Cell, R: Tensor, state: State) -> Tensor:
    """R times what recurs into each gate, the hidden or the cell state."""
    sources = {"hidden": state.hidden, "cell": state.cell}
    if len(cell.reads) == 1:
        return F.linear(sources[cell.reads[0]], R)
    spans = layout.recurrent_rows(cell, state.cell.shape[1]).items()
    return torch.cat([F.linear(sources[cell.gate(gate).recurrent or "hidden"], R[at]) for gate, at in spans], dim=1)


def _zoned_out(noise: Noise, moment: Moment, old: State, t: int) -> tuple[Tensor, Tensor]:
    """h_t and c_t, a share of the old ones staying where zoneout says so."""
    hidden, cell = moment.hidden, moment.cell
    if noise.zoneout_hidden is not None:
        hidden = torch.lerp(hidden, old.hidden, _at(noise.zoneout_hidden, t).to(hidden.dtype).expand_as(hidden))
    if noise.zoneout_cell is not None:
        cell = torch.lerp(cell, old.cell, _at(noise.zoneout_cell, t).to(cell.dtype).expand_as(cell))
    return hidden, cell


def _sent(cell: Cell, gates: dict[str, Tensor | None]) -> Tensor | None:
    """The activations that full gate recurrence hands to the next step."""
    if not cell.full_gate_recurrence:
        return None
    return torch.cat([gate for name in cell.sending if (gate := gates[name]) is not None], dim=1)


def _order(time: int, steps: Steps) -> range:
    return range(time - 1, -1, -1) if steps.reverse else range(time)


def put_back(state: State, fresh: State | None, steps: Steps, t: int) -> State:
    """The state before step t: put back to fresh where a new sequence begins there."""
    at = t + 1 if steps.reverse else t
    if steps.reset is None or at == steps.reset.shape[0]:
        return state
    begins = steps.reset[at] if steps.lengths is None else steps.reset[at] & (at < steps.lengths)
    back = fresh or State(*(None if s is None else torch.zeros_like(s) for s in state))  # type: ignore[arg-type]
    return _where(begins, back, state)


def _without_padding(operands: Operands) -> Operands:
    """Zeros for the pre-activations behind a row's end: what lies there, even NaN, must not reach a gradient."""
    gates, lengths = operands.gates, operands.steps.lengths
    if lengths is None:
        return operands
    behind = torch.arange(gates.shape[0], device=gates.device).unsqueeze(1) >= lengths
    return replace(operands, gates=gates.masked_fill(behind.unsqueeze(2), 0))


def _where(rows: Tensor, new: State, old: State) -> State:
    """`new` in these rows of the batch, `old` in the others."""
    return State(*(None if n is None else torch.where(rows.unsqueeze(1), n, o) for n, o in zip(new, old, strict=True)))  # type: ignore[arg-type]


def _widened(state: State) -> State:
    """The state in at least float32: c_t sums over many steps."""
    return State(*(s if s is None or s.dtype.itemsize > 2 else s.float() for s in state))  # type: ignore[arg-type]


def _at(mask: Tensor, t: int) -> Tensor:
    return mask[0 if mask.shape[0] == 1 else t]


def _norm(value: Tensor, gain_and_bias: Tensor | None) -> Tensor:
    """Layer normalisation over the units (axis 1)."""
    assert gain_and_bias is not None
    gain, bias = gain_and_bias.to(value.dtype)
    if value.dim() == 2:
        return F.layer_norm(value, value.shape[1:], gain, bias)
    return F.layer_norm(value.movedim(1, -1), gain.shape, gain, bias).movedim(-1, 1)


def _parts(cell: Cell, pre: Tensor, hidden: int, predecessors: int) -> dict[str, Tensor]:
    """The pre-activations of each learned gate."""
    spans = layout.rows(cell, hidden, predecessors)
    return dict(zip(spans, pre.split([span.stop - span.start for span in spans.values()], dim=1), strict=True))


def _joined(gates: list[Tensor | None]) -> Tensor | None:
    """The gates of all predecessors, one after another; None if they are open."""
    learned = [gate for gate in gates if gate is not None]
    return torch.cat(learned, dim=1) if learned else None


def _input_and_forget(grid: _Grid) -> tuple[Tensor | None, list[Tensor | None]]:
    """The input gate and the forget gate of each predecessor, either of which may be the complement of the other."""
    if isinstance(grid.cell.input, Complement):
        f = grid.forget()
        return 1 - f[0], f  # type: ignore[operator]
    i = grid.activation("input", grid.previous)
    if isinstance(grid.cell.forget, Complement):
        return i, [1 - i]  # type: ignore[operator]
    return i, grid.forget()


def _peeps_at_current(cell: Cell) -> bool:
    return isinstance(cell.output, Gate) and cell.output.peephole == "current"


def _gated(gate: Tensor | None, value: Tensor | None) -> Tensor:
    """gate ⊙ value, the gate shared by the cells of a block; an open gate changes nothing."""
    assert value is not None
    if gate is None:
        return value
    block = value.shape[1] // max(gate.shape[1], 1)
    return (gate.repeat_interleave(block, dim=1) if block > 1 else gate) * value


class Reference(Backend):
    """Plain torch: any cell, device, floating dtype and transform."""

    name = "reference"

    def refuses(self, cell: Cell, operands: AnyOperands) -> None:
        """Nothing."""

    def recurrence(self, cell: Cell, operands: Operands) -> tuple[Tensor, State]:
        """Outputs and the last state, by the loop in this file."""
        return recurrence(cell, operands)

    def step(self, cell: Cell, operands: StepOperands) -> Moment:
        """One step, by the equations in this file."""
        return step(cell, operands)
