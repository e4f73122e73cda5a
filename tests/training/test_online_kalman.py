"""The compiled Kalman filter of online nets held to the float64 filter in plain torch, and this to autograd."""

from math import nan

import pytest
import torch
from torch import Tensor

from carousel.cells import find
from carousel.ops.cpu.online import CompiledOnline
from carousel.ops.filter_noise import Variances
from carousel.ops.influence import RULES
from carousel.ops.online import RESET, OnlineNet, OnlineRule, OnlineStream
from carousel.ops.online_filter import GROUPS
from carousel.testing.poison import poisoned_memory
from carousel.training import OnlineFilter, OnlineLearner, online
from carousel.training.filter import KalmanFilter
from carousel.training.online_kalman import FilteredOnline
from tests.ops.cpu.extension import TARGETS, needs_extension, target
from tests.ops.test_influence import CELLS

NETS, INPUTS, OUTPUTS = 11, 3, 3
SHARP = {"initial_covariance": 2.0, "measurement_noise": 5.0, "final_measurement_noise": 0.5, "annealing_updates": 25}


def rule_of(name: str, groups: str) -> OnlineRule:
    nothing = torch.zeros(NETS, dtype=torch.float64)
    return OnlineRule(name, False, nothing, nothing, OnlineFilter(groups=groups, **SHARP))


def net_of(name: str, **options) -> OnlineNet:
    return OnlineNet(CELLS[name], INPUTS, 4, OUTPUTS, **options)


def drawn(net: OnlineNet) -> Tensor:
    return 0.5 * torch.randn(NETS, net.weights, dtype=torch.float64) * net.learned()


def stream_of(time: int) -> OnlineStream:
    """Random steps with every mix of flags; where there is no target there is NaN."""
    flags = torch.randint(0, 8, (time, NETS), dtype=torch.uint8)
    flags = torch.where(torch.rand(time, NETS) < 0.9, flags & ~torch.tensor(RESET, dtype=torch.uint8), flags)
    targets = torch.rand(time, NETS, OUTPUTS, dtype=torch.float64)
    targets[(flags & 2) == 0] = nan
    return OnlineStream(torch.randn(time, NETS, INPUTS, dtype=torch.float64), targets, flags)


def agree(net: OnlineNet, rule: OnlineRule, time: int) -> None:
    """The kernels give what plain torch gives: outputs at every step, the weights afterwards, and the noise."""
    weights, stream = drawn(net), stream_of(time)
    with poisoned_memory():
        compiled = CompiledOnline(net, rule, weights)
        outputs = compiled.run(stream)
    plain = FilteredOnline(net, rule, weights)
    torch.testing.assert_close(outputs, plain.run(stream), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(compiled.weights, plain.weights, rtol=1e-7, atol=1e-9)
    noise = compiled.tensors()["noise"].transpose(1, 2).reshape(-1, 3)[:NETS]
    torch.testing.assert_close(noise, plain.tensors()["noise"], rtol=1e-12, atol=0)
    assert bool((plain.weights != weights)[:, net.learned()].all())


@needs_extension
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_estimated_as_in_plain_torch(name: str, rule: str) -> None:
    torch.manual_seed(0)
    agree(net_of(name), rule_of(rule, "unit"), 60)


@needs_extension
@pytest.mark.parametrize("instructions", TARGETS)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("groups", GROUPS)
def test_every_way_to_group_weights(groups: str, rule: str, instructions: str) -> None:
    torch.manual_seed(0)
    net = net_of("peephole in blocks", gates_recur=True, shortcut=True, squash="g1997", biased=("input", "readout"))
    with target(instructions):
        agree(net, rule_of(rule, groups), 100)


def test_the_first_update_is_the_filter_on_the_derivatives_of_autograd() -> None:
    torch.manual_seed(0)
    net = OnlineNet(find("peephole"), INPUTS, 4, OUTPUTS, shortcut=True)
    weights = (0.5 * torch.randn(1, net.weights, dtype=torch.float64) * net.learned()).requires_grad_()
    x, wanted = torch.randn(5, 1, INPUTS, dtype=torch.float64), torch.rand(5, 1, OUTPUTS, dtype=torch.float64)
    outputs = answered(net, weights, x)
    slopes = torch.stack([torch.autograd.grad(y, weights, retain_graph=True)[0][0] for y in outputs])
    by = OnlineFilter(groups="unit", **SHARP)
    filter_ = KalmanFilter(by.estimates(net), by.initial_covariance)
    noise = Variances(by.measurement_noise, by.process_noise)
    change = filter_.update(slopes, (wanted[-1, 0] - outputs).detach(), noise)
    nothing = torch.zeros(1, dtype=torch.float64)
    plain = FilteredOnline(net, OnlineRule("rtrl", False, nothing, nothing, by), weights.detach())
    flags = torch.tensor([[0], [0], [0], [0], [6]], dtype=torch.uint8)
    plain.run(OnlineStream(x, wanted, flags))
    torch.testing.assert_close(plain.weights[0] - weights[0].detach(), change, rtol=1e-9, atol=1e-12)


def answered(net: OnlineNet, weights: Tensor, x: Tensor) -> Tensor:
    """The outputs (outputs,) after all steps, with their graph."""
    parts = net.split(weights)
    h, cell = (torch.zeros(1, net.hidden, dtype=torch.float64) for _ in range(2))
    i, f, z, o = (net.rows[gate] for gate in ("input", "forget", "candidate", "output"))
    for now in x:
        pre = torch.cat([now, h, torch.ones(1, 1, dtype=torch.float64)], dim=1) @ parts["W"][0].T
        peeps = parts["p"][0]
        gates = torch.sigmoid(pre[:, i] + peeps[0] * cell), torch.sigmoid(pre[:, f] + peeps[1] * cell)
        cell = gates[1] * cell + gates[0] * torch.tanh(pre[:, z])
        h = torch.sigmoid(pre[:, o] + peeps[2] * cell) * torch.tanh(cell)
    read = torch.cat([h, x[-1], torch.ones(1, 1, dtype=torch.float64)], dim=1)
    return torch.sigmoid(read @ parts["readout"][0].T)[0]


def test_each_weight_is_in_one_group() -> None:
    net = net_of("peephole in blocks", biased=("input",))
    sizes = {groups: OnlineFilter(groups=groups).estimates(net) for groups in GROUPS}
    for groups in sizes.values():
        assert torch.equal(torch.cat(groups).sort().values, torch.nonzero(net.learned())[:, 0])
    rows = net.shapes["W"][0]
    assert [len(sizes[groups]) for groups in GROUPS] == [rows + OUTPUTS, 2, 1]
    first = sizes["unit"][0]
    assert len(first) == INPUTS + 4 + 1 + 2, "a shared input gate: inputs, h, a bias and two peepholes"


@needs_extension
@pytest.mark.slow
def test_covariances_stay_positive_definite_over_a_hundred_thousand_updates() -> None:
    torch.manual_seed(0)
    net = OnlineNet(find("peephole"), 2, 2, 2)
    by = OnlineFilter(groups="layer", final_measurement_noise=1e-3, final_process_noise=1e-9, annealing_updates=1000)
    learner = OnlineLearner(net=net, nets=8, rule="rtrl", filter=by)
    for _ in range(20):
        x = torch.randn(5000, 1, 2, dtype=torch.float64)
        learner.learn(x, torch.sigmoid(x.roll(1, 0)))
    assert torch.isfinite(learner.weights["W"]).all()
    triangles = learner.state()["covariance"][0].T
    at = 0
    for group in by.estimates(net):
        size = len(group) * (len(group) + 1) // 2
        for triangle in triangles[:, at : at + size]:
            lower = torch.zeros(len(group), len(group), dtype=torch.float64)
            lower[tuple(torch.tril_indices(len(group), len(group)))] = triangle
            assert torch.linalg.eigvalsh(lower).min() > 0
        at += size


@pytest.fixture(params=["compiled", "plain"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the kernels, where there are some, and without."""
    if request.param == "plain":
        monkeypatch.setattr(online.extension, "module", None)
    elif online.extension.module is None:
        pytest.skip("no kernels here")


def learner_of(**options) -> OnlineLearner:
    return OnlineLearner(net=OnlineNet(find("lstm"), 3, 2, 3), nets=2, filter=OnlineFilter(**SHARP), **options)


def lagged(time: int) -> tuple[Tensor, Tensor]:
    """Symbols, and which one was there a step before."""
    symbols = torch.randint(0, 3, (time, 1))
    return symbols, torch.nn.functional.one_hot(symbols.roll(1, 0), 3).double()


@pytest.mark.usefixtures("either")
def test_a_learner_goes_on_from_its_state_to_the_bit() -> None:
    torch.manual_seed(0)
    symbols, targets = lagged(60)
    learner, other = learner_of(seed=0), learner_of(seed=1)
    learner.learn(symbols[:30], targets[:30])
    other.restore(learner.state())
    for each in (learner, other):
        each.learn(symbols[30:], targets[30:])
    assert all(torch.equal(learner.weights[name], other.weights[name]) for name in learner.weights)
    assert not torch.equal(learner.weights["W"], learner_of(seed=0).weights["W"])


@needs_extension
def test_it_learns_a_lag_from_fewer_steps_than_descent() -> None:
    torch.manual_seed(0)
    symbols, targets = lagged(3000)
    net = OnlineNet(find("lstm"), 3, 4, 3)
    by_filter = OnlineLearner(net=net, nets=8, rule="rtrl", filter=OnlineFilter(annealing_updates=1000))
    by_descent = OnlineLearner(net=net, nets=8, rule="rtrl", learning_rate=0.5)
    for each in (by_filter, by_descent):
        each.learn(symbols, targets)
    errors = [(each.predict(symbols) - targets)[1:].square().mean((0, 2)) for each in (by_filter, by_descent)]
    assert (errors[0] < errors[1]).sum() >= 6, errors


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="groups is 'gate'; it can be unit, layer, global"):
        OnlineFilter(groups="gate")
    with pytest.raises(ValueError, match="error is 'cross_entropy'; a Kalman filter takes squared errors"):
        learner_of(error="cross_entropy")
    nothing = torch.zeros(1, dtype=torch.float64)
    with pytest.raises(ValueError, match="this rule has no filter"):
        FilteredOnline(net_of("lstm"), OnlineRule("rtrl", False, nothing, nothing), drawn(net_of("lstm"))[:1])
