"""Measures of transcriptions: known values, agreement with the definition, and faults named."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carousel import metrics

WORDS = st.text("abc", max_size=7)


def by_definition(truth: str, prediction: str) -> int:
    """The distance by its recursion."""

    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        kept = distance(i - 1, j - 1) + (truth[i - 1] != prediction[j - 1])
        return min(kept, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(truth), len(prediction))


@given(WORDS, WORDS)
def test_distance_is_that_of_the_definition(truth: str, prediction: str) -> None:
    assert metrics.edit_distance(truth, prediction) == by_definition(truth, prediction)


@given(WORDS, WORDS)
def test_edits_lead_from_one_to_the_other(truth: str, prediction: str) -> None:
    steps = metrics.edits(truth, prediction)
    assert "".join(str(step.truth) for step in steps if step.truth is not None) == truth
    assert "".join(str(step.prediction) for step in steps if step.prediction is not None) == prediction
    assert sum(step.kind != "same" for step in steps) == metrics.edit_distance(truth, prediction)
    assert all((step.kind == "same") == (step.truth == step.prediction) for step in steps)


def test_edits_of_phonemes() -> None:
    steps = metrics.edits(["s", "p", "iy", "ch"], ["s", "iy", "ch", "t"])
    assert [(step.kind, step.truth, step.prediction) for step in steps] == [
        ("same", "s", "s"), ("deletion", "p", None), ("same", "iy", "iy"), ("same", "ch", "ch"),
        ("insertion", None, "t"),
    ]  # fmt: skip


def test_rates() -> None:
    found = metrics.error_rate([[1, 2, 3], [1]], [[1, 3], [1, 2]])
    assert (found.rate, found.errors, found.symbols) == (0.5, 2, 4)
    assert metrics.character_error_rate(["kitten"], ["sitting"]).rate == 3 / 6
    assert metrics.word_error_rate(["the cat  sat"], ["the dog sat down"]).rate == 2 / 3
    assert metrics.character_error_rate(["a"], ["bcd"]).rate == 3
    assert str(found).startswith("50.00% (")


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Of 200 tests of 60 samples, of whose symbols one in five is wrong, nine in ten intervals hold that rate."""
    draw, held = np.random.default_rng(0), 0
    truths = [[0] * size for size in draw.integers(1, 9, size=60)]
    for _ in range(200):
        wrong = [[int(draw.random() < 0.2) for _ in truth] for truth in truths]
        found = metrics.error_rate(truths, wrong, confidence=0.9, resamples=200)
        held += found.low <= 0.2 <= found.high
    assert 0.82 <= held / 200 <= 0.95


def test_the_interval_is_of_samples_and_repeatable() -> None:
    truths, predictions = ["aaaa"] * 50 + ["bbbb"] * 50, ["aaaa"] * 50 + ["cccc"] * 50
    first, again = (metrics.error_rate(truths, predictions, seed=seed) for seed in (1, 1))
    assert first == again
    assert 0.35 < first.low < 0.45 < first.rate == 0.5 < 0.55 < first.high < 0.65
    wide = metrics.error_rate(truths, predictions, confidence=0.99)
    assert wide.low < first.low and wide.high > first.high


@pytest.mark.parametrize(
    ("truths", "predictions", "options", "message"),
    [
        (["a"], [], {}, "1 truths and 0 predictions"),
        ([""], ["a"], {}, "no symbols"),
        ([], [], {}, "no symbols"),
        (["a"], ["a"], {"confidence": 1.0}, "confidence is 1.0"),
        (["a"], ["a"], {"resamples": 0}, "resamples 0"),
    ],
)
def test_no_rate(truths: list[str], predictions: list[str], options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.error_rate(truths, predictions, **options)  # type: ignore[arg-type]
