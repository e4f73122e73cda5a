"""A run's random numbers and the caller's do not mix."""

import torch

from carousel.training.randomness import Randomness


def test_the_runs_numbers_go_on_where_they_stopped() -> None:
    expected = torch.rand(4, generator=torch.Generator().manual_seed(7))
    randomness = Randomness(torch.device("cpu"), 7)
    drawn = []
    for _ in range(4):
        with randomness:
            drawn.append(torch.rand(1))
        torch.rand(3)
    assert torch.equal(torch.cat(drawn), expected)


def test_the_callers_numbers_go_on_after_an_error() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = torch.rand(1)
    try:
        with Randomness(torch.device("cpu"), 7):
            torch.rand(5)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert torch.equal(torch.cat([first, torch.rand(1)]), expected)
