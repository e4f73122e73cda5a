"""Estimators that learn by truncated backpropagation."""

from typing import Any

import numpy as np
import pytest
import torch

from carousel.data import Batch
from carousel.nn import LSTM
from carousel.tasks import Forecaster, SequenceClassifier, SequenceLabeler, SequenceRegressor
from carousel.tasks.network import recent_outputs
from tests.tasks.samples import ragged, step_labels

SMALL: dict[str, Any] = {"hidden_size": 8, "max_epochs": 3, "random_state": 0, "bidirectional": False}


def wave(length: int = 200) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.sin(np.arange(length) * 2 * np.pi / 8) + rng.normal(scale=0.1, size=length)


def same_weights(one: Any, other: Any) -> bool:
    pairs = zip(one.network_.parameters(), other.network_.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("strategy", ["direct", "recursive", "seq2seq"])
def test_a_forecaster_that_goes_back_far_enough_learns_what_bptt_learns(strategy: str) -> None:
    options: dict[str, Any] = {
        "horizon": 4, "context": 24, "strategy": strategy, "hidden_size": 6, "max_epochs": 1, "random_state": 0
    }  # fmt: skip
    whole = Forecaster(**options).fit(wave())
    far = Forecaster(**options, method="tbptt", method_options={"k2": 100}).fit(wave())
    near = Forecaster(**options, method="tbptt", method_options={"k1": 1, "k2": 3}).fit(wave())
    assert same_weights(whole, far)
    assert not same_weights(whole, near)
    assert np.isfinite(near.predict().median).all()


@pytest.mark.parametrize("pool", ["last", "mean", "max", "attention"])
def test_a_classifier_that_goes_back_far_enough_learns_what_bptt_learns(pool: str) -> None:
    X, y = ragged(24)
    options: dict[str, Any] = {**SMALL, "pool": pool}
    whole = SequenceClassifier(**options).fit(X, y)
    far = SequenceClassifier(**options, method="tbptt", method_options={"k2": 64}).fit(X, y)
    near = SequenceClassifier(**options, method="tbptt", method_options={"k1": 1, "k2": 1}).fit(X, y)
    assert same_weights(whole, far)
    assert not same_weights(whole, near)


def test_a_labeler_learns_in_pieces() -> None:
    X, _ = ragged(60)
    options: dict[str, Any] = {"hidden_size": 16, "bidirectional": False, "random_state": 0}
    pieces: dict[str, Any] = {"method": "tbptt", "method_options": {"k1": 2, "k2": 4}}
    fitted = SequenceLabeler(**options, **pieces, max_epochs=60).fit(X, step_labels(X))
    Z, _ = ragged(30, seed=1)
    assert fitted.score(Z, step_labels(Z)) > 0.9


@pytest.mark.parametrize("estimator", [SequenceClassifier, SequenceRegressor, SequenceLabeler])
def test_reading_from_the_end_is_refused(estimator: Any) -> None:
    X, y = ragged(24)
    target: Any = {SequenceLabeler: step_labels(X), SequenceRegressor: np.arange(24.0)}.get(estimator, y)
    with pytest.raises(ValueError, match="reads forward, piece by piece; use bidirectional=False"):
        estimator(**{**SMALL, "bidirectional": True}, method="tbptt").fit(X, target)


@pytest.mark.parametrize("lengths", [None, [9, 1, 4, 6]])
@pytest.mark.parametrize("steps", [1, 3, 8, 9])
def test_recent_outputs_are_the_outputs_and_go_back_so_many_steps(lengths: list[int] | None, steps: int) -> None:
    torch.manual_seed(0)
    lstm = LSTM(2, 3, num_layers=2, dtype=torch.float64)
    inputs = torch.randn(9, 4, 2, dtype=torch.float64, requires_grad=True)
    given = None if lengths is None else torch.tensor(lengths)
    outputs, state = recent_outputs(lstm, inputs, steps, given)
    expected, last = lstm(inputs, lengths=given)
    torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(state, last, rtol=1e-12, atol=1e-14)
    (gradient,) = torch.autograd.grad(state[0].sum(), inputs)
    reached = (gradient != 0).any(-1).sum(0).tolist()
    assert reached == [min(steps, length) for length in lengths or [9] * 4]
    ends = lengths or [9] * 4
    assert all(gradient[end - 1, place].any() for place, end in enumerate(ends))


def test_a_network_carries_its_state_from_piece_to_piece() -> None:
    X, _ = ragged(24)
    network = SequenceLabeler(**{**SMALL, "max_epochs": 1}).fit(X, step_labels(X)).network_
    batch = Batch(inputs=torch.randn(8, 3, X[0].shape[1]), indices=torch.arange(3))
    with torch.no_grad():
        first, state = network.carry(batch.steps(0, 3), None)
        second, _ = network.carry(batch.steps(3, 8), state)
        torch.testing.assert_close(torch.cat([first, second]), network(batch))
