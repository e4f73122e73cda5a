"""Estimators that learn by the decoupled extended Kalman filter."""

from typing import Any

import numpy as np
import pytest
import torch

from carousel.data import Batch
from carousel.tasks import Forecaster, SequenceClassifier, SequenceLabeler, SequenceRegressor
from carousel.tasks.objectives import CrossEntropy, differences
from tests.tasks.samples import ragged, step_labels

OPTIONS: dict[str, Any] = {"method": "dekf", "hidden_size": 3, "max_epochs": 3, "random_state": 0, "dropout": 0.0}


def test_a_classifier_learns() -> None:
    X, y = ragged()
    assert SequenceClassifier(**OPTIONS, bidirectional=False).fit(X, y).score(X, y) > 0.9


def test_a_regressor_learns_all_its_outputs() -> None:
    X, _ = ragged()
    y = np.array([[series[:, 0].mean(), series[:, 1].mean()] for series in X])
    fitted = SequenceRegressor(**OPTIONS, pool="mean", method_options={"groups": "layer"}).fit(X, y)
    assert fitted.score(X, y) > 0.8
    assert {"innovation", "trace", "measurement_noise", "process_noise"} < fitted.history_[-1].keys()


@pytest.mark.parametrize("options", [{}, {"every": 2, "reach": 4}])
def test_a_labeler_learns(options: dict[str, Any]) -> None:
    X, _ = ragged()
    y = step_labels(X)
    fitted = SequenceLabeler(**OPTIONS, bidirectional=not options, batch_size=8, method_options=options).fit(X, y)
    assert fitted.score(X, y) > 0.9


def test_a_forecaster_of_the_median_learns_and_one_of_quantiles_is_refused() -> None:
    y = 10 + np.sin(np.arange(90))
    options: dict[str, Any] = {**OPTIONS, "max_epochs": 1, "horizon": 3, "context": 6, "windows_per_epoch": 32}
    assert np.isfinite(Forecaster(**options, quantiles=(0.5,)).fit(y).predict()).all()
    with pytest.raises(ValueError, match=r"quantiles 0.1, 0.5, 0.9, whose loss is no .*; take quantiles=\(0.5,\)"):
        Forecaster(**options, quantiles=(0.1, 0.5, 0.9)).fit(y)


@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_other_losses_are_refused(loss: str) -> None:
    X, _ = ragged()
    with pytest.raises(ValueError, match=f"'{loss}' is no squared difference.*; take loss='squared_error'"):
        SequenceRegressor(**OPTIONS, loss=loss).fit(X, np.arange(len(X), dtype=float))


def test_networks_that_answer_at_the_end_cannot_learn_every_few_steps() -> None:
    X, y = ragged()
    with pytest.raises(ValueError, match="every= needs a target at each step; leave every out"):
        SequenceClassifier(**OPTIONS, bidirectional=False, method_options={"every": 2}).fit(X, y)
    network = SequenceClassifier(**OPTIONS, bidirectional=False).fit(X, y).network_
    with pytest.raises(ValueError, match="one answer a series: no step can be answered before the end"):
        network.carry(Batch(inputs=torch.zeros(2, 1, 2), indices=torch.arange(1)), None)
    with pytest.raises(ValueError, match="bidirectional=False"):
        SequenceLabeler(**OPTIONS, bidirectional=True, method_options={"every": 2}).fit(X, step_labels(X))


def test_classes_are_compared_as_probabilities_times_the_root_of_their_weight() -> None:
    output = torch.randn(4, 2, 3, dtype=torch.float64)
    codes = torch.tensor([[0, 2], [1, 1], [2, 0], [0, -100]])
    batch = Batch(inputs=output, indices=torch.arange(2), target=codes, mask=codes >= 0)
    answers, wanted = differences(CrossEntropy(torch.tensor([1.0, 4.0, 9.0])), output, batch)
    assert torch.equal(wanted[1, 0], torch.tensor([0.0, 2.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(answers[2, 0], 3 * output[2, 0].softmax(-1))
    assert torch.equal(differences(CrossEntropy(), output, batch)[0], output.softmax(-1))
