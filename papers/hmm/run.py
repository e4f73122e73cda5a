"""Hidden Markov models and LSTM: what can cross a gap, how long it may be, and where HMMs win."""

from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from carousel.cells import find
from carousel.data.synthetic.markov import markov_chain
from carousel.data.synthetic.recall import SYMBOLS as RECALL_SYMBOLS
from carousel.data.synthetic.recall import recall
from carousel.data.synthetic.strings import Strings
from carousel.training import OnlineLearner, OnlineNet
from papers.experiment import Parts, Results
from papers.hmm import tasks
from papers.hmm.models import Model, learned, majority, one_bit_each
from papers.hmm.nets import Settings, Teller, bits, improve
from papers.hmm.timing import timing

PLACES = ("short", "long", "longer", "longest")
"""The lengths of strings in the names of claims."""


def parts(settings: Settings) -> Parts:
    """One for each question, size and seed."""
    found: Parts = {"hand": partial(hand, settings)}
    for length in settings["lengths"]:
        found[f"online {length}"] = partial(order_online, settings, length)
    for seed in range(settings["seeds"]):
        for width in settings["widths"]:
            found[f"recall {width} {seed}"] = partial(capacity, settings, width, seed)
        for length in settings["lengths"]:
            found[f"order {length} {seed}"] = partial(order, settings, length, seed)
        for period in settings["timing"]["every"]:
            found[f"timing {period} {seed}"] = partial(timing, settings["timing"], period, seed)
        found[f"markov {seed}"] = partial(markov, settings, seed)
    return found


def hand(settings: Settings) -> dict[str, Any]:
    """Models wired by hand: one bit of many, the majority of three, and the order at every length."""
    width, gap = settings["hand_width"], settings["gap"]
    generator = torch.Generator().manual_seed(0)
    strings = recall(torch.randint(2, (settings["test"], width), generator=generator), gap)
    one = recalled(one_bit_each(width, gap), whole(strings), width)
    three = recall(torch.cartesian_prod(*[torch.arange(2)] * 3), gap)
    one["majority"] = recalled(majority(gap), whole(three), 3)["freely"]
    orders = [
        tasks.right(tasks.by_hand(length), tasks.order(settings["test"] // 4, length, generator))
        for length in settings["lengths"]
    ]
    return {**one, "order": orders}


def capacity(settings: Settings, width: int, seed: int) -> dict[str, Any]:
    """As many bits as `width` over a gap: HMMs of several sizes, and an LSTM."""
    generator = torch.Generator().manual_seed(seed)
    gap, how = settings["gap"], settings["recall"]
    drawn = recall(torch.randint(2, (how["strings"], width), generator=generator), gap)
    test = recall(torch.randint(2, (settings["test"], width), generator=generator), gap)
    found: dict[str, Any] = {}
    for states in how["states"]:
        model = learned(list(whole(drawn)), states, RECALL_SYMBOLS, seed=seed, iterations=how["iterations"])
        found[str(states)] = recalled(model, whole(test), width)
    net = Teller(RECALL_SYMBOLS, how["hidden"], RECALL_SYMBOLS, seed=seed, forget_bias=how["forget_bias"])

    def batch() -> tuple[Tensor, Tensor, Tensor]:
        given = recall(torch.randint(2, (how["batch"], width), generator=generator), gap)
        return batched(given)

    improve(net, batch, how)
    with torch.no_grad():
        symbols, wanted = test.rows(test.inputs), test.rows(test.targets).argmax(2)
        missing = bits(net, symbols, wanted)[-width:]
        hits = net(symbols)[-width:, :, :2].argmax(2) == wanted[-width:]
    found["lstm"] = {"missing": missing.sum(0).mean().item(), "right": hits.double().mean().item()}
    found["lstm"]["whole"] = torch.exp2(-missing.sum(0)).mean().item()
    return found


def batched(strings: Strings) -> tuple[Tensor, Tensor, Tensor]:
    """Symbols, wanted answers and where they count, each (time, strings)."""
    symbols, wanted = strings.rows(strings.inputs), strings.rows(strings.targets).argmax(2)
    return symbols, wanted, strings.rows(strings.observed)


def whole(strings: Strings) -> Any:
    """Strings of recall with their last symbol: int64 (strings, time)."""
    symbols, following = strings.rows(strings.inputs), strings.rows(strings.targets).argmax(2)
    return torch.cat([symbols, following[-1:]]).T.numpy()


def recalled(model: Model, strings: Any, width: int) -> dict[str, float]:
    """Bits missing to tell the recalled ones, the probability of all of them, and the share rightly guessed.

    right: by the likelier value, after the bits before it; freely: where it says them itself, by chance, one by one.
    """
    missing, bits = model.bits(strings)[:, -width:].sum(1), strings[:, -width:]
    right = float((model.foretold(strings)[:, -width:, :2].argmax(2) == bits).mean())
    freely = np.take_along_axis(model.told_freely(strings, width)[:, -width:], bits[:, :, None], axis=2).mean()
    said = {"missing": float(missing.mean()), "whole": float(np.exp2(-missing).mean())}
    return {**said, "right": right, "freely": float(freely)}


def order(settings: Settings, length: int, seed: int) -> dict[str, Any]:
    """Temporal order over a length: the shares that an HMM by Baum-Welch and an Elman net get right."""
    generator = torch.Generator().manual_seed(seed)
    how, test = settings["order"], tasks.order(settings["test"] // 2, length, torch.Generator().manual_seed(99))
    drawn = tasks.with_class(tasks.order(how["strings"], length, generator))
    symbols = tasks.SYMBOLS + tasks.CLASSES
    model = learned(drawn, how["states"], symbols, seed=seed, iterations=how["iterations"], restarts=how["restarts"])
    return {"hmm": tasks.right(model, test), "elman": order_elman(settings, length, seed)}


def order_elman(settings: Settings, length: int, seed: int) -> float:
    """The share that an Elman net gets right."""
    how, test = settings["order"], tasks.order(settings["test"] // 2, length, torch.Generator().manual_seed(99))
    net, generator = Teller(tasks.SYMBOLS, how["hidden"], tasks.CLASSES, seed=seed, elman=True), torch.Generator()
    generator.manual_seed(500 + seed)
    improve(net, lambda: batched(tasks.order(how["batch"], length, generator)), how)
    symbols, wanted, counts = batched(test)
    with torch.no_grad():
        guessed = net(symbols).argmax(2)
    return (guessed == wanted).T[counts.T].double().mean().item()


def order_online(settings: Settings, length: int) -> dict[str, Any]:
    """The same by LSTM, as in 1997: several nets at once, and the share that each gets right."""
    how, generator = settings["online"], torch.Generator().manual_seed(length)
    cell = find("lstm1997").with_options(block=2)
    net = OnlineNet(cell, tasks.SYMBOLS, 4, tasks.CLASSES, gates_recur=True)
    nets = OnlineLearner(net=net, nets=how["nets"], learning_rate=how["learning_rate"], spread=how["spread"])
    nets.set_bias("input", how["input_biases"])
    test = tasks.order(settings["test"] // 2, length, torch.Generator().manual_seed(99))
    shares, seen = [0.0] * how["nets"], 0
    while seen < how["strings"] and min(shares) < 1:
        given = tasks.order(how["chunk"], length, generator)
        nets.learn(given.inputs, given.targets, begins=given.begins, observed=given.ends)
        seen += how["chunk"]
        guessed = nets.predict(test.inputs, begins=test.begins)[test.last].argmax(2)
        shares = (guessed == tasks.classes(test).unsqueeze(1)).double().mean(0).tolist()
    return {"lstm": shares, "strings": seen}


def markov(settings: Settings, seed: int) -> dict[str, Any]:
    """A source of order one: bits a symbol above its own, of an HMM, of pairs counted, and of an LSTM."""
    how, generator = settings["markov"], torch.Generator().manual_seed(seed)
    symbols = how["symbols"]
    weights = -torch.log(torch.rand(symbols, symbols, dtype=torch.float64, generator=generator))
    moves = weights**2 / (weights**2).sum(1, keepdim=True)
    train, valid, test = (markov_chain(moves, length, generator) for length in how["lengths"])
    seen = np.full((symbols, symbols), (1 - how["seen"]) / (symbols - 1))
    np.fill_diagonal(seen, how["seen"])
    begin = Model(np.full(symbols, 1 / symbols), np.full((symbols, symbols), 1 / symbols), seen)
    given = [train.numpy()]
    told = {
        "hmm": learned(given, symbols, symbols, seed=seed, iterations=how["iterations"], begin=begin),
        "hmm_blind": learned(
            given, symbols, symbols, seed=seed, iterations=how["iterations"], restarts=how["restarts"]
        ),
    }
    true = -torch.log2(moves[test[:-1], test[1:]]).mean().item()
    found = {name: float(model.bits(test.numpy()[None])[0, 1:].mean()) - true for name, model in told.items()}
    pairs = torch.zeros(symbols, symbols, dtype=torch.float64)
    pairs.index_put_((train[:-1], train[1:]), torch.ones(len(train) - 1, dtype=torch.float64), accumulate=True)
    counted = (pairs + 0.5) / (pairs + 0.5).sum(1, keepdim=True)
    found["pairs"] = -torch.log2(counted[test[:-1], test[1:]]).mean().item() - true
    return {**found, "lstm": by_lstm(how, seed, train, valid, test) - true}


def by_lstm(how: Settings, seed: int, train: Tensor, valid: Tensor, test: Tensor) -> float:
    """Bits a symbol of an LSTM, as it was when it told the validation symbols best."""
    net = Teller(how["symbols"], how["hidden"], how["symbols"], seed=seed)
    rows = train[: len(train) // how["steps"] * how["steps"]].view(-1, how["steps"]).T
    counts = torch.ones(len(rows) - 1, rows.shape[1], dtype=torch.bool)
    best = found = float("inf")
    adam = torch.optim.Adam(net.parameters(), lr=how["rate"])
    for _ in range(how["looks"]):
        improve(net, lambda: (rows[:-1], rows[1:], counts), how, adam)
        with torch.no_grad():
            now = bits(net, valid[:-1, None], valid[1:, None]).mean().item()
            if now < best:
                best, found = now, bits(net, test[:-1, None], test[1:, None]).mean().item()
    return found


def claims(results: Results) -> dict[str, list[float]]:
    """What each question comes to, a value a seed."""
    by_hand, recalls = results["hand"], _rows(results, "recall")
    widest, most = max(recalls), max(int(name) for name in next(iter(recalls.values()))[0] if name != "lstm")
    found = {
        "bound": [float(own["whole"] <= states / 2**width) for states, width, own in _learned(recalls)],
        "free_bound": [
            float(width * told_of(own["freely"]) <= np.log2(states)) for states, width, own in _learned(recalls)
        ],
        **{f"hand_{what}": [by_hand[what]] for what in ("whole", "missing", "right", "freely", "majority")},
        "recall_hmm_missing": [row[str(most)]["missing"] for row in recalls[widest]],
        "recall_hmm_right": [row[str(most)]["right"] for row in recalls[widest]],
        "recall_lstm_missing": [row["lstm"]["missing"] for row in recalls[widest]],
        "recall_lstm_right": [row["lstm"]["right"] for row in recalls[widest]],
        "order_hand": by_hand["order"],
    }
    orders = sorted(_rows(results, "order").items())
    for place, (length, rows) in zip(PLACES, orders, strict=False):
        for way in rows[0]:
            found[f"order_{way}_{place}"] = [row[way] for row in rows]
        found[f"order_lstm_{place}"] = results[f"online {length}"]["lstm"]
    found |= timing_claims(_rows(results, "timing"))
    sources = [row for part, row in results.items() if part.startswith("markov")]
    for way in ("hmm", "hmm_blind", "pairs", "lstm"):
        found[f"markov_{way}"] = [row[way] for row in sources]
    found["markov_hmm_wins"] = [float(row["hmm"] <= row["lstm"]) for row in sources]
    return found


def timing_claims(timings: dict[int, list[dict[str, Any]]]) -> dict[str, list[float]]:
    """Of the longest period: periods foretold to the step, and bits missing a spike; of all, the bound."""
    longest = timings[max(timings)]
    models = [own for rows in timings.values() for row in rows for own in row.values() if "least" in own]
    found = {"timing_bound": [float(own["variance"] >= own["least"] - 1e-9) for own in models]}
    for way in longest[0]:
        for what in ("exact", "missing"):
            found[f"timing_{way}_{what}"] = [row[way][what] for row in longest]
    return found


def _rows(results: Results, name: str) -> dict[int, list[dict[str, Any]]]:
    """The results of one question by its size."""
    found: dict[int, list[dict[str, Any]]] = {}
    for part, row in results.items():
        if part.startswith(f"{name} "):
            found.setdefault(int(part.split()[1]), []).append(row)
    return found


def told_of(right: float) -> float:
    """The least that must be known of a bit to get it right so often, in bits (Shannon 1959): 1 - H(right)."""
    sides = [side for side in (right, 1 - right) if side > 0]
    return 1 + sum(side * float(np.log2(side)) for side in sides) if right > 0.5 else 0.0


def _learned(recalls: dict[int, list[dict[str, Any]]]) -> list[tuple[int, int, dict[str, float]]]:
    """States, bits and what came of it, of each HMM that learned."""
    return [
        (int(name), width, own)
        for width, rows in recalls.items()
        for row in rows
        for name, own in row.items()
        if name != "lstm"
    ]


def draw(results: Results, path: Path) -> None:
    """The figures: bits that are missing by bits to be stored, and the share of orders told by length; and timing."""
    from matplotlib.figure import Figure

    draw_timing(_rows(results, "timing"), path.with_name("timing.png"))
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    recalls = sorted(_rows(results, "recall").items())
    *models, lstm = recalls[0][1][0]
    blues = ["#9ecae1", "#4292c6", "#2171b5", "#08306b"]
    for name, color in {**dict(zip(models, blues, strict=False)), lstm: "#d55e00"}.items():
        missing = [fmean(row[name]["missing"] for row in rows) for _, rows in recalls]
        label = "LSTM" if name == "lstm" else f"HMM, {name} states"
        left.plot([width for width, _ in recalls], missing, "-o", color=color, markersize=4, label=label)
        if name != "lstm":
            bound = [max(0.0, width - np.log2(int(name))) for width, _ in recalls]
            left.plot([width for width, _ in recalls], bound, color=color, linestyle=(0, (3, 2)), linewidth=1)
    left.set(xlabel="bits stored (dashed: what an HMM must miss)", xticks=[width for width, _ in recalls])
    left.set_title("Bits missing at recall", loc="left", fontsize=10, fontweight="bold")
    orders = sorted(_rows(results, "order").items())
    named = {"hmm": ("#4292c6", "HMM"), "elman": ("#57606a", "Elman net"), "lstm": ("#d55e00", "LSTM")}
    for way, (color, label) in named.items():
        shares = {
            length: results[f"online {length}"]["lstm"] if way == "lstm" else [row[way] for row in rows]
            for length, rows in orders
        }
        means = {length: fmean(share) for length, share in shares.items()}
        right.plot(list(means), list(means.values()), "-o", color=color, markersize=4, label=label)
    right.set(xlabel="length of the strings", ylim=(0, 1.05), xscale="log")
    right.set_xticks([length for length, _ in orders], [str(length) for length, _ in orders], minor=False)
    right.minorticks_off()
    right.set_title("Temporal order: share told rightly", loc="left", fontsize=10, fontweight="bold")
    for panel in (left, right):
        _neat(panel)
    figure.savefig(path, dpi=130, metadata={"Software": None})


def draw_timing(timings: dict[int, list[dict[str, Any]]], path: Path) -> None:
    """The figure of timing: bits missing a spike, by its period."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 3.2), layout="constrained")
    panel = figure.subplots()
    ways = {"few": ("#9ecae1", "HMM, half as many states"), "enough": ("#08519c", "HMM, as many states"),
            "hand": ("#57606a", "the same by hand"), "lstm": ("#d55e00", "LSTM")}  # fmt: skip
    for way, (color, label) in ways.items():
        means = {period: fmean(row[way]["missing"] for row in rows) for period, rows in sorted(timings.items())}
        panel.plot(list(means), list(means.values()), "-o", color=color, markersize=4, label=label)
    panel.set(xlabel="steps from spike to spike", xticks=sorted(timings))
    panel.set_title("Bits missing a spike", loc="left", fontsize=10, fontweight="bold")
    _neat(panel)
    figure.savefig(path, dpi=130, metadata={"Software": None})


def _neat(panel: Any) -> None:
    """A legend, and as few lines as will do."""
    panel.legend(frameon=False, fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(color="#d0d7de", linewidth=0.6)
