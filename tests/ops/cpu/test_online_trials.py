"""Trials in the kernels, held to plain torch, and to what a trial is."""

from dataclasses import replace

import pytest
import torch

from carousel.cells import Cell, Gate
from carousel.ops.cpu.online import CompiledOnline
from carousel.ops.online import RESET, START, TARGET, UPDATE, OnlineNet, OnlineRule, OnlineStream, OnlineTrials
from carousel.ops.online_reference import ReferenceOnline
from carousel.testing.poison import poisoned_memory
from tests.ops.cpu.extension import TARGETS, needs_extension, target
from tests.ops.test_influence import CELLS

pytestmark = needs_extension
NETS, INPUTS, TIME = 11, 3, 240


def net_of(name: str, **options) -> OnlineNet:
    return OnlineNet(CELLS[name], INPUTS, 4, 2, **options)


def drawn(net: OnlineNet) -> tuple[OnlineRule, torch.Tensor]:
    """A rule with a step size and a momentum of each net, and weights."""
    torch.manual_seed(0)
    weights = 0.5 * torch.randn(NETS, net.weights, dtype=torch.float64) * net.present()
    rates = torch.linspace(0, 0.3, NETS, dtype=torch.float64), torch.linspace(0, 0.9, NETS, dtype=torch.float64)
    return OnlineRule("rule1997", False, *rates), weights


def stream_of() -> OnlineStream:
    """Steps at which trials may begin, with targets and without, resets now and then."""
    flags = (torch.rand(TIME, NETS) < 0.2) * START + (torch.rand(TIME, NETS) < 0.7) * (TARGET + UPDATE)
    flags += (torch.rand(TIME, NETS) < 0.05) * RESET
    inputs, targets = torch.randn(TIME, NETS, INPUTS), torch.rand(TIME, NETS, 2)
    return OnlineStream(inputs.double(), targets.double(), flags.to(torch.uint8))


def trials_of(most: int = 50, enough: int = 100, longest: int = 4) -> OnlineTrials:
    tolerance, fading = torch.linspace(0.3, 0.6, NETS), torch.linspace(0.8, 1, NETS)
    return OnlineTrials(tolerance.double(), fading.double(), longest, most, enough)


@pytest.mark.parametrize("instructions", TARGETS)
@pytest.mark.parametrize("name", ["lstm1997 in blocks", "peephole in blocks", "full_gate_recurrence"])
def test_trials_are_those_of_plain_torch(name: str, instructions: str) -> None:
    net = net_of(name, shortcut=True)
    rule, weights = drawn(net)
    stream, trials = stream_of(), trials_of()
    with poisoned_memory(), target(instructions):
        compiled = CompiledOnline(net, rule, weights)
        lengths = compiled.attempt(stream, trials)
    plain = ReferenceOnline(net, rule, weights)
    assert torch.equal(lengths, plain.attempt(stream, trials))
    assert sorted(set(lengths[lengths >= 0].tolist())) == [0, 1, 2, 3, 4]
    torch.testing.assert_close(compiled.weights, plain.weights, rtol=1e-8, atol=1e-10)
    assert not torch.equal(plain.weights[1:], weights[1:])


@pytest.mark.parametrize("runner", [CompiledOnline, ReferenceOnline])
def test_trials_in_pieces_are_those_of_the_whole_stream(runner: type[CompiledOnline | ReferenceOnline]) -> None:
    net = net_of("peephole")
    rule, weights = drawn(net)
    stream, trials = stream_of(), trials_of()
    whole, pieces = runner(net, rule, weights), runner(net, rule, weights)
    expected, found = whole.attempt(stream, trials), [[] for _ in range(NETS)]
    for start in range(0, TIME, 48):
        part = pieces.attempt(OnlineStream(*(tensor[start : start + 48] for tensor in stream)), trials)
        for net_at, lengths in enumerate(part):
            found[net_at] += lengths[lengths >= 0].tolist()
    assert found == [row[row >= 0].tolist() for row in expected]
    assert torch.equal(whole.weights, pieces.weights)


@pytest.mark.parametrize("runner", [CompiledOnline, ReferenceOnline])
def test_a_net_waits_after_its_trials(runner: type[CompiledOnline | ReferenceOnline]) -> None:
    net = net_of("lstm")
    rule, weights = drawn(net)
    stream = stream_of()
    two, many, long = (runner(net, rule, weights) for _ in range(3))
    all_of_them = many.attempt(stream, trials_of())
    assert torch.equal(two.attempt(stream, trials_of(most=2)), all_of_them[:, :2])
    for net_at, lengths in enumerate(long.attempt(stream, trials_of(enough=2)).tolist()):
        expected = [length for length in all_of_them[net_at].tolist() if length >= 0]
        first = next((at for at, length in enumerate(expected) if length >= 2), len(expected))
        assert [length for length in lengths if length >= 0] == expected[: first + 1]


@pytest.mark.parametrize("runner", [CompiledOnline, ReferenceOnline])
def test_a_trial_without_learning_moves_states_alone(runner: type[CompiledOnline | ReferenceOnline]) -> None:
    net = net_of("lstm")
    rule, weights = drawn(net)
    nets = runner(net, rule, weights)
    lengths = nets.attempt(stream_of(), trials_of(), learn=False)
    assert torch.equal(nets.weights, weights) and (lengths >= 0).any()


@pytest.mark.parametrize("runner", [CompiledOnline, ReferenceOnline])
def test_a_renewed_net_is_as_new_and_the_others_go_on(runner: type[CompiledOnline | ReferenceOnline]) -> None:
    net = net_of("peephole")
    rule, weights = drawn(net)
    stream, trials = stream_of(), trials_of()
    nets, fresh, old = (runner(net, rule, weights) for _ in range(3))
    for each in (nets, old):
        each.attempt(stream, trials)
    nets.renew(9, weights[9])
    assert torch.equal(nets.weights[:9], old.weights[:9]) and torch.equal(nets.weights[9], weights[9])
    found, again, new = (each.attempt(stream, trials) for each in (nets, old, fresh))
    assert torch.equal(found[9], new[9]) and torch.equal(nets.weights[9], fresh.weights[9])
    assert torch.equal(found[10], again[10]) and torch.equal(nets.weights[10], old.weights[10])


@pytest.mark.parametrize("rule", ["rule1997", "rtrl"])
@pytest.mark.parametrize("runner", [CompiledOnline, ReferenceOnline])
def test_a_net_that_waits_does_not_depend_on_its_neighbours(
    runner: type[CompiledOnline | ReferenceOnline], rule: str
) -> None:
    """Trials end at different steps; what nets learn afterwards is what each of them learns alone."""
    net = net_of("peephole")
    how, weights = replace(drawn(net)[0], name=rule), drawn(net)[1]
    stream, trials = stream_of(), trials_of(most=2)
    others = ReferenceOnline(net, how, weights)
    others.attempt(stream, trials)
    follows = OnlineStream(stream.inputs, stream.targets, torch.full_like(stream.flags, TARGET + UPDATE))
    together = runner(net, how, weights)
    together.attempt(stream, trials)
    outputs = together.run(follows)
    torch.testing.assert_close(outputs, others.run(follows), rtol=1e-8, atol=1e-10)
    for at in range(NETS):
        own = slice(at, at + 1)
        alone = runner(net, replace(how, rate=how.rate[own], momentum=how.momentum[own]), weights[own])
        alone.attempt(
            OnlineStream(*(part[:, own] for part in stream)),
            replace(trials, tolerance=trials.tolerance[own], fading=trials.fading[own]),
        )
        found = alone.run(OnlineStream(*(part[:, own] for part in follows)))
        torch.testing.assert_close(found[:, 0], outputs[:, at], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(alone.weights[0], together.weights[at], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", ["rule1997", "rtrl"])
@pytest.mark.parametrize("runner", [CompiledOnline, ReferenceOnline])
def test_a_net_that_waits_cannot_overflow(runner: type[CompiledOnline | ReferenceOnline], rule: str) -> None:
    """Cells that are squashed by nothing, and grow without end, while a neighbour's trial is on."""
    net = OnlineNet(Cell(Gate("relu"), Gate("relu"), Gate("identity"), Gate("relu"), squash="identity"), 1, 2, 1)
    weights = torch.stack([torch.full((net.weights,), 0.9), torch.zeros(net.weights)]).double()
    begins = torch.tensor([START + TARGET + UPDATE] + [TARGET + UPDATE] * 399 + [START + TARGET + UPDATE] * 2)
    flags = begins.to(torch.uint8).unsqueeze(1)
    one = torch.ones(2).double()
    nets = runner(net, OnlineRule(rule, False, torch.tensor([1e-3, 0.0]).double(), one * 0.5), weights)
    targets = torch.stack([torch.full((402, 1), 9.0), torch.zeros(402, 1)], dim=1).double()
    trials = OnlineTrials(one, one, 10000, 50, 20000)
    lengths = nets.attempt(OnlineStream(torch.ones(402, 2, 1).double(), targets, flags), trials)
    assert lengths[0, :3].tolist() == [0, 0, 0] and lengths[1, 0] == -1
    assert nets.weights.isfinite().all()


def test_fixed_gates_have_a_bias_and_keep_it() -> None:
    net = net_of("peephole in blocks", fixed=("forget",), biased=("input",))
    rule, weights = drawn(net)
    parts = net.split(weights)["W"][:, net.rows["forget"]]
    assert (parts[:, :, :-1] == 0).all() and (parts[:, :, -1] != 0).all()
    compiled, plain = CompiledOnline(net, rule, weights), ReferenceOnline(net, rule, weights)
    stream = stream_of()
    torch.testing.assert_close(compiled.run(stream), plain.run(stream), rtol=1e-8, atol=1e-10)
    for nets in (compiled, plain):
        after = net.split(nets.weights)
        assert torch.equal(after["W"][:, net.rows["forget"]], parts)
        assert not torch.equal(after["W"][1:], net.split(weights)["W"][1:])
