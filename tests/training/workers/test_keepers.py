"""Keepers go on from question to question, say when they were lost, and begin anew."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from carousel.training.workers import Here, Keeper, LostError, Processes, RayWorkers, WorkerError, Workers
from tests.training.workers import tasks

ray_ready = pytest.mark.filterwarnings("ignore")  # Ray's own
apart = pytest.mark.parametrize("workers", ["processes", pytest.param("ray", marks=ray_ready)], indirect=True)


def told(keeper: Keeper, question: Any) -> Any:
    keeper.ask(question)
    return keeper.answer()


def test_a_keeper_goes_on_from_question_to_question_until_it_is_closed(workers: Workers) -> None:
    task = tasks.Counting()
    keeper = workers.keepers(task)[0]
    keeper.close()
    assert keeper.births == 0
    assert [told(keeper, "one") for _ in range(3)] == [1, 2, 3]
    keeper.ask("one")
    keeper.close()
    keeper.close()
    assert told(keeper, "one") == 1
    assert (keeper.births, task.count) == (2, 0)
    keeper.close()


def test_the_error_of_a_task_is_raised_as_it_is_and_the_keeper_goes_on(workers: Workers) -> None:
    keeper = workers.keepers(tasks.Counting())[0]
    told(keeper, "one")
    with pytest.raises(ValueError, match="no number") as error:
        told(keeper, "fail")
    assert type(error.value) is ValueError
    assert str(error.value) == "no number"
    assert (told(keeper, "one"), keeper.births) == (2, 1)
    keeper.close()


@apart
def test_a_lost_keeper_says_so_and_begins_anew(workers: Workers) -> None:
    keeper = workers.keepers(tasks.Counting())[0]
    told(keeper, "one")
    with pytest.raises(LostError, match="a worker process ended with exit code -9|an actor of the cluster is gone"):
        told(keeper, "die")
    assert (keeper.births, told(keeper, "one"), keeper.births) == (1, 1, 2)
    keeper.close()


def test_a_task_may_write_into_what_it_has_and_gets(workers: Workers) -> None:
    keeper = workers.keepers(tasks.Adding(100_000))[0]
    assert [told(keeper, np.ones(size)) for size in (1, 100_000)] == [100_000, 200_000]
    keeper.close()


def test_there_are_as_many_keepers_as_workers() -> None:
    assert len(Here().keepers(tasks.double)) == 1
    assert len(Processes(3).keepers(tasks.double)) == 3
    with pytest.raises(TypeError, match="the task cannot be sent to a process"):
        Processes(3).keepers(lambda number: number)


@pytest.mark.parametrize(
    ("machines", "free", "cores", "places"),
    [
        ({"a": 2.0, "b": 3.0, "c": 0.0}, {"CPU": 5.0}, 1.0, "ababb"),
        ({"a": 2.0, "b": 3.0}, {"CPU": 3.0}, 1.0, "aba"),
        ({"a": 1.0}, {"CPU": 1.0}, 0.5, "aa"),
        ({"a": 2.0}, {"CPU": 0.5}, 1.0, "a"),
        ({"a": 2.0}, {}, 4.0, "a"),
    ],
)
def test_a_cluster_has_keepers_for_its_free_cores(
    machines: dict[str, float], free: dict[str, float], cores: float, places: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, machines, free)
    keepers: Any = RayWorkers(cores=cores).keepers(tasks.double)
    assert "".join(keeper._place for keeper in keepers) == places


def test_a_cluster_without_cores_has_no_keepers(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"a": 0.0}, {})
    with pytest.raises(WorkerError, match="no machine of the cluster has cores"):
        RayWorkers().keepers(tasks.double)


def pretend(monkeypatch: pytest.MonkeyPatch, machines: dict[str, float], free: dict[str, float]) -> None:
    """Put a cluster in the place of Ray: the cores of each machine, those that are free, and a machine that is lost."""
    nodes = [{"NodeID": name, "Alive": True, "Resources": {"CPU": own}} for name, own in machines.items()]
    nodes.append({"NodeID": "lost", "Alive": False, "Resources": {"CPU": 8.0}})
    ray = SimpleNamespace(is_initialized=lambda: True, available_resources=lambda: free, nodes=lambda: nodes)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray.util.scheduling_strategies", ray)
