"""Nets that learn from endless streams: how they are tested, and how often."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from carousel.cells import find
from carousel.data.synthetic.timed import spike_delays, timed_spikes
from carousel.training import OnlineLearner, OnlineNet, Trials
from papers import pool
from papers.experiment import Experiment
from papers.gers2000 import run as gers2000

NET = OnlineNet(find("lstm"), 1, 1, 1)


def build(seed: int, count: int) -> OnlineLearner:
    """Nets that are right now and then."""
    return OnlineLearner(net=NET, nets=count, learning_rate=0.1, spread=1.5, seed=seed)


def course(**options) -> pool.Course:
    """Spikes four steps apart, or five; silence is right between them."""
    given = {
        "draw": partial(spike_delays, 4, (0, 1)),
        "train": Trials(tolerance=0.8, longest=20, enough=5),
        "test": Trials(tolerance=0.5, longest=30, most=1),
        "streams": 50,
        "steps": 3000,
        "promising": 5,
        "tests": 10,
        "places": 4,
        "chunk": 100,
    }
    return pool.Course(build=build, **given | options)


def test_streams_of_a_test_last_until_the_first_wrong_answer() -> None:
    here, nets = course(), build(3, 4)
    streams = pool.Tests(here.draw, np.random.default_rng(5), 4)
    lengths, steps = pool.tested(here, nets, streams, whole=True)
    stream = pool.Source(here.draw, np.random.default_rng(5), 4).take(steps)
    right = (nets.predict(stream.inputs) - stream.targets).abs()[..., 0] < here.test.tolerance
    for net in range(4):
        answers = right[stream.observed[:, net], net].tolist()
        assert lengths[net] == min((answers + [False]).index(False), here.test.longest)
    assert len(set(lengths)) > 1
    shorter, _ = pool.tested(replace(here, judged=1), nets, streams, whole=True)
    assert shorter == [min(length, 1) for length in lengths]
    first, sooner = pool.tested(here, nets, streams, whole=False)
    assert sooner <= steps and min(first) == 0 and set(first) <= {0, *lengths}


def test_tests_begin_alike_and_go_on_anew() -> None:
    streams, whole = (pool.Tests(course().draw, np.random.default_rng(5), 2) for _ in range(2))
    same = pool.Tests.KEPT
    first, second = ([next(pieces) for _ in range(same + 2)] for pieces in (streams.pieces(), streams.pieces()))
    assert all(torch.equal(one.inputs, other.inputs) for one, other in zip(first[:same], second[:same], strict=True))
    assert not torch.equal(first[-1].inputs, second[-1].inputs)
    ongoing = torch.cat([piece.inputs for piece in first])
    assert torch.equal(ongoing, whole._source.take(len(ongoing)).inputs)
    for test in (first, second):
        spikes = torch.cat([piece.inputs for piece in test])[:, 0, 0].nonzero().flatten()
        assert set(spikes.diff().tolist()) == {4, 5}


@pytest.mark.parametrize(("share", "fewest", "most"), [(0.0, 1, 2), (1000.0, 3, 1000)])
def test_tests_take_their_share_of_the_steps(share: float, fewest: int, most: int) -> None:
    here = course(share=share, train=Trials(tolerance=0.9, longest=20, enough=5))
    waiting = pool._Pool(here, range(4))
    records = list(waiting.at.values())
    list(waiting.run())
    assert all(fewest <= record.tests <= most for record in records)


def test_a_net_is_perfect_when_all_streams_of_all_rounds_are() -> None:
    silent = partial(timed_spikes, 1000)
    here = course(draw=lambda strings, rng: silent(strings), test=Trials(tolerance=0.9, longest=500, most=1))
    found = pool.run(here, range(3))
    assert all(net["perfect"] and net["mean"] == 500 for net in found)


def test_a_net_that_lasts_as_long_as_is_judged_is_tested_once_more() -> None:
    silent = partial(timed_spikes, 1000)
    test = Trials(tolerance=0.9, longest=500, most=1)
    here = course(draw=lambda strings, rng: silent(strings), test=test, promising=10**6, judged=100)
    assert all(net["perfect"] and net["mean"] == 500 for net in pool.run(here, range(3)))


def test_temporal_order_counts_strings_with_gates_that_recur(tmp_path) -> None:
    settings = Experiment("gers2000", False, tmp_path).settings()
    given = settings | settings["order"]
    here = gers2000.course(given, "order alpha")
    nets = here.build(0, 2)
    assert int(nets.net.learned().sum()) == 416
    assert here.train.fading == 0.9 and gers2000.course(given, "order forget").train.fading == 1.0
    lengths, steps = pool.tested(here, nets, pool.Tests(here.draw, np.random.default_rng(0), 2), whole=True)
    assert lengths == [0, 0] and steps >= 100
