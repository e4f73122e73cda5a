"""Trials: runs of right answers, with the kernels and without."""

import re

import pytest
import torch
from torch import Tensor

from carousel.cells import Gate, find
from carousel.training import OnlineLearner, OnlineNet, Trials, online

NET = OnlineNet(find("lstm"), 3, 4, 3)
TIME = 600


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the kernels, where there are some, and without."""
    if request.param == "plain":
        monkeypatch.setattr(online.extension, "module", None)
    elif online.extension.module is None:
        pytest.skip("no kernels here")


def stream(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Symbols, whether each of three was seen a step before, and a start now and then."""
    generator = torch.Generator().manual_seed(seed)
    symbols = torch.randint(0, 3, (TIME, 1), generator=generator)
    starts = torch.rand(TIME, 1, generator=generator) < 0.3
    return symbols, torch.nn.functional.one_hot(symbols.roll(1, 0), 3).double(), starts


def test_trials_are_what_the_outputs_say() -> None:
    symbols, targets, starts = stream()
    learner = OnlineLearner(net=NET, nets=2, learning_rate=0.0, spread=2.0)
    lengths = learner.attempt(symbols, targets, Trials(tolerance=0.9, longest=5), starts=starts)
    for net in range(2):
        expected, at = [], 0
        while at < TIME:
            if not starts[at]:
                at += 1
                continue
            outputs = learner.predict(symbols[at : at + 5])[:, net]
            right = ((outputs - targets[at : at + 5, 0]).abs() < 0.9).all(1).tolist()
            length = right.index(False) if False in right else len(right)
            ended = False in right or len(right) == 5
            expected += [length] * ended
            at += length + (False in right)
        assert lengths[net] == expected and len(set(expected)) > 2


def test_what_was_wrong_is_learned_from() -> None:
    symbols, targets, starts = stream()
    learner = OnlineLearner(net=NET, learning_rate=0.5, spread=0.5)
    before = learner.weights["W"]
    assert learner.attempt(symbols[:1], targets[:1], Trials(tolerance=0.01), starts=starts[:1] | True) == [[0]]
    assert not torch.equal(learner.weights["W"], before)


def test_the_learning_rate_fades_within_a_trial() -> None:
    symbols, targets, starts = stream()
    starts = torch.arange(TIME).unsqueeze(1) == 0
    fading, once = (OnlineLearner(net=NET, learning_rate=0.5, spread=0.5) for _ in range(2))
    fading.attempt(symbols, targets, Trials(tolerance=9.0, fading=1e-12), starts=starts)
    once.attempt(symbols[:1], targets[:1], Trials(tolerance=9.0), starts=starts[:1])
    torch.testing.assert_close(fading.weights["W"], once.weights["W"], rtol=0, atol=1e-9)
    whole = OnlineLearner(net=NET, learning_rate=0.5, spread=0.5)
    whole.attempt(symbols, targets, Trials(tolerance=9.0), starts=starts)
    assert not torch.allclose(whole.weights["W"], once.weights["W"], rtol=0, atol=1e-3)


def test_a_state_is_put_back_where_strings_begin() -> None:
    symbols, targets, _ = stream()
    begins = torch.arange(TIME).unsqueeze(1) % 7 == 0
    told, free, learned = (OnlineLearner(net=NET, learning_rate=0.5, spread=0.5) for _ in range(3))
    how, starts = Trials(tolerance=9.0), torch.arange(TIME).unsqueeze(1) == 0
    told.attempt(symbols, targets, how, starts=starts, begins=begins)
    free.attempt(symbols, targets, how, starts=starts)
    learned.learn(symbols, targets, begins=begins)
    assert torch.equal(told.weights["W"], learned.weights["W"])
    assert not torch.equal(told.weights["W"], free.weights["W"])


def test_a_net_takes_the_place_of_another() -> None:
    symbols, targets, starts = stream()
    how = Trials(tolerance=0.49)
    learner, other = OnlineLearner(net=NET, nets=3), OnlineLearner(net=NET, nets=2, seed=1)
    learner.attempt(symbols, targets, how, starts=starts)
    learner.renew(1, other, of=1)
    assert torch.equal(learner.weights["W"][1], other.weights["W"][1])
    learner.attempt(symbols, targets, how, starts=starts)
    other.attempt(symbols, targets, how, starts=starts)
    torch.testing.assert_close(learner.weights["W"][1], other.weights["W"][1])
    with pytest.raises(ValueError, match="same description"):
        learner.renew(0, OnlineLearner(net=OnlineNet(find("lstm1997"), 3, 4, 3)))


def test_a_learner_goes_on_from_its_state_in_the_middle_of_a_trial() -> None:
    symbols, targets, starts = stream()
    how = Trials(tolerance=0.9, fading=0.99)
    learner, other = OnlineLearner(net=NET, momentum=0.5, spread=2.0), OnlineLearner(net=NET, momentum=0.5, seed=1)
    learner.attempt(symbols[:250], targets[:250], how, starts=starts[:250])
    other.restore(learner.state())
    first, second = (each.attempt(symbols[250:], targets[250:], how, starts=starts[250:]) for each in (learner, other))
    assert first == second and torch.equal(learner.weights["W"], other.weights["W"])


def test_a_fixed_gate_has_the_bias_that_it_was_given() -> None:
    cell = find("lstm").with_options(candidate=Gate("g1997"))
    learner = OnlineLearner(net=OnlineNet(cell, 3, 4, 3, fixed=("forget",)), learning_rate=0.5, spread=0.5)
    learner.set_bias("forget", [2.0] * 4)
    symbols, targets, _ = stream()
    learner.learn(symbols, targets)
    forget = learner.weights["W"][0, learner.net.rows["forget"]]
    assert forget[:, -1].tolist() == [2.0] * 4 and not forget[:, :-1].any()
    with pytest.raises(ValueError, match=r"fixed names \['memory'\]; it can name input, forget, candidate, output"):
        OnlineNet(cell, 3, 4, 3, fixed=("memory",))


def test_trials_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="tolerance is 0; it is more than 0"):
        Trials(tolerance=0)
    for name in ("longest", "most", "enough"):
        for value in (0, 2.5, True, 2**63 - 1):
            message = re.escape(f"{name} is {value}; it is a whole number from 1 to {2**53}")
            with pytest.raises(ValueError, match=message):
                Trials(**{"tolerance": 0.1, name: value})


def test_as_many_trials_as_can_be() -> None:
    symbols, targets, starts = stream()
    most, usual = (OnlineLearner(net=NET, nets=2, learning_rate=0.3) for _ in range(2))
    how = Trials(tolerance=0.45, longest=2**53, most=2**53, enough=2**53)
    found = most.attempt(symbols, targets, how, starts=starts)
    assert found == usual.attempt(symbols, targets, Trials(tolerance=0.45), starts=starts) and found[0]


def test_a_place_that_is_not_there_is_refused() -> None:
    """And nothing has changed: neither net, nor what waits behind the last one."""
    learner, other = OnlineLearner(net=NET, nets=3), OnlineLearner(net=NET, nets=2, seed=1)
    before = {name: tensor.clone() for name, tensor in learner.state().items()}
    for place in (-1, 3, 7, 99, 1.0, True):
        with pytest.raises(ValueError, match=re.escape(f"place is {place}; it is a whole number from 0 to 2")):
            learner.renew(place, other)  # pyright: ignore[reportArgumentType]
    for of in (-1, 2, 0.0):
        with pytest.raises(ValueError, match=re.escape(f"of is {of}; it is a whole number from 0 to 1")):
            learner.renew(0, other, of)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="net is 5; it is an OnlineLearner"):
        learner.renew(0, 5)  # pyright: ignore[reportArgumentType]
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.state().items())


def test_an_attempt_that_cannot_be_is_refused() -> None:
    symbols, targets, starts = stream()
    learner, how = OnlineLearner(net=NET, nets=3), Trials(tolerance=0.1)
    with pytest.raises(ValueError, match=r"targets have shape \(5, 1, 3\); give \(600, 3 or 1, 3\)"):
        learner.attempt(symbols, targets[:5], how, starts=starts)
    with pytest.raises(TypeError, match=r"targets are a list; give a tensor, such as torch.as_tensor\(targets\)"):
        learner.attempt(symbols, [0, 1], how, starts=starts)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="trials is 0.1; it is Trials"):
        learner.attempt(symbols, targets, 0.1, starts=starts)  # pyright: ignore[reportArgumentType]
