"""Hidden Markov models beside hmmlearn's own, and those wired by hand."""

import numpy as np
import pytest
import torch

from carousel.data.synthetic.recall import recall
from papers.hmm import tasks
from papers.hmm.models import Model, learned, one_bit_each
from papers.hmm.run import recalled, whole

hmm = pytest.importorskip("hmmlearn.hmm", reason="hmmlearn is in the extra 'papers'")


def model_of(rng: np.random.Generator) -> Model:
    return Model(rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), 3), rng.dirichlet(np.ones(4), 3))


def test_bits_add_up_to_the_likelihood_that_hmmlearn_finds() -> None:
    rng = np.random.default_rng(0)
    model, strings = model_of(rng), rng.integers(0, 4, (5, 9))
    theirs = hmm.CategoricalHMM(3, n_features=4)
    theirs.startprob_, theirs.transmat_, theirs.emissionprob_ = model.start, model.move, model.emit
    expected = [-theirs.score(string[:, None]) / np.log(2) for string in strings]
    np.testing.assert_allclose(model.bits(strings).sum(1), expected, rtol=1e-9)


def test_learning_makes_strings_likelier() -> None:
    rng = np.random.default_rng(1)
    strings = [np.tile([0, 1, 2], 10) for _ in range(5)]
    begin = Model(np.full(3, 1 / 3), rng.dirichlet(np.ones(3), 3), rng.dirichlet(np.ones(3), 3))
    found = learned(strings, 3, 3, seed=0, iterations=50, begin=begin)
    assert found.bits(np.stack(strings)).sum() < 0.2 * begin.bits(np.stack(strings)).sum()


@pytest.mark.parametrize(("width", "gap"), [(1, 0), (3, 2), (6, 4)])
def test_one_bit_of_many_guesses_all_and_knows_one(width: int, gap: int) -> None:
    strings = recall(torch.cartesian_prod(*[torch.arange(2)] * width).reshape(-1, width), gap)
    model = one_bit_each(width, gap)
    assert (len(model.start), model.start.sum()) == (2 * width * (2 * width + gap + 1), pytest.approx(1))
    np.testing.assert_allclose(model.move.sum(1), 1)
    np.testing.assert_allclose(model.emit.sum(1), 1)
    found = recalled(model, whole(strings), width)
    assert found["right"] == 1
    assert found["missing"] == pytest.approx(width - 1)
    assert found["whole"] <= 2 * width / 2**width


@pytest.mark.parametrize("length", [20, 45])
def test_the_model_by_hand_knows_every_order(length: int) -> None:
    model = tasks.by_hand(length)
    np.testing.assert_allclose(model.move.sum(1), 1)
    np.testing.assert_allclose(model.emit.sum(1), 1)
    assert tasks.right(model, tasks.order(50, length, torch.Generator().manual_seed(0))) == 1


def test_orders_are_where_they_should_be() -> None:
    strings = tasks.order(200, 50, torch.Generator().manual_seed(0))
    assert 50 <= int(strings.lengths.min()) <= int(strings.lengths.max()) <= 55
    for string, kind in zip(tasks.with_class(strings), tasks.classes(strings).tolist(), strict=True):
        first, second = np.flatnonzero((string == tasks.X) | (string == tasks.X + 1))
        assert (5 <= first <= 10, 25 <= second <= 30) == (True, True)
        assert 2 * (string[first] - tasks.X) + string[second] - tasks.X == kind == string[-1] - tasks.SYMBOLS
        assert (string[0], string[-2]) == (tasks.START, tasks.TRIGGER)
