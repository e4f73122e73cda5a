"""Endless streams without marks: nets that can forget, beside those that cannot, decay, or are told when to reset."""

from functools import partial
from math import log
from operator import itemgetter
from pathlib import Path
from typing import Any

from carousel.cells import Gate, find
from carousel.data.synthetic.continual_reber import SYMBOLS, continual_reber
from carousel.training import OnlineLearner, OnlineNet, Trials
from papers import pool
from papers.experiment import Parts, Results

Settings = dict[str, Any]
ROWS = {
    "forget": "forget gates",
    "none": "1997 LSTM, no reset",
    "reset": "1997 LSTM, reset at strings' ends",
    "alpha": "forget gates, alpha decay",
    "decay": "state decay 0.9",
}
"""Ways to learn, as the paper's table has them."""
PAPER = {"forget": 18, "none": 0, "reset": 74, "alpha": 62, "decay": 0}
"""Perfect nets in that table, in percent."""
GOOD, MANY = 1000, 10
"""Nets that are not bad have longer test streams than this; with fewer nets no share of perfect ones is told."""


def parts(settings: Settings) -> Parts:
    """A row's nets, some at a time; the long size has more of them."""
    counts = settings["long_nets" if settings["long"] else "nets"]
    own = {name: value for name, value in settings.items() if name not in ("nets", "long_nets", "long")}
    return {
        f"{row} {first}": partial(learned, own, row, first)
        for row in ROWS
        for first in range(0, counts.get(row, 0), own["part"])
    }


def learned(settings: Settings, row: str, first: int) -> dict[str, Any]:
    """What came of these nets."""
    return {"nets": pool.run(course(settings, row), range(first, first + settings["part"]))}


def course(settings: Settings, row: str) -> pool.Course:
    """A prediction is right when all outputs are near to what may come next."""
    train = Trials(
        tolerance=settings["tolerance"],
        longest=settings["fading_steps"] if row == "alpha" else settings["longest"],
        enough=settings["promising"],
        fading=settings["fading"] if row == "alpha" else 1.0,
    )
    return pool.Course(
        build=partial(nets, settings, row),
        draw=continual_reber,
        train=train,
        test=Trials(tolerance=settings["tolerance"], longest=settings["longest"], most=1),
        reset=row == "reset",
        **{name: settings[name] for name in ("streams", "steps", "every", "promising", "spare", "chunk", "places")},
    )


def nets(settings: Settings, row: str, seed: int, count: int) -> OnlineLearner:
    """Seven symbols, shortcuts from them to the outputs; gates and outputs have biases, the cells' inputs none."""
    gated = find("lstm").with_options(candidate=Gate("g1997"), squash="h1997")
    cell = find("lstm1997") if row in ("reset", "none") else gated
    net = OnlineNet(
        cell.with_options(block=settings["block"]),
        inputs=len(SYMBOLS),
        hidden=settings["blocks"] * settings["block"],
        outputs=len(SYMBOLS),
        shortcut=True,
        biased=tuple(name for name in (*cell.learned, "readout") if name != "candidate"),
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
        perfect, bad = [net for net in row if net["perfect"]], [net for net in row if not good(net)]
        found[f"{name} good"] = [float(good(net)) for net in row]
        if bad:
            found[f"{name} bad length"] = [net["mean"] for net in bad]
        if len(row) >= MANY:
            found[f"{name} perfect"] = [float(net["perfect"]) for net in row]
        if len(row) >= MANY and perfect:
            found[f"{name} streams"] = [float(net["streams"]) for net in perfect]
    return found


def good(net: dict[str, Any]) -> bool:
    """Whether a net is perfect or at least good."""
    return net["perfect"] or net["mean"] > GOOD


def by_row(results: Results) -> dict[str, list[dict[str, Any]]]:
    """The nets of each row."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for part, result in results.items():
        rows.setdefault(part.split()[0], []).extend(result["nets"])
    return rows


def draw(results: Results, path: Path) -> None:
    """The figure: of each row, the shares of nets that are perfect, and good."""
    from matplotlib.figure import Figure

    rows = by_row(results)
    figure = Figure(figsize=(7.2, 2.6), layout="constrained")
    panel = figure.subplots()
    for place, (name, row) in enumerate(rows.items()):
        perfect, fine = (sum(kind(net) for net in row) / len(row) for kind in (itemgetter("perfect"), good))
        panel.barh(-place, fine, color="#9ecae1", height=0.7)
        panel.barh(-place, perfect, color="#0072b2", height=0.7)
        panel.plot([PAPER[name] / 100] * 2, [-place - 0.42, -place + 0.42], color="#d55e00", linewidth=2)
    panel.set_yticks([-place for place in range(len(rows))], [ROWS[name] for name in rows])
    panel.set_xlim(0, 1)
    panel.set_xlabel("share of nets: perfect (dark), good (light); a line where the paper has the perfect ones")
    panel.set_title("Embedded Reber strings without end", loc="left", fontsize=10, fontweight="bold")
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130, metadata={"Software": None})
