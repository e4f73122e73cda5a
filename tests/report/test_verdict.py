"""The first sentence says plainly who wins."""

from dataclasses import replace

import pytest

from carousel.report import Findings, Learning, Results, Score, learning, verdict
from tests.report import samples


def _findings(own: float, baselines: dict[str, float], metric: str = "MAE", lower: bool = True) -> Findings:
    scores = [Score(name, {metric: value}) for name, value in baselines.items()]
    scores.append(Score("LSTM", {metric: own}, is_model=True))
    return replace(samples.forecast(), results=Results(tuple(scores), metric, lower))


def _sentence(findings: Findings) -> str:
    return verdict(findings).sentence.replace("\u202f", " ")


def test_a_model_that_wins() -> None:
    found = _findings(2.31, {"seasonal naive": 2.63, "linear autoregression": 2.78})
    assert _sentence(found) == "The LSTM's MAE is 12 % below the best baseline, seasonal naive (2.31 against 2.63)."
    assert verdict(found).outcome == "wins"


def test_a_baseline_that_wins() -> None:
    found = _findings(2.31, {"seasonal naive": 2.63, "linear autoregression": 2.22})
    assert (
        _sentence(found)
        == "A baseline wins: linear autoregression is 3.9 % better than this model (MAE 2.22 against 2.31)."
    )
    assert verdict(found).outcome == "loses"
    assert verdict(found).advice.startswith("Use linear autoregression for now. The model overfits")


def test_shares_differ_by_points() -> None:
    found = _findings(0.953, {"majority class": 0.238}, "accuracy", lower=False)
    assert "72 percentage points above the best baseline, majority class" in _sentence(found)
    found = _findings(0.2, {"majority class": 0.238}, "accuracy", lower=False)
    assert "majority class is 3.8 percentage points better than this model" in _sentence(found)


def test_scores_without_a_scale_differ_in_their_own_units() -> None:
    assert "is 2.5 above the best baseline" in _sentence(_findings(1.5, {"mean": -1.0}, "score", lower=False))
    assert "is 0.5 below the best baseline" in _sentence(_findings(-2.5, {"mean": -2.0}, "loss", lower=True))


def test_level_alone_and_failed() -> None:
    level, alone, failed = _findings(1.0, {"mean": 1.001}), _findings(1.0, {}), _findings(float("nan"), {"mean": 1.0})
    assert [verdict(found).outcome for found in (level, alone, failed)] == ["level", "alone", "failed"]
    assert "no better than a simple baseline" in _sentence(level)
    assert "no baseline" in _sentence(alone)
    assert "not a finite number" in _sentence(failed)
    assert "Use mean for now" in verdict(failed).advice


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([3.0, 2.0, 1.0], "train for more epochs"),
        ([3.0, 1.0, 2.0], "overfits"),
        ([3.0, 1.0, 1.01], "levelled off"),
        ([None, None], "more data"),
    ],
)
def test_the_advice_reads_the_learning_curves(losses: list[float | None], words: str) -> None:
    history: Learning = learning({"epoch": k + 1, "loss": 1.0, "validation": value} for k, value in enumerate(losses))
    found = replace(_findings(2.0, {"mean": 1.0}), learning=history)
    assert words in verdict(found).advice


def test_a_baseline_that_is_not_finite_does_not_count() -> None:
    assert verdict(_findings(2.0, {"broken": float("nan"), "mean": 3.0})).sentence.count("mean") == 1
