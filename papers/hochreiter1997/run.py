"""The six experiments of the paper, by its own protocol and rule; beside them Adam, and nets drawn at random."""

from collections.abc import Iterator
from functools import partial
from math import nan
from pathlib import Path
from typing import Any

from papers.experiment import Parts, Results
from papers.hochreiter1997.nets import Backwards, Online, Settings, guessed
from papers.hochreiter1997.picture import TITLES, drawn
from papers.hochreiter1997.protocol import PROTOCOLS

COUNTS = {"done": "", "first": "_first", "easy": "_easy"}
"""How claims call the counts of strings: until it is solved, by the first criterion (3), by the easier one (1)."""


def described(settings: Settings) -> dict[str, Settings]:
    """All experiments by name, each with all its numbers."""
    common = {name: settings[name] for name in ("nets", "groups", "chunk", "test")}
    return {name: common | given for name, given in settings["experiments"].items()}


def experiments(settings: Settings) -> dict[str, Settings]:
    """The experiments of this size by name."""
    found = described(settings)
    names = settings.get("only", [name for name, given in found.items() if settings["long"] or not given.get("long")])
    return {name: _at_most(found[name], settings.get("at_most")) for name in names}


def _at_most(given: Settings, most: int | None) -> Settings:
    """With so many groups, and neither Adam nor guessing, where the size says so."""
    if most is None:
        return given
    return without(given, "adam", "guess") | {"groups": most}


def parts(settings: Settings) -> Parts:
    """Of each experiment the groups of nets, the nets that learn by Adam, and the seeds of guessing.

    None is told how many others there are, so that it need not be run again when there are more.
    """
    found: Parts = {}
    for name, given in experiments(settings).items():
        adam, guess = given.get("adam", {"nets": 0}), given.get("guess", {"seeds": 0})
        own = without(given, "groups", "long", "adam", "guess")
        for group in range(given["groups"]):
            found[f"{name} group {group}"] = partial(online, own, group)
        for seed in range(adam["nets"]):
            found[f"{name} adam {seed}"] = partial(backwards, own | without(adam, "nets"), seed)
        for seed in range(guess["seeds"]):
            found[f"{name} guess {seed}"] = partial(guessed, own | {"guess": without(guess, "seeds")}, seed)
    return found


def without(given: Settings, *names: str) -> Settings:
    """All numbers but these."""
    return {name: value for name, value in given.items() if name not in names}


def online(given: Settings, group: int) -> dict[str, Any]:
    """A group of nets by the rule of 1997."""
    return PROTOCOLS[given["protocol"]](Online(given, given["nets"], group), given, group)


def backwards(given: Settings, seed: int) -> dict[str, Any]:
    """A net by backpropagation through time and Adam, on the strings that the group of this seed has."""
    return PROTOCOLS[given["protocol"]](Backwards(given, seed), given, seed)


def claims(results: Results) -> dict[str, list[float]]:
    """Of each experiment and way to learn: who solved it, after how many strings, and wrong answers in the test."""
    found: dict[str, list[float]] = {}
    for (name, way), rows in _ways(results).items():
        if way == "guess":
            found |= _counted(f"{name}_guess", [row["tries"] for row in rows])
            continue
        called = name if way == "group" else f"{name}_{way}"
        for count, word in COUNTS.items():
            if count in rows[0]:
                told = _counted(f"{called}{word}", [each for row in rows for each in row[count]])
                found |= {claim: values for claim, values in told.items() if way == "group" or "solved" in claim}
        if "wrong" in rows[0]:
            pairs = [pair for row in rows for pair in zip(row["wrong"], row["done"], strict=True)]
            kept = [float(wrong) for wrong, done in pairs if done or way == "adam"]
            found[f"{called}_wrong"] = kept or [nan]
    return found


def _counted(name: str, counts: list[int]) -> dict[str, list[float]]:
    """Who solved it, and after how many strings or tries those did."""
    solved = [float(count > 0) for count in counts]
    return {f"{name}_solved": solved, f"{name}_count": [float(count) for count in counts if count] or [nan]}


def _ways(results: Results) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Results by experiment and way: group, adam or guess."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for part, row in results.items():
        name, way, _ = part.split()
        found.setdefault((name, way), []).append(row)
    return found


def curves(results: Results, name: str) -> Iterator[tuple[list[float], list[float], int]]:
    """Of each net of an experiment: strings, shares of them that are right, and when it was done."""
    for row in _ways(results).get((name, "group"), []):
        steps, *shares = zip(*row["curve"], strict=True)
        for share, done in zip(shares, row["done"], strict=True):
            yield list(steps), list(share), done


def draw(results: Results, path: Path) -> None:
    """The figure: shares of right strings by strings learned from, a panel an experiment."""
    found = {name: list(curves(results, name)) for name in TITLES}
    drawn({name: lines for name, lines in found.items() if lines}, path)
