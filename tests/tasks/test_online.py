"""Learning call by call: the same as a stream, in constant memory, with scikit-learn's conventions."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from carousel.data import StreamBatches
from carousel.tasks import SequenceClassifier, SequenceLabeler, SequenceRegressor
from carousel.training import TruncatedBPTT
from tests.tasks.samples import ragged

CLASSES = ["high", "low"]
STREAMING: dict[str, Any] = {"hidden_size": 6, "bidirectional": False, "dropout": 0.0, "random_state": 0}


def streaming(**options: Any) -> SequenceLabeler:
    return SequenceLabeler(**STREAMING, method="tbptt", method_options={"k1": 1, "k2": 4, **options})


def lanes(count: int = 2, steps: int = 40) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(steps, 2)) for _ in range(count)]
    return X, [np.where(np.cumsum(x[:, 0]) > 0, "high", "low") for x in X]


def fed(labeler: SequenceLabeler, first: int, last: int, step: int, count: int = 2) -> SequenceLabeler:
    X, y = lanes(count)
    for at in range(first, last, step):
        stop = min(at + step, last)
        labeler.partial_fit([x[at:stop] for x in X], [labels[at:stop] for labels in y], CLASSES)
    return labeler


def bits(estimator: Any) -> list[bytes]:
    return [parameter.detach().numpy().tobytes() for parameter in estimator.network_.parameters()]


def test_steps_one_by_one_are_learned_as_the_stream_that_they_make() -> None:
    """After a first call that sets the scale."""
    X, y = lanes()
    labeler = fed(streaming(), 0, 8, 8)
    twin = copy.deepcopy(fed(streaming(), 0, 8, 8).network_)
    fed(labeler.partial_fit([x[:1] for x in X], [own[:1] for own in y], reset=True), 1, 40, 1)
    other = fed(streaming(), 0, 8, 8)
    method = other._online.method  # pyright: ignore[reportPrivateUsage]
    assert isinstance(method, TruncatedBPTT)
    method.end_epoch(other.network_)
    scaled = [other.input_scaler_.apply(x).astype(np.float32) for x in X]
    codes = [np.searchsorted(CLASSES, own) for own in y]
    other.network_.train()
    for batch in StreamBatches(scaled, codes, lanes=2, steps=1, shuffle=False).epoch(0):
        method.update(other.network_, batch)
    assert bits(labeler) == bits(other)
    assert not torch.equal(next(labeler.network_.parameters()), next(twin.parameters()))


def test_the_state_goes_on_from_call_to_call_until_it_is_reset() -> None:
    X, y = lanes()
    ends = []
    for reset in (False, True, [True, False]):
        labeler = fed(streaming(), 0, 20, 5)
        labeler.partial_fit([x[20:25] for x in X], [own[20:25] for own in y], reset=reset)
        ends.append(bits(labeler))
    assert len({tuple(end) for end in ends}) == 3


@pytest.mark.parametrize(
    ("method", "carried"), [("tbptt", "history."), ("rtrl", "carried.memory."), ("rule1997", "carried.memory.")]
)
def test_what_is_kept_does_not_grow_from_call_to_call(method: str, carried: str) -> None:
    kept = []
    for last in (12, 40):
        labeler = streaming() if method == "tbptt" else SequenceLabeler(**STREAMING, method=method)
        fed(labeler, 0, last, 1)
        tensors, _ = labeler._online.method.state()  # pyright: ignore[reportPrivateUsage]
        kept.append({name: tensor.untyped_storage().nbytes() for name, tensor in tensors.items()})
    assert kept[0] == kept[1]
    assert any(name.startswith(carried) for name in kept[0])


@pytest.mark.parametrize("method", ["rtrl", "rule1997"])
def test_forwards_in_time_goes_on_from_call_to_call(method: str) -> None:
    """Steps one by one end where the same steps in one call do, as long as the weights stand still until then."""
    X, y = lanes()
    ends = []
    for step, calls in ((1, 12), (12, 1)):
        labeler = fed(SequenceLabeler(**STREAMING, method=method), 0, 8, 8)
        labeler._online.method.accumulate = calls  # type: ignore[attr-defined]  # pyright: ignore[reportPrivateUsage]
        for at in range(8, 20, step):
            labeler.partial_fit([x[at : at + step] for x in X], [own[at : at + step] for own in y])
        ends.append([parameter.detach().clone() for parameter in labeler.network_.parameters()])
    for got, expected in zip(*ends, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["rtrl", "rule1997"])
def test_forwards_in_time_learns_a_stream_a_step_at_a_time(method: str) -> None:
    X, _ = ragged(120)
    labeler = SequenceLabeler(hidden_size=8, bidirectional=False, dropout=0.0, method=method, random_state=0)
    for series in X:
        labels = np.where(series[:, 0] > 0, "high", "low")
        for at in range(len(series)):
            labeler.partial_fit([series[at : at + 1]], [labels[at : at + 1]], CLASSES, reset=at == 0)
    Z, _ = ragged(30, seed=1)
    assert labeler.score(Z, [np.where(z[:, 0] > 0, "high", "low") for z in Z]) > 0.85


@pytest.mark.parametrize("reset", [[True], [True, False, True], [[True, False]]])
def test_a_reset_of_another_number_of_series_is_refused(reset: Any) -> None:
    X, y = lanes()
    with pytest.raises(ValueError, match=r"reset has shape .*; give True, False, or one of them for each of 2 series"):
        streaming().partial_fit(X, y, CLASSES, reset=reset)


def test_it_learns_a_stream_in_calls() -> None:
    X, _ = ragged(300)
    labeler = SequenceLabeler(
        hidden_size=12, bidirectional=False, method="tbptt", method_options={"k1": 4, "k2": 8}, random_state=0
    )
    for series in X:
        labels = np.where(series[:, 0] > 0, "high", "low")
        labeler.partial_fit([series], [labels], CLASSES, reset=True)
    Z, _ = ragged(30, seed=1)
    assert labeler.score(Z, [np.where(z[:, 0] > 0, "high", "low") for z in Z]) > 0.9


def test_the_first_call_wants_all_classes() -> None:
    X, y = lanes()
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        streaming().partial_fit(X, y)
    labeler = streaming().partial_fit(X, [np.full(40, "low")] * 2, CLASSES)
    assert list(labeler.classes_) == CLASSES
    with pytest.raises(ValueError, match="class odd"):
        labeler.partial_fit(X, [np.full(40, "odd")] * 2)
    with pytest.raises(ValueError, match=r"classes are \['a', 'b'\], but they were"):
        labeler.partial_fit(X, y, ["a", "b"])


def test_other_lanes_and_methods_without_a_state_are_refused() -> None:
    X, y = lanes(3)
    labeler = fed(streaming(), 0, 10, 5)
    with pytest.raises(ValueError, match="X has 3 series, but 2 are being read"):
        labeler.partial_fit(X, y)
    labeler.partial_fit(X, y, reset=True)
    with pytest.raises(ValueError, match="method='bptt' does not; use method=.*\"tbptt\""):
        SequenceLabeler(**STREAMING).partial_fit(X, y, CLASSES)


def test_a_failed_first_call_leaves_nothing() -> None:
    labeler = streaming()
    with pytest.raises(ValueError, match="has 1 labels for 3 steps"):
        labeler.partial_fit([np.zeros((3, 2))], [["low"]], CLASSES)
    assert not hasattr(labeler, "network_")


@pytest.mark.parametrize("method", ["bptt", "tbptt"])
def test_a_classifier_and_a_regressor_learn_batch_by_batch(method: str) -> None:
    X, y = ragged(60)
    options: dict[str, Any] = {**STREAMING, "method": method}
    classifier = SequenceClassifier(**options)
    regressor = SequenceRegressor(**options)
    level = np.array([x[:, 0].mean() for x in X])
    for _ in range(30):
        for at in range(0, 60, 20):
            classifier.partial_fit(X[at : at + 20], y[at : at + 20], classes=["up", "down"])
            regressor.partial_fit(X[at : at + 20], level[at : at + 20])
    assert classifier.score(X, y) > 0.9
    assert regressor.score(X, level) > 0.8


def test_it_goes_on_after_fit_and_fit_begins_anew() -> None:
    X, y = ragged(24)
    fitted = SequenceClassifier(**STREAMING, max_epochs=2).fit(X, y)
    first, scaler = bits(fitted), fitted.input_scaler_
    fitted.partial_fit(X[:8], y[:8])
    assert bits(fitted) != first
    assert fitted.input_scaler_ is scaler
    assert bits(fitted.fit(X, y)) == first


def test_a_copy_leaves_the_stream_behind() -> None:
    labeler = fed(streaming(), 0, 10, 5)
    twin = copy.deepcopy(labeler)
    X, _ = lanes()
    np.testing.assert_array_equal(twin.predict(X), labeler.predict(X))
    assert "_online" not in vars(twin)
    fed(twin, 10, 20, 5)


def test_noise_of_the_kalman_filter_falls_over_many_calls() -> None:
    X, y = ragged(8)
    regressor = SequenceRegressor(**STREAMING, method="dekf")
    for _ in range(3):
        regressor.partial_fit(X, np.arange(len(y), dtype=float))
    assert regressor._online.method.measures()["measurement_noise"] == pytest.approx(100 * (3 / 100) ** (3 / 10_000))
