"""Counting languages: the online protocol of the papers, Adam through time on the same net, and an Elman net."""

from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

from carousel.data.synthetic.counting import LANGUAGES
from papers.experiment import Parts, Results
from papers.gers2001.nets import Backpropagated, Course, Settings, backpropagated, course, online

ELMAN = ("solved", "best")
"""What is claimed of Elman nets, of which there may be none that accepts all."""
MARKS = {"anbn": "#0072b2", "anbmbman": "#d55e00", "anbncn": "#009e73"}


def parts(settings: Settings) -> Parts:
    """Groups of nets that learn online, and one net each by Adam."""
    found: Parts = {}
    for group in range(settings["groups"]):
        for name, most in settings["online"]:
            found[f"online {name} {most} group {group}"] = partial(learn_online, settings, name, most, group)
    for seed in range(settings["seeds"]):
        for (name, most), (way, units) in product(settings["adam"], settings["units"].items()):
            found[f"{way} {name} seed {seed}"] = partial(learn_by_adam, settings, name, most, seed, units)
    return found


def learn_online(settings: Settings, name: str, most: int, group: int) -> dict[str, Any]:
    """A group of nets by the protocol of the paper."""
    how = {key: settings[key] for key in ("spread", "learning_rate", "momentum")}
    nets = online(LANGUAGES[name], nets=settings["nets"], seed=group, **how)
    given = {key: settings[key] for key in ("chunk", "limit", "later", "reach")}
    return course(nets, LANGUAGES[name], Course(most=most, seed=1000 + group, **given))


def learn_by_adam(settings: Settings, name: str, most: int, seed: int, elman: int) -> dict[str, Any]:
    """One net on strings up to `most`; with `elman` one of so many tanh units."""
    net = Backpropagated(LANGUAGES[name], seed=seed, spread=settings["spread"], elman=elman)
    return backpropagated(net, most, settings)


def claims(results: Results) -> dict[str, list[float]]:
    """For each way and language the share of nets that accept all, strings until then, and how far they reach."""
    found: dict[str, list[float]] = {}
    for key, nets in gathered(results).items():
        found |= net_claims(key, nets)
    return {name: values for name, values in found.items() if not name.startswith("elman") or name.endswith(ELMAN)}


def net_claims(key: str, nets: list[dict[str, int]]) -> dict[str, list[float]]:
    """What is claimed of nets: the reach is that of those that accept all; the best is of either time."""
    able = [net for net in nets if net["done"]]
    found = {f"{key}_solved": [float(net["done"] > 0) for net in nets]}
    found[f"{key}_strings"] = [float(net["done"]) for net in able] or [0.0]
    for when in [name for name in nets[0] if name != "done"]:
        found[f"{key}_{when}"] = [float(net[when]) for net in able] or [0.0]
    found[f"{key}_best"] = [max(float(number) for name, number in net.items() if name != "done") for net in nets]
    return found


def gathered(results: Results) -> dict[str, list[dict[str, int]]]:
    """What is known of each net, by way and language."""
    found: dict[str, list[dict[str, int]]] = {}
    for part, row in results.items():
        way, name, *rest = part.split()
        key = f"{way}_{name}" + (f"_{rest[0]}" if way == "online" else "")
        nets = [dict(zip(row, numbers, strict=True)) for numbers in zip(*row.values(), strict=True)]
        found.setdefault(key, []).extend(nets)
    return found


def draw(results: Results, path: Path) -> None:
    """The figure: how far each net reaches, by the greatest number of its training set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    panel = figure.subplots()
    for name, color in MARKS.items():
        found = {
            int(key.rsplit("_", 1)[1]): [net["later"] for net in nets if net["later"]]
            for key, nets in gathered(results).items()
            if key.startswith(f"online_{name}_")
        }
        trained = [most for most in sorted(found) if found[most]]
        for most in trained:
            panel.plot([most] * len(found[most]), found[most], ".", color=color, alpha=0.4)
        label = LANGUAGES[name].name
        panel.plot(trained, [fmean(found[most]) for most in trained], "-o", color=color, markersize=5, label=label)
    panel.plot(range(8, 45), range(8, 45), color="#57606a", linestyle=(0, (3, 2)), linewidth=1, label="training set")
    panel.set(yscale="log", xlabel="greatest number in the training set")
    panel.set_title(
        "Greatest n accepted, with all below it, after 100,000 strings", loc="left", fontsize=10, fontweight="bold"
    )
    panel.legend(frameon=False, fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(color="#d0d7de", linewidth=0.6)
    figure.savefig(path, dpi=130, metadata={"Software": None})
