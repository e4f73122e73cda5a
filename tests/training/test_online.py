"""Learning from streams step by step: the protocol, in memory that does not grow."""

import pytest
import torch
from torch import Tensor

from carousel.cells import find
from carousel.training import OnlineLearner, OnlineNet, online

NET = OnlineNet(find("lstm1997"), 3, 4, 3, gates_recur=True)


def stream(time: int = 300, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Symbols, and whether each of three was seen a step before."""
    symbols = torch.randint(0, 3, (time, 1), generator=torch.Generator().manual_seed(seed))
    return symbols, torch.nn.functional.one_hot(symbols.roll(1, 0), 3).double()


def joined(learner: OnlineLearner) -> Tensor:
    """All weights (nets, weights)."""
    return torch.cat([part.flatten(1) for part in learner.weights.values()], dim=1)


@pytest.fixture(params=["compiled", "plain"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the kernels, where there are some, and without."""
    if request.param == "plain":
        monkeypatch.setattr(online.extension, "module", None)
    elif online.extension.module is None:
        pytest.skip("no kernels here")


@pytest.mark.parametrize("rule", ["rule1997", "rtrl"])
def test_nets_learn_a_lag(rule: str) -> None:
    net = OnlineNet(find("lstm"), 3, 4, 3)
    learner = OnlineLearner(net=net, nets=8, rule=rule, learning_rate=0.5, spread=0.5)
    learner.learn(*stream(20000))
    symbols, targets = stream(300, 1)
    errors = (learner.predict(symbols) - targets)[1:].abs().amax((0, 2))
    assert (errors < 0.4).sum() >= 4, errors


@pytest.mark.usefixtures("either")
def test_answers_change_nothing_and_begin_at_zero() -> None:
    symbols, targets = stream()
    learner, other = (OnlineLearner(net=NET, nets=2) for _ in range(2))
    for each in (learner, other):
        each.learn(symbols[:40], targets[:40])
    answers = learner.predict(symbols[:50])
    assert torch.equal(answers, learner.predict(symbols[:50]))
    assert torch.equal(learner.learn(symbols[40:80], targets[40:80]), other.learn(symbols[40:80], targets[40:80]))


@pytest.mark.usefixtures("either")
def test_a_learner_goes_on_from_its_state_to_the_bit() -> None:
    symbols, targets = stream()
    learner, other = (OnlineLearner(net=NET, nets=3, momentum=0.5, rule="rtrl", seed=seed) for seed in (0, 1))
    learner.learn(symbols[:30], targets[:30], update=(torch.arange(30) % 7 == 0).unsqueeze(1))
    other.restore(learner.state())
    for each in (learner, other):
        each.learn(symbols[30:60], targets[30:60])
    assert all(torch.equal(learner.weights[name], other.weights[name]) for name in learner.weights)


@pytest.mark.usefixtures("either")
def test_biases_are_set_and_a_rate_of_zero_learns_nothing() -> None:
    learner = OnlineLearner(net=NET, nets=2, learning_rate=[0.0, 0.5])
    learner.set_bias("input", [-1, -3, -5, -7])
    before = learner.weights["W"]
    assert before[:, :4, -1].tolist() == [[-1, -3, -5, -7]] * 2
    learner.learn(*stream(20))
    changed = (learner.weights["W"] != before).flatten(1).any(1)
    assert changed.tolist() == [False, True]


@pytest.mark.usefixtures("either")
def test_cells_wait_until_they_are_called() -> None:
    net = OnlineNet(find("lstm1997").with_options(block=2), 3, 4, 3, gates_recur=True, shortcut=True)
    full, growing = (OnlineLearner(net=net, nets=2, learning_rate=0.3, cells=cells) for cells in (None, 2))
    waits, before = net.reach() > 2, joined(full)
    growing.learn(*stream(40))
    found = joined(growing)
    assert (found[:, waits] == 0).all()
    assert (found != before)[:, net.learned() & ~waits].all()
    growing.add_cells(2)
    grown = joined(growing)
    assert torch.equal(grown[:, ~waits], found[:, ~waits])
    assert torch.equal(grown[:, waits], before[:, waits])
    growing.learn(*stream(40))
    assert (joined(growing) != grown)[:, net.learned()].all()


@pytest.mark.usefixtures("either")
def test_a_net_without_cells_is_its_shortcut() -> None:
    net = OnlineNet(find("lstm1997"), 3, 1, 3, shortcut=True, biased=())
    learner = OnlineLearner(net=net, cells=0, learning_rate=0.5)
    symbols, _ = stream(2000)
    learner.learn(symbols, torch.nn.functional.one_hot(symbols, 3).double())
    assert (learner.predict(symbols[:20]).argmax(2) == symbols[:20]).all()
    assert (learner.weights["W"] == 0).all()


@pytest.mark.usefixtures("either")
def test_a_learner_that_grew_goes_on_from_its_state_to_the_bit() -> None:
    symbols, targets = stream()
    learner, other = (OnlineLearner(net=NET, nets=3, cells=1, momentum=0.5, seed=seed) for seed in (0, 1))
    learner.set_bias("input", [-1, -2, -3, -4])
    learner.learn(symbols[:30], targets[:30])
    learner.add_cells(2)
    learner.learn(symbols[30:40], targets[30:40])
    other.restore(learner.state())
    for each in (learner, other):
        each.learn(symbols[40:60], targets[40:60])
        each.add_cells(1)
        each.learn(symbols[60:90], targets[60:90])
    assert all(torch.equal(learner.weights[name], other.weights[name]) for name in learner.weights)
    assert learner.weights["W"][0, 3, -1] != 0


@pytest.mark.usefixtures("either")
def test_weights_are_loaded() -> None:
    symbols, targets = stream(50)
    learner, other = (OnlineLearner(net=NET, nets=2, seed=seed) for seed in (0, 1))
    learner.learn(symbols, targets)
    other.load(learner.weights)
    assert torch.equal(other.predict(symbols), learner.predict(symbols))
    with pytest.raises(ValueError, match="these weights are not of this net and as many"):
        other.load({name: part[:1] for name, part in learner.weights.items()})


def test_only_observed_steps_teach() -> None:
    symbols, targets = stream(20)
    learner = OnlineLearner(net=NET)
    before = learner.weights["W"]
    learner.learn(symbols, torch.full_like(targets, torch.nan), observed=torch.zeros(20, 1, dtype=torch.bool))
    assert torch.equal(learner.weights["W"], before)


@pytest.mark.usefixtures("either")
def test_a_step_may_have_no_symbol() -> None:
    symbols = torch.tensor([[0], [-1], [2]])
    hot = torch.nn.functional.one_hot(symbols + 1, 4)[..., 1:].double()
    learner = OnlineLearner(net=NET)
    torch.testing.assert_close(learner.predict(symbols), learner.predict(hot))


def test_what_is_not_right_is_said() -> None:
    symbols, targets = stream(20)
    learner = OnlineLearner(net=NET, nets=2)
    with pytest.raises(
        ValueError, match=r"inputs are torch.float32 of shape \(20, 2, 4\); give numbers \(time, 2 or 1, 3\)"
    ):
        learner.learn(torch.zeros(20, 2, 4), targets)
    with pytest.raises(ValueError, match=r"targets have shape \(19, 1, 3\); give \(20, 2 or 1, 3\)"):
        learner.learn(symbols, targets[1:], observed=torch.ones(20, 1, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"flags of shape \(19, 1\); they are \(20, 2 or 1\)"):
        learner.learn(symbols, targets, begins=torch.ones(19, 1, dtype=torch.bool))
    with pytest.raises(TypeError, match=r"flags are torch.int64; they are tensors of booleans"):
        learner.learn(symbols, targets, observed=torch.full((20, 1), 2))
    with pytest.raises(TypeError, match=r"inputs are a ndarray; give a tensor, such as torch.as_tensor\(inputs\)"):
        learner.learn(symbols.numpy(), targets)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="filter is 5; it is an OnlineFilter"):
        OnlineLearner(net=NET, filter=5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="cell is 'lstm'; it is a row of the table"):
        OnlineNet("lstm", 3, 4, 3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="this state is of 2 nets; this learner has 3"):
        OnlineLearner(net=NET, nets=3).restore(learner.state())
    for symbol in (-2, 3, 7):
        sentence = f"there is a symbol {symbol}; a net with 3 inputs has symbols from 0 to 2, and -1 stands for none"
        with pytest.raises(ValueError, match=sentence):
            learner.learn(torch.full((20, 1), symbol), targets)
    with pytest.raises(ValueError, match="there is a symbol 3"):
        learner.predict(torch.tensor([[0], [3]]))
    for spread in (float("nan"), float("inf"), -0.1):
        with pytest.raises(ValueError, match=f"spread is {spread}; it is a finite number of at least 0"):
            OnlineLearner(net=NET, spread=spread)
    with pytest.raises(ValueError, match="rule is 'bptt'; it can be rule1997, rtrl"):
        OnlineLearner(net=NET, rule="bptt")
    with pytest.raises(
        ValueError, match="learning_rate is \\[0.1\\]; it is a number of at least 0, or one for each net"
    ):
        OnlineLearner(net=NET, nets=2, learning_rate=[0.1])
    with pytest.raises(ValueError, match="3 cells are to take part; a net has 4, in blocks of 2"):
        OnlineLearner(net=OnlineNet(find("lstm1997").with_options(block=2), 3, 4, 3), cells=3)
    with pytest.raises(ValueError, match="5 cells are to take part; a net has 4, in blocks of 1"):
        learner.add_cells(1)
    with pytest.raises(ValueError, match="2 biases for the forget gate; this net has units"):
        learner.set_bias("forget", [1, 1])


@pytest.mark.usefixtures("either")
def test_streams_that_do_not_fit_are_refused_first() -> None:
    """No flags were given, so none are wrong; and what a learner has in mind is as it was."""
    symbols, targets = stream(20)
    learner = OnlineLearner(net=NET, nets=2)
    learner.learn(symbols, targets)
    before = {name: tensor.clone() for name, tensor in learner.state().items()}
    for wrong in (targets[:5], targets[0, 0], targets.sum()):
        with pytest.raises(ValueError, match=r"targets have shape \(.*\); give \(20, 2 or 1, 3\)"):
            learner.learn(symbols, wrong)
    for name, given in (("inputs", ([0, 1], [0, 1])), ("targets", (symbols, [0, 1]))):
        with pytest.raises(TypeError, match=rf"{name} are a list; give a tensor, such as torch.as_tensor\({name}\)"):
            learner.learn(*given)  # pyright: ignore[reportArgumentType]
    for inputs in (torch.full_like(symbols, 3), torch.tensor(0)):
        with pytest.raises(ValueError, match=r"there is a symbol 3|inputs are torch.int64 of shape \(\)"):
            learner.predict(inputs)
    with pytest.raises(TypeError, match="inputs are a list"):
        learner.predict([0, 1])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="flags of shape"):
        learner.predict(symbols, begins=torch.ones(19, 1, dtype=torch.bool))
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.state().items())


def test_counts_that_cannot_be_are_refused() -> None:
    for nets in (0, 2.0, True, "2"):
        with pytest.raises(ValueError, match=f"nets is {nets!r}; it is a whole number of at least 1"):
            OnlineLearner(net=NET, nets=nets)  # pyright: ignore[reportArgumentType]
    for hidden in (0, 4.0):
        with pytest.raises(ValueError, match=f"hidden is {hidden}; it is a whole number of at least 1"):
            OnlineNet(find("lstm"), 3, hidden, 3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"cells is 2.0; it is a whole number of at least 0"):
        OnlineLearner(net=NET, cells=2.0)  # pyright: ignore[reportArgumentType]
    learner = OnlineLearner(net=NET, nets=2, cells=2)
    for count in (-1, 1.0):
        with pytest.raises(ValueError, match=f"count is {count}; it is a whole number of at least 0"):
            learner.add_cells(count)  # pyright: ignore[reportArgumentType]
    assert learner.cells == 2
