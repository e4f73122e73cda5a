"""Control with the velocities taken away: with memory and without, by policy gradients and by evolution."""

import time
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from carousel import Controller
from papers.experiment import Parts, Results

Settings = dict[str, Any]
ARMS = {
    "ppo": "LSTM, PPO",
    "evolution": "LSTM, evolution",
    "memoryless": "no memory, PPO",
    "full": "all shown, no memory, PPO",
}
COLOURS = {"ppo": "#0072b2", "evolution": "#009e73", "memoryless": "#d55e00", "full": "#57606a"}


def parts(settings: Settings) -> Parts:
    """A policy each: of an environment, of an arm, of a seed."""
    return {
        f"{name} {arm} seed {seed}": partial(
            learned, environment["id"], options(environment, arm), seed, settings["episodes"]
        )
        for name, environment in settings["environments"].items()
        for seed in range(environment["seeds"])
        for arm in (*settings["arms"], *environment.get("more", []))
    }


def options(environment: Settings, arm: str) -> dict[str, Any]:
    """How the controller of an arm is made: by the table of its method, or of evolution with another search."""
    search = environment.get("searches", {}).get(arm)
    kind = {"memoryless": "ppo", "full": "ppo"}.get(arm, arm) if search is None else "evolution"
    how = dict(environment[kind])
    if search is not None:
        how["method_options"] = how["method_options"] | {"search": arm} | search
    hidden = [] if arm == "full" else environment["hide"]
    return {**how, "method": kind, "hide": hidden, "memory": arm not in ("memoryless", "full")}


def learned(name: str, how: dict[str, Any], seed: int, episodes: int) -> dict[str, Any]:
    """Learn, and play episodes that training did not play: the mean return, and the returns in validation by epoch."""
    began = time.process_time()
    controller = Controller(**how, random_state=seed).fit(name)
    found = controller.evaluate(episodes=episodes)
    curve = [-row["validation"] for row in controller.history_]
    return {"return": found.mean, "curve": curve, "processor_seconds": time.process_time() - began}


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values, one a seed, for each claim of expected.json."""
    found: dict[str, list[float]] = {}
    for part, row in results.items():
        name, arm, *_ = part.split()
        found.setdefault(f"{name}_{arm}", []).append(row["return"])
    return found


def draw(results: Results, path: Path) -> None:
    """The figure: mean return in validation by epoch, over seeds, one panel an environment."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(part.split()[0] for part in results))
    figure = Figure(figsize=(3.4 * len(names), 3.3), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        for arm, label in ARMS.items():
            curves = [row["curve"] for part, row in results.items() if part.split()[:2] == [name, arm]]
            _draw_arm(panel, curves, label, COLOURS[arm])
        panel.set_title(name, loc="left", fontsize=10, fontweight="bold")
        panel.set_xlabel("share of training")
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#d0d7de", linewidth=0.6)
    panels[0].set_ylabel("return")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=2 * len(names), fontsize=7, frameon=False)
    figure.savefig(path, dpi=130, metadata={"Software": None})


def _draw_arm(panel: Any, curves: list[list[float]], label: str, colour: str) -> None:
    """The mean over seeds of one arm, with all between the least and the greatest."""
    if not curves:
        return
    steps = list(zip(*curves, strict=True))
    x = [(at + 1) / len(steps) for at in range(len(steps))]
    panel.plot(x, [fmean(step) for step in steps], color=colour, label=label, linewidth=1.4)
    panel.fill_between(x, [min(step) for step in steps], [max(step) for step in steps], color=colour, alpha=0.12)
