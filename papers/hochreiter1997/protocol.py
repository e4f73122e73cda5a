"""When a net has learned its task: right so often in a row, right on a test, or with its outputs in the right order."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from carousel.data.synthetic import Strings
from carousel.data.synthetic.reber import ranked
from papers.hochreiter1997.nets import Draw, Online, Settings, Student, draw_of

SET = 256
"""Strings in a set to learn from or to test with, where the paper has such sets."""


@dataclass(frozen=True)
class Lately:
    """The errors of the last strings: the worst and the mean of the outputs (strings, nets)."""

    worst: Tensor
    mean: Tensor

    def and_then(self, worst: Tensor, mean: Tensor, kept: int) -> "Lately":
        """These strings too, and of those before only so many."""
        first = max(0, len(self.worst) - kept)
        return Lately(torch.cat([self.worst[first:], worst]), torch.cat([self.mean[first:], mean]))

    def first_good(self, net: int, rule: Settings) -> int | None:
        """Where the first run of strings begins with few enough wrong and a small mean error; None if nowhere."""
        length = rule["in_a_row"]
        if len(self.worst) < length:
            return None
        wrong = _sums((~(self.worst[:, net] < rule["right"])).double(), length)
        mean = _sums(self.mean[:, net].nan_to_num(torch.inf), length) / length
        good = (wrong < rule.get("fewer", 1)) & (mean < rule.get("mean_error", torch.inf))
        return int(good.nonzero()[0]) if good.any() else None


def _sums(values: Tensor, length: int) -> Tensor:
    """The sum of each run of so many values."""
    return values.unfold(0, length, 1).sum(1)


def errors(strings: Strings, outputs: Tensor, *, last: bool) -> tuple[Tensor, Tensor]:
    """Each string's error, the worst and the mean of its outputs, at its worst observed step or at its last."""
    if last:
        at_end = (outputs[strings.last] - strings.targets[strings.last]).abs()
        return at_end.amax(2), at_end.mean(2)
    by_output = (outputs - strings.targets).abs()
    return strings.worst(by_output.amax(2)), strings.worst(by_output.mean(2))


def until_right(student: Student, given: Settings, seed: int) -> dict[str, Any]:
    """Learn until every net was right so often in a row; strings until then (0: never), and wrong answers in the test.

    Counted are the strings before that row where `before` says so, and those of the row too elsewhere.
    """
    draw, rule, last = draw_of(given, training=True), given["done"], given.get("judged", "end") == "end"
    generator = torch.Generator().manual_seed(1000 + seed)
    lately = Lately(*torch.zeros(2, 0, student.nets, dtype=torch.float64))
    done, curve, seen, stalled = [-1] * student.nets, [], 0, torch.inf
    while seen < given["limit"] and min(done) < 0:
        strings = draw(given["chunk"], generator)
        worst, mean = errors(strings, student.learn(strings), last=last)
        lately, seen = lately.and_then(worst, mean, rule["in_a_row"] - 1), seen + given["chunk"]
        curve.append([seen, *(worst < rule["right"]).double().mean(0).tolist()])
        open_nets = [net for net in range(student.nets) if done[net] < 0]
        for net in open_nets:
            at = lately.first_good(net, rule)
            if at is not None:
                counted = at + (0 if rule.get("before") else rule["in_a_row"])
                done[net] = max(1, seen - len(lately.worst) + counted)
        student.keep([net for net in open_nets if done[net] >= 0])
        stalled = _grown(student, given, mean.mean().item(), stalled)
    _as_when_done(student, [count >= 0 for count in done])
    wrong = wrong_in(student, draw_of(given, training=False), given, seed)
    return {"done": [max(0, count) for count in done], "wrong": wrong, "curve": thinned(curve)}


def _as_when_done(student: Student, done: list[bool]) -> None:
    """Put back each net as it was when it was done; one that never was stays as it is."""
    student.keep([net for net, is_done in enumerate(done) if not is_done])
    student.recall()


def _grown(student: Student, given: Settings, error: float, before: float) -> float:
    """Add cells where the error has stalled; the error to compare the next one with."""
    if "cells_first" in given and isinstance(student, Online) and error > given["stalls"] * before:
        student.grow()
        return torch.inf
    return error


def wrong_in(student: Student, draw: Draw, given: Settings, seed: int) -> list[int]:
    """How many strings of the test each net gets wrong."""
    strings, last = draw(given["test"], torch.Generator().manual_seed(seed)), given.get("judged", "end") == "end"
    pieces = (strings.chosen(places) for places in torch.arange(strings.count).split(SET))
    worst = torch.cat([errors(piece, student.predict(piece), last=last)[0] for piece in pieces])
    return (~(worst < given["done"]["right"])).sum(0).tolist()


def until_tested(student: Student, given: Settings, seed: int) -> dict[str, Any]:
    """Learn until the nets are right on 256 test strings (ST1) and their mean error there is small too (ST2)."""
    draw, clean, rule = draw_of(given, training=True), draw_of(given, training=False), given["done"]
    generator, test = torch.Generator().manual_seed(1000 + seed), clean(SET, torch.Generator().manual_seed(2000 + seed))
    first, done, curve, seen = [0] * student.nets, [0] * student.nets, [], 0
    while seen < given["limit"] and not all(done):
        student.learn(draw(given["chunk"], generator))
        worst, mean = errors(test, student.predict(test), last=True)
        seen, wrong = seen + given["chunk"], (~(worst < rule["right"])).sum(0)
        curve.append([seen, *(1 - wrong / test.count).tolist()])
        good = wrong < rule.get("fewer", 1)
        fine = good & (mean.mean(0) < rule["mean_error"])
        first = [at or seen * int(now) for at, now in zip(first, good, strict=True)]
        student.keep([net for net in range(student.nets) if fine[net] and not done[net]])
        done = [at or seen * int(now) for at, now in zip(done, fine, strict=True)]
    _as_when_done(student, [count > 0 for count in done])
    return {"first": first, "done": done, "wrong": wrong_in(student, clean, given, seed), "curve": thinned(curve)}


def two_sets(pool: Strings) -> Strings:
    """The first strings of a pool to learn from, and as many that are not among these to test with."""
    texts = [tuple(string.tolist()) for string in pool.inputs[:, 0].split(pool.lengths.tolist())]
    known = set(texts[:SET])
    unknown = [place for place, text in enumerate(texts) if text not in known]
    return pool.chosen(torch.tensor([*range(SET), *unknown[:SET]]))


def until_ranked(student: Student, given: Settings, seed: int) -> dict[str, Any]:
    """Learn from 256 strings until the nets are right on these and on 256 others, by both criteria.

    Targets are the next symbols, or with `targets = "legal"` all that may come next.
    """
    generator = torch.Generator().manual_seed(1000 + seed)
    both = two_sets(draw_of(given, training=True)(20 * SET, generator))
    if given.get("targets") == "legal" and both.legal is not None:
        both = replace(both, targets=both.legal.to(both.targets.dtype))
    strict, easy, curve, seen = [0] * student.nets, [0] * student.nets, [], 0
    while seen < given["limit"] and not (all(strict) and all(easy)):
        student.learn(both.chosen(torch.randint(0, SET, (given["chunk"],), generator=generator)))
        right, easier = ranked(both, student.predict(both))
        seen += given["chunk"]
        curve.append([seen, *right.double().mean(0).tolist()])
        strict = [at or seen * int(now) for at, now in zip(strict, right.all(0), strict=True)]
        easy = [at or seen * int(now) for at, now in zip(easy, easier.all(0), strict=True)]
    return {"done": strict, "easy": easy, "curve": thinned(curve)}


def thinned(curve: list[list[float]], points: int = 200) -> list[list[float]]:
    """At most so many points of a curve."""
    step = max(1, -(-len(curve) // points))
    return [[round(value, 4) for value in row] for row in curve[::step]]


PROTOCOLS = {"right": until_right, "tested": until_tested, "ranked": until_ranked}
