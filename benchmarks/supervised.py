"""What classification and labelling share: seeds, the simple rules, and the command line, on one split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import command_line
from benchmarks.machine import Seconds, described, load, timed
from benchmarks.results import OURS, Entry, Result
from carousel.data import Labelled
from carousel.tasks import baseline_scores
from carousel.tasks.supervised import SupervisedEstimator

SEEDS = (0, 1, 2)
METRICS = ["accuracy", "balanced_accuracy", "macro_f1"]


@dataclass(frozen=True)
class Task:
    """A split with what is said about it: how its files are read, for us and in the words of `carousel fit`."""

    name: str
    title: str
    data: str
    protocol: str
    estimator: type[SupervisedEstimator]
    train: Labelled
    test: Labelled
    fit: tuple[str | Path, ...]
    test_path: Path
    command: str
    options: Mapping[str, Any] = field(default_factory=dict)
    published: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()


def measured(task: Task, seeds: Sequence[int] = SEEDS) -> Result:
    """Our estimator, the simple rules, published figures, and the command line."""
    before = load()
    ours, simple = _ours(task, seeds)
    run = command_line.RUNS / task.name
    by_command = command_line.fit_and_evaluate(task.fit, task.test_path, run, task.options)
    return Result(
        name=task.name,
        title=task.title,
        data=task.data,
        protocol=task.protocol,
        metrics=METRICS,
        lower_is_better=False,
        entries=[ours, *simple, *task.published, by_command],
        command=f"python -m benchmarks {task.command}",
        machine=described(),
        load=[before, load()],
        notes=list(task.notes),
    )


def _ours(task: Task, seeds: Sequence[int]) -> tuple[Entry, list[Entry]]:
    learned, unseen, seconds = task.train, task.test, Seconds()
    scores = [_once(task, seed, seconds) for seed in seeds]
    joined = {name: [one[name] for one in scores] for name in METRICS}
    arrays = (learned.sequences, learned.labels, unseen.sequences, unseen.labels)
    simple = baseline_scores(task.estimator(**task.options), *arrays)
    others = [Entry(who, "baseline", {name: [own[name]] for name in METRICS}) for who, own in simple.items()]
    return Entry(f"{OURS}.{task.estimator.__name__}", "ours", joined, seconds), others


def _once(task: Task, seed: int, seconds: Seconds) -> dict[str, float]:
    model: Any = task.estimator(random_state=seed, **task.options)
    with timed("fit", seconds):
        model.fit(task.train.sequences, task.train.labels)
    with timed("predict", seconds):
        return model.evaluate(task.test.sequences, task.test.labels)
