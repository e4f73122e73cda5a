"""Hidden Markov models beside hmmlearn's own, and those wired by hand."""

import numpy as np
import pytest
import torch

from carousel.data.synthetic.recall import recall
from papers.hmm import tasks
from papers.hmm.models import Model, learned, majority, one_bit_each
from papers.hmm.run import recalled, told_of, whole
from papers.hmm.timing import by_model, least_variance, ring, spikes, wait

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
    assert found["whole"] == pytest.approx(2 / 2**width)
    assert found["freely"] == pytest.approx((1 + (width - 1) / 2) / width)


def test_two_states_say_three_of_four_bits_rightly() -> None:
    strings = whole(recall(torch.cartesian_prod(*[torch.arange(2)] * 3), 4))
    model = majority(4)
    np.testing.assert_allclose(model.move.sum(1), 1)
    np.testing.assert_allclose(model.emit.sum(1), 1)
    found = recalled(model, strings, 3)
    assert found["freely"] == 0.75
    assert found["whole"] == 2 / 8
    assert (model.start @ np.linalg.matrix_power(model.move, 6) > 0).sum() == 2


@pytest.mark.parametrize(("right", "known"), [(0.3, 0.0), (0.5, 0.0), (0.75, 0.1887), (1.0, 1.0)])
def test_what_must_be_known_to_be_right_so_often(right: float, known: float) -> None:
    assert told_of(right) == pytest.approx(known, abs=1e-4)


def waiting(states: int, leaves: float) -> Model:
    """It goes round its states, leaves each with this probability a step, and spikes as it leaves the last."""
    stays = np.eye(states + 1) * (1 - leaves) + np.roll(np.eye(states + 1), 1, axis=1) * leaves
    stays[-1] = np.eye(states + 1)[0]
    silent = np.append(np.ones(states), 0.0)
    return Model(np.eye(states + 1)[-1], stays, np.stack([silent, 1 - silent], axis=1))


def test_the_wait_for_a_spike() -> None:
    assert wait(ring(7)) == (pytest.approx(7), pytest.approx(0, abs=1e-9))
    mean, variance = wait(waiting(4, 0.25))
    assert (mean, variance) == (pytest.approx(1 + 4 / 0.25), pytest.approx(4 * 0.75 / 0.25**2))
    rng = np.random.default_rng(0)
    model = Model(rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3), 3), rng.dirichlet(np.ones(2), 3))
    first = model.start * model.emit[:, 1]
    belief, odds = first / first.sum() @ model.move, []
    for _ in range(500):
        odds.append(belief @ model.emit[:, 1])
        belief = belief * model.emit[:, 0] @ model.move
    steps = np.arange(1, 501)
    mean, square = steps @ odds, steps**2 @ odds
    assert wait(model) == (pytest.approx(mean), pytest.approx(square - mean**2))


@pytest.mark.parametrize("states", [1, 2, 5])
def test_no_model_knows_time_better_than_the_bound(states: int) -> None:
    rng = np.random.default_rng(states)
    for mix in (0.1, 1.0, 10.0):
        draw = [rng.dirichlet(np.full(states, mix), states) for _ in range(20)]
        emit = [0.01 + 0.98 * rng.dirichlet([mix, mix / 5], states) for _ in range(20)]
        for move, each in zip(draw, emit, strict=True):
            mean, variance = wait(Model(np.full(states, 1 / states), move, each))
            assert variance >= least_variance(states, mean) - 1e-6 * mean**2
    assert least_variance(4, 16.0) == pytest.approx(4 * 0.75 / 0.25**2)
    assert least_variance(8, 7.5) == 0.25


def test_a_ring_foretells_each_spike_and_a_smaller_one_none() -> None:
    assert spikes(3, 2).tolist() == [[1, 0, 0, 1, 0, 0, 1]]
    assert by_model(ring(5), 5, 4) == {"missing": pytest.approx(0, abs=1e-9), "exact": 1}
    assert by_model(ring(4), 5, 4)["exact"] == 0


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
