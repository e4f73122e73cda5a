"""Batches: padding goes both ways, order depends on seed and epoch alone, resuming is exact."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from carousel.data import IGNORED_LABEL, Batch, DataError, SequenceBatches

LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=9)


def sequences(lengths: list[int]) -> list[np.ndarray]:
    return [np.full((length, 2), position + 1.0, dtype=np.float32) for position, length in enumerate(lengths)]


def same(one: Batch, other: Batch) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Batch)]
    return all(a is b if a is None or b is None else torch.equal(a, b) for a, b in pairs)


@given(LENGTHS, st.integers(1, 4), st.sampled_from([None, 1, 3]), st.booleans())
def test_padding_goes_both_ways(lengths: list[int], size: int, buckets: int | None, shuffle: bool) -> None:
    values = sequences(lengths)
    batches = SequenceBatches(values, batch_size=size, buckets=buckets, shuffle=shuffle)
    seen = []
    for batch in batches.epoch(0):
        real = [len(batch.inputs)] * len(batch.indices) if batch.lengths is None else batch.lengths.tolist()
        for column, (index, length) in enumerate(zip(batch.indices.tolist(), real, strict=True)):
            np.testing.assert_array_equal(batch.inputs[:length, column], values[index])
            assert not batch.inputs[length:, column].any()
            seen.append(index)
    assert sorted(seen) == list(range(len(lengths)))


@given(LENGTHS, st.integers(0, 5), st.integers(0, 9), st.sampled_from([None, 2]))
def test_resume_is_exact(lengths: list[int], epoch: int, start: int, buckets: int | None) -> None:
    make = lambda: SequenceBatches(  # noqa: E731
        sequences(lengths), np.arange(len(lengths)), batch_size=2, seed=3, buckets=buckets
    )
    whole, rest = list(make().epoch(epoch)), list(make().epoch(epoch, start))
    assert len(whole) == len(make())
    assert len(rest) == max(len(whole) - start, 0)
    assert all(same(one, other) for one, other in zip(whole[start:], rest, strict=True))


def test_epochs_and_seeds_differ() -> None:
    values = sequences([1] * 50)
    first, second = (list(SequenceBatches(values, batch_size=50, seed=1).epoch(number))[0] for number in (0, 1))
    other = next(SequenceBatches(values, batch_size=50, seed=2).epoch(0))
    assert not torch.equal(first.indices, second.indices)
    assert not torch.equal(first.indices, other.indices)


def test_without_shuffling_the_order_is_given() -> None:
    batches = SequenceBatches(sequences([1] * 5), batch_size=2, shuffle=False)
    assert [batch.indices.tolist() for batch in batches.epoch(7)] == [[0, 1], [2, 3], [4]]


def test_buckets_pad_less() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 64).tolist()
    size = lambda buckets: sum(  # noqa: E731
        batch.inputs.numel() for batch in SequenceBatches(sequences(lengths), batch_size=8, buckets=buckets).epoch(0)
    )
    assert size(8) < 0.75 * size(None)


def test_lengths_are_none_when_nothing_is_padded() -> None:
    assert next(SequenceBatches(sequences([3, 3]), batch_size=1).epoch(0)).lengths is None
    lengths = next(SequenceBatches(sequences([3, 2]), batch_size=2, shuffle=False).epoch(0)).lengths
    assert lengths is not None and lengths.tolist() == [3, 2] and lengths.dtype == torch.int64


def test_targets_and_weights_follow_their_sequences() -> None:
    batches = SequenceBatches(sequences([2] * 6), np.arange(6) * 10, weight=np.arange(6.0), batch_size=4)
    for batch in batches.epoch(0):
        assert batch.target is not None and batch.weight is not None
        assert torch.equal(batch.target, batch.indices * 10) and batch.target.dtype == torch.int64
        assert torch.equal(batch.weight, batch.indices.float())


def test_float_targets_take_the_dtype_of_the_sequences() -> None:
    target = next(SequenceBatches(sequences([2, 1]), np.ones((2, 3)), batch_size=2).epoch(0)).target
    assert target is not None and target.shape == (2, 3) and target.dtype == torch.float32


def test_step_labels_are_padded_and_masked() -> None:
    batches = SequenceBatches(sequences([3, 1]), [[1, 2, 3], [4]], batch_size=2, shuffle=False, step_targets=True)
    batch = next(batches.epoch(0))
    assert batch.target is not None and batch.mask is not None
    assert batch.target.tolist() == [[1, 4], [2, IGNORED_LABEL], [3, IGNORED_LABEL]]
    assert batch.mask.tolist() == [[True, True], [True, False], [True, False]]


def test_missing_step_values_are_masked() -> None:
    steps = [np.array([[1.0, 2.0], [np.nan, 3.0]]), np.array([[5.0, 6.0]])]
    batch = next(SequenceBatches(sequences([2, 1]), steps, batch_size=2, shuffle=False, step_targets=True).epoch(0))
    assert batch.target is not None and batch.mask is not None
    assert batch.mask.tolist() == [[True, True], [False, False]]
    assert batch.target.isfinite().all() and batch.target.dtype == torch.float32


def test_to_casts_only_floating_point() -> None:
    batch = next(SequenceBatches(sequences([2, 1]), [0, 1], batch_size=2).epoch(0)).to("cpu", torch.float64)
    assert batch.inputs.dtype == torch.float64
    assert batch.target is not None and batch.target.dtype == torch.int64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": [1]}, r"target has shape \(1,\) for 2 sequences"),
        ({"target": ["a", "b"]}, "target has dtype <U1"),
        ({"weight": [1.0, 2.0, 3.0]}, r"weight has shape \(3,\)"),
        ({"step_targets": True}, "2 sequences, none given"),
        ({"step_targets": True, "target": [[1, 2], [1]]}, r"target of series '0' has shape \(2,\) for 3 steps"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_faults_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceBatches(sequences([3, 1]), **{"batch_size": 2, **options})  # pyright: ignore[reportArgumentType]


def test_epoch_counts_from_zero() -> None:
    with pytest.raises(ValueError, match="count from 0"):
        SequenceBatches(sequences([1]), batch_size=1).epoch(-1)


def test_data_error_is_a_value_error() -> None:
    assert issubclass(DataError, ValueError)


def test_steps_without_a_label_are_left_out() -> None:
    target = [np.array([IGNORED_LABEL, 1, 0]), np.array([2, IGNORED_LABEL])]
    batch = next(
        SequenceBatches(
            [np.ones((3, 1)), np.ones((2, 1))], target, batch_size=2, shuffle=False, step_targets=True
        ).epoch(0)
    )
    assert batch.mask is not None and batch.target is not None
    assert batch.mask.T.tolist() == [[False, True, True], [True, False, False]]
    assert batch.target.T.tolist() == [[IGNORED_LABEL, 1, 0], [2, IGNORED_LABEL, IGNORED_LABEL]]
