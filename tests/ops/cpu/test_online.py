"""Learning online in the kernels, held to plain torch over hundreds of steps."""

from math import nan

import pytest
import torch

from carousel.ops.cpu.online import CompiledOnline
from carousel.ops.influence import RULES
from carousel.ops.online import RESET, TARGET, UPDATE, OnlineNet, OnlineRule, OnlineStream
from carousel.ops.online_reference import ReferenceOnline
from carousel.testing.poison import poisoned_memory
from tests.ops.cpu.extension import TARGETS, needs_extension, target, threads
from tests.ops.test_influence import CELLS

pytestmark = needs_extension
NETS, INPUTS = 11, 3


def net_of(name: str, **options) -> OnlineNet:
    return OnlineNet(CELLS[name], INPUTS, 4, 2, **options)


def drawn(net: OnlineNet, *, momentum: bool = True) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights, step sizes and momenta of nets."""
    weights = 0.5 * torch.randn(NETS, net.weights, dtype=torch.float64) * net.learned()
    rate = torch.linspace(0, 0.3, NETS, dtype=torch.float64)
    return weights, rate, torch.linspace(0, 0.9, NETS, dtype=torch.float64) * momentum


def stream_of(net: OnlineNet, time: int = 200) -> OnlineStream:
    """Random steps; where there is no target there is NaN, which must stay there."""
    flags = torch.randint(0, 8, (time, NETS), dtype=torch.uint8)
    flags = torch.where(torch.rand(time, NETS) < 0.9, flags & ~torch.tensor(RESET, dtype=torch.uint8), flags)
    targets = torch.rand(time, NETS, net.outputs, dtype=torch.float64)
    targets[(flags & 2) == 0] = nan
    return OnlineStream(torch.randn(time, NETS, INPUTS, dtype=torch.float64), targets, flags)


def agree(net: OnlineNet, rule: OnlineRule, weights: torch.Tensor, stream: OnlineStream) -> CompiledOnline:
    """The kernels give what plain torch gives: outputs at every step, and the weights afterwards."""
    with poisoned_memory():
        compiled = CompiledOnline(net, rule, weights)
        outputs = compiled.run(stream)
    plain = ReferenceOnline(net, rule, weights)
    torch.testing.assert_close(outputs, plain.run(stream), rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(compiled.weights, plain.weights, rtol=1e-8, atol=1e-10)
    assert not torch.equal(plain.weights[1:], weights[1:])
    assert torch.equal(compiled.weights[0], weights[0])
    return compiled


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_learns_as_in_plain_torch(name: str, rule: str) -> None:
    torch.manual_seed(0)
    net = net_of(name)
    weights, rate, momentum = drawn(net)
    agree(net, OnlineRule(rule, False, rate, momentum), weights, stream_of(net, 60))


@pytest.mark.parametrize("name", CELLS)
def test_an_update_that_follows_at_once(name: str) -> None:
    """Of all nets, of some that others wait beside, and after a gradient that was left over, from a call before too."""
    torch.manual_seed(0)
    net = net_of(name, shortcut=True)
    weights, rate, _ = drawn(net)
    stream = stream_of(net, 60)
    stream.flags[20:] |= TARGET + UPDATE
    stream.flags[40:, ::3] &= RESET
    targets = torch.where(stream.targets.isnan() & ((stream.flags & TARGET) > 0).unsqueeze(2), 0.25, stream.targets)
    stream = stream._replace(targets=targets)
    rule = OnlineRule("rule1997", False, rate, torch.zeros(NETS, dtype=torch.float64))
    whole, pieces = agree(net, rule, weights, stream), CompiledOnline(net, rule, weights)
    for part in (slice(20), slice(20, None)):
        pieces.run(OnlineStream(*(tensor[part] for tensor in stream)))
    assert torch.equal(pieces.weights, whole.weights)


@pytest.mark.parametrize("instructions", TARGETS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("entropy", [False, True])
def test_the_nets_of_1997(rule: str, entropy: bool, instructions: str) -> None:
    torch.manual_seed(0)
    net = net_of("lstm1997 in blocks", gates_recur=True, shortcut=True, squash="h1997", biased=("input", "readout"))
    weights, rate, momentum = drawn(net, momentum=False)
    with target(instructions):
        agree(net, OnlineRule(rule, entropy, rate, momentum), weights, stream_of(net, 400))


@pytest.mark.parametrize("rule", RULES)
def test_a_stream_in_pieces_is_the_whole_stream_to_the_bit(rule: str) -> None:
    torch.manual_seed(0)
    net = net_of("peephole in blocks")
    weights, rate, momentum = drawn(net)
    how, stream = OnlineRule(rule, False, rate, momentum), stream_of(net)
    whole, pieces = (CompiledOnline(net, how, weights) for _ in range(2))
    with threads(1):
        outputs = whole.run(stream)
    for start in (0, 1, 77):
        stop = {0: 1, 1: 77, 77: 200}[start]
        part = pieces.run(OnlineStream(*(tensor[start:stop] for tensor in stream)))
        assert torch.equal(part, outputs[start:stop])
    assert torch.equal(whole.weights, pieces.weights)


@pytest.mark.parametrize("runner", [CompiledOnline, ReferenceOnline])
def test_symbols_are_inputs_of_which_one_is_one(runner: type[CompiledOnline | ReferenceOnline]) -> None:
    torch.manual_seed(0)
    net = net_of("lstm", shortcut=True)
    weights, rate, momentum = drawn(net)
    stream, how = stream_of(net, 50), OnlineRule("rule1997", False, rate, momentum)
    symbols = torch.randint(-1, INPUTS + 1, (50, NETS))
    hot = torch.nn.functional.one_hot((symbols + 1).clamp(0, INPUTS + 1), INPUTS + 2)[..., 1:-1].double()
    by_symbol, by_number = (runner(net, how, weights) for _ in range(2))
    expected = by_number.run(stream._replace(inputs=hot))
    torch.testing.assert_close(by_symbol.run(stream._replace(inputs=symbols)), expected, rtol=1e-12, atol=1e-13)


def test_nets_may_share_a_stream() -> None:
    torch.manual_seed(0)
    net = net_of("lstm1997")
    weights, rate, momentum = drawn(net)
    shared = OnlineStream(*(tensor[:, :1] for tensor in stream_of(net, 80)))
    agree(net, OnlineRule("rule1997", False, rate, momentum), weights, shared)


def test_nothing_is_learned_from_no_steps() -> None:
    net = net_of("lstm1997")
    weights, rate, momentum = drawn(net)
    nets = CompiledOnline(net, OnlineRule("rtrl", False, rate, momentum), weights)
    assert nets.run(OnlineStream(*(tensor[:0] for tensor in stream_of(net, 1)))).shape == (0, NETS, 2)
    assert torch.equal(nets.weights, weights)
