"""Trains in processes that are killed at random moments and started again, until each run is done.

    python tests/training/killed.py FOLDER

writes FOLDER/<case>-<run>.json and .safetensors for each finished run (run 0 was left alone), and in kills.json how
many times each run was killed. Every method that has a name is among the cases. A process is killed a random time
after a random update, so that it is met inside an update, inside the writing of a checkpoint, or between the two.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo
from corridor import QUICK, Cart, Turns, network
from problem import Waves, batches, dreamer, material, summer, timeless, tracker
from safetensors.torch import save_file

from carousel.data import StreamBatches
from carousel.tasks import Controller, SequenceEstimator, SequenceRegressor
from carousel.training import BPTT, METHODS, Evolino, Plan, Report, TruncatedBPTT, fit, method_named

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "adam, warm-up and cosine": ({"schedule": "cosine", "warmup": 5}, {"epochs": 5}),
    "accumulated momentum in one cycle": (
        {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "accumulate": 4, "schedule": "one_cycle"},
        {"epochs": 5, "seed": 3},
    ),
    "weight noise": ({"weight_noise": 0.05}, {"epochs": 5}),
    "early stopping": (
        {"optimizer": "rmsprop", "learning_rate": 0.1, "clip_norm": None},
        {"epochs": 30, "patience": 2},
    ),
    "a stream in pieces": ({"k1": 3, "k2": 8, "schedule": "cosine"}, {"epochs": 3}),
    "evolution of a memory, support vectors": (
        {"search": "cosyne", "readout": "svr", "population": 6, "sigma": 0.5, "support_vectors": 20},
        {"epochs": 40},
    ),
    "ppo, in environments that go on": ({"method": "ppo", "piece": 5}, {"epochs": 3}),
    "reinforce, in whole episodes": ({"method": "reinforce"}, {"epochs": 3}),
    "half precision, checkpoints now and then": ({"precision": "bfloat16"}, {"epochs": 5, "checkpoint_updates": 5}),
}
RUNS = 5
METHOD = "method "
METHOD_CASES = [f"{METHOD}{name}" for name in METHODS]
"""Every method that there is, in an estimator."""
METHOD_RUNS = 2
OPTIONS: dict[str, dict[str, Any]] = {"evolution": {"population": 8}}
"""Options of methods that are slow without."""


def train(case: str, checkpoint: Path, told: int) -> None:
    """Train, or go on; a byte goes to `told` after each update; the result is written beside the checkpoint."""
    if case.startswith(METHOD):
        return train_estimator(case.removeprefix(METHOD), checkpoint, told)
    options, plan = CASES[case]
    plan = Plan(**{"checkpoint_updates": 1, "checkpoint_seconds": 1e9, **plan}, checkpoint=checkpoint)
    reports = []
    if "method" in options:
        model, source, held = network(Cart), Turns(3, 10, 6, 0), Turns(2, 0, 1, 1)
        method = method_named(options.pop("method"), **options)
    elif "k1" in options:
        model, source, held, method = tracker(), streams(), streams(), TruncatedBPTT(learning_rate=0.02, **options)
    elif "population" in options:
        model, source, held, method = dreamer(), Waves(), Waves(), Evolino(**options)
    else:
        held = batches(9, seed=1, shuffle=False)
        model, source, method = summer(dropout=0.3), batches(), BPTT(**{"learning_rate": 0.02, **options})
    for report in fit(model, source, method, plan, validation=held):
        os.write(told, b".")
        reports.append(report)
    keep(model, reports[-1], checkpoint)


def keep(model: torch.nn.Module, last: Report, checkpoint: Path) -> None:
    """Write what a finished run has come to beside its checkpoint."""
    save_file(model.state_dict(), checkpoint.with_suffix(".safetensors"))
    checkpoint.with_suffix(".json").write_text(json.dumps([last.stopped, timeless(last.history)]), encoding="utf-8")


def train_estimator(method: str, checkpoint: Path, told: int) -> None:
    """As `train`, for a method by its name in an estimator."""
    estimator, given = ESTIMATORS.get(method, regressor)(method)
    reports = []
    for report in estimator.fit_reports(*given, checkpoint=checkpoint):
        os.write(told, b".")
        reports.append(report)
    keep(estimator.network_, reports[-1], checkpoint)


def regressor(method: str) -> tuple[Any, tuple[Any, ...]]:
    """An estimator that learns by that method, and what it learns from."""
    inputs = np.random.default_rng(0).normal(size=(24, 6, 2))
    estimator = eager(SequenceRegressor)(
        method=method, method_options=OPTIONS.get(method), hidden_size=3, bidirectional=False, dropout=0.0,
        max_epochs=20, batch_size=12, random_state=0,
    )  # fmt: skip
    return estimator, (inputs, inputs.sum((1, 2)))


def eager(kind: type[SequenceEstimator]) -> Any:
    """That estimator, which writes a checkpoint after each update."""

    class Eager(kind):
        def _plan(self, material: Any, seed: int, checkpoint: Any) -> Plan:
            return replace(super()._plan(material, seed, checkpoint), checkpoint_updates=1, checkpoint_seconds=1e9)

    return Eager


def controller(method: str) -> tuple[Any, tuple[Any, ...]]:
    """A controller that learns by that method, and its environment."""
    return eager(Controller)(method=method, **QUICK | {"max_epochs": 5, "updates_per_epoch": 5}), (Cart,)


ESTIMATORS: dict[str, Callable[[str], tuple[Any, tuple[Any, ...]]]] = dict.fromkeys(("ppo", "reinforce"), controller)
"""Methods that no regressor learns by, and what stands in its place: at least 20 updates, of milliseconds."""


def streams() -> StreamBatches:
    """Two lanes of sequences that begin and end inside batches."""
    return StreamBatches(*material(), lanes=2, steps=5)


def started(case: str, checkpoint: Path) -> tuple[int, int]:
    """A process that trains, and where it tells its updates. Forking spares each process the import of torch."""
    tells, told = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(tells)
            train(case, checkpoint, told)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(told)
    return process, tells


def killed(case: str, checkpoint: Path, chance: random.Random) -> bool:
    """Start or resume a run and kill it; whether it was met before its end."""
    process, tells = started(case, checkpoint)
    for _ in range(chance.randrange(16)):
        os.read(tells, 1)
    time.sleep(chance.uniform(0, 0.005))
    os.kill(process, signal.SIGKILL)
    return finished(process, tells) == -signal.SIGKILL


def finished(process: int, tells: int) -> int:
    """Wait for the end of a process; its exit code, or the negative signal that ended it."""
    _, status = os.waitpid(process, 0)
    os.close(tells)
    code = os.waitstatus_to_exitcode(status)
    if code > 0:
        raise SystemExit(f"a run failed with exit code {code}")
    return code


def main(folder: Path) -> None:
    """Run every case once undisturbed and `RUNS` times killed again and again."""
    torch.set_num_threads(1)
    chance = random.Random(0)
    runs = {**dict.fromkeys(CASES, RUNS), **dict.fromkeys(METHOD_CASES, METHOD_RUNS)}
    kills: dict[str, list[int]] = {case: [] for case in runs}
    for case, count in runs.items():
        finished(*started(case, folder / f"{case}-0"))
        for run in range(1, count + 1):
            met = 0
            while killed(case, folder / f"{case}-{run}", chance):
                met += 1
            kills[case].append(met)
    (folder / "kills.json").write_text(json.dumps(kills), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
