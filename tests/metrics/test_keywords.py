"""Measures of spotted keywords, against counts by hand."""

import numpy as np
import pytest

from carousel.metrics import (
    KeywordCounts,
    OperatingPoint,
    all_keywords,
    figure_of_merit,
    keyword_counts,
    operating_point,
)

TRUTHS = [["a", "b", "a"], ["b"], []]
FOUND = [["a", "c"], ["b", "b"], ["a"]]


def test_counts_by_hand() -> None:
    found = keyword_counts(TRUTHS, FOUND)
    assert found == {"a": (2, 2, 1), "b": (2, 2, 1), "c": (0, 1, 0)}
    a, c = found["a"], found["c"]
    assert (a.misses, a.false_alarms, a.recall, a.precision, a.f1) == (1, 1, 0.5, 0.5, 0.5)
    assert (c.misses, c.false_alarms, c.precision, c.f1) == (0, 1, 0, 0)
    assert np.isnan(c.recall) and np.isnan(KeywordCounts(1, 0, 0).precision) and np.isnan(KeywordCounts(0, 0, 0).f1)
    assert all_keywords(found.values()) == (4, 5, 2)
    assert all_keywords([]) == (0, 0, 0)


def test_the_order_of_keywords_does_not_count() -> None:
    assert keyword_counts([["a", "b"]], [["b", "a"]])["a"].hits == 1


def test_a_point_counts_false_alarms_a_keyword_and_hour() -> None:
    point = operating_point(0.3, TRUTHS, FOUND, keywords=2, hours=0.5)
    assert point == (0.3, 2 / 4, 2 / 5, 3.0)
    assert np.isnan(operating_point(0.3, TRUTHS, FOUND, keywords=2, hours=0).false_alarms)


def points(*pairs: tuple[float, float]) -> list[OperatingPoint]:
    return [OperatingPoint(0.5, recall, 1.0, rate) for recall, rate in pairs]


def test_the_figure_of_merit_is_the_mean_over_ten_rates() -> None:
    assert figure_of_merit(points((1.0, 0.0))) == 1
    assert figure_of_merit(points((0.5, 0.0), (0.9, 5.5))) == pytest.approx((5 * 0.5 + 5 * 0.9) / 10)
    assert figure_of_merit(points((0.5, 0.9), (0.2, 3.0))) == 0.5, "a worse threshold takes nothing away"
    assert figure_of_merit(points((0.5, 10.1))) == 0
    assert np.isnan(figure_of_merit(points((0.5, float("nan")))))


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="2 truths and 1 findings"):
        keyword_counts([["a"], []], [[]])
    with pytest.raises(ValueError, match="0 keywords"):
        operating_point(0.5, [], [], keywords=0, hours=1)
