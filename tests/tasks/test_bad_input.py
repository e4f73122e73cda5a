"""What is wrong with the data is said before training, by place."""

from typing import Any

import numpy as np
import pytest

from carousel.tasks import SequenceClassifier, SequenceLabeler, SequenceRegressor
from tests.tasks.samples import SMALL, ragged, step_labels


def refused(estimator: Any, X: Any, y: Any) -> str:
    with pytest.raises((ValueError, TypeError)) as caught:
        estimator.fit(X, y)
    assert not hasattr(estimator, "network_")
    return str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"hidden_size": 0}, "hidden_size is 0; it must be 1 or more"),
        ({"hidden_size": "many"}, "hidden_size is 'many'; it takes an integer"),
        ({"max_epochs": True}, "max_epochs is True; it takes an integer"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be less than 1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be more than 0"),
        ({"pool": "median"}, "pool is 'median'; it can be 'last', 'mean', 'max', 'attention'"),
        ({"method": "magic"}, "no learning method is called 'magic'"),
        (
            {"method": "ppo"},
            "method 'ppo' learns to act, and a SequenceClassifier learns from data; take 'bptt', or a Controller "
            "(`carousel fit control`)",
        ),
        ({"method_options": {"speed": 1}}, "method 'bptt' has no option 'speed'"),
        ({"cell": "gru"}, "no cell is called 'gru'"),
        ({"lstm_options": {"cell": "lstm"}}, "lstm_options names cell, which the estimator sets by itself"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_parameters(parameters: dict[str, Any], words: str) -> None:
    assert words in refused(SequenceClassifier(**{**SMALL, **parameters}), *ragged())


def test_nan_is_named_by_series_row_and_column() -> None:
    X, y = ragged()
    X[3][2, 1] = np.nan
    message = refused(SequenceClassifier(**SMALL), X, y)
    assert "series '3'" in message and "NaN at row 2, column 1" in message


def test_one_class_only() -> None:
    X, _ = ragged()
    assert "y has one class only (up)" in refused(SequenceClassifier(**SMALL), X, ["up"] * len(X))


def test_continuous_classes() -> None:
    X, _ = ragged()
    assert "continuous" in refused(SequenceClassifier(**SMALL), X, np.linspace(0, 1, len(X)))


def test_missing_labels() -> None:
    X, y = ragged()
    labels = y.astype(object)
    labels[5] = None
    assert "y has a missing label (None) at position 5" in refused(SequenceClassifier(**SMALL), X, labels)


def test_labels_of_several_types() -> None:
    X, y = ragged()
    labels = y.astype(object)
    labels[5] = 1
    assert "y mixes labels" in refused(SequenceClassifier(**SMALL), X, labels)


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor, SequenceLabeler])
def test_a_target_of_wrong_length(kind: Any) -> None:
    X, y = ragged()
    target = step_labels(X) if kind is SequenceLabeler else np.arange(len(y)) % 2
    assert f"y has {len(X) - 1} entries for {len(X)} series" in refused(kind(**SMALL), X, target[:-1])


def test_infinite_regression_target() -> None:
    X, _ = ragged()
    y = np.zeros(len(X))
    y[1] = np.inf
    assert "Input y contains infinity" in refused(SequenceRegressor(**SMALL), X, y)


def test_step_labels_of_wrong_length_name_the_series() -> None:
    X, _ = ragged()
    labels = step_labels(X)
    labels[7] = labels[7][:-1]
    message = refused(SequenceLabeler(**SMALL), X, labels)
    assert f"y of series 7 has {len(X[7]) - 1} labels for {len(X[7])} steps" in message


def test_step_labels_of_wrong_shape_name_the_series() -> None:
    X, _ = ragged()
    labels = step_labels(X)
    labels[2] = labels[2][:, None]
    assert "y of series 2 has shape" in refused(SequenceLabeler(**SMALL), X, labels)


def test_no_target_for_a_labeler() -> None:
    assert "y is None" in refused(SequenceLabeler(**SMALL), ragged()[0], None)


def test_text_and_numbers_as_step_labels() -> None:
    X, _ = ragged()
    labels = step_labels(X)
    labels[0] = np.zeros(len(X[0]), dtype=int)
    assert "text labels in some series and numbers in others" in refused(SequenceLabeler(**SMALL), X, labels)


def test_other_number_of_features_at_predict(classifier: SequenceClassifier) -> None:
    with pytest.raises(ValueError, match="X has 3 features a step, but SequenceClassifier was fitted on series of 2"):
        classifier.predict(ragged(features=3)[0])


def test_a_table_for_a_multivariate_model(classifier: SequenceClassifier) -> None:
    with pytest.raises(ValueError, match="X has 1 features a step"):
        classifier.predict(np.zeros((4, 6)))


def test_a_table_of_other_width() -> None:
    Z = np.random.default_rng(0).normal(size=(20, 5))
    fitted = SequenceRegressor(**SMALL).fit(Z, Z.sum(1))
    with pytest.raises(ValueError, match="X has 4 features, but SequenceRegressor is expecting 5 features"):
        fitted.predict(Z[:, :4])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_renamed_columns_of_frames(library: str) -> None:
    frames = pytest.importorskip(library)
    X, y = ragged()
    named = [frames.DataFrame({"load": one[:, 0], "heat": one[:, 1]}) for one in X]
    renamed = [frames.DataFrame({"load": one[:, 0], "wind": one[:, 1]}) for one in X]
    fitted = SequenceClassifier(**SMALL).fit(named, y)
    assert list(fitted.feature_names_in_) == ["load", "heat"]
    with pytest.raises(ValueError, match="X has the columns load, wind, but the columns in training were load, heat"):
        fitted.predict(renamed)


def test_a_class_unseen_in_training(classifier: SequenceClassifier, labeler: SequenceLabeler) -> None:
    X, y = ragged()
    y = y.astype("U8")
    y[4] = "sideways"
    with pytest.raises(ValueError, match="y has class sideways at position 4, unseen in training; known are down, up"):
        classifier.evaluate(X, y)
    labels = step_labels(X)
    labels[1] = np.array(["flat"] * len(X[1]))
    with pytest.raises(ValueError, match="series 1 of y has class flat at position 0, unseen in training"):
        labeler.evaluate(X, labels)
