"""Phones of unsegmented speech: how deep, in which direction, and CTC or transducer."""

import time
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from papers.experiment import Parts, Results
from papers.graves2013.decoding import judged
from papers.graves2013.nets import Settings, trained
from papers.graves2013.together import together

BEST = "longer, weight noise"
SPOKEN = {"letters", "3 layers", "3 layers, forwards", "longer", BEST}
"""Nets whose error rates with a language model stand in the table."""
SPEECH = ("sample", "bands", "deltas", "stack")
PLAIN = {"written": "phones", "begins": None, "speeds": [[1, 1]]}
SEARCH = ("order", "weights", "bonuses", "beam", "beam_tried")


def parts(settings: Settings) -> Parts:
    """A net each, and those of other seeds; the best from several beginnings, and some nets together."""
    found: Parts = {
        part_of(name, seed): partial(learned, described(settings, name, seed), searched(settings, name))
        for name, net in settings["nets"].items()
        for seed in range(net.get("seeds", 1))
    }
    for name, members in settings["together"].items():
        for seed in range(members.get("seeds", 1)):
            nets = [described(settings, own, seed) for own in members["ctc"]]
            judges = [described(settings, own, each) for own, seeds in members["judges"].items() for each in seeds]
            search = {each: settings[each] for each in SEARCH} | settings["search"]
            found[part_of(name, seed)] = partial(together, nets, judges, search)
    return found


def part_of(name: str, seed: int) -> str:
    """What the net of that name is called whose weights and batches are drawn from that seed."""
    return f"{name}, seed {seed}" if seed else name


def described(settings: Settings, name: str, seed: int = 0) -> Settings:
    """All that a network depends on."""
    own = {**PLAIN, **settings["nets"][name]}
    return {
        **{each: settings[each] for each in SPEECH},
        "speeds": own["speeds"],
        "net": settings["common"] | own["net"] | settings["small"] | {"random_state": seed},
        "written": own["written"],
        "begins": None if own["begins"] is None else described(settings, own["begins"], seed),
    }


def searched(settings: Settings, name: str) -> Settings:
    """How it is read off."""
    found = {each: settings[each] for each in SEARCH}
    if settings["nets"][name]["net"].get("head") == "transducer":
        return found | settings["transducer"]
    return found


def learned(settings: Settings, search: Settings) -> dict[str, Any]:
    """Train a net: its error rates on the test part, its weights, its losses, seconds of the processor."""
    began = time.process_time()
    net = trained(settings)
    weights = sum(weight.numel() for weight in net.network_.parameters())
    taught = time.process_time() - began
    found = judged(net, settings | search)
    return {**found, "weights": weights, "losses": [row["loss"] for row in net.history_], "trained_in": taught}


def claims(results: Results) -> dict[str, list[float]]:
    """The values, one a seed, of each claim of expected.json: error rates by beam search, and others by their names."""
    nets = {name: rows for name, rows in by_name(results).items() if "beam" in rows[0]}
    found = {name: [row["beam"]["all"] for row in rows] for name, rows in nets.items()}
    found |= {f"{name}, language": [row["language"]["all"] for row in nets[name]] for name in SPOKEN & nets.keys()}
    found["letters, words"] = [results["letters"]["language"]["words"]]
    if BEST in results:
        found[f"{BEST}, no pauses"] = [row["language"]["without pauses"] for row in nets[BEST]]
        found["order"] = [_in_order({name: fmean(values) for name, values in found.items()})]
        found["alone, mean"] = [row["mean"] for row in by_name(results)["alone"]]
        found |= {f"together, {way}": [results["together"][way]] for way in ("mean", "both")}
    return found


def by_name(results: Results) -> dict[str, list[dict[str, Any]]]:
    """The results of each net, or of nets together, one a seed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for part, row in results.items():
        found.setdefault(part.partition(", seed ")[0], []).append(row)
    return found


def _in_order(rate: dict[str, float]) -> float:
    """The share of the paper's comparisons that come out as there, by means over seeds."""
    better = [("2 layers", "1 layer"), ("3 layers", "2 layers"), ("3 layers", "1 layer, wide")]
    better += [(depth, f"{depth}, forwards") for depth in ("1 layer", "2 layers", "3 layers")]
    better += [
        ("transducer", "3 layers"),
        ("transducer from CTC", "transducer"),
        ("transducer from CTC", "CTC further"),
    ]
    return fmean(rate[one] < rate[other] for one, other in better)


def draw(results: Results, path: Path) -> None:
    """The figure: error rates by depth and direction, and those of the nets of three layers."""
    from papers.graves2013.picture import picture

    picture(by_name(results)).savefig(path, dpi=130, metadata={"Software": None})
