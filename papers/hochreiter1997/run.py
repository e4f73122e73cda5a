"""Temporal order (experiment 6a of the paper): the net, the protocol and the rule of 1997, step by step."""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from carousel.cells import find
from carousel.training import OnlineLearner, OnlineNet
from papers.experiment import Parts, Results

Settings = dict[str, Any]
DISTRACTORS, X, TRIGGER, START, SYMBOLS = 4, 4, 6, 7, 8
"""Symbols: a to d, X and Y, the last one and the first one."""
CLASSES, RIGHT = 4, 0.3


class Strings(NamedTuple):
    """Strings one after another: symbols (time, 1), where each begins and ends, the class of each."""

    symbols: Tensor
    begins: Tensor
    ends: Tensor
    classes: Tensor

    def targets(self) -> Tensor:
        """One output a class, at every step (only the last one counts): (time, 1, classes)."""
        targets = torch.zeros(len(self.symbols), 1, CLASSES, dtype=torch.float64)
        targets[self.ends, 0, self.classes] = 1
        return targets


def parts(settings: Settings) -> Parts:
    """A group of nets each."""
    return {f"order group {group}": partial(order, settings, group) for group in range(settings["groups"])}


def strings(count: int, generator: torch.Generator) -> Strings:
    """Random strings of 100 to 110 symbols: X or Y at step 10 to 20 and again at 50 to 60, among distractors."""

    def whole(low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, (count,), generator=generator)

    lengths, first, second, early, late = whole(100, 110), whole(0, 1), whole(0, 1), whole(10, 20), whole(50, 60)
    ends = lengths.cumsum(0) - 1
    begins = ends - lengths + 1
    symbols = torch.randint(0, DISTRACTORS, (int(lengths.sum()),), generator=generator)
    symbols[begins], symbols[ends] = START, TRIGGER
    symbols[begins + early], symbols[begins + late] = X + first, X + second
    return Strings(symbols.unsqueeze(1), begins, ends, 2 * first + second)


def learner(settings: Settings, group: int) -> OnlineLearner:
    """Nets of the paper: two blocks of two cells, all hidden units (cells and gates) fully connected, all biased."""
    cell = find("lstm1997").with_options(block=settings["block"])
    net = OnlineNet(cell, SYMBOLS, settings["blocks"] * settings["block"], CLASSES, gates_recur=True)
    found = OnlineLearner(
        net=net, nets=settings["nets"], learning_rate=settings["learning_rate"], spread=settings["spread"], seed=group
    )
    found.set_bias("input", settings["input_biases"])
    return found


def order(settings: Settings, group: int) -> dict[str, Any]:
    """Learn until every net is done: strings until then (0: never), wrong answers in the test, shares right."""
    generator = torch.Generator().manual_seed(1000 + group)
    nets, count = learner(settings, group), settings["nets"]
    right, errors = torch.zeros(0, count, dtype=torch.bool), torch.zeros(0, count, dtype=torch.float64)
    done, wrong, curve = [0] * count, [settings["test"]] * count, []
    while len(right) < settings["limit"] and not all(done):
        error = learned(nets, strings(settings["chunk"], generator))
        right = torch.cat([right, error.amax(2) < RIGHT])
        errors = torch.cat([errors, error.mean(2)])
        curve.append((error.amax(2) < RIGHT).double().mean(0).tolist())
        for net in [net for net in range(count) if not done[net]]:
            done[net] = solved(right[:, net], errors[:, net], settings)
            if done[net]:
                wrong[net] = tested(nets, strings(settings["test"], torch.Generator().manual_seed(group)))[net]
    return {"done": done, "wrong": wrong, "curve": curve, "chunk": settings["chunk"]}


def learned(nets: OnlineLearner, given: Strings) -> Tensor:
    """Learn from strings; the errors at their ends (strings, nets, classes), each before it was learned from."""
    marks = torch.zeros(2, len(given.symbols), 1, dtype=torch.bool)
    marks[0, given.begins], marks[1, given.ends] = True, True
    targets = given.targets()
    outputs = nets.learn(given.symbols, targets, begins=marks[0], observed=marks[1])
    return (outputs[given.ends] - targets[given.ends]).abs()


def tested(nets: OnlineLearner, given: Strings) -> list[int]:
    """How many strings each net gets wrong."""
    begins = torch.zeros(len(given.symbols), 1, dtype=torch.bool)
    begins[given.begins] = True
    error = (nets.predict(given.symbols, begins=begins)[given.ends] - given.targets()[given.ends]).abs()
    return (error.amax(2) >= RIGHT).sum(0).tolist()


def solved(right: Tensor, errors: Tensor, settings: Settings) -> int:
    """After how many strings the last ones were all right and their mean error small enough; 0 if never yet."""
    last, recent = settings["right_in_a_row"], settings["right_in_a_row"] + settings["chunk"]
    passed = len(right) - min(len(right), recent)
    right, errors = right[passed:].double(), errors[passed:]
    if len(right) < last:
        return 0
    good = (right.unfold(0, last, 1).amin(1) == 1) & (errors.unfold(0, last, 1).mean(1) < settings["mean_error"])
    return passed + last + int(good.nonzero()[0]) if good.any() else 0


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    pairs = [pair for row in results.values() for pair in zip(row["done"], row["wrong"], strict=True)]
    return {
        "order_solved": [float(done > 0) for done, _ in pairs],
        "order_strings": [float(done) for done, _ in pairs if done],
        "order_wrong": [float(wrong) for done, wrong in pairs if done],
    }


def draw(results: Results, path: Path) -> None:
    """The figure: the share of strings that each net gets right, by strings learned from."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    panel = figure.subplots()
    for row in results.values():
        shares = torch.tensor(row["curve"]).T
        steps = row["chunk"] * torch.arange(1, shares.shape[1] + 1)
        for net, done in zip(shares, row["done"], strict=True):
            panel.plot(steps, net, color="#4292c6", linewidth=0.9, alpha=0.7)
            if done:
                panel.plot([done], [1.02], marker="v", color="#d55e00", markersize=5, linestyle="")
    panel.axvline(31390, color="#57606a", linestyle=(0, (3, 2)), linewidth=1)
    panel.text(31390, 0.05, " mean of the paper", color="#57606a", fontsize=8)
    panel.set_title("Temporal order: strings answered rightly", loc="left", fontsize=10, fontweight="bold")
    panel.set_xlabel("strings learned from; a mark where a net has solved it")
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(color="#d0d7de", linewidth=0.6)
    figure.savefig(path, dpi=130, metadata={"Software": None})
