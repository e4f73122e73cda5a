"""Kalman-filter training: a^n b^n c^n, and the continual embedded Reber grammar, online, beside descent and Adam."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from carousel.cells import find
from carousel.data.synthetic.counting import LANGUAGES
from carousel.training import OnlineFilter, OnlineLearner, OnlineNet
from papers.experiment import Parts, Results
from papers.gers2001.nets import Backpropagated, Course, Settings, backpropagated, course, online
from papers.gers2001.run import net_claims
from papers.perezortiz2003.continual import SYMBOLS, Stream, stream

LANGUAGE = LANGUAGES["anbncn"]
WAYS = ("dekf", "sgd")
COLORS = {"dekf": "#0072b2", "sgd": "#d55e00", "adam": "#009e73"}
NAMES = {"dekf": "DEKF", "sgd": "descent, online", "adam": "Adam"}


def parts(settings: Settings) -> Parts:
    """Groups of nets by each way."""
    found: Parts = {}
    for group in range(settings["groups"]):
        for way in WAYS:
            found[f"count {way} group {group}"] = partial(count, settings, way, group)
            found[f"reber {way} group {group}"] = partial(reber, settings, way, group)
    for seed in range(settings["seeds"]):
        found[f"count adam seed {seed}"] = partial(count_by_adam, settings, seed)
    return found


def count(settings: Settings, way: str, group: int) -> dict[str, Any]:
    """Strings of a^n b^n c^n, with an update at every step by the filter, after every string by descent."""
    how = settings[f"count_{way}"]
    nets = online(LANGUAGE, nets=settings["nets"], seed=group, spread=settings["spread"], **_learning(way, how))
    given = {key: how[key] for key in ("chunk", "limit", "later")} | {key: settings[key] for key in ("most", "reach")}
    return course(nets, LANGUAGE, Course(seed=2000 + group, every_step=way == "dekf", **given))


def count_by_adam(settings: Settings, seed: int) -> dict[str, Any]:
    """The same net by backpropagation through time and Adam."""
    net = Backpropagated(LANGUAGE, seed=seed, spread=settings["spread"])
    return backpropagated(net, settings["most"], settings)


def reber(settings: Settings, way: str, group: int) -> dict[str, Any]:
    """Symbols of the endless stream until enough were foretold in a row (0: never), and the share right later."""
    how, count = settings[f"reber_{way}"], settings["nets"]
    nets = reber_nets(settings, way, group)
    given = stream(how["limit"] + settings["later"], torch.Generator().manual_seed(3000 + group))
    right = torch.zeros(0, count, dtype=torch.bool)
    done = torch.zeros(count, dtype=torch.int64)
    while len(right) < how["limit"] and not bool((done > 0).all()):
        part = slice(len(right), len(right) + settings["symbols"])
        right = torch.cat([right, foretold(nets, Stream(*(tensor[part] for tensor in given)))])
        done = first_run(right, settings["in_a_row"])
    after = slice(len(right), len(right) + settings["later"])
    later = foretold(nets, Stream(*(tensor[after] for tensor in given))).double().mean(0)
    return {"done": done.tolist(), "later": later.tolist()}


def reber_nets(settings: Settings, way: str, group: int) -> OnlineLearner:
    """The net of 2000: four blocks of two cells with forget gates, outputs that see the inputs too."""
    cell = find("lstm").with_options(block=2)
    biased = ("input", "forget", "output", "readout")
    net = OnlineNet(cell, len(SYMBOLS), 8, len(SYMBOLS), shortcut=True, biased=biased)
    how = _learning(way, settings[f"reber_{way}"])
    nets = OnlineLearner(net=net, nets=settings["nets"], seed=group, spread=settings["reber_spread"], **how)
    for gate, sign in (("input", -1), ("forget", 1), ("output", -1)):
        nets.set_bias(gate, [sign * bias for bias in settings["reber_biases"]])
    return nets


def foretold(nets: OnlineLearner, given: Stream) -> Tensor:
    """Learn from a stretch of the stream; whether each net's strongest output may come (time, nets)."""
    targets = torch.nn.functional.one_hot(given.following, len(SYMBOLS)).double().unsqueeze(1)
    strongest = nets.learn(given.symbols.unsqueeze(1), targets).argmax(2)
    return given.legal.gather(1, strongest)


def first_run(right: Tensor, length: int) -> Tensor:
    """After how many steps each net was right so often in a row for the first time (nets,); 0 if never."""
    steps = torch.arange(1, len(right) + 1).unsqueeze(1)
    last_wrong = torch.where(right, 0, steps).cummax(0).values
    long = steps - last_wrong >= length
    return torch.where(long.any(0), long.int().argmax(0) + 1, 0)


def _learning(way: str, how: Settings) -> dict[str, Any]:
    """The options of a learner for a way."""
    if way == "sgd":
        return {"learning_rate": how["learning_rate"], "momentum": how["momentum"]}
    return {"rule": how["rule"], "filter": OnlineFilter(**how["filter"])}


def claims(results: Results) -> dict[str, list[float]]:
    """By way and task: nets that solve it, strings or symbols until then, how far they reach, how steady they are."""
    found: dict[str, list[float]] = {}
    for key, nets in gathered(results).items():
        if key.startswith("count"):
            found |= net_claims(key, nets)
            continue
        able = [net for net in nets if net["done"]]
        found[f"{key}_solved"] = [float(net["done"] > 0) for net in nets]
        found[f"{key}_symbols"] = [float(net["done"]) for net in able] or [0.0]
        found[f"{key}_later"] = [float(net["later"]) for net in able] or [0.0]
    return found


def gathered(results: Results) -> dict[str, list[dict[str, Any]]]:
    """What is known of each net, by task and way."""
    found: dict[str, list[dict[str, Any]]] = {}
    for part, row in results.items():
        nets = [dict(zip(row, numbers, strict=True)) for numbers in zip(*row.values(), strict=True)]
        found.setdefault("_".join(part.split()[:2]), []).extend(nets)
    return found


def draw(results: Results, path: Path) -> None:
    """The figure: strings until all are accepted and the reach then, and symbols until enough in a row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    found = gathered(results)
    for way, color in COLORS.items():
        able = [net for net in found[f"count_{way}"] if net["done"]]
        left.semilogx([net["done"] for net in able], [net["reach"] for net in able], ".", color=color, label=NAMES[way])
    left.set(xlabel="strings until all up to 10 are accepted", ylabel="accepted up to n then")
    for place, way in enumerate(WAYS):
        done = [net["done"] for net in found[f"reber_{way}"] if net["done"]]
        right.semilogy([place] * len(done), done, ".", color=COLORS[way])
    right.set(xticks=range(len(WAYS)), xticklabels=[NAMES[way] for way in WAYS], xlim=(-0.5, len(WAYS) - 0.5))
    right.set_title("Reber: symbols until 1,000 are right in a row", loc="left", fontsize=9)
    left.legend(frameon=False, fontsize=8)
    left.set_title("aⁿbⁿcⁿ", loc="left", fontsize=9)
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#d0d7de", linewidth=0.6)
    figure.savefig(path, dpi=130, metadata={"Software": None})
