"""Methods by name, and the weight of a batch."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from carousel.data import Batch, SequenceBatches
from carousel.training import BPTT, METHODS, Method, method_named
from carousel.training.method import terms, trainable
from tests.training.problem import Scripted, Summer, summer


def test_a_method_is_found_by_name() -> None:
    assert METHODS["bptt"] is BPTT
    assert method_named("bptt", learning_rate=0.5) == BPTT(learning_rate=0.5)


def test_a_new_method_is_found_by_the_name_it_gives_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "twice", BPTT)

    class Twice(Scripted, name="twice"): ...

    assert METHODS["twice"] is Twice


def test_an_unknown_name_or_option_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no learning method is called 'sgd'; there are bptt"):
        method_named("sgd")
    with pytest.raises(TypeError, match=r"method 'bptt' has no option 'rate'; it has learning_rate, optimizer, "):
        method_named("bptt", rate=1)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("bptt", {"accumulate": "a"}, "accumulate is 'a'; it is a whole number"),
        ("bptt", {"clip_norm": "a"}, "clip_norm is 'a'; it is a number or None"),
        ("bptt", {"optimizer_options": 3}, "optimizer_options is 3; it is a table or None"),
        ("bptt", {"optimizer_options": {"speed": 1}}, "'adam' does not take them .*speed"),
        ("dekf", {"measurement_noise": "x"}, "measurement_noise is 'x'; it is a number"),
        ("evolino", {"ridge": "a"}, "ridge is 'a'; it is a number"),
        ("ppo", {"passes": True}, "passes is True; it is a whole number"),
    ],
)
def test_an_option_of_another_kind_is_told(name: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(TypeError, match=told):
        method_named(name, **options)


def test_a_method_has_a_name() -> None:
    with pytest.raises(TypeError, match="name"):
        type("Nameless", (Method,), {})


def test_a_batch_weighs_as_many_terms_as_its_loss_is_a_mean_of() -> None:
    sequences = [np.ones((4, 2)), np.ones((2, 2))]
    whole = next(SequenceBatches(sequences, [1.0, 2.0], batch_size=2).epoch(0))
    steps = next(SequenceBatches(sequences, [np.ones(4), np.ones(2)], batch_size=2, step_targets=True).epoch(0))
    assert terms(summer(), whole) == 2
    assert terms(summer(), steps) == 6


class Counting(Summer):
    """Says itself how many terms its loss is a mean of."""

    def terms(self, batch: Batch) -> float:
        return 2.5 * len(batch.indices)


def test_a_model_may_count_its_terms_itself() -> None:
    assert terms(Counting(), Batch(inputs=torch.zeros(1, 2, 2), indices=torch.arange(2))) == 5


def test_a_model_without_anything_to_train_is_refused() -> None:
    model = summer()
    nn.Module.requires_grad_(model, False)
    with pytest.raises(ValueError, match="Summer has no parameter that requires a gradient"):
        trainable(model)
