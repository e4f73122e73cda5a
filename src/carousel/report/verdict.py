"""The page's first sentence: does the model beat the simple baselines, and what to do if not."""

from dataclasses import dataclass
from typing import Literal

from carousel.report.findings import Findings, Learning, Results, Score
from carousel.report.wording import about, number

LEVEL = 0.005
"""Relative differences below this are called level."""


@dataclass(frozen=True)
class Verdict:
    """How the comparison ended, in one sentence, and what to do next."""

    outcome: Literal["wins", "loses", "level", "alone", "failed"]
    sentence: str
    advice: str


def verdict(findings: Findings) -> Verdict:
    """Compare the model with the best baseline in the metric that decides."""
    results, model = findings.results, findings.results.model
    own, rival = model.values[results.metric], results.best_baseline
    if own is None:
        return _failed(model, results, rival)
    if rival is None:
        return _alone(model, results, own)
    theirs = rival.values[results.metric] or 0.0
    if abs(own - theirs) <= LEVEL * max(abs(own), abs(theirs)):
        return _level(model, rival, results, findings.learning)
    wins = (own < theirs) == results.lower_is_better
    return _wins(model, rival, results) if wins else _loses(model, rival, results, findings.learning)


def _values(results: Results, first: Score, second: Score) -> str:
    return f"{number(first.values[results.metric])} against {number(second.values[results.metric])}"


def _difference(results: Results, better: Score, worse: Score) -> str:
    """How much better, without a direction: '12 %' of an error, '3 percentage points' of a share, or plain units."""
    good, bad = (row.values[results.metric] or 0.0 for row in (better, worse))
    if results.lower_is_better and bad > 0:
        return about((bad - good) / bad)
    if 0 <= bad <= 1 and 0 <= good <= 1:
        return about(good - bad).replace("%", "percentage points")
    return number(abs(good - bad))


def _wins(model: Score, rival: Score, results: Results) -> Verdict:
    side = "below" if results.lower_is_better else "above"
    sentence = (
        f"The {model.name}'s {results.metric} is {_difference(results, model, rival)} {side} the best baseline, "
        f"{rival.name} ({_values(results, model, rival)})."
    )
    return Verdict("wins", sentence, f"Measured on {results.measured_on}.")


def _loses(model: Score, rival: Score, results: Results, learning: Learning) -> Verdict:
    sentence = (
        f"A baseline wins: {rival.name} is {_difference(results, rival, model)} better than this model "
        f"({results.metric} {_values(results, rival, model)})."
    )
    return Verdict("loses", sentence, f"Use {rival.name} for now. {_what_to_try(learning)}")


def _level(model: Score, rival: Score, results: Results, learning: Learning) -> Verdict:
    sentence = (
        f"The {model.name} is no better than a simple baseline: it is level with {rival.name} "
        f"({results.metric} {_values(results, model, rival)})."
    )
    return Verdict("level", sentence, f"The simpler model is the safer choice. {_what_to_try(learning)}")


def _alone(model: Score, results: Results, own: float) -> Verdict:
    sentence = f"The {model.name}'s {results.metric} is {number(own)}; there was no baseline to compare it with."
    return Verdict("alone", sentence, "Without a baseline this number says little about the model.")


def _failed(model: Score, results: Results, rival: Score | None) -> Verdict:
    use = f" Use {rival.name} for now." if rival else ""
    return Verdict(
        "failed",
        f"Training failed: the {model.name}'s {results.metric} is not a finite number.",
        f"Lower the learning rate, and look at the data for extreme values.{use}",
    )


def _what_to_try(learning: Learning) -> str:
    """Advice from the shape of the learning curves."""
    measured = [row for row in learning.epochs if row.validation is not None]
    if not measured or learning.best_epoch is None:
        return "To improve this model, try more data, a longer context, or another learning rate."
    if learning.best_epoch >= measured[-1].epoch:
        return "The validation loss was still falling when training ended: train for more epochs first."
    best = min(row.validation or 0.0 for row in measured)
    if (measured[-1].validation or 0.0) > 1.05 * best:
        return "The model overfits (its validation loss rises again): try more data, dropout, or fewer units."
    return (
        "The validation loss has levelled off: try a longer context, further input columns, or another learning rate."
    )
