"""Endless streams without marks: nets that can forget, beside those that cannot, decay, or are told when to reset."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import log
from operator import itemgetter
from pathlib import Path
from typing import Any

from carousel.cells import Gate, find
from carousel.data.synthetic import continual_order, continual_reber
from carousel.training import OnlineLearner, OnlineNet, Trials
from papers import pool
from papers.experiment import Parts, Results

Settings = dict[str, Any]
ROWS = {
    "alpha": "forget gates, alpha decay",
    "none": "1997 LSTM, no reset",
    "reset": "1997 LSTM, reset at strings' ends",
    "forget": "forget gates",
    "order forget": "temporal order: forget gates",
    "order alpha": "temporal order: forget gates, alpha decay",
    "order none": "temporal order: 1997 LSTM",
    "decay": "state decay 0.9",
}
"""Ways to learn, as the paper's tables have them: embedded Reber strings, then continual noisy temporal order."""
PAPER = {
    "forget": 18,
    "none": 0,
    "reset": 74,
    "alpha": 62,
    "decay": 0,
    "order none": 0,
    "order forget": 24,
    "order alpha": 37,
}
"""Perfect nets in those tables, in percent."""
APART = {"long", "order", "nets", "long_nets", "rows"}
"""Settings that say which nets there are, not how they learn."""
GOOD, MANY = 1000, 10
"""Nets that are not bad have longer test streams than this; with fewer nets no share of perfect ones is told."""


@dataclass(frozen=True)
class Task:
    """Where streams come from, their symbols and classes, and whether the gates recur, not the inputs' shortcut."""

    draw: pool.Draw
    symbols: int
    classes: int
    gates_recur: bool


REBER = Task(continual_reber.continual_reber, len(continual_reber.SYMBOLS), len(continual_reber.SYMBOLS), False)
ORDER = Task(continual_order.continual_order, len(continual_order.SYMBOLS), continual_order.CLASSES, True)


def parts(settings: Settings) -> Parts:
    """A row's nets, some at a time, the first of all rows first; the long size has more of some rows."""
    found: list[tuple[int, str, Callable[[], dict[str, Any]]]] = []
    for row in ROWS:
        given = settings | (settings["order"] if row.startswith("order") else {})
        count = given["long_nets" if settings["long"] else "nets"].get(row.rsplit(maxsplit=1)[-1], 0)
        own = {name: value for name, value in given.items() if name not in APART} | given["rows"].get(row, {})
        for first in range(0, count, own["part"]):
            found.append((first, row, partial(learned, own, row, first, min(first + own["part"], count))))
    return {f"{row} {first}": part for first, row, part in sorted(found, key=itemgetter(0))}


def learned(settings: Settings, row: str, first: int, stop: int) -> dict[str, Any]:
    """What came of these nets."""
    return {"nets": pool.run(course(settings, row), range(first, stop))}


def course(settings: Settings, row: str) -> pool.Course:
    """A prediction is right when all outputs are near to what may come next."""
    fades = row.endswith("alpha")
    train = Trials(
        tolerance=settings["tolerance"],
        longest=settings["fading_steps"] if fades else settings["longest"],
        enough=settings["promising"],
        fading=settings["fading"] if fades else 1.0,
    )
    return pool.Course(
        build=partial(nets, settings, row),
        draw=task_of(row).draw,
        train=train,
        test=Trials(tolerance=settings["tolerance"], longest=settings["longest"], most=1),
        reset=row == "reset",
        **{name: settings[name] for name in ("streams", "steps", "promising", "share", "judged", "chunk", "places")},
    )


def task_of(row: str) -> Task:
    """What the nets of a row learn."""
    return ORDER if row.startswith("order") else REBER


def nets(settings: Settings, row: str, seed: int, count: int) -> OnlineLearner:
    """Symbols in; for Reber strings with shortcuts to the outputs and biases for all but the cells' inputs."""
    task, gated = task_of(row), find("lstm").with_options(candidate=Gate("g1997"), squash="h1997")
    cell = find("lstm1997") if row.rsplit(maxsplit=1)[-1] in ("reset", "none") else gated
    net = OnlineNet(
        cell.with_options(block=settings["block"]),
        inputs=task.symbols,
        hidden=settings["blocks"] * settings["block"],
        outputs=task.classes,
        shortcut=not task.gates_recur,
        gates_recur=task.gates_recur,
        biased=None if task is ORDER else tuple(name for name in (*cell.learned, "readout") if name != "candidate"),
        fixed=("forget",) if row == "decay" else (),
    )
    found = OnlineLearner(
        net=net, nets=count, learning_rate=settings["learning_rate"], spread=settings["spread"], seed=seed
    )
    biases = dict(settings["biases"])
    if row == "decay":
        biases["forget"] = [log(settings["decay"] / (1 - settings["decay"]))] * settings["blocks"]
    for gate, values in biases.items():
        if gate in cell.learned:
            found.set_bias(gate, values)
    return found


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    found: dict[str, list[float]] = {}
    for name, row in by_row(results).items():
        if name.startswith("order"):
            found |= order_claims(name, row)
            continue
        perfect, bad = [net for net in row if net["perfect"]], [net for net in row if not good(net)]
        found[f"{name} good"] = [float(good(net)) for net in row]
        if bad:
            found[f"{name} bad length"] = [net["mean"] for net in bad]
        if len(row) >= MANY:
            found |= many_claims(name, row, perfect)
    return found


def many_claims(name: str, row: list[dict[str, Any]], perfect: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Perfect nets of many, how many streams they took, and how long test streams of the merely good ones are."""
    found = {f"{name} perfect": [float(net["perfect"]) for net in row]}
    if perfect:
        found[f"{name} streams"] = [float(net["streams"]) for net in perfect]
    if lengths := [net["mean"] for net in row if good(net) and not net["perfect"]]:
        found[f"{name} good length"] = lengths
    return found


def order_claims(name: str, row: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Perfect nets, how many streams they took, and how many strings in a row the others get right."""
    perfect, others = [net for net in row if net["perfect"]], [net for net in row if not net["perfect"]]
    found = {f"{name} perfect": [float(net["perfect"]) for net in row]}
    if perfect:
        found[f"{name} streams"] = [float(net["streams"]) for net in perfect]
    if others:
        found[f"{name} strings"] = [net["mean"] for net in others]
    return found


def good(net: dict[str, Any]) -> bool:
    """Whether a net is perfect or at least good."""
    return net["perfect"] or net["mean"] > GOOD


def by_row(results: Results) -> dict[str, list[dict[str, Any]]]:
    """The nets of each row."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for part, result in results.items():
        rows.setdefault(part.rsplit(" ", 1)[0], []).extend(result["nets"])
    return rows


def draw(results: Results, path: Path) -> None:
    """The figure: of each row, the shares of nets that are perfect, and good."""
    from matplotlib.figure import Figure

    rows = by_row(results)
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    panel = figure.subplots()
    for place, (name, row) in enumerate((name, rows[name]) for name in ROWS if name in rows):
        perfect, fine = (sum(kind(net) for net in row) / len(row) for kind in (itemgetter("perfect"), good))
        panel.barh(-place, fine, color="#9ecae1", height=0.7)
        panel.barh(-place, perfect, color="#0072b2", height=0.7)
        panel.plot([PAPER[name] / 100] * 2, [-place - 0.42, -place + 0.42], color="#d55e00", linewidth=2)
    panel.set_yticks([-place for place in range(len(rows))], [ROWS[name] for name in ROWS if name in rows])
    panel.set_xlim(0, 1)
    panel.set_xlabel("share of nets: perfect (dark), good (light); lines: the paper's perfect ones", fontsize=8)
    panel.set_title("Streams without end", loc="left", fontsize=10, fontweight="bold")
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130, metadata={"Software": None})
