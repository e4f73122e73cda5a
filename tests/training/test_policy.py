"""Policy gradients on environments whose answer is known."""

from typing import Any

import numpy as np
import pytest
import torch

from carousel.tasks.control.batches import Turns
from carousel.training import PPO, REINFORCE, DivergenceError, Plan, fit, method_named
from tests.training.corridor import Cart, Corridor, Wage, batch, network
from tests.training.problem import summer


@pytest.mark.parametrize("environment", [Corridor, Cart])
@pytest.mark.parametrize("piece", [None, 3, 12])
@pytest.mark.parametrize("cell", ["lstm", "full_gate_recurrence"])
def test_what_was_played_is_judged_as_it_was_then(environment: Any, piece: int | None, cell: str) -> None:
    """In pieces, from the memories that were kept, with resets inside, after a first turn that ended anywhere."""
    acting = network(environment, cell=cell)
    player = acting.player()
    player.go_on(batch(steps=7), None)
    acting.get_used_to(np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32))
    played = player.go_on(batch(number=1), piece).cut()
    judged = acting.judge(played)
    assert played.reset.any() and not played.reset.all()
    torch.testing.assert_close(judged.log_probs, played.log_probs, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(judged.values, played.values, rtol=1e-5, atol=1e-6)


def test_whole_episodes_are_judged_as_they_were_too() -> None:
    acting = network(Corridor)
    played = acting.player().whole(batch(lanes=5)).cut()
    judged = acting.judge(played)
    assert played.rewards.shape == (4, 5)
    assert (played.rewards[played.mask].abs().sum(), played.ended.sum()) == (5, 5)
    torch.testing.assert_close(judged.log_probs[played.mask], played.log_probs[played.mask])


def test_what_follows_a_cut_is_its_value_and_what_follows_an_end_is_nothing() -> None:
    for cut_off in (True, False):
        acting = network(lambda cut_off=cut_off: Wage(cut_off))
        torch.nn.init.constant_(acting.critic.line.bias, 5.0)  # pyright: ignore[reportOptionalMemberAccess]
        played = acting.player().go_on(batch(lanes=2, steps=9), None)
        assert played.ended[3].all() and played.ended[7].all() and played.ended.sum() == 4
        assert played.reset[[0, 4, 8]].all() and played.reset.sum() == 6
        ends = played.following[played.ended]
        assert (ends > 4).all() if cut_off else (ends == 0).all()
        torch.testing.assert_close(played.following[:3], played.values[1:4])


@pytest.mark.parametrize(("cut_off", "worth"), [(True, 2.0), (False, (1.875 + 1.75 + 1.5 + 1) / 4)])
def test_values_count_on_what_a_cut_took_away(cut_off: bool, worth: float) -> None:
    """1 a step, worth half a step later: 2 for ever; to the end of four steps 1.53 on average."""
    acting = network(lambda: Wage(cut_off), remembers=False)
    method = PPO(learning_rate=0.02, discount=0.5, trace=1.0, scale_rewards=False, passes=8)
    for _ in fit(acting, Turns(4, 16, 20, 0), method, Plan(epochs=1)):
        continue
    values = acting.player().go_on(batch(lanes=1, steps=4), None).values
    torch.testing.assert_close(values, torch.full_like(values, worth), atol=0.05, rtol=0)


@pytest.mark.parametrize(("name", "rate"), [("ppo", 0.02), ("reinforce", 0.03)])
def test_a_policy_remembers_the_sign(name: str, rate: float) -> None:
    method = method_named(name, learning_rate=rate)
    acting = network(Corridor)
    *_, last = fit(acting, Turns(16, 16, 40, 0), method, Plan(epochs=2), validation=Turns(32, 0, 1, 1))
    assert last.best == -1
    assert last.history[-1]["loss"] < -0.9


def test_without_memory_it_cannot() -> None:
    acting = network(Corridor, remembers=False)
    *_, last = fit(acting, Turns(16, 16, 40, 0), PPO(learning_rate=0.02), Plan(epochs=2))
    assert abs(last.history[-1]["loss"]) < 0.2


def test_amounts_are_learned() -> None:
    acting = network(Cart, hidden=8)
    *_, last = fit(acting, Turns(16, 24, 40, 0), PPO(learning_rate=0.01), Plan(epochs=2))
    assert last.history[1]["loss"] < last.history[0]["loss"] / 3


def test_a_gradient_step_of_reinforce_is_the_sum_of_score_times_gain() -> None:
    """The first step by plain descent, against the definition, from what was played."""
    acting, twin = network(Corridor), network(Corridor)
    turns = batch(lanes=6)
    torch.manual_seed(5)
    played = twin.player().whole(turns)
    method = REINFORCE(
        learning_rate=0.1, optimizer="sgd", clip_norm=None, value_weight=0.0, discount=0.9, scale_rewards=False
    )
    method.prepare(acting, 1, 1)
    torch.manual_seed(5)
    method.update(acting, turns)
    returns = torch.stack([played.rewards[-1] * 0.9 ** (3 - step) for step in range(4)])
    gained = (returns - played.values) - (returns - played.values).mean()
    gained = gained / gained.std(correction=0)
    (twin.judge(played.cut()).log_probs * gained).mean().backward()
    for (name, own), other in zip(acting.actor.named_parameters(), twin.actor.parameters(), strict=True):
        assert other.grad is not None
        torch.testing.assert_close(own, other + 0.1 * other.grad, msg=name)


def test_the_clipped_objective_stops_where_the_policy_has_moved_far_enough() -> None:
    change = torch.tensor([0.5, -0.5, 0.5, -0.5, 0.1], requires_grad=True)
    loss = PPO(clip=0.2)._policy_loss(change, torch.tensor([1.0, 1.0, -1.0, -1.0, 1.0]))
    loss.backward()
    assert change.grad is not None
    assert (change.grad != 0).tolist() == [False, True, True, False, True]
    ratio = change.detach().exp()
    assert loss.item() == pytest.approx(-(1.2 + ratio[1] - ratio[2] - 0.8 + ratio[4]).item() / 5)


def test_options_outside_their_range_are_named() -> None:
    with pytest.raises(ValueError, match="discount is 1.5; it is a number from 0 to 1"):
        method_named("ppo", discount=1.5)
    with pytest.raises(ValueError, match="clip is 0; it is a finite number above 0"):
        method_named("ppo", clip=0)
    with pytest.raises(ValueError, match="passes is 0"):
        method_named("ppo", passes=0)
    with pytest.raises(ValueError, match="entropy is -1"):
        method_named("reinforce", entropy=-1)
    for name in ("clip", "stop_kl", "entropy", "value_weight", "discount", "trace", "passes"):
        for value in ("a", float("nan")):
            with pytest.raises((TypeError, ValueError), match=f"{name} is {value!r}; it is a .*number"):
                method_named("ppo", **{name: value})
    with pytest.raises(ValueError, match="precision is 'bfloat16'; policies act and learn in float32"):
        method_named("reinforce", precision="bfloat16")
    assert PPO(stop_kl=None).stop_kl is None
    with pytest.raises(ValueError, match="12 steps between updates are no whole number of pieces of 5"):
        method = PPO(piece=5)
        method.prepare(network(), 1, 1)
        method.update(network(), batch())


def test_numbers_of_numpy_are_numbers() -> None:
    numbers: dict[str, Any] = {"passes": np.int64(2), "minibatches": np.int32(3), "piece": np.int64(4)}
    method = PPO(**numbers, trace=np.float32(0.5))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert method == PPO(passes=2, minibatches=3, piece=4, trace=0.5)
    assert all(type(getattr(method, name)) is int for name in numbers), "as JSON can hold them"
    with pytest.raises(ValueError, match="passes is True; it is a whole number"):
        PPO(passes=True)


def test_an_update_that_diverges_leaves_the_weights_as_they_were() -> None:
    acting = network()
    method = PPO(learning_rate=1e20)
    method.prepare(acting, 1, 1)
    before = [weights.clone() for weights in acting.parameters()]
    with pytest.raises(DivergenceError):
        method.update(acting, batch())
    assert all(torch.equal(own, old) for own, old in zip(acting.parameters(), before, strict=True))


def test_a_model_that_does_not_act_is_refused() -> None:
    with pytest.raises(TypeError, match="Summer cannot learn by policy gradients"):
        PPO().prepare(summer(), 1, 1)
