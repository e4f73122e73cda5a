"""Advantages by their definition, the scale of rewards, and experience in pieces."""

from typing import Any

import numpy as np
import pytest
import torch

from carousel.training.experience import Experience, RewardScale, advantages


def experience(time: int = 12, lanes: int = 3, pieces: int = 1, seed: int = 0) -> Experience:
    """Random experience with episodes that end anywhere."""
    draw = torch.Generator().manual_seed(seed)

    def normal() -> torch.Tensor:
        return torch.randn(time, lanes, generator=draw, dtype=torch.float64)

    ended = torch.rand(time, lanes, generator=draw) < 0.3
    values = normal()
    after = torch.cat([values[1:], normal()[:1]])
    given: dict[str, Any] = {name: normal() for name in ("actions", "log_probs", "rewards")}
    return Experience(
        inputs=torch.randn(time, lanes, 2, generator=draw),
        values=values,
        following=torch.where(ended, torch.where(normal() > 0, normal(), 0.0), after),
        ended=ended,
        reset=torch.cat([ended[-1:], ended[:-1]]),
        mask=torch.ones_like(ended),
        memory=(torch.randn(pieces, 1, lanes, 4, generator=draw),),
        **given,
    )


@pytest.mark.parametrize(("discount", "trace"), [(0.9, 0.8), (1.0, 1.0), (0.7, 0.0)])
def test_advantages_are_the_sum_of_what_surprises_until_the_episode_ends(discount: float, trace: float) -> None:
    played = experience()
    found = advantages(played, discount, trace)
    for lane in range(3):
        for step in range(12):
            total = 0.0
            for later in range(step, 12):
                surprise = played.rewards + discount * played.following - played.values
                total += (discount * trace) ** (later - step) * surprise[later, lane].item()
                if played.ended[later, lane]:
                    break
            assert found[step, lane].item() == pytest.approx(total)


def test_with_all_of_the_trace_an_advantage_is_the_return_beyond_the_value() -> None:
    played = experience(time=5, lanes=1)
    over = torch.tensor([False] * 4 + [True])[:, None]
    after = torch.cat([played.values[1:], torch.zeros(1, 1)])
    whole = advantages(Experience(**{**vars(played), "ended": over, "following": after * ~over}), 1.0, 1.0)
    expected = played.rewards.flip(0).cumsum(0).flip(0) - played.values
    torch.testing.assert_close(whole, expected)


def test_rewards_are_divided_by_the_deviation_of_their_discounted_sums() -> None:
    played, scale = experience(time=40), RewardScale(0.9)
    found = scale.apply(played, anew=False)
    sums, running = [], np.zeros(3)
    for reward, ended in zip(played.rewards.numpy(), played.ended.numpy(), strict=True):
        running = 0.9 * running + reward
        sums.append(running)
        running = running * ~ended
    np.testing.assert_allclose(scale.deviation, np.std(sums))
    np.testing.assert_allclose(found.rewards, played.rewards / float(np.std(sums)))


def test_the_scale_counts_all_that_came_and_goes_on_where_lanes_do() -> None:
    whole, parts = RewardScale(0.9), RewardScale(0.9)
    played = experience(time=40)
    whole.apply(played, anew=False)
    for part in (slice(0, 15), slice(15, 40)):
        cut = {name: getattr(played, name)[part] for name in ("rewards", "ended", "mask")}
        parts.apply(Experience(**{**vars(played), **cut}), anew=False)
    assert parts.deviation == pytest.approx(whole.deviation)
    assert RewardScale(0.9).deviation == 1


def test_each_piece_becomes_a_lane_with_its_memory() -> None:
    played = experience(time=12, lanes=3, pieces=4)
    cut = played.cut()
    assert cut.rewards.shape == (3, 12)
    assert cut.memory[0].shape == (1, 12, 4)
    for piece in range(4):
        for lane in range(3):
            at = 3 * piece + lane
            torch.testing.assert_close(cut.inputs[:, at], played.inputs[3 * piece : 3 * piece + 3, lane])
            torch.testing.assert_close(cut.memory[0][0, at], played.memory[0][piece, 0, lane])
    chosen = cut.take(torch.tensor([5, 0]))
    torch.testing.assert_close(chosen.values[:, 1], played.values[:3, 0])
    torch.testing.assert_close(chosen.memory[0][0, 0], played.memory[0][1, 0, 2])
