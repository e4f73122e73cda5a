"""Workers give the same results in the same order, whoever computes them, and also when one is killed."""

import copy
import os
import pickle
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.base import clone

from carousel.tasks import SequenceRegressor
from carousel.training import Evolution, Plan, fit
from carousel.training.workers import Here, Processes, WorkerError, Workers, processes, workers_of
from tests.training.problem import OurSummer, batches, timeless, train, weights
from tests.training.workers import tasks

ray_ready = pytest.mark.filterwarnings("ignore")  # Ray's own


def test_results_come_in_the_order_of_the_items(workers: Workers) -> None:
    assert workers.map(tasks.double, range(20)) == [2 * number for number in range(20)]
    assert workers.map(tasks.slow_first, range(5)) == [0, 1, 2, 3, 4]
    assert workers.map(partial(max, 3), [1, 9]) == [3, 9]
    assert workers.map(tasks.double, []) == []


def test_results_are_told_as_they_come(two: Workers) -> None:
    two.map(tasks.double, range(2))
    assert [place for place, _ in two.finished(tasks.slow_first, range(4))] == [1, 2, 3, 0]


def test_tensors_go_and_come(workers: Workers) -> None:
    given = [torch.randn(3) for _ in range(4)]
    assert all(map(torch.equal, workers.map(torch.neg, given), [-one for one in given]))


def test_the_error_of_the_first_item_that_failed_is_raised(workers: Workers) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="no 2"):
            workers.map(tasks.failing, range(8))
    assert workers.map(tasks.double, range(3)) == [0, 2, 4]


def test_an_error_tells_where_it_was_raised(two: Workers) -> None:
    with pytest.raises(ValueError, match="no 2") as error:
        two.map(tasks.failing, range(8))
    assert "in failing" in error.value.__notes__[0]
    with pytest.raises(RuntimeError, match="Odd: odd"):
        two.map(tasks.failing_oddly, range(2))


def test_what_cannot_be_sent_is_named(two: Workers) -> None:
    with pytest.raises(TypeError, match="the task cannot be sent to a process .*must stand in a module"):
        two.map(lambda number: number, [1])
    with pytest.raises(TypeError, match="an item cannot be sent"):
        two.map(tasks.double, [lambda: 1])


def test_each_process_has_one_thread_on_one_core(two: Workers) -> None:
    found = two.map(tasks.place, range(40))
    assert {pid for pid, *_ in found}.isdisjoint({os.getpid()})
    assert {threads for *_, threads, _ in found} == {1}
    assert {variable for *_, variable in found} == {"1"}
    if hasattr(os, "sched_getaffinity"):
        assert all(len(cores) == 1 for _, cores, *_ in found)


@pytest.mark.parametrize("workers", ["processes", pytest.param("ray", marks=ray_ready)], indirect=True)
def test_the_work_of_a_killed_worker_is_done_again(workers: Workers, tmp_path: Path) -> None:
    note = tmp_path / "note"
    assert workers.map(tasks.killed_once, [(str(note), number) for number in range(4)]) == [0, 1, 2, 3]
    assert note.read_text(encoding="utf-8") == "killed"


def test_idle_workers_that_were_killed_are_replaced() -> None:
    with Processes(2) as workers:
        workers.map(tasks.double, range(4))
        before = workers.pids
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        assert workers.map(tasks.double, range(4)) == [0, 2, 4, 6]
        assert set(before).isdisjoint(workers.pids)


def test_an_item_that_kills_every_worker_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "TRIES", 2)
    with Processes(1) as workers, pytest.raises(WorkerError, match="item 1 was lost with its worker 2 times.*code -9"):
        workers.map(tasks.dying, range(3))


def test_processes_end_with_their_workers() -> None:
    workers = Processes(2)
    workers.map(tasks.double, range(4))
    pids = workers.pids
    assert len(pids) == 2
    workers.close()
    assert not any(map(_lives, pids))
    assert workers.map(tasks.double, [4]) == [8]
    pids = workers.pids
    del workers
    assert not any(map(_lives, pids))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_answer_that_nobody_waits_for_is_not_taken_for_the_next(two: Workers) -> None:
    two.map(tasks.double, range(2))
    for place, _ in two.finished(tasks.slow_first, range(4)):
        assert place
        break
    assert two.map(tasks.double, range(4)) == [0, 2, 4, 6]


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (0, ValueError, "workers is 0; give 1 or more, or 'ray'"),
        ("many", ValueError, "workers is 'many'"),
        (True, TypeError, "workers is True"),
        (1.5, TypeError, "an object of training.workers"),
    ],
)
def test_errors(given: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        workers_of(given)
    with pytest.raises(error, match=told):
        Evolution(workers=given)


def test_workers_by_what_an_option_says() -> None:
    assert isinstance(workers_of(1), Here)
    several = workers_of(3)
    assert isinstance(several, Processes)
    assert several.count == 3
    assert workers_of(several) is several
    with pytest.raises(ValueError, match="count is 0"):
        Processes(0)


def test_copies_share_workers_and_pickles_begin_their_own() -> None:
    workers = Processes(3)
    assert copy.deepcopy({"workers": workers})["workers"] is workers
    assert pickle.loads(pickle.dumps(workers)).count == 3
    estimator = SequenceRegressor(method="evolution", method_options={"workers": workers})
    copied: Any = clone(estimator)
    assert copied.method_options["workers"] is workers


def evolved(workers: Any, flag: str = "", model: type[OurSummer] = OurSummer, **options: Any) -> tuple[Any, Any]:
    """The bits of a model after some generations, and their history."""
    torch.manual_seed(1)
    network = tasks.Mortal(flag) if flag else model()
    report = train(network, Plan(epochs=2), Evolution(population=12, workers=workers, **options))
    return weights(network), timeless(report.history)


def test_a_population_gives_the_same_bits_whoever_computes_it(workers: Workers) -> None:
    assert evolved(workers) == evolved(Here())


def test_a_worker_killed_in_the_middle_of_a_generation_changes_no_bit(two: Workers, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    killed = evolved(two, str(flag))
    assert not flag.exists(), "no worker was killed"
    assert killed == evolved(Here())


def test_workers_killed_at_any_moment_change_no_bit(tmp_path: Path) -> None:
    expected = evolved(Here(), search="ga")
    with Processes(2) as workers:
        torch.manual_seed(1)
        network, kills, report = OurSummer(), 0, None
        method = Evolution(population=12, workers=workers, search="ga")
        for report in fit(network, batches(), method, Plan(epochs=2)):
            if report.update in (2, 5, 9):
                os.kill(workers.pids[report.update % 2], signal.SIGKILL)
                kills += 1
        assert kills == 3
        assert report is not None
        assert (weights(network), timeless(report.history)) == expected


def test_a_model_that_draws_random_numbers_gives_the_same_bits_everywhere(two: Workers) -> None:
    assert evolved(two, model=tasks.Drawing) == evolved(Here(), model=tasks.Drawing)


def test_a_run_may_go_on_with_other_workers(tmp_path: Path, two: Workers) -> None:
    plan = Plan(epochs=2, checkpoint=tmp_path / "run", checkpoint_updates=1)
    torch.manual_seed(1)
    first = OurSummer()
    for report in fit(first, batches(), Evolution(population=12, workers=two), plan):
        if report.update == 4:
            break
    torch.manual_seed(1)
    second = OurSummer()
    list(fit(second, batches(), Evolution(population=12, workers=Here()), plan))
    assert weights(second) == evolved(Here())[0]


def test_a_run_ends_the_processes_that_it_began() -> None:
    method = Evolution(population=4, workers=2)
    reports = fit(OurSummer(), batches(), method, Plan(epochs=1))
    next(reports)
    pids = method._workers.pids  # type: ignore[union-attr]  # pyright: ignore[reportPrivateUsage]
    assert len(pids) == 2
    reports.close()
    assert not any(map(_lives, pids))


def test_an_estimator_takes_workers_by_number() -> None:
    X = torch.randn(24, 5, 2).numpy()
    y = X.sum((1, 2))
    found = []
    for workers in (Here(), 2):
        options = {"population": 8, "workers": workers}
        regressor = SequenceRegressor(
            method="evolution", method_options=options, hidden_size=3, max_epochs=1, random_state=0, batch_size=12
        )
        found.append(regressor.fit(X, y).predict(X).tobytes())
    assert found[0] == found[1]


def test_ray_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'carousel-lstm\[ray\]'"):
        workers_of("ray")
