"""Labelling: which of seven shoulder exercises a smartwatch feels at each step, for people whom training never met."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import command_line, environment
from benchmarks.results import Result
from benchmarks.supervised import SEEDS, Task, measured
from carousel.data import read_folder, write_csv
from carousel.tasks import SequenceLabeler

AVERAGED = 10
CHUNK = 200
TESTED = (8, 9, 10)
"""The subjects of the test."""
BOTH_WAYS = {"bidirectional": True}


def results() -> Iterator[Result]:
    """Measure the one data set."""
    folder = command_line.RUNS / "data" / "watch"
    shutil.rmtree(folder, ignore_errors=True)
    write_sessions(environment.data() / "watch.npz", folder)
    yield measured(task(folder, BOTH_WAYS))


def task(folder: Path, options: Mapping[str, Any]) -> Task:
    """Our labeler on the folders train and test, with one CSV a chunk and the exercise in a column."""
    train, test = (read_folder(folder / part, step_label="exercise") for part in ("train", "test"))
    steps = [int(part.sequences.lengths.sum()) for part in (train, test)]
    return Task(
        name="labelling-watch",
        title="Labelling each step of smartwatch recordings",
        data=(
            "seven shoulder exercises of ten people, left and right, acceleration and rotation (seglearn): "
            f"{len(train.sequences)} and {len(test.sequences)} chunks, {steps[0]:,} and {steps[1]:,} steps"
        ),
        protocol=(
            f"The exercises of one arm joined in a drawn order, averaged over {AVERAGED} samples, cut into chunks of "
            f"about {CHUNK} steps. People 1 to 7 train, {', '.join(map(str, TESTED))} test. "
            f"Both directions, defaults else, seeds {', '.join(map(str, SEEDS))}, framewise test figures, one thread."
        ),
        estimator=SequenceLabeler,
        train=train,
        test=test,
        fit=("label", folder / "train", "--label", "exercise", "--test", folder / "test"),
        test_path=folder / "test",
        command="labelling",
        options=options,
        notes=("Three people are few: believe the order of the methods, not the second digit.",),
    )


def write_sessions(source: Path, folder: Path) -> None:
    """Cut the recordings of a .npz file (see rivals/export_data.py) into chunks, each a CSV in train/ or test/."""
    with np.load(source) as found:
        recordings = {name: found[name] for name in found.files}
    parts = np.split(recordings["values"], np.cumsum(recordings["lengths"])[:-1])
    order = np.random.default_rng(0)
    for subject, side in np.unique(np.stack([recordings["subject"], recordings["side"]], 1), axis=0):
        own = np.flatnonzero((recordings["subject"] == subject) & (recordings["side"] == side))
        drawn = order.permutation(own)
        rows = [averaged(parts[one]) for one in drawn]
        labels = np.repeat(recordings["exercise"][drawn], [len(one) for one in rows])
        place = folder / ("test" if subject in TESTED else "train")
        _write_chunks(np.concatenate(rows), labels, recordings["channels"], place / f"{subject:02d}-{side}")


def averaged(values: NDArray[Any]) -> NDArray[Any]:
    """Means of ten samples each, (time, channels); a rest at the end is dropped."""
    whole = len(values) // AVERAGED * AVERAGED
    return values[:whole].reshape(-1, AVERAGED, values.shape[1]).mean(1)


def _write_chunks(values: NDArray[Any], labels: NDArray[Any], channels: NDArray[Any], stem: Path) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    count = max(round(len(values) / CHUNK), 1)
    for number, (rows, own) in enumerate(
        zip(np.array_split(values, count), np.array_split(labels, count), strict=True)
    ):
        columns = {str(name): rows[:, at] for at, name in enumerate(channels)}
        write_csv(stem.with_name(f"{stem.name}-{number}.csv"), {**columns, "exercise": own})
