"""Controllers: learning to act, playing, saving, and what they refuse."""

import copy
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Dict, Discrete, MultiBinary

from carousel.tasks import Controller, load
from carousel.tasks.control.baselines import baseline_returns
from carousel.tasks.control.batches import Turns
from carousel.tasks.control.evaluation import Returns
from carousel.tasks.control.spaces import senses_of
from carousel.tasks.control.world import world_of
from carousel.training import CheckpointError
from carousel.training.evolution import batched_losses
from tests.training.corridor import Cart, Corridor, Forgetful, controller, network, stopped
from tests.training.problem import timeless

LONG: dict[str, Any] = {"batch_size": 16, "updates_per_epoch": 15, "max_epochs": 2, "learning_rate": 0.03}


ONLY_ONE = Corridor()


@pytest.fixture(scope="module")
def walker() -> Controller:
    """A controller that has learned the corridor."""
    return controller(**LONG).fit(Corridor)


def test_it_learns_to_remember(walker: Controller) -> None:
    found = walker.evaluate(Corridor, episodes=50)
    assert found.mean == 1 and found.interval() == (1, 1)
    assert walker.score(Corridor) == 1
    assert [row["epoch"] for row in walker.history_] == [1, 2]
    assert {"entropy", "moved", "learning_rate"} <= walker.history_[0].keys()


@pytest.mark.parametrize("method", ["reinforce", "evolution"])
def test_other_methods_learn_it_too(method: str) -> None:
    options = {"population": 32, "sigma": 0.5} if method == "evolution" else None
    found = controller(**LONG, method=method, method_options=options).fit(Corridor)
    assert found.evaluate(Corridor, episodes=50).mean == 1


def test_without_memory_half_of_the_signs_are_forgotten() -> None:
    found = controller(**LONG, memory=False).fit(Corridor)
    assert abs(found.evaluate(Corridor, episodes=200).mean) < 0.3


def test_it_acts_step_by_step_with_a_memory_that_is_handed_on(walker: Controller) -> None:
    for seed in range(6):
        world, state, over, reward = Corridor(), None, False, 0.0
        observation, _ = world.reset(seed=seed)
        while not over:
            action, state = walker.act(observation, state)
            observation, reward, over, _, _ = world.step(action)
        assert reward == 1


def test_many_are_answered_as_each_alone(walker: Controller) -> None:
    observations = np.array([[1, 0], [-1, 0], [0, 0]], dtype=np.float32)
    together, state = walker.predict(observations)
    assert together.shape == (3,) and state[0].shape[1] == 3
    assert [walker.act(one)[0] for one in observations] == together.tolist()
    with pytest.raises(ValueError, match=r"shapes \(1, 3, \d+\), .*, but 2 observations need \(1, 2, \d+\), .*hand in"):
        walker.predict(observations[:2], state)


def test_numbers_are_acted_in_their_bounds() -> None:
    found = controller(**{**LONG, "rollout": 24, "learning_rate": 0.01}).fit(Cart)
    still = np.mean([-12 * place**2 for place in np.linspace(-1, 1, 101)])
    assert found.evaluate(Cart, episodes=30).mean > still / 3
    actions, _ = found.predict(np.array([[9.0, 9.0], [-9.0, -9.0]]))
    assert actions.shape == (2, 1) and actions.dtype == np.float32
    assert ((actions >= -2) & (actions <= 4)).all()


def test_observations_without_sense_are_refused(walker: Controller) -> None:
    hiding = controller(hide=(0,), max_epochs=1).fit(Corridor)
    for own, at in ((walker, 0), (hiding, 1)):
        with pytest.raises(ValueError, match=f"observation 0 is NaN at {at}; the memory would be NaN ever after"):
            own.act([np.nan, np.nan])
    with pytest.raises(ValueError, match="observation 1 is NaN at 1"):
        walker.predict([[0, 1], [0, np.nan]])
    assert hiding.act([np.nan, 1])[1][0].isfinite().all()
    signs = senses_of(Discrete(3, start=-1), ())
    assert signs.read([-1, 1]).tolist() == [[1, 0, 0], [0, 0, 1]]
    for case in (-2, 2, np.nan):
        with pytest.raises(ValueError, match=f"an observation is {case}.*; those in training were cases -1 to 1"):
            signs.read([0, case])


def test_hidden_observations_change_nothing() -> None:
    found = controller(hide=(0,)).fit(Corridor)
    state = None
    for end in (0, 0, 1):
        first, _ = found.predict(np.array([[1, end]]), state)
        second, state = found.predict(np.array([[77.0, end]]), state)
        assert (first == second).all()
    assert found.network_.senses.read(np.array([[5, 7]])).tolist() == [[7]]
    assert found.network_.actor.lstm.input_size == 1


def test_the_seed_decides_everything() -> None:
    first, again, other = (controller(random_state=seed).fit(Corridor) for seed in (0, 0, 1))
    weights = [own.network_.actor.line.weight for own in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    played = [first.evaluate(Corridor, episodes=9, seed=seed).values.tolist() for seed in (3, 3, 4)]
    assert played[0] == played[1] != played[2]


def test_it_is_saved_without_its_world(walker: Controller, tmp_path: Path) -> None:
    walker.save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    assert isinstance(loaded, Controller)
    assert loaded.get_params() == {**walker.get_params(), "hide": []}
    np.testing.assert_array_equal(
        loaded.evaluate(Corridor, episodes=9).values, walker.evaluate(Corridor, episodes=9).values
    )
    with pytest.raises(ValueError, match="it learned in an environment without an id; say in which one to play"):
        loaded.evaluate()
    with pytest.raises(ValueError, match="the environment has"):
        loaded.evaluate(Cart)


def test_a_vector_environment_gives_the_same_bits() -> None:
    alone = controller(rollout=5, updates_per_epoch=3).fit(Corridor)
    for count in (8, 20):
        lanes = gymnasium.vector.SyncVectorEnv(
            [Corridor] * count, autoreset_mode=gymnasium.vector.AutoresetMode.DISABLED
        )
        together = controller(rollout=5, updates_per_epoch=3).fit(lanes)
        assert torch.equal(alone.network_.actor.line.weight, together.network_.actor.line.weight)
        assert [row["gradient_norm"] for row in alone.history_] == [row["gradient_norm"] for row in together.history_]
    assert (
        together.evaluate(lanes, episodes=30).values.tolist() == alone.evaluate(Corridor, episodes=30).values.tolist()
    )


@pytest.mark.parametrize("kind", [gymnasium.vector.SyncVectorEnv, gymnasium.vector.AsyncVectorEnv])
def test_few_lanes_see_and_are_judged_as_any_others(kind: Any) -> None:
    """Glances and validation are played in rounds: their results know nothing of the number of lanes."""
    options: dict[str, Any] = {"batch_size": 2, "rollout": 24, "updates_per_epoch": 2, "validation_episodes": 7}
    alone = controller(**options).fit(Cart)
    lanes = kind([Cart] * 2, autoreset_mode=gymnasium.vector.AutoresetMode.DISABLED)
    together = controller(**options).fit(lanes)
    lanes.close()
    assert together.network_.counted == alone.network_.counted == 4 * 12 + 4 * 24 * 2
    for name, own in alone.network_.state_dict().items():
        assert torch.equal(own, together.network_.state_dict()[name]), name
    assert timeless(tuple(together.history_)) == timeless(tuple(alone.history_))


def test_a_vector_environment_that_begins_by_itself_is_refused() -> None:
    lanes = gymnasium.vector.SyncVectorEnv([Corridor] * 2)
    with pytest.raises(ValueError, match="make it with autoreset_mode=gymnasium.vector.AutoresetMode.DISABLED"):
        controller().fit(lanes)


@pytest.mark.parametrize("lanes", [None, 20])
def test_a_population_plays_as_each_network_alone(lanes: int | None) -> None:
    acting = network(Cart)
    acting.critic = acting.log_spread = None
    if lanes:
        disabled = gymnasium.vector.AutoresetMode.DISABLED
        acting.world = world_of(gymnasium.vector.SyncVectorEnv([Cart] * lanes, autoreset_mode=disabled), 100)
    batch = next(Turns(6, 0, 1, 0).epoch(0))
    size = sum(own.numel() for own in acting.parameters())
    vectors = 0.2 * torch.randn(5, size, generator=torch.Generator().manual_seed(0))
    found = batched_losses(acting, batch, vectors)
    alone = []
    for vector in vectors:
        torch.nn.utils.vector_to_parameters(vector, acting.parameters())
        acting.center.zero_()
        acting.spread.fill_(1)
        with torch.no_grad():
            alone.append(acting.loss(acting(batch), batch))
    assert found.tolist() == pytest.approx(torch.stack(alone).tolist())
    assert len(set(found.tolist())) == 5


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    for number, method in enumerate(("ppo", "reinforce", "evolution")):
        options: dict[str, Any] = {
            "method": method,
            "rollout": 7,
            "method_options": {"piece": 7} if not number else None,
        }
        expected = controller(**options).fit(Cart)
        path = tmp_path / f"{number}.safetensors"
        reports = controller(**options).fit_reports(Cart, checkpoint=path)
        for _ in range(3):
            next(reports)
        reports.close()
        resumed = controller(**options)
        assert len(list(resumed.fit_reports(Cart, checkpoint=path))) == 5
        for name, own in expected.network_.state_dict().items():
            assert torch.equal(own, resumed.network_.state_dict()[name]), (method, name)


def test_an_environment_that_does_not_repeat_itself_cannot_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    stopped(path, Forgetful, rollout=8)
    with pytest.raises(CheckpointError, match="the environment does not repeat itself"):
        next(controller(rollout=8).fit_reports(Forgetful, checkpoint=path))


def test_baselines_play_the_same_episodes(walker: Controller) -> None:
    found = baseline_returns(walker, Corridor, episodes=40)
    assert len(found) == 2 and "random actions" in found
    assert all(abs(returns.mean) < 0.7 for returns in found.values())
    best = next(name for name in found if name.startswith("always"))
    assert found[best].mean >= 0
    cart = controller().fit(Cart)
    assert set(baseline_returns(cart, Cart, episodes=5)) & {"always the lowest", "always the middle"}


def test_returns_tell_how_sure_they_are() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(200):
        low, high = Returns(rng.normal(3, 2, size=30)).interval(0.9)
        inside += low < 3 < high
    assert 0.82 < inside / 200 < 0.97
    assert Returns(np.array([1.0, 3.0])).deviation == 1


def test_a_step_limit_cuts_off() -> None:
    found = controller(longest=3).fit(Corridor)
    assert (found.evaluate(Corridor, episodes=5).values == 0).all()


def test_cases_are_read_as_one_of_many() -> None:
    class Signs(Corridor):
        observation_space: Any = Discrete(3, start=-1)

        def _seen(self) -> Any:
            return np.int64(super()._seen()[0])

    found = controller(**{**LONG, "max_epochs": 1}).fit(lambda: Signs(0))
    assert found.network_.actor.lstm.input_size == 3
    assert found.evaluate(lambda: Signs(0), episodes=20).mean == 1


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ImportError, match=r'pip install "carousel-lstm\[control\]"'):
        controller().fit("CartPole-v1")


def test_box2d_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("gymnasium.envs.box2d")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "Box2D", None)
    with pytest.raises(ImportError, match=r'pip install "carousel-lstm\[box2d\]"'):
        controller().fit("LunarLander-v3")


def test_a_package_that_an_environment_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("gymnasium.envs.mujoco")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "glfw", None)
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(ImportError, match=r"'Ant-v5' needs a package.*(glfw|mujoco).*\[mujoco\]"):
        controller().fit("Ant-v5")
    monkeypatch.setitem(gymnasium.registry, "Lost-v0", EnvSpec("Lost-v0", entry_point="not_installed_here:Lost"))
    with pytest.raises(
        ImportError, match=r"'Lost-v0' needs a package that is not .*No module named 'not_installed_here'\)$"
    ):
        controller().fit("Lost-v0")


@pytest.mark.parametrize(
    ("options", "environment", "sentence"),
    [
        ({}, "Nowhere-v9", "there is no environment 'Nowhere-v9'"),
        ({}, Corridor(), "a function that makes one"),
        ({}, 7, "environment is 7; give an id"),
        ({}, lambda: 3, "the function made 3; it makes an environment, a gymnasium.Env, at each call"),
        ({}, lambda: ONLY_ONE, "the function made the same environment twice"),
        ({"hide": (0, 1)}, Corridor, "hide is (0, 1); an observation has 2 features"),
        ({"hide": (2,)}, Corridor, "hide is (2,)"),
        *(
            (
                {"method": name},
                Corridor,
                f"method '{name}' learns from data, and an environment has none; take 'evolution', 'reinforce' or",
            )
            for name in ("bptt", "tbptt", "rtrl", "rule1997", "dekf", "evolino")
        ),
        ({"method": "nix"}, Corridor, "no learning method is called 'nix'"),
        ({"bidirectional": True}, Corridor, "the future is not known"),
        ({"dropout": 0.1}, Corridor, "who acts must be who learns"),
        ({"rollout": 0}, Corridor, "rollout is 0; it must be 1 or more"),
        ({"hide": 1}, Corridor, "hide is 1; it takes"),
        ({"hide": (1.5,)}, Corridor, "hide is (1.5,); it holds whole numbers, the positions of features"),
        ({"hide": ("1",)}, Corridor, "hide is ('1',); it holds whole numbers"),
        ({"hide": (True,)}, Corridor, "hide is (True,); it holds whole numbers"),
    ],
)
def test_what_cannot_be_is_refused_before_training(options: Any, environment: Any, sentence: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        controller(**options).fit(environment)
    assert sentence in str(caught.value)


def test_strange_spaces_are_refused() -> None:
    for name, space in (("observation_space", Dict({"a": Discrete(2)})), ("action_space", MultiBinary(2))):
        odd = type("Odd", (Corridor,), {name: space})
        with pytest.raises(ValueError, match="are Dict|are MultiBinary"):
            controller().fit(odd)


def test_in_evolution_all_generations_see_alike(tmp_path: Path) -> None:
    """The scale is that of the first glance: whoever computes, in whatever pieces, computes the same."""
    options: dict[str, Any] = {"method": "evolution", "max_epochs": 1}
    whole, pieces = (
        controller(**options, method_options={"population": 6, "chunk": chunk}).fit(Cart) for chunk in (None, 2)
    )
    assert whole.network_.counted == 4 * 12
    assert torch.equal(whole.network_.actor.line.weight, pieces.network_.actor.line.weight)


class Reversed(gymnasium.RewardWrapper[Any, Any]):
    """Pays the opposite."""

    def reward(self, reward: Any) -> Any:
        return -reward


def test_a_run_does_not_go_on_in_another_world(tmp_path: Path) -> None:
    run = tmp_path / "run"
    stopped(run, Cart, max_epochs=4)
    with pytest.raises(CheckpointError, match="is the checkpoint of another run: .*Reversed"):
        list(controller(max_epochs=4).fit_reports(lambda: Reversed(Cart()), checkpoint=run))
    for other, told in (({"memory": False}, "remembers=False"), ({"longest": 5}, "longest=5")):
        with pytest.raises(CheckpointError, match=f"is the checkpoint of another run: .*{told}"):
            list(controller(max_epochs=4, **other).fit_reports(Cart, checkpoint=run))
    assert len(list(controller(max_epochs=4, workers=2).fit_reports(Cart, checkpoint=run))) > 0


def test_a_world_can_be_sent_elsewhere() -> None:
    world = world_of(Corridor, 9)
    world.begin(np.arange(3), [1, 2, 3])
    sent = copy.deepcopy(world)
    assert sent.longest == 9
    np.testing.assert_array_equal(sent.begin(np.arange(2), [5, 6]), world_of(Corridor, 9).begin(np.arange(2), [5, 6]))
