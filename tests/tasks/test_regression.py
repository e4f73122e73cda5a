"""The regressor: numbers for whole sequences, one or several outputs."""

import numpy as np
import pytest

from carousel.tasks import SequenceRegressor
from tests.tasks.samples import SMALL, ragged

X, _ = ragged(60)
MEAN = np.array([one[:, 0].mean() for one in X])
LAST = np.array([1000 + 10 * one[-1, 1] for one in X])


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_it_learns(loss: str) -> None:
    fitted = SequenceRegressor(hidden_size=16, max_epochs=60, loss=loss, random_state=0).fit(X, MEAN)
    assert fitted.score(X, MEAN) > 0.9
    assert fitted.predict(X).shape == (60,)


def test_several_outputs_on_their_own_scales() -> None:
    y = np.column_stack([MEAN, 1000 * MEAN + 5e4])
    fitted = SequenceRegressor(hidden_size=16, max_epochs=60, random_state=0).fit(X, y)
    assert fitted.predict(X).shape == (60, 2)
    assert fitted.score(X, y) > 0.9


def test_a_column_gives_a_column() -> None:
    column = SequenceRegressor(**SMALL).fit(X, MEAN[:, None]).predict(X)
    np.testing.assert_array_equal(column[:, 0], SequenceRegressor(**SMALL).fit(X, MEAN).predict(X))


def test_evaluate() -> None:
    fitted = SequenceRegressor(**SMALL).fit(X, LAST)
    error = fitted.predict(X) - LAST
    figures = fitted.evaluate(X, LAST)
    assert figures["mae"] == pytest.approx(np.abs(error).mean())
    assert figures["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert figures["r2"] == pytest.approx(fitted.score(X, LAST))
    assert np.isnan(fitted.evaluate(X[:1], LAST[:1])["r2"])


def test_a_constant_target_is_learned() -> None:
    fitted = SequenceRegressor(**SMALL).fit(X, np.full(60, 7.0))
    np.testing.assert_allclose(fitted.predict(X), 7, atol=1)
