"""Trains in processes that are killed at random moments and started again, until each run is done.

    python tests/training/killed.py FOLDER

writes FOLDER/<case>-<run>.json and .safetensors for each finished run (run 0 was left alone), and in kills.json how
many times each run was killed. A process is killed a random time after a random update, so that it is met inside an
update, inside the writing of a checkpoint, or between the two.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch._dynamo
from problem import batches, material, summer, timeless, tracker
from safetensors.torch import save_file

from carousel.data import StreamBatches
from carousel.training import BPTT, Plan, TruncatedBPTT, fit

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
    "half precision, checkpoints now and then": ({"precision": "bfloat16"}, {"epochs": 5, "checkpoint_updates": 5}),
}
RUNS = 5


def train(case: str, checkpoint: Path, told: int) -> None:
    """Train, or go on; a byte goes to `told` after each update; the result is written beside the checkpoint."""
    options, plan = CASES[case]
    plan = Plan(**{"checkpoint_updates": 1, "checkpoint_seconds": 1e9, **plan}, checkpoint=checkpoint)
    options = {"learning_rate": 0.02, **options}
    reports = []
    if "k1" in options:
        model, source, held, method = tracker(), streams(), streams(), TruncatedBPTT(**options)
    else:
        held = batches(9, seed=1, shuffle=False)
        model, source, method = summer(dropout=0.3), batches(), BPTT(**options)
    for report in fit(model, source, method, plan, validation=held):
        os.write(told, b".")
        reports.append(report)
    save_file(model.state_dict(), checkpoint.with_suffix(".safetensors"))
    checkpoint.with_suffix(".json").write_text(
        json.dumps([reports[-1].stopped, timeless(reports[-1].history)]), encoding="utf-8"
    )


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
    kills: dict[str, list[int]] = {case: [] for case in CASES}
    for case in CASES:
        finished(*started(case, folder / f"{case}-0"))
        for run in range(1, RUNS + 1):
            met = 0
            while killed(case, folder / f"{case}-{run}", chance):
                met += 1
            kills[case].append(met)
    (folder / "kills.json").write_text(json.dumps(kills), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
