"""Each search takes the step of its paper, computed here in numpy; solves easy problems; and goes on to the bit."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from carousel.training.searches import CMA, GA, PGPE, SEARCHES, SNES, AskTell, OpenAIES, Search, search_named
from carousel.training.searches.search import centred_ranks, utilities

Array = NDArray[np.float64]

START = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
ALL = list(SEARCHES)


def sphere(x: Tensor) -> Tensor:
    return x.square().sum(-1)


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[:, 1:] - x[:, :-1].square()).square() + (1 - x[:, :-1]).square()).sum(-1)


def a_generation(search: Search) -> tuple[Array, Array]:
    """What was tried and its losses, after a first generation that moved whatever moves."""
    search.tell(sphere(search.ask()))
    tried = search.ask()
    return tried.numpy().copy(), sphere(tried).numpy()


def close(got: Tensor, wanted: Array) -> None:
    np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-9, atol=1e-12)


def test_utilities() -> None:
    """u_k = max(0, log(n/2 + 1) - log k) / sum - 1/n, for the rank k from the best."""
    losses, n = np.array([3.0, 1.0, 2.0, 9.0, 5.0]), 5
    ranks = np.array([3, 1, 2, 5, 4])
    raw = np.maximum(0, np.log(n / 2 + 1) - np.log(ranks))
    close(utilities(torch.from_numpy(losses)), raw / raw.sum() - 1 / n)


def test_centred_ranks() -> None:
    close(centred_ranks(torch.tensor([3.0, 1.0, 2.0, 9.0, 5.0])), np.array([0, 0.5, 0.25, -0.5, -0.25]))
    close(centred_ranks(torch.tensor([1.0, 1.0, 2.0])), np.array([0.25, 0.25, -0.5]))


def test_snes() -> None:
    """Algorithm of Schaul et al. 2011: mu += s (u z); s *= exp(eta/2 u (z^2 - 1))."""
    search = SNES(START, population=6, sigma=0.3)
    tried, losses = a_generation(search)
    mean, deviation = search.mean.numpy().copy(), search.deviation.numpy().copy()
    assert len(set(deviation)) == 3
    z = (tried - mean) / deviation
    ranks = losses.argsort().argsort() + 1
    raw = np.maximum(0, np.log(4) - np.log(ranks))
    u = raw / raw.sum() - 1 / 6
    search.tell(torch.from_numpy(losses))
    close(search.mean, mean + deviation * (u[:, None] * z).sum(0))
    rate = (3 + np.log(3)) / (5 * np.sqrt(3))
    close(search.deviation, deviation * np.exp(rate / 2 * (u[:, None] * (z**2 - 1)).sum(0)))


def test_pgpe() -> None:
    """Sehnke et al. 2010, with rewards -loss, their best m so far, and the baseline b of before."""
    search = PGPE(START, population=4, sigma=0.3, learning_rate=0.2, deviation_rate=0.05, decay=0.9)
    tried, losses = a_generation(search)
    mean, s = search.mean.numpy().copy(), search.deviation.numpy().copy()
    b, m = search.baseline, max(search.best or -np.inf, (-losses).max())
    assert b is not None
    assert len(set(s)) == 3
    new_mean, new_s = mean.copy(), s.copy()
    for k in range(2):
        noise, plus, minus = tried[k] - mean, -losses[k], -losses[k + 2]
        np.testing.assert_allclose(tried[k + 2], mean - noise)
        new_mean += 0.2 * noise * (plus - minus) / (2 * m - plus - minus)
        new_s += 0.05 * ((plus + minus) / 2 - b) / (m - b) * (noise**2 - s**2) / s
    search.tell(torch.from_numpy(losses))
    close(search.mean, new_mean)
    close(search.deviation, new_s)
    assert search.baseline == pytest.approx(0.9 * b + 0.1 * (-losses).mean())


def test_pgpe_stands_still_where_all_is_equally_good() -> None:
    search = PGPE(START, population=4)
    search.ask()
    search.tell(torch.ones(4))
    assert torch.equal(search.mean, START)
    assert (search.deviation == 0.1).all()
    search.ask()
    search.tell(torch.tensor([2.0, 1.0, 2.0, 1.0]))
    assert (search.deviation == 0.1).all(), "the best is no better than the baseline: nothing to divide by"


def test_openai_es() -> None:
    """Salimans et al. 2017: g = sum(rank * noise) / (n sigma), then Adam's second step, with weight decay."""
    search = OpenAIES(START, population=4, sigma=0.3, learning_rate=0.1, weight_decay=0.2)
    first_tried = search.ask().numpy().copy()
    first_losses, start = sphere(torch.from_numpy(first_tried)).numpy(), START.numpy()
    search.tell(torch.from_numpy(first_losses))
    tried, before = search.ask().numpy().copy(), search.mean.numpy().copy()
    losses = sphere(torch.from_numpy(tried)).numpy()
    gradients = []
    for mean, points, values in ((start, first_tried, first_losses), (before, tried, losses)):
        ranks = 0.5 - values.argsort().argsort() / 3
        gradients.append((ranks[:, None] * (points - mean) / 0.3).sum(0) / (4 * 0.3) - 0.2 * mean)
    first = 0.9 * 0.1 * gradients[0] + 0.1 * gradients[1]
    second = 0.999 * 0.001 * gradients[0] ** 2 + 0.001 * gradients[1] ** 2
    search.tell(torch.from_numpy(losses))
    wanted = before + 0.1 * (first / (1 - 0.9**2)) / (np.sqrt(second / (1 - 0.999**2)) + 1e-8)
    close(search.mean, wanted)


def test_ga() -> None:
    """Such et al. 2017: the best survives unchanged; a child is one of the best parents and the noise of a new seed."""
    search = GA(START, population=6, sigma=0.3, parents=2)
    tried, losses = a_generation(search)
    order = losses.argsort()
    parents = [search.individuals[at] for at in order[:2]]
    search.tell(torch.from_numpy(losses))
    close(search.mean, tried[order[0]])
    children = search.ask().numpy()
    np.testing.assert_array_equal(children[0], tried[order[0]])
    assert search.individuals[0] == parents[0]
    seeds_seen = set()
    for seeds, child in zip(search.individuals[1:], children[1:], strict=True):
        *parent, seed = seeds
        assert parent in parents
        seeds_seen.add(seed)
        noise = torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).numpy()
        np.testing.assert_allclose(child, tried[order[parents.index(parent)]] + 0.3 * noise)
    assert len(seeds_seen) == 5


def test_a_vector_is_its_list_of_seeds() -> None:
    search = GA(START, population=6, sigma=0.3, parents=2)
    for _ in range(5):
        tried = search.ask()
        search.tell(sphere(tried))
    fresh = GA(START, population=6, sigma=0.3, parents=2)
    close(fresh.decode(search.survivors[0]), search.mean.numpy())
    assert len(search.survivors[0]) > 1


def test_cma_is_what_the_package_does() -> None:
    cma = pytest.importorskip("cma")
    random = np.random.default_rng(3)
    options = {"popsize": 6, "seed": np.nan, "randn": lambda *shape: random.standard_normal(shape), "verbose": -9}
    theirs = cma.CMAEvolutionStrategy(START.numpy(), 0.3, options)
    ours = CMA(START, population=6, sigma=0.3, seed=3)
    for _ in range(5):
        asked, tried = theirs.ask(), ours.ask()
        np.testing.assert_array_equal(tried.numpy(), np.array(asked))
        theirs.tell(asked, [float((x**2).sum()) for x in asked])
        ours.tell(torch.tensor([float((x**2).sum()) for x in asked]))
    np.testing.assert_array_equal(ours.mean.numpy(), theirs.result.xfavorite)


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cma", None)
    with pytest.raises(ImportError, match=r"pip install 'carousel-lstm\[evolution\]'"):
        CMA(START)


SOLVED: dict[str, tuple[dict[str, Any], float, dict[str, Any], float]] = {
    "snes": ({}, 1e-12, {"deviation_rate": 0.1}, 1e-3),
    "pgpe": ({"deviation_rate": 0.01}, 1e-8, {"deviation_rate": 0.005, "sigma": 0.2}, 1e-2),
    "openai_es": ({"learning_rate": 0.01, "sigma": 0.05}, 1e-3, {"learning_rate": 0.02, "sigma": 0.02}, 5e-3),
    "ga": ({"sigma": 0.1}, 5e-2, {"sigma": 0.1}, 1e-3),
    "cma": ({}, 1e-12, {}, 1e-20),
    "esp": ({}, 1e-3, {}, 1e-2),
    "cosyne": ({}, 1e-3, {"mutation": 0.1}, 1e-2),
}
"""Options, and the loss reached: of the sphere in 10 dimensions after 10,000 evaluations, of Rosenbrock's valley in 2
after 20,000."""


def reached(name: str, function: Any, start: Tensor, evaluations: int, options: dict[str, Any]) -> float:
    search = search_named(name, start, **{"population": 20, "sigma": 0.5, **options})
    for _ in range(evaluations // 20):
        search.tell(function(search.ask()))
    return function(search.mean.unsqueeze(0)).item()


@pytest.mark.parametrize("name", ALL)
def test_it_solves_the_sphere_and_rosenbrock(name: str) -> None:
    if name == "cma":
        pytest.importorskip("cma")
    easy, near, curved, along = SOLVED[name]
    assert reached(name, sphere, torch.ones(10), 10_000 if name != "cma" else 4_000, easy) < near
    assert reached(name, rosenbrock, torch.zeros(2), 20_000 if name != "cma" else 2_000, curved) < along


@pytest.mark.parametrize("name", ALL)
def test_it_goes_on_to_the_bit(name: str) -> None:
    if name == "cma":
        pytest.importorskip("cma")
    options: dict[str, Any] = {"population": 10, "sigma": 0.3, "seed": 5}

    def generations(search: Search, count: int) -> Search:
        for _ in range(count):
            search.tell(rosenbrock(search.ask()))
        return search

    whole = generations(search_named(name, START, **options), 40)
    tensors, values = generations(search_named(name, START, **options), 15).state()
    resumed = search_named(name, START, **options)
    resumed.restore(tensors, json.loads(json.dumps(values)))
    generations(resumed, 25)
    assert torch.equal(resumed.mean, whole.mean)
    assert torch.equal(resumed.ask(), whole.ask())


@pytest.mark.parametrize("name", ALL)
def test_seeds_bounds_and_torchs_own_random_numbers(name: str) -> None:
    if name == "cma":
        pytest.importorskip("cma")
    torch.manual_seed(0)
    before = torch.get_rng_state()
    asked = [search_named(name, START, population=10, seed=seed).ask() for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(asked[0], asked[1])
    assert not torch.equal(asked[0], asked[2])
    bounded = search_named(name, torch.zeros(3), population=10, sigma=2.0, bounds=(-1, 1.5))
    for _ in range(3):
        tried = bounded.ask()
        assert tried.min() >= -1
        assert tried.max() <= 1.5
        bounded.tell(-tried.sum(1))
    assert bounded.mean.abs().max() <= 1.5
    assert isinstance(bounded, AskTell)
    assert bounded.ask().dtype == torch.float64


def test_what_is_not_finite_counts_as_worst() -> None:
    a, b = SNES(START, population=4), SNES(START, population=4)
    a.ask()
    b.ask()
    a.tell(torch.tensor([1.0, torch.nan, 3.0, 2.0]))
    b.tell(torch.tensor([1.0, 3.0, 3.0, 2.0]))
    assert torch.equal(a.mean, b.mean)


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (lambda: search_named("es", START), ValueError, "no search is called 'es'; there are .*snes, pgpe"),
        (lambda: search_named("snes", START, decay=1), TypeError, "'snes' has no option 'decay'; it has population"),
        (lambda: SNES(torch.zeros(0)), ValueError, "start has shape"),
        (lambda: SNES(START, population=1), ValueError, "population is 1"),
        (lambda: GA(START, population=2**63), ValueError, "population is 9223372036854775808; .* to 2,147,483,648"),
        (lambda: SNES(START, sigma=0), ValueError, "sigma is 0"),
        (lambda: SNES(START, bounds=(1, -1)), ValueError, "the lowest value first"),
        (lambda: search_named("snes", START, bounds=3), ValueError, "bounds are 3; they are two numbers"),
        (lambda: SNES(START, learning_rate=math.inf), ValueError, "learning_rate is inf; it is a finite number above"),
        (lambda: SNES(START, deviation_rate=math.nan), ValueError, "deviation_rate is nan"),
        (lambda: search_named("pgpe", START, learning_rate="a"), TypeError, "learning_rate is 'a'; it is a number"),
        (lambda: OpenAIES(START, learning_rate=0), ValueError, "learning_rate is 0"),
        (lambda: search_named("openai_es", START, betas=3), ValueError, "betas are 3, two shares below 1"),
        (lambda: OpenAIES(START, weight_decay=-1), ValueError, "weight_decay is -1, 0 or more"),
        (lambda: search_named("snes", START, seed="a"), TypeError, "seed is 'a'; it is a whole number"),
        (lambda: search_named("ga", START, parents="a"), TypeError, "parents is 'a'; it is a whole number or None"),
        (lambda: PGPE(START, population=5), ValueError, "'pgpe' tries pairs"),
        (lambda: GA(START, population=5, parents=5), ValueError, "fewer than the population"),
        (lambda: SNES(START).tell(torch.ones(64)), RuntimeError, r"call ask\(\)"),
        (lambda: (s := SNES(START), s.ask(), s.tell(torch.ones(3))), ValueError, "proposed 64 vectors"),
        (lambda: (s := SNES(START), s.ask(), s.tell(torch.full((64,), torch.nan))), ValueError, "no score is a finite"),
        (lambda: SNES(START).restore(*SNES(torch.ones(2)).state()), ValueError, "of 2 parameters, not of 3"),
    ],
)  # fmt: skip
def test_errors(make: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        make()
