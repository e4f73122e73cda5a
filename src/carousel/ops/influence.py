"""The gradient of one recurrent layer carried forwards in time, in memory that does not grow with it: the two rules."""

from dataclasses import dataclass

import torch
from torch import Tensor

from carousel.cells import Complement, layout
from carousel.ops.online import OnlineNet
from carousel.ops.reference import SQUASH

RULES = ("rule1997", "rtrl")
INSIDE = ("input", "forget", "candidate")
"""The gates that a cell state is made of."""


@dataclass(frozen=True)
class OnlineMoment:
    """One step of several nets, and how it depends on its pre-activations.

    `source` (nets, sources); `gates` and `slopes` by name (nets, units); `by` (nets, hidden) is the slope of c by each
    of its gates' pre-activations; `keep` that of c by c before; `out` and `out_slope` of squash(c).
    """

    source: Tensor
    before: Tensor
    cell: Tensor
    hidden: Tensor
    keep: Tensor
    out: Tensor
    out_slope: Tensor
    gates: dict[str, Tensor]
    slopes: dict[str, Tensor]
    by: dict[str, Tensor]

    def state(self) -> Tensor:
        """The state after the step (nets, states)."""
        sent = [value for gate, value in self.gates.items() if gate != "candidate"]
        return torch.cat([self.hidden, self.cell, *sent], dim=1)


class OnlineStep:
    """The steps of nets with the weights W (nets, rows, sources) and p (nets, peepholes, hidden)."""

    def __init__(self, net: OnlineNet, W: Tensor, p: Tensor) -> None:
        self.net, self.W = net, W
        rows = layout.peephole_rows(net.cell)
        self.p = {gate: p[:, at].squeeze(1) for gate, at in rows.items()}

    def __call__(self, x: Tensor, state: Tensor) -> OnlineMoment:
        """One step from the inputs (nets, inputs) and the state (nets, states)."""
        net, hidden = self.net, self.net.hidden
        source = torch.cat([x, state[:, net.recurring], x.new_ones(len(x), 1)], dim=1)
        pre = torch.einsum("nrk,nk->nr", self.W, source)
        before = state[:, hidden : 2 * hidden]
        gates, slopes = {}, {}
        for gate in INSIDE:
            if gate in net.rows:
                gates[gate], slopes[gate] = self._activate(gate, pre, before)
        keep, cell, by = self._integrate(before, gates, slopes)
        if "output" in net.rows:
            peeps = net.cell.gate("output").peephole
            gates["output"], slopes["output"] = self._activate("output", pre, cell if peeps == "current" else before)
        out, out_slope = squashed(net.cell.squash, cell)
        opened = self.spread(gates["output"], "output") if "output" in gates else torch.ones_like(out)
        return OnlineMoment(source, before, cell, opened * out, keep, out, out_slope, gates, slopes, by)

    def peep(self, gate: str, seen: Tensor) -> Tensor:
        """p times what is seen, (nets, hidden, ...), summed over the cells that share the gate."""
        weighted = self.p[gate].reshape(*self.p[gate].shape, *[1] * (seen.dim() - 2)) * seen
        return weighted.unflatten(1, (-1, self.net.shared(gate))).sum(2)

    def _activate(self, gate: str, pre: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """A gate's values and slopes."""
        own = pre[:, self.net.rows[gate]]
        return squashed(self.net.cell.gate(gate).squash, own + self.peep(gate, seen) if gate in self.p else own)

    def spread(self, value: Tensor, gate: str) -> Tensor:
        """A gate's values for each cell."""
        return value.repeat_interleave(self.net.shared(gate), dim=1)

    def _integrate(
        self, before: Tensor, gates: dict[str, Tensor], slopes: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """How much of c stays, the new c, and its slope by each pre-activation."""
        values = {gate: self.spread(value, gate) for gate, value in gates.items()}
        one, z = torch.ones_like(before), values["candidate"]
        i, f = values.get("input", one), values.get("forget", one)
        by = {"input": z, "forget": before}
        if isinstance(self.net.cell.input, Complement):
            i, by["forget"] = 1 - f, before - z
        if isinstance(self.net.cell.forget, Complement):
            f, by["input"] = 1 - i, z - before
        by["candidate"] = i
        by = {gate: by[gate] * self.spread(slopes[gate], gate) for gate in INSIDE if gate in slopes}
        return f, f * before + i * z, by


class Truncated:
    """The rule of 1997: of each gate of a cell, what its weights have done to that cell's state.

    `sources` holds by gate (nets, hidden, sources), `peepholes` (nets, hidden, block).
    """

    def __init__(self, step: OnlineStep, nets: int) -> None:
        net, like = step.net, step.W
        self.step = step
        inside = [gate for gate in INSIDE if gate in net.rows]
        self.sources = {gate: like.new_zeros(nets, net.hidden, net.sources) for gate in inside}
        self.peepholes = {gate: like.new_zeros(nets, net.hidden, net.shared(gate)) for gate in inside if gate in step.p}

    def tensors(self) -> dict[str, Tensor]:
        """All that is carried from step to step, nets first."""
        return {f"source.{gate}": value for gate, value in self.sources.items()} | {
            f"peephole.{gate}": value for gate, value in self.peepholes.items()
        }

    def advance(self, moment: OnlineMoment) -> None:
        """Take a step."""
        keep = moment.keep.unsqueeze(2)
        for gate, influence in self.sources.items():
            influence.mul_(keep).add_(moment.by[gate].unsqueeze(2) * moment.source.unsqueeze(1))
        for gate, influence in self.peepholes.items():
            seen = self._seen(gate, moment.before).repeat_interleave(self.step.net.shared(gate), dim=1)
            influence.mul_(keep).add_(moment.by[gate].unsqueeze(2) * seen)

    def gradient(self, moment: OnlineMoment, wrong: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient by W and p, (nets, ...), for the gradient by this step's h (nets, hidden)."""
        net = self.step.net
        opened = self.step.spread(moment.gates["output"], "output") if "output" in moment.gates else 1
        error = (wrong * opened * moment.out_slope).unsqueeze(2)
        rows = [self._by_unit(gate, error * influence) for gate, influence in self.sources.items()]
        peepholes = [self._by_unit(gate, error * value).flatten(1) for gate, value in self.peepholes.items()]
        if "output" in net.rows:
            own = self._by_unit("output", wrong * moment.out) * moment.slopes["output"]
            rows.append(own.unsqueeze(2) * moment.source.unsqueeze(1))
            if "output" in self.step.p:
                current = net.cell.gate("output").peephole == "current"
                seen = self._seen("output", moment.cell if current else moment.before)
                peepholes.append((own.unsqueeze(2) * seen).flatten(1))
        p = torch.stack(peepholes, dim=1) if peepholes else error.new_zeros(len(error), 0, net.hidden)
        return torch.cat(rows, dim=1), p

    def _seen(self, gate: str, cell: Tensor) -> Tensor:
        """The cells that a gate peeps at (nets, units, block)."""
        return cell.unflatten(1, (-1, self.step.net.shared(gate)))

    def _by_unit(self, gate: str, value: Tensor) -> Tensor:
        """Summed over the cells that share a unit."""
        return value.unflatten(1, (-1, self.step.net.shared(gate))).sum(2)


class Exact:
    """Real-time recurrent learning: what each weight of W and p has done to the state, (nets, states, weights)."""

    def __init__(self, step: OnlineStep, nets: int) -> None:
        net = step.net
        self.step = step
        self.rows, width = net.shapes["W"]
        self.count = self.rows * width + net.shapes["p"][0] * net.hidden
        self.influence = step.W.new_zeros(nets, net.states, self.count)

    def tensors(self) -> dict[str, Tensor]:
        """All that is carried from step to step, nets first."""
        return {"influence": self.influence}

    def advance(self, moment: OnlineMoment) -> None:
        """Take a step."""
        net, hidden = self.step.net, self.step.net.hidden
        pre = self._direct(moment)
        recurrent = self.step.W[:, :, net.inputs : -1]
        pre += torch.einsum("nry,nyw->nrw", recurrent, self.influence[:, net.recurring])
        old = self.influence[:, hidden : 2 * hidden]
        for gate in self._peeping("previous"):
            pre[:, net.rows[gate]] += self.step.peep(gate, old)
        cell = moment.keep.unsqueeze(2) * old
        for gate, by in moment.by.items():
            cell = cell + by.unsqueeze(2) * pre[:, net.rows[gate]].repeat_interleave(net.shared(gate), dim=1)
        for gate in self._peeping("current"):
            pre[:, net.rows[gate]] += self.step.peep(gate, cell)
        self._finish(moment, pre, cell)

    def gradient(self, moment: OnlineMoment, wrong: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient by W and p, (nets, ...), for the gradient by this step's h (nets, hidden)."""
        del moment
        net = self.step.net
        gradient = torch.einsum("nh,nhw->nw", wrong, self.influence[:, : net.hidden])
        at = self.rows * net.sources
        return gradient[:, :at].unflatten(1, (-1, net.sources)), gradient[:, at:].unflatten(1, net.shapes["p"])

    def _peeping(self, when: str) -> list[str]:
        return [gate for gate in self.step.p if self.step.net.cell.gate(gate).peephole == when]

    def _direct(self, moment: OnlineMoment) -> Tensor:
        """What weights do to the pre-activations at this step alone (nets, rows, weights)."""
        net = self.step.net
        pre = self.influence.new_zeros(len(moment.cell), self.rows, self.count)
        own = pre[:, :, : self.rows * net.sources].unflatten(2, (self.rows, net.sources))
        own.diagonal(dim1=1, dim2=2).copy_(moment.source.unsqueeze(2).expand(-1, -1, self.rows))
        for place, gate in enumerate(self.step.p):
            seen = moment.cell if net.cell.gate(gate).peephole == "current" else moment.before
            columns = self.rows * net.sources + place * net.hidden + torch.arange(net.hidden)
            rows = net.rows[gate].start + torch.arange(net.hidden) // net.shared(gate)
            pre[:, rows, columns] = seen
        return pre

    def _finish(self, moment: OnlineMoment, pre: Tensor, cell: Tensor) -> None:
        """From c and the pre-activations to h and the gates."""
        net = self.step.net
        gates = {gate: moment.slopes[gate].unsqueeze(2) * pre[:, net.rows[gate]] for gate in net.sent}
        moved = moment.out_slope.unsqueeze(2) * cell
        if "output" in gates:
            moved = self.step.spread(moment.gates["output"], "output").unsqueeze(2) * moved
            moved = moved + moment.out.unsqueeze(2) * self.step.spread(gates["output"], "output")
        self.influence.copy_(torch.cat([moved, cell, *gates.values()], dim=1))


def influence(rule: str, step: OnlineStep, nets: int) -> Truncated | Exact:
    """The memory of that rule, at the beginning of a sequence. Raises ValueError for a rule that is none of RULES."""
    if rule not in RULES:
        raise ValueError(f"no rule is called {rule!r}; there are {', '.join(RULES)}")
    return Exact(step, nets) if rule == "rtrl" else Truncated(step, nets)


def squashed(name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """A squashing function's values and slopes."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        value = SQUASH[name](leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), slope
