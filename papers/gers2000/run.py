"""Endless streams without marks: nets that can forget, beside those that cannot, decay, or are told when to reset."""

from functools import partial
from math import log
from pathlib import Path
from typing import Any

from carousel.cells import Gate, find
from carousel.data.synthetic import continual_order, continual_reber
from carousel.training import OnlineLearner, OnlineNet, Trials
from papers import pool
from papers.experiment import Parts, Results

Settings = dict[str, Any]
ROWS = {
    "reset": "1997 LSTM, reset at each string's end",
    "none": "1997 LSTM, no reset",
    "decay": "state decay 0.9",
    "forget": "forget gates",
    "alpha": "forget gates, alpha decay",
}
"""Ways to learn the continual embedded Reber grammar, as the paper's table has them."""
ORDER_ROWS = ("none", "forget", "alpha")
"""Those of continual noisy temporal order."""


def parts(settings: Settings) -> Parts:
    """A row's nets, some at a time; the long size has more of them."""
    size = "long_nets" if settings["long"] else "nets"
    return {
        f"{task} {row} {first}": partial(learned, task, settings[task], row, first)
        for task, rows in (("reber", ROWS), ("order", ORDER_ROWS))
        for row in rows
        for first in range(0, settings[task][size].get(row, 0), settings[task]["part"])
    }


def learned(task: str, settings: Settings, row: str, first: int) -> dict[str, Any]:
    """What came of these nets."""
    course = {"reber": reber, "order": order}[task](settings, row)
    return {"nets": pool.run(course, range(first, first + settings["part"]))}


def reber(settings: Settings, row: str) -> pool.Course:
    """Continual embedded Reber grammar: a prediction is right when all outputs are near to what may come next."""
    longest = settings["fading_steps"] if row == "alpha" else settings["longest"]
    train = Trials(
        tolerance=settings["tolerance"],
        longest=longest,
        enough=min(settings["promising"], longest),
        fading=settings["fading"] if row == "alpha" else 1.0,
    )
    return pool.Course(
        build=partial(_reber_nets, settings, row),
        draw=continual_reber.continual_reber,
        train=train,
        test=Trials(tolerance=settings["tolerance"], longest=settings["longest"], most=1),
        reset=row == "reset",
        **_limits(settings),
    )


def order(settings: Settings, row: str) -> pool.Course:
    """Continual noisy temporal order: a net answers at the end of each string."""
    train = Trials(
        tolerance=settings["tolerance"],
        longest=settings["longest"],
        enough=settings["promising"],
        fading=settings["fading"] if row == "alpha" else 1.0,
    )
    return pool.Course(
        build=partial(_order_nets, settings, row),
        draw=continual_order.continual_order,
        train=train,
        test=Trials(tolerance=settings["tolerance"], longest=settings["longest"], most=1),
        **_limits(settings),
    )


def _limits(settings: Settings) -> dict[str, int]:
    return {name: settings[name] for name in ("streams", "steps", "every", "promising", "chunk", "places")}


def _net(settings: Settings, row: str, **sizes: Any) -> OnlineNet:
    """The paper's cells, in blocks: with forget gates, or without, or with forget gates that stay as they are."""
    gated = find("lstm").with_options(candidate=Gate("g1997"), squash="h1997")
    cell = find("lstm1997") if row in ("reset", "none") else gated
    block, hidden = settings["block"], settings["blocks"] * settings["block"]
    fixed = ("forget",) if row == "decay" else ()
    return OnlineNet(cell.with_options(block=block), hidden=hidden, fixed=fixed, **sizes)


def _nets(settings: Settings, row: str, net: OnlineNet, seed: int, nets: int) -> OnlineLearner:
    found = OnlineLearner(
        net=net, nets=nets, learning_rate=settings["learning_rate"], spread=settings["spread"], seed=seed
    )
    found.set_bias("input", settings["input_biases"])
    if settings["output_biases"]:
        found.set_bias("output", settings["output_biases"])
    if row == "decay":
        found.set_bias("forget", [log(settings["decay"] / (1 - settings["decay"]))] * settings["blocks"])
    elif row in ("forget", "alpha"):
        found.set_bias("forget", settings["forget_biases"])
    return found


def _reber_nets(settings: Settings, row: str, seed: int, nets: int) -> OnlineLearner:
    """Seven symbols, shortcuts from them to the outputs; gates and outputs have biases, the cells' inputs none."""
    biased = (
        ("input", "forget", "output", "readout") if row not in ("reset", "none") else ("input", "output", "readout")
    )
    symbols = len(continual_reber.SYMBOLS)
    return _nets(
        settings, row, _net(settings, row, inputs=symbols, outputs=symbols, shortcut=True, biased=biased), seed, nets
    )


def _order_nets(settings: Settings, row: str, seed: int, nets: int) -> OnlineLearner:
    """Eight symbols, eight classes, everything with a bias."""
    sizes = {"inputs": len(continual_order.SYMBOLS), "outputs": continual_order.CLASSES}
    return _nets(settings, row, _net(settings, row, **sizes), seed, nets)


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    found: dict[str, list[float]] = {}
    for name, nets in by_row(results).items():
        perfect = [net for net in nets if net["perfect"]]
        rest = [net for net in nets if not net["perfect"]]
        found[f"{name} perfect"] = [float(net["perfect"]) for net in nets]
        if perfect:
            found[f"{name} streams"] = [float(net["streams"]) for net in perfect]
        if rest:
            found[f"{name} rest"] = [net["mean"] for net in rest]
    return found


def by_row(results: Results) -> dict[str, list[dict[str, Any]]]:
    """The nets of each task and row."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for part, result in results.items():
        rows.setdefault(part.rsplit(" ", 1)[0], []).extend(result["nets"])
    return rows


def draw(results: Results, path: Path) -> None:
    """The figure: of each row, the share of nets that are perfect, good and neither."""
    from matplotlib.figure import Figure

    rows = {name: nets for name, nets in by_row(results).items() if name.startswith("reber")}
    figure = Figure(figsize=(7.2, 2.6), layout="constrained")
    panel = figure.subplots()
    for place, (name, nets) in enumerate(rows.items()):
        perfect = sum(net["perfect"] for net in nets) / len(nets)
        good = sum(not net["perfect"] and net["mean"] > 1000 for net in nets) / len(nets)
        for left, width, color in ((0, perfect, "#0072b2"), (perfect, good, "#9ecae1")):
            panel.barh(-place, width, left=left, color=color, height=0.7)
        panel.plot([PAPER[name] / 100] * 2, [-place - 0.42, -place + 0.42], color="#d55e00", linewidth=2)
    panel.set_yticks([-place for place in range(len(rows))], [ROWS[name.split()[1]] for name in rows])
    panel.set_xlim(0, 1)
    panel.set_xlabel("share of nets: perfect (dark), good (light); a line where the paper has the perfect ones")
    panel.set_title("Embedded Reber strings without end", loc="left", fontsize=10, fontweight="bold")
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130, metadata={"Software": None})


PAPER = {"reber reset": 74, "reber none": 0, "reber decay": 0, "reber forget": 18, "reber alpha": 62}
"""Perfect nets in the paper, in percent."""
