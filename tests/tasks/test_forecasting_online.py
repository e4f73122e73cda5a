"""A forecaster that goes on learning from the rows that come."""

from typing import Any

import numpy as np
import pytest

from carousel.tasks import Forecaster

OPTIONS: dict[str, Any] = {"horizon": 3, "context": 12, "hidden_size": 6, "max_epochs": 1, "random_state": 0}


def wave(first: int, last: int, period: int = 8) -> np.ndarray:
    rows = np.arange(first, last)
    return np.sin(rows * 2 * np.pi / period) + 0.05 * np.random.default_rng(first).normal(size=len(rows))


def going(**options: Any) -> Forecaster:
    """A forecaster after its first call."""
    return Forecaster(**{**OPTIONS, **options}).partial_fit(wave(0, 120))


def first_weight(forecaster: Forecaster) -> bytes:
    return next(forecaster.network_.parameters()).detach().numpy().tobytes()


def test_the_first_call_is_fit() -> None:
    fitted = Forecaster(**OPTIONS).fit(wave(0, 120))
    np.testing.assert_array_equal(going().predict().median, fitted.predict().median)


@pytest.mark.parametrize("method", ["bptt", "tbptt"])
def test_it_learns_what_has_changed(method: str) -> None:
    """The period changes after the first call."""
    forecaster = going(method=method, learning_rate=1e-2, hidden_size=12)
    before = np.abs(forecaster.evaluate(wave(400, 460, 5)).errors_by_step()).mean()
    for row in range(120, 360):
        forecaster.partial_fit(wave(0, 360, 5)[row : row + 1])
    after = np.abs(forecaster.evaluate(wave(400, 460, 5)).errors_by_step()).mean()
    assert after < 0.8 * before


def test_forecasts_go_on_from_the_last_row_that_came() -> None:
    forecaster, rows = going(), wave(120, 140)
    for row in rows:
        forecaster.partial_fit(np.array([row]))
    expected = forecaster.predict(np.concatenate([wave(0, 120), rows])).median
    np.testing.assert_allclose(forecaster.predict().median, expected, rtol=1e-9)


def test_every_window_that_ends_in_a_new_row_is_learned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    forecaster = going(scale_of="all", scaling="none", base="none")
    forecaster.partial_fit(wave(120, 122))
    learn = forecaster._going_on().learn  # pyright: ignore[reportPrivateUsage]
    online = forecaster._going_on()  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(online, "learn", lambda batch: (seen.extend(batch.target[-1, :, 0].tolist()), learn(batch)))
    values = np.arange(9.0)
    for piece in (values[:1], values[1:2], values[2:7], values[7:]):
        forecaster.partial_fit(piece)
    assert seen == values.tolist()


def test_what_is_kept_does_not_grow() -> None:
    forecaster = going()
    for row in range(120, 160):
        forecaster.partial_fit(wave(row, row + 1))
        assert len(forecaster.tail_["targets"][0]) <= 12 + 3 - 1


def test_rows_too_few_for_a_window_are_kept_for_later() -> None:
    forecaster = going()
    first = first_weight(forecaster)
    forecaster.partial_fit(wave(120, 122))
    assert first_weight(forecaster) == first
    forecaster.partial_fit(wave(122, 123))
    assert first_weight(forecaster) != first


def test_other_series_and_covariates_are_refused() -> None:
    named = Forecaster(**OPTIONS).fit({"a": wave(0, 120)})
    with pytest.raises(ValueError, match="the series are 'b', but they were 'a'"):
        named.partial_fit({"b": wave(120, 130)})
    with pytest.raises(ValueError, match="partial_fit goes on with series alone"):
        going().partial_fit(wave(120, 130), past=np.zeros((10, 1)))
