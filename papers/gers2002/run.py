"""Precise timing by a net of one cell: spikes to make, delays to measure, functions to draw."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from carousel.cells import Cell, Gate, Open, find
from carousel.data.synthetic import timed
from carousel.data.synthetic.stream import Stream
from carousel.training import OnlineLearner, OnlineNet, Trials
from papers import pool
from papers.experiment import Parts, Results

Settings = dict[str, Any]
PEEPHOLE = find("peephole").with_options(candidate=Gate("identity"), squash="identity")
CELLS: dict[str, Cell] = {
    "peephole": PEEPHOLE,
    "plain": find("lstm").with_options(candidate=Gate("identity"), squash="identity"),
    "unforgetting": PEEPHOLE.with_options(forget=Open()),
}
"""The cells of the paper: with peepholes (17 weights), without them, and with them but without a forget gate."""
LOOKS = {
    "peephole": ("with peepholes", "#0072b2"),
    "plain": ("without peepholes", "#d55e00"),
    "unforgetting": ("without a forget gate", "#57606a"),
}
TITLES = {
    "spikes10": "a spike every 10 steps", "recalled10": "the same, paper's rates and biases",
    "entropy10": "the same by cross-entropy", "turned10": "paper's rates, output gate closed",
    "half10": "paper's rates, output gate half open", "both10": "paper's rates, both gates open",
    "open10": "paper's biases, a greater rate", "spikes30": "a spike every 30 steps",
    "cosine10": "cosine, period 10", "opencosine10": "the same, paper's biases",
    "triangle10": "triangle, period 10", "rectangle10": "rectangle, period 10",
    "fading10": "the same, a greater rate that fades", "cosine25": "cosine, period 25",
    "delays10": "delays of 10 and 11 steps", "linear10": "one after another, linear output",
    "once10": "the same, one at a time", "once49": "delays of 49 and 50 steps, one at a time",
    "apart5": "10 and 15 steps, linear output", "all5": "10 to 15 steps", "all10": "10 to 20 steps",
}  # fmt: skip
JUDGED, SEEN = "recalled10 ", 1000
"""The task of which it is claimed how long streams of a test are, and up to where."""


def parts(settings: Settings) -> Parts:
    """The nets of one task and one cell; a task says where it differs from its kind, and a kind from all."""
    shared = {name: value for name, value in settings.items() if name not in ("tasks", "kinds", "long")}
    tasks = {task: shared | settings["kinds"][own["kind"]] | own for task, own in settings["tasks"].items()}
    return {f"{task} {cell}": partial(learned, own, cell) for task, own in tasks.items() for cell in own["cells"]}


def learned(settings: Settings, cell: str) -> dict[str, Any]:
    """What came of these nets."""
    return {"nets": pool.run(course(settings, cell), range(settings["nets"]))}


def course(settings: Settings, cell: str) -> pool.Course:
    """How nets of that cell learn one task; a training stream lasts 100 spikes or periods, a test 1,000."""
    per = 1 if settings["kind"] == "delays" else settings["period"]
    longest, test = settings["train"] * per, settings["test"] * per
    return pool.Course(
        build=partial(nets, settings, cell),
        draw=partial(drawn, settings),
        train=Trials(tolerance=settings["tolerance"], longest=longest, enough=longest, fading=settings["fading"]),
        test=Trials(tolerance=settings["tolerance"], longest=test, most=1),
        promising=longest,
        measure=partial(off, settings) if settings["kind"] == "wave" else None,
        reset=settings.get("reset", False),
        **{name: settings[name] for name in ("streams", "steps", "share", "chunk", "places", "tests")},
    )


def drawn(settings: Settings, count: int, rng: np.random.Generator) -> Stream:
    """So many intervals or periods of the endless stream of a task."""
    if settings["kind"] == "delays":
        return timed.spike_delays(settings["period"], settings["jitters"], count, rng)
    if settings["kind"] == "spikes":
        return timed.timed_spikes(settings["period"], count)
    return timed.periodic(settings["wave"], settings["period"], count)


def nets(settings: Settings, cell: str, seed: int, count: int) -> OnlineLearner:
    """Nets of one input, one cell with everything biased, and one output."""
    net = OnlineNet(CELLS[cell], 1, 1, 1, squash=settings["squash"])
    found = OnlineLearner(
        net=net,
        nets=count,
        learning_rate=settings["learning_rate"],
        momentum=settings["momentum"],
        error=settings["error"],
        spread=settings["spread"],
        seed=seed,
    )
    for gate, bias in settings["biases"].items():
        if gate in net.cell.learned:
            found.set_bias(gate, [bias])
    return found


def off(settings: Settings, learner: OnlineLearner) -> float:
    """How far a net's function is from the one that was to be drawn: root of the mean square over 100 periods."""
    wanted = timed.periodic(settings["wave"], settings["period"], 100)
    error = learner.predict(wanted.inputs.unsqueeze(1))[:, 0] - wanted.targets
    return float(error.square().mean().sqrt())


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    found: dict[str, list[float]] = {}
    for part, result in results.items():
        solved = [net for net in result["nets"] if net["perfect"]]
        found[f"{part} solved"] = [float(net["perfect"]) for net in result["nets"]]
        if solved:
            found[f"{part} streams"] = [float(net["streams"]) for net in solved]
        if part.startswith(JUDGED):
            found[f"{part} length"] = [min(net["mean"], SEEN) for net in result["nets"]]
        if solved and solved[0]["measured"] is not None:
            found[f"{part} off"] = [net["measured"] for net in solved]
    return found


def draw(results: Results, path: Path) -> None:
    """The figure: after how many steps of training each net has solved a task; crosses for those that never have."""
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(part.split()[0] for part in results))
    figure = Figure(figsize=(7.2, 0.9 + 0.42 * len(tasks)), layout="constrained")
    panel = figure.subplots()
    for part, result in results.items():
        task, cell = part.split()
        row = -tasks.index(task) - 0.25 * (list(CELLS).index(cell) - 1)
        for solved, marker in ((True, "o"), (False, "x")):
            steps = [net["steps"] for net in result["nets"] if net["perfect"] == solved]
            panel.plot(steps, [row] * len(steps), marker, color=LOOKS[cell][1], markersize=5, alpha=0.7)
    for label, color in LOOKS.values():
        panel.plot([], [], "o", color=color, label=label)
    panel.set_xscale("log")
    panel.set_yticks([-place for place in range(len(tasks))], [TITLES.get(task, task) for task in tasks])
    panel.set_xlabel("steps of training until a net has solved it; x where it never has")
    panel.set_title("Precise timing with one cell", loc="left", fontsize=10, fontweight="bold")
    panel.legend(frameon=False, fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130, metadata={"Software": None})
