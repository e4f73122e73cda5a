"""Numbers as people read them."""

import pytest

from carousel.report import wording


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"), (0.0, "0"), (2.31, "2.31"), (0.95271, "0.9527"), (-3.0, "−3"), (12345.6, "12 346"),
        (0.00012345, "1.23·10⁻⁴"), (-1.5e9, "−1.50·10⁹"), (999.96, "1 000"), (10.0, "10"), (100.0, "100"),
    ],
)  # fmt: skip
def test_number(value: float | None, words: str) -> None:
    assert wording.number(value).replace("\u202f", " ") == words


@pytest.mark.parametrize(("value", "words"), [(0.12, "12 %"), (0.953, "95.3 %"), (0.0004, "0 %"), (1.0, "100 %")])
def test_percent(value: float, words: str) -> None:
    assert wording.percent(value).replace("\u202f", " ") == words


@pytest.mark.parametrize(("value", "words"), [(0.1216, "12 %"), (-0.039, "3.9 %"), (0.04, "4 %"), (0.0999, "10 %")])
def test_about(value: float, words: str) -> None:
    assert wording.about(value).replace("\u202f", " ") == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (8.23, "8.2 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (42, "42 s")],
)
def test_duration(seconds: float | None, words: str) -> None:
    assert wording.duration(seconds) == words


def test_counts_lists_and_moments() -> None:
    assert wording.counted(1, "step") == "1 step"
    assert wording.counted(2, "series") == "2 series"
    assert wording.counted(2, "entry") == "2 entries"
    assert wording.listed(()) == ""
    assert wording.listed(("a",)) == "a"
    assert wording.listed(("a", "b", "c")) == "a, b and c"
    assert wording.listed(tuple("abcdef"), at_most=2) == "a, b and 4 more"
    assert wording.moment("2026-11-21T10:12:00+00:00") == "21 November 2026, 10:12 UTC"
    assert wording.moment("yesterday") == "yesterday"
