"""Gradients carried forwards in time, held to autograd backwards through time."""

import pytest
import torch
from torch import Tensor

from carousel.cells import Cell, Gate, Open, find
from carousel.cells.variants import VARIANTS
from carousel.ops import StepOperands, reference
from carousel.ops.influence import RULES, OnlineStep, influence
from carousel.ops.online import OnlineNet

TIME, NETS = 7, 3
_PEEPS, _ALONE = Gate(peephole="previous"), Gate(recurrent=None)
CELLS = {
    **VARIANTS,
    "lstm1997 in blocks": find("lstm1997").with_options(block=2),
    "peephole in blocks": find("peephole").with_options(block=2),
    "peepholes everywhere": Cell(_PEEPS, _PEEPS, _PEEPS, _PEEPS, block=2),
    "input gate alone": Cell(Gate(), Open(), Gate("sigmoid", recurrent=None), Open(), squash="identity"),
}


def net_of(name: str, *, gates_recur: bool = False) -> OnlineNet:
    return OnlineNet(CELLS[name], 3, 4, 0, gates_recur=gates_recur)


def backwards(net: OnlineNet, weights: Tensor, x: Tensor, by_hidden: Tensor, *, cut: bool) -> Tensor:
    """The gradient of sum(h by_hidden) through time, cut where "rule1997" cuts it if so asked."""
    weights = weights.clone().requires_grad_()
    parts, total = net.split(weights), []
    for n in range(NETS):
        state = x.new_zeros(1, net.states)
        for t in range(TIME):
            h, state = moved(net, parts["W"][n], parts["p"][n], x[t, n : n + 1], state, cut=cut)
            total.append((h * by_hidden[t, n]).sum())
    return torch.autograd.grad(torch.stack(total).sum(), weights)[0]


def moved(net: OnlineNet, W: Tensor, p: Tensor, x: Tensor, state: Tensor, *, cut: bool) -> tuple[Tensor, Tensor]:
    """h and the state after a step by the reference."""
    seen = state.detach() if cut else state
    source = torch.cat([x, seen[:, net.recurring], torch.ones(1, 1, dtype=x.dtype)], dim=1)
    pre, cell = source @ W.T, state[:, net.hidden : 2 * net.hidden]
    for when in ("previous", "current") if cut else ():
        pre = pre + unpeeped(net, p, cell if when == "previous" else step(net, pre, cell, p).cell, when)
    moment = step(net, pre, cell, p)
    sent = [gate for name in net.sent if (gate := moment.gates[name]) is not None]
    return moment.hidden, torch.cat([moment.hidden, moment.cell, *sent], dim=1)


def step(net: OnlineNet, pre: Tensor, cell: Tensor, p: Tensor):
    return reference.step(net.cell, StepOperands(pre, cell.unsqueeze(0), p if len(p) else None))


def unpeeped(net: OnlineNet, p: Tensor, cell: Tensor, when: str) -> Tensor:
    """Zeros, whose gradient takes away what comes back through the peepholes that look at this cell state."""
    rows = torch.zeros(1, net.shapes["W"][0], dtype=cell.dtype)
    for place, gate in enumerate(net.cell.peepholes):
        if net.cell.gate(gate).peephole == when:
            lost = (p[place].detach() * (cell.detach() - cell)).unflatten(1, (-1, net.shared(gate))).sum(2)
            rows = torch.cat([rows[:, : net.rows[gate].start], lost, rows[:, net.rows[gate].stop :]], dim=1)
    return rows


def forwards(net: OnlineNet, weights: Tensor, x: Tensor, by_hidden: Tensor, rule: str) -> Tensor:
    """The same gradient by a rule."""
    parts, total = net.split(weights), torch.zeros_like(weights)
    advance = OnlineStep(net, parts["W"], parts["p"])
    memory, state = influence(rule, advance, NETS), x.new_zeros(NETS, net.states)
    for t in range(TIME):
        moment = advance(x[t], state)
        memory.advance(moment)
        total += torch.cat([part.flatten(1) for part in memory.gradient(moment, by_hidden[t])], dim=1)
        state = moment.state()
    return total


@pytest.mark.parametrize("gates_recur", [False, True], ids=["", "gates recur"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", CELLS)
def test_gradients_are_those_of_backpropagation(name: str, rule: str, gates_recur: bool) -> None:
    torch.manual_seed(0)
    net = net_of(name, gates_recur=gates_recur)
    weights = torch.randn(NETS, net.weights, dtype=torch.float64) * net.learned()
    x, by_hidden = (torch.randn(TIME, NETS, size, dtype=torch.float64) for size in (3, 4))
    got = forwards(net, weights, x, by_hidden, rule)
    expected = backwards(net, weights, x, by_hidden, cut=rule == "rule1997")
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-10)


def test_the_rule_of_1997_is_exact_where_nothing_recurs_but_the_cell() -> None:
    torch.manual_seed(0)
    net = OnlineNet(Cell(_ALONE, _ALONE, _ALONE, _ALONE), 3, 4, 0)
    weights = torch.randn(NETS, net.weights, dtype=torch.float64) * net.learned()
    x, by_hidden = (torch.randn(TIME, NETS, size, dtype=torch.float64) for size in (3, 4))
    exact, cut = (forwards(net, weights, x, by_hidden, rule) for rule in ("rtrl", "rule1997"))
    torch.testing.assert_close(exact, cut, rtol=1e-12, atol=1e-12)


def test_the_nets_of_1997_have_the_weights_that_the_paper_counts() -> None:
    cell = find("lstm1997")
    order = OnlineNet(cell.with_options(block=2), 8, 4, 4, gates_recur=True)
    assert order.learned().sum() == 156
    reber = OnlineNet(cell, 7, 4, 7, gates_recur=True, biased=("input", "output"))
    assert reber.learned().sum() == 264
    lag = OnlineNet(cell, 54, 2, 2, gates_recur=True, biased=())
    assert lag.learned().sum() == 364


def test_a_weight_reaches_as_far_as_the_cells_that_it_joins() -> None:
    net = OnlineNet(find("lstm1997").with_options(block=2), 1, 4, 1, gates_recur=True, shortcut=True)
    W, _, readout = net.split(net.reach().unsqueeze(0)).values()
    sources = [0, 1, 2, 3, 4, 2, 4, 2, 4, 0]  # an input, four cells, two input gates, two output gates, a one
    units = [2, 4, 1, 2, 3, 4, 2, 4]
    assert W[0].tolist() == [[max(unit, source) for source in sources] for unit in units]
    assert readout[0].tolist() == [[1, 2, 3, 4, 0, 0]]
    peepholes = OnlineNet(find("peephole"), 1, 3, 0)
    assert peepholes.split(peepholes.reach().unsqueeze(0))["p"][0].tolist() == [[1, 2, 3]] * 3


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="lstm\\+norm-ba2016 has a norm; learning forwards in time knows rows without"):
        OnlineNet(find("lstm").with_options(norm="ba2016"), 3, 4, 1)
    with pytest.raises(ValueError, match="hidden is 0; it is a whole number of at least 1"):
        OnlineNet(find("lstm"), 3, 0, 1)
    with pytest.raises(
        ValueError, match=r"biased names \['forget'\]; it can name input, candidate, output and readout"
    ):
        OnlineNet(find("lstm1997"), 3, 4, 1, biased=("forget",))
    with pytest.raises(ValueError, match="squash is 'softmax'; it can be sigmoid, tanh"):
        OnlineNet(find("lstm1997"), 3, 4, 1, squash="softmax")
