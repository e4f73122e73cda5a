"""Controllers whose environments run with workers: the same bits, also when a worker is killed; what they refuse."""

import copy
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from sklearn.base import clone

from carousel.tasks import Controller, load
from carousel.tasks.control import estimator
from carousel.tasks.control.split import split
from carousel.tasks.control.world import MadeWorld
from carousel.training.workers import Here, Keeper, Processes, Task, Workers
from tests.training.corridor import Cart, Corridor, Failing, Placed, controller
from tests.training.problem import timeless

QUICK: dict[str, Any] = {"rollout": 5, "updates_per_epoch": 2, "batch_size": 5}
on_both = pytest.mark.parametrize("many", [2, pytest.param("ray", marks=pytest.mark.filterwarnings("ignore"))])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Ray with two cores, which "ray" finds and leaves as it is."""
    ray = pytest.importorskip("ray", reason="for Ray, pip install 'carousel-lstm[ray]'", exc_type=ImportError)
    ray.init(num_cpus=2, include_dashboard=None, log_to_driver=False, logging_level="warning")
    yield ray
    assert ray.is_initialized()
    ray.shutdown()


@pytest.fixture
def many(request: pytest.FixtureRequest) -> int | str:
    """What the option `workers` says."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return request.param


class Noting(Cart):
    """Notes which process it is in."""

    def __init__(self, note: str) -> None:
        with Path(note).open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")


class Own(Exception):
    """Of an environment."""


class Wearing(Cart):
    """Breaks after a while."""

    def step(self, action: Any) -> Any:
        if self.steps == 3:
            raise Own("worn out")
        return super().step(action)


def elsewhere(note: Path) -> list[int]:
    """The other processes that were noted, in their order."""
    noted = map(int, note.read_text(encoding="utf-8").split())
    return [pid for pid in dict.fromkeys(noted) if pid != os.getpid()]


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def check_same(found: Controller, expected: Controller) -> None:
    for name, own in expected.network_.state_dict().items():
        assert torch.equal(own, found.network_.state_dict()[name]), name
    assert timeless(tuple(found.history_)) == timeless(tuple(expected.history_))


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_was_begun_for_a_fit_ends_with_it() -> None:
    """The first test of this file: those that follow have begun one."""
    ray = pytest.importorskip("ray", reason="for Ray, pip install 'carousel-lstm[ray]'", exc_type=ImportError)
    assert not ray.is_initialized()
    reports = controller(**QUICK, workers="ray").fit_reports(Cart)
    assert not ray.is_initialized()
    next(reports)
    assert ray.is_initialized()
    reports.close()
    assert not ray.is_initialized()


@on_both
def test_environments_with_workers_give_the_same_bits_also_when_one_is_killed(many: int | str, tmp_path: Path) -> None:
    note = tmp_path / "note"
    alone, apart, team = controller(**QUICK).fit(Cart), controller(**QUICK, workers=many), list[Any]()
    for report in apart.fit_reports(partial(Noting, str(note))):
        team = apart._world._team.keepers  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        if report.update == 1:
            os.kill(elsewhere(note)[1], signal.SIGKILL)
    assert sorted(keeper.births for keeper in team) == [1, 2]
    assert len(elsewhere(note)) == 3
    assert all(map(gone, elsewhere(note)))
    check_same(apart, alone)


@on_both
def test_the_error_of_an_environment_is_raised_as_it_is(many: int | str) -> None:
    with pytest.raises(Own) as caught:
        controller(**QUICK, workers=many).fit(Wearing)
    assert type(caught.value) is Own
    assert str(caught.value) == "worn out"


@on_both
def test_environments_with_workers_serve_populations_with_workers(many: int | str) -> None:
    options: dict[str, Any] = {"method": "evolution", "max_epochs": 2, "updates_per_epoch": 1}
    found = [
        controller(**options, workers=own, method_options={"population": 4, "chunk": 2, "workers": own}).fit(Cart)
        for own in (1, many)
    ]
    assert torch.equal(*(each.network_.actor.line.weight for each in found))


@pytest.mark.filterwarnings("ignore")
def test_what_is_learned_may_be_looked_at_meanwhile(cluster: Any) -> None:
    alone, apart = controller(**QUICK).fit(Cart), controller(**QUICK, workers="ray")
    for report in apart.fit_reports(Cart):
        if report.update == 1:
            assert cluster.available_resources().get("CPU", 0) > 0, "the environments hold all cores"
            assert len(apart.evaluate(Cart, episodes=3).values) == 3
    check_same(apart, alone)


class Pair(Workers):
    """Two workers in this process; counts how often they were asked for keepers, and closed."""

    def __init__(self) -> None:
        self.asked = self.closed = 0

    def finished(self, task: Task, items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        return Here().finished(task, items)

    def keepers(self, task: Task) -> list[Keeper]:
        self.asked += 1
        return [*Here().keepers(task), *Here().keepers(task)]

    def close(self) -> None:
        self.closed += 1


def test_workers_that_are_handed_in_stay_open_and_others_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    pair, alone = Pair(), controller(**QUICK).fit(Cart)
    expected = alone.evaluate(Cart, episodes=9).values.tolist()
    check_same(controller(**QUICK, workers=pair).fit(Cart), alone)
    assert (pair.asked, pair.closed) == (1, 0)
    monkeypatch.setattr(estimator, "workers_of", lambda given: pair)
    apart = controller(**QUICK, workers=2).fit(Cart)
    assert (pair.asked, pair.closed) == (2, 1)
    assert apart.evaluate(Cart, episodes=9).values.tolist() == expected
    assert (pair.asked, pair.closed) == (3, 2)
    assert len(apart.episode(Cart).rewards) == 12
    assert (pair.asked, pair.closed) == (3, 2), "one episode is played here"
    with pytest.raises(Own, match="worn out"):
        apart.fit(Wearing)
    assert pair.closed >= 3


def test_a_world_in_processes_says_what_is_wrong() -> None:
    lanes = gymnasium.vector.SyncVectorEnv([Cart] * 2, autoreset_mode=gymnasium.vector.AutoresetMode.DISABLED)
    with pytest.raises(ValueError, match="workers is 2, but a vector environment runs where it was made"):
        controller(workers=2).fit(lanes)
    with pytest.raises(TypeError, match="the task cannot be sent to a process"):
        controller(workers=2).fit(lambda: Corridor(3))
    world = split(MadeWorld(Failing, 9), Processes(1))
    with pytest.raises(RuntimeError, match="out of order"):
        world.begin(np.arange(2), [1, 2])
    assert type(copy.deepcopy(world)) is MadeWorld
    assert type(pickle.loads(pickle.dumps(split(MadeWorld(Corridor, 9), Processes(1))))) is MadeWorld
    lost = split(MadeWorld(Placed, 9), Processes(1))
    lost.begin(np.arange(2), [1, 2])
    lost.close()
    with pytest.raises(ValueError, match="the environment does not repeat itself"):
        lost.step(np.arange(2), np.array([0, 1]))


@pytest.mark.parametrize(
    ("workers", "error", "told"),
    [
        ("many", ValueError, "workers is 'many'; give 1 or more, or 'ray'"),
        (0, ValueError, "workers is 0; it must be 1 or more"),
        (True, TypeError, "workers is True; it takes an integer or a name or a Workers"),
        (1.5, TypeError, "workers is 1.5"),
    ],
)
def test_what_workers_cannot_be(workers: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        controller(workers=workers).fit_reports(Cart)


def test_ray_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'carousel-lstm\[ray\]'"):
        controller(workers="ray").fit_reports(Cart)


def test_workers_are_copied_and_saved_with_a_controller(tmp_path: Path) -> None:
    learned = controller(**{**QUICK, "workers": np.int64(1)}).fit(Cart)
    for own in (3, "ray"):
        learned.set_params(workers=own).save(tmp_path / "run")
        copied: Any = clone(learned)
        assert load(tmp_path / "run").workers == copied.workers == own
    with Processes(2) as workers:
        learned.set_params(workers=workers)
        copied = clone(learned)
        assert copied.workers is learned.get_params()["workers"] is workers
        assert pickle.loads(pickle.dumps(learned)).workers.count == 2
        with pytest.raises(TypeError, match="workers holds a Processes, which cannot be saved"):
            learned.save(tmp_path / "run")
    assert load(tmp_path / "run").workers == "ray"
