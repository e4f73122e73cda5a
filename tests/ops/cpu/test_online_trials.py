"""Trials in the kernels, held to plain torch, and to what a trial is."""

import pytest
import torch

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
