"""One real series, one small forecaster, every way to learn: accuracy, processor time, memory, and docs/methods.md."""

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch

from benchmarks.environment import ROOT
from benchmarks.machine import described, load
from benchmarks.results import METHODS as PREFIX
from benchmarks.results import RESULTS
from carousel.data import atomic_path, datasets
from carousel.tasks import Forecaster
from carousel.training import METHODS

SEEDS = (0, 1, 2)
HORIZON = 26
NETWORK: dict[str, Any] = {
    "horizon": HORIZON, "hidden_size": 8, "base": "none", "quantiles": (0.5,), "context": 104, "lstm_context": 52,
}  # fmt: skip
"""What all have in common: all must come from the LSTM, and its median is all that is asked for."""
OWN: dict[str, dict[str, Any]] = {
    "evolution": {"method_options": {"population": 64, "sigma": 0.1}},
    "dekf": {"max_epochs": 5, "windows_per_epoch": 128, "batch_size": 2},
    "rtrl": {"windows_per_epoch": 256, "batch_size": 16, "max_epochs": 5},
    "rule1997": {"windows_per_epoch": 256, "batch_size": 16, "max_epochs": 5},
    "tbptt": {"method_options": {"k1": 8, "k2": 16}},
}
"""What a method needs to be told in its place: how much it sees, and in which pieces. Others take the defaults."""
PAGE = ROOT / "docs" / "methods.md"
CHOOSE = ROOT / "docs" / "choose.md"
MODEL = "model"


@dataclass
class Learned:
    """One method: its scores, processor seconds and MiB of memory above what was there before, each a figure a seed."""

    method: str
    options: dict[str, Any]
    mae: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    updates: int = 0
    refused: str = ""


@dataclass
class Comparison:
    """All methods, the simple forecasts beside them (mean absolute errors), and where it was measured."""

    learned: list[Learned]
    simple: dict[str, float]
    machine: dict[str, Any]
    load: list[float]

    def write(self, folder: Path = RESULTS) -> None:
        """Write the file, atomically."""
        with atomic_path(folder / f"{PREFIX}co2.json") as temporary:
            temporary.write_text(f"{json.dumps(asdict(self), indent=1)}\n", encoding="utf-8")


def read(folder: Path = RESULTS) -> Comparison:
    """What was measured last; nothing yet if there is no file."""
    path = folder / f"{PREFIX}co2.json"
    if not path.exists():
        return Comparison([], {}, {}, [])
    found = json.loads(path.read_text(encoding="utf-8"))
    return Comparison(**{**found, "learned": [Learned(**one) for one in found["learned"]]})


def measure(names: Sequence[str] = (), seeds: Sequence[int] = SEEDS, folder: Path = RESULTS) -> Comparison:
    """Learn by all methods, or anew by these, each seed in a process of its own; goes on where it was stopped."""
    found = read(folder)
    kept = {one.method: one for one in found.learned if one.method not in names}
    for place, seed in enumerate(seeds):
        for name in names or METHODS:
            one = kept.get(name)
            if one is None or one.options != OWN.get(name, {}):
                one = kept[name] = Learned(name, OWN.get(name, {}))
            if not one.refused and len(one.mae) == place:
                before = load()
                _take(found, one, _elsewhere(name, seed))
                found.machine, found.load = described(), [before, load()]
                found.learned = [kept[name] for name in METHODS if name in kept]
                found.write(folder)
    return found


def _take(found: Comparison, one: Learned, answer: dict[str, Any]) -> None:
    """Keep what a process said."""
    one.refused = answer.get("refused", "")
    if one.refused:
        return
    found.simple = answer["simple"]
    one.mae.append(answer["mae"])
    one.seconds.append(answer["seconds"])
    one.memory.append(answer["memory"])
    one.updates = answer["updates"]


def _elsewhere(name: str, seed: int) -> dict[str, Any]:
    """What `once` says in a new process, whose peak of memory is its own."""
    command = [sys.executable, "-m", "benchmarks.methods", name, str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"method {name} with seed {seed} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def once(name: str, seed: int, **changed: Any) -> dict[str, Any]:
    """Learn by the method on all but the last tenth of the series, and forecast that from every origin."""
    torch.set_num_threads(1)
    values = _series()
    first = len(values) - len(values) // 10
    model = Forecaster(method=name, random_state=seed, **{**NETWORK, **OWN.get(name, {}), **changed})
    before, began = _resident(), time.process_time()
    try:
        model.fit(values[:first])
    except (TypeError, ValueError) as error:
        return {"refused": str(error)}
    seconds = time.process_time() - began
    memory = max(_peak() - before, 0.0)
    scores = model.evaluate(values, start=first).scores
    mae = {who: own["mae"] for who, own in scores.items()}
    updates = model.history_[-1]["updates"]
    return {"mae": mae.pop(MODEL), "simple": mae, "seconds": seconds, "memory": memory, "updates": updates}


def _series() -> np.ndarray[Any, np.dtype[np.float64]]:
    """The weekly record of carbon dioxide, each missing week as the one before it."""
    values = datasets.load("co2").column("ppm")
    return values[np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(values))))]


def _resident() -> float:
    """MiB of memory that this process has now."""
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * resource.getpagesize() / 2**20 if pages.exists() else _peak()


def _peak() -> float:
    """MiB of memory that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


INTRODUCTION = """# Methods

Which method, when, and what it comes to: one small forecaster ({hidden} units, no linear forecast under it, so that all
must be learned), the weekly record of carbon dioxide at Mauna Loa, {horizon} weeks ahead from every origin in the last
tenth, which none has seen. Only how a method is fed differs, where it must; {seeds}. Seconds are those of one
core.

This page is made by `python -m benchmarks methods`; a test holds it current.

| method | MAE, ppm | learning, s | memory, MiB | updates | when |
|---|---|---|---|---|---|
"""


def page(found: Comparison | None = None) -> str:
    """The text of docs/methods.md."""
    found = read() if found is None else found
    when = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", CHOOSE.read_text(encoding="utf-8"), re.MULTILINE))
    head = INTRODUCTION.format(hidden=NETWORK["hidden_size"], horizon=HORIZON, seeds=_seeds(found))
    rows = "".join(f"{_row(one, when.get(one.method, ''))}\n" for one in found.learned)
    simple = ", ".join(f"{who} {mae:.3f}" for who, mae in found.simple.items())
    own = [f"- `{one.method}` with {_told(one.options)}." for one in found.learned if one.options and not one.refused]
    refused = [f"- `{one.method}` trains no forecaster: {one.refused}." for one in found.learned if one.refused]
    machine = f"- {found.machine['processor']}, one thread; load {found.load[0]} to {found.load[1]}."
    notes = "\n".join(
        [
            f"- Simple forecasts: {simple}.",
            "- Memory is the peak above what the process had before it began to learn.",
            *_behind(found),
            "- Some were fed less, as told below, because their updates cost more; times are not alike all the same. "
            "The gradient of `rtrl` is that of `bptt`: it comes to less because it was fed less.",
            *own,
            *refused,
            machine,
        ]
    )
    return f"{head}{rows}\n{notes}\n"


def _behind(found: Comparison) -> list[str]:
    """Which methods, as they were fed here, are no better than a simple forecast."""
    means = {one.method: fmean(one.mae) for one in found.learned if one.mae}
    lines = []
    for who, bar in found.simple.items():
        lost = [f"`{method}` ({mae:.3f})" for method, mae in means.items() if mae >= bar]
        named = "all" if len(lost) == len(means) else ", ".join(lost)
        lines += [f"- No better than {who} ({bar:.3f}): {named}."] if lost else []
    return lines


def write() -> None:
    """Write the page."""
    with atomic_path(PAGE) as temporary:
        temporary.write_text(page(), encoding="utf-8")


def _seeds(found: Comparison) -> str:
    counts = sorted({len(one.mae) for one in found.learned if not one.refused})
    return " to ".join(map(str, counts)) + (" seed" if counts == [1] else " seeds")


def _row(one: Learned, when: str) -> str:
    if one.refused:
        return f"| `{one.method}` | | | | | {when} |"
    spread = f" ± {stdev(one.mae):.3f}" if len(one.mae) > 1 else ""
    figures = [f"{fmean(one.mae):.3f}{spread}", f"{fmean(one.seconds):.3g}", f"{max(one.memory):.0f}"]
    figures.append(f"{one.updates:,}")
    return f"| `{one.method}` | {' | '.join(figures)} | {when} |"


def _told(options: dict[str, Any]) -> str:
    flat = {**options, **options.get("method_options", {})}
    flat.pop("method_options", None)
    return ", ".join(f"{name}={value}" for name, value in flat.items())


if __name__ == "__main__":
    print(json.dumps(once(sys.argv[1], int(sys.argv[2]))))
