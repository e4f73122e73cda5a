"""What a Controller's environments may show, take and pay: legal actions, and numbers."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from carousel.tasks import load
from carousel.tasks.control.spaces import actions_from, actions_of
from tests.training.corridor import Cart, Corridor, controller, stopped


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "space",
    [
        Box(0, 5, (2,), np.int64),
        Box(-3, 3, (2,), np.int8),
        Box(0, 255, (1, 2), np.uint8),
        Box(np.iinfo(np.int64).min, np.iinfo(np.int64).max, (1,), np.int64),
        Box(-np.inf, np.inf, (2,)),
        Box(np.array([-1, 0], np.float32), np.array([np.inf, 2], np.float32)),
        Box(0.1, 0.7, (2,), np.float64),
        Box(-1, 1, (2,), np.float16),
    ],
)
def test_every_action_is_legal(space: Box) -> None:
    actions = actions_of(space)
    raw = torch.linspace(-4, 4, 33).unsqueeze(1).expand(-1, actions.numbers)
    for own in (actions, actions_from(actions.plain())):
        taken = own.outwards(raw)
        assert all(space.contains(action) for action in taken), taken
        assert len(np.unique(taken)) > 3


def test_whole_numbers_are_acted_and_played_again(tmp_path: Path) -> None:
    class Counting(Cart):
        action_space: Any = Box(-2, 4, (1,), np.int8)

        def step(self, action: Any) -> Any:
            assert self.action_space.contains(action)
            return super().step(action)

    expected = controller(max_epochs=2).fit(Counting)
    stopped(tmp_path / "run", Counting, max_epochs=2)
    resumed = controller(max_epochs=2)
    list(resumed.fit_reports(Counting, checkpoint=tmp_path / "run"))
    assert torch.equal(resumed.network_.actor.line.weight, expected.network_.actor.line.weight)
    expected.save(tmp_path / "model")
    assert load(tmp_path / "model").act([0.0, 0.0])[0].dtype == np.int8


class Broken(Corridor):
    """Shows or pays what is no number, in its third step."""

    def __init__(self, seen: float = 0.0, paid: float = 0.0) -> None:
        super().__init__()
        self.seen, self.paid, self.steps = seen, paid, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.steps = 0
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        self.steps += 1
        seen, paid, *rest = super().step(action)
        broken = self.steps == 3
        return np.where([False, broken], self.seen, seen).astype(np.float32), self.paid if broken else paid, *rest


@pytest.mark.parametrize(("method", "workers"), [("ppo", 1), ("ppo", 2), ("evolution", 1)])
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seen": np.nan}, "observation [0-9]+ is NaN at 1; the memory would be NaN ever after"),
        ({"seen": np.inf}, "observation [0-9]+ is inf at 1; .*give a number in its place"),
        ({"paid": np.nan}, "a reward is nan; .*give a number in its place"),
        ({"paid": -np.inf}, "a reward is -inf"),
    ],
)
def test_environments_without_sense_are_refused(method: str, workers: int, options: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        controller(method=method, workers=workers).fit(partial(Broken, **options))
