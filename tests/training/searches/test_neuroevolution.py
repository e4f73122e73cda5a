"""Searches by parts take the steps of their papers, computed here one chromosome and one number at a time."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from carousel.training.searches import ESP, CoSyNE

START = torch.tensor([0.5, -1.0, 2.0, 0.0, 1.0], dtype=torch.float64)
GROUPS = [[0, 3], [4], [1, 2]]


def sphere(x: Tensor) -> Tensor:
    return x.square().sum(-1)


def esp(**options: Any) -> ESP:
    return ESP(START, **{"groups": GROUPS, "population": 9, "chromosomes": 4, **options})


def rows_of(pool: Tensor, group: list[int], tried: Tensor) -> list[int]:
    """Which row of the pool each vector has its part from."""
    same = (tried[:, None, group] == pool[None, :, group]).all(-1)
    assert same.sum(1).tolist() == [1] * len(tried)
    return same.int().argmax(1).tolist()


def test_a_network_takes_one_chromosome_of_each_sub_population() -> None:
    search = esp()
    tried = search.ask()
    assert torch.equal(tried[0], START)
    counts = []
    for group in GROUPS:
        rows = rows_of(search.pool, group, tried[1:])
        counts.append(np.bincount(rows, minlength=4).tolist())
    assert counts == [[2, 2, 2, 2]] * 3
    assert len({tuple(rows_of(search.pool, group, tried[1:])) for group in GROUPS}) == 3


@pytest.mark.parametrize("credit", ["best", "mean"])
def test_children_of_the_best_chromosomes_replace_the_worst(credit: str) -> None:
    search = esp(credit=credit, mutation=1e-6, sigma=0.3)
    pool, tried = search.pool.clone(), search.ask()
    losses = torch.tensor([9.0, 5, 1, 8, 6, 2, 7, 4, 3.0])
    search.tell(losses)
    for group in GROUPS:
        rows = rows_of(pool, group, tried[1:])
        of = [[loss for row, loss in zip(rows, losses[1:].tolist(), strict=True) if row == k] for k in range(4)]
        credits = [min(own) if credit == "best" else sum(own) / len(own) for own in of]
        best, worst = int(np.argmin(credits)), int(np.argmax(credits))
        for row in range(4):
            parent = best if row == worst else row
            torch.testing.assert_close(search.pool[row, group], pool[parent, group], atol=1e-4, rtol=0)
        assert not torch.equal(search.pool[worst, group], pool[best, group])
    assert torch.equal(search.mean, tried[2])


def test_a_burst_begins_anew_around_the_best_network() -> None:
    search = esp(patience=2, mutation=0.1, sigma=0.5)
    search.ask()
    search.tell(torch.tensor([9.0, 1, 2, 3, 4, 5, 6, 7, 8]))
    best = search.mean.clone()
    for bursts in (0, 1):
        assert torch.equal(search.ask()[0], best)
        search.tell(torch.arange(9.0))
        assert search.bursts == bursts
    assert torch.equal(search.pool[0], best)
    apart = (search.pool[1:] - best).abs() / 0.05
    assert 0.2 < apart.median() < 5
    assert search.stale == 0


def test_noise_is_cauchys() -> None:
    search = ESP(torch.zeros(4000), population=4, sigma=2.0, mutation=0.25)
    drawn = search._cauchy(5).flatten().abs()
    assert drawn.median().item() == pytest.approx(0.5, rel=0.05)
    assert (drawn > 5).double().mean().item() == pytest.approx(1 - 2 / np.pi * np.arctan(10), rel=0.1)


@pytest.mark.parametrize("permuted", ["by_rank", "all"])
def test_cosyne_keeps_the_numbers_of_each_sub_population(permuted: str) -> None:
    search = CoSyNE(START, population=12, mutation_rate=0.0, permuted=permuted, parents=0.25)
    tried = search.ask()
    losses = sphere(tried)
    order = losses.argsort()
    search.tell(losses)
    survivors, ranked = search.pool[:9], tried[order]
    assert torch.equal(survivors.sort(0).values, ranked[:9].sort(0).values)
    assert torch.equal(search.pool[0], tried[order[0]])
    moved = (survivors != ranked[:9]).double().mean(1)
    assert moved.sum() > 0
    if permuted == "by_rank":
        assert moved[:5].sum() < moved[5:].sum()
    for child in search.pool[9:]:
        from_parents = (child == ranked[:3, None]).any(0).any(0) if child.dim() > 1 else (child == ranked[:3]).any(0)
        assert from_parents.all()
        assert any(torch.equal(child[:cut], one[:cut]) and torch.equal(child[cut:], other[cut:])
                   for one in ranked[:3] for other in ranked[:3] for cut in range(1, 6))  # fmt: skip


def test_the_chance_to_be_permuted_grows_with_the_rank() -> None:
    """1 - r^(1/n), with r = 1 for the best and 0 for the worst survivor."""
    search, counts = CoSyNE(torch.zeros(3), population=8), np.zeros(5)
    ranked = torch.arange(15, dtype=torch.float64).view(5, 3)
    for _ in range(4000):
        counts += (search._shuffled(ranked) != ranked).double().mean(1).numpy()
    chance = 1 - np.linspace(1, 0, 5) ** (1 / 3)
    assert counts[0] == 0
    moved = np.array([sum(_moves(chance, at)) for at in range(5)])
    np.testing.assert_allclose(counts / 4000, moved, atol=0.02)


def _moves(chance: np.ndarray, at: int) -> list[float]:
    """The chance that a number is marked among k others that are, times that it then moves."""
    others = [c for index, c in enumerate(chance) if index != at and index > 0]
    found = []
    for marks in np.ndindex(*[2] * len(others)):
        p = chance[at] * np.prod([c if mark else 1 - c for c, mark in zip(others, marks, strict=True)])
        found.append(p * (1 - 1 / (1 + sum(marks))))
    return found


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: esp(chromosomes=9), "chromosomes is 9; .* fewer than the networks, 9"),
        (lambda: esp(credit="sum"), "credit is 'sum' of best, mean"),
        (lambda: esp(groups=[[0, 1], [1, 2]]), "each of the 5 is in one group"),
        (lambda: esp(parents=0.7), "parents is 0.7, a share up to 0.5"),
        (lambda: CoSyNE(START, mutation_rate=2.0), "mutation_rate is 2.0, from 0 to 1"),
        (lambda: CoSyNE(START, permuted="some"), "permuted 'some' of by_rank, all"),
    ],
)
def test_errors(make: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()
