"""Streams: nothing is lost, repeated or out of order, and the flags say where sequences begin."""

import numpy as np
import pytest
import torch

from carousel.data import IGNORED_LABEL, DataError, SequenceBatches, StreamBatches

LENGTHS = (9, 4, 1, 7, 3)


def numbered() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Sequences whose values are their number and their step, and the same as one label."""
    inputs = [np.stack([np.full(n, i), np.arange(n)], axis=1).astype(float) for i, n in enumerate(LENGTHS)]
    return inputs, [(100 * i + np.arange(n)).astype(np.int64) for i, n in enumerate(LENGTHS)]


def read(source: StreamBatches, epoch: int = 0) -> list[list[list[tuple[int, int]]]]:
    """The sequences of each lane as (number, step) pairs, put together again from the batches."""
    lanes: list[list[list[tuple[int, int]]]] = [[] for _ in range(source.lanes)]
    for batch in source.epoch(epoch):
        assert batch.mask is not None
        assert batch.target is not None
        assert batch.reset is not None
        lengths = batch.mask.sum(0) if batch.lengths is None else batch.lengths
        for lane, length in enumerate(lengths.tolist()):
            for step in range(length):
                if batch.reset[step, lane]:
                    lanes[lane].append([])
                number, at = map(int, batch.inputs[step, lane])
                assert batch.target[step, lane] == 100 * number + at
                lanes[lane][-1].append((number, at))
            assert not batch.mask[length:, lane].any()
            assert (batch.target[length:, lane] == IGNORED_LABEL).all()
            assert not batch.inputs[length:, lane].any()
    return lanes


@pytest.mark.parametrize(("lanes", "steps"), [(1, 4), (2, 4), (3, 1), (2, 100), (5, 3)])
def test_each_sequence_lies_whole_in_one_lane(lanes: int, steps: int) -> None:
    source = StreamBatches(*numbered(), lanes=lanes, steps=steps)
    assert len(list(source.epoch(0))) == len(source)
    found = [sequence for lane in read(source) for sequence in lane]
    assert sorted(found) == [[(i, t) for t in range(n)] for i, n in enumerate(LENGTHS)]


def test_lanes_are_about_equally_long() -> None:
    totals = [sum(map(len, lane)) for lane in read(StreamBatches(*numbered(), lanes=2, steps=5))]
    assert totals == [12, 12]


def test_shuffling_changes_the_order_in_a_lane_by_seed_and_epoch_alone() -> None:
    source, again = (StreamBatches(*numbered(), lanes=2, steps=4) for _ in range(2))
    epochs = [read(source, number) for number in range(6)]
    assert epochs == [read(again, number) for number in range(6)]
    assert any(epoch != epochs[0] for epoch in epochs)
    fixed = StreamBatches(*numbered(), lanes=2, steps=4, shuffle=False)
    assert read(fixed, 0) == read(fixed, 1)


def test_an_epoch_goes_on_in_its_middle() -> None:
    source = StreamBatches(*numbered(), lanes=2, steps=2)
    whole, rest = list(source.epoch(3)), list(source.epoch(3, start=2))
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(whole[2:], rest, strict=True))


def test_a_long_sequence_is_cut_for_several_lanes() -> None:
    lanes = read(StreamBatches([numbered()[0][0]], [numbered()[1][0]], lanes=3, steps=2, longest=3))
    assert sorted(lanes) == [[[(0, t) for t in range(at, at + 3)]] for at in (0, 3, 6)]


def test_missing_targets_are_masked() -> None:
    source = StreamBatches([np.zeros((3, 1))], [np.array([1.0, np.nan, 2.0])], lanes=1, steps=3)
    batch = next(source.epoch(0))
    assert batch.mask is not None
    assert batch.target is not None
    assert batch.mask[:, 0].tolist() == [True, False, True]
    assert batch.target[:, 0].tolist() == [1.0, 0.0, 2.0]


def test_more_lanes_than_sequences_are_refused() -> None:
    with pytest.raises(DataError, match="lanes is 2, but there are 1 sequences .* longest="):
        StreamBatches([np.zeros((3, 1))], lanes=2, steps=2)
    with pytest.raises(ValueError, match="steps is 0"):
        StreamBatches([np.zeros((3, 1))], lanes=1, steps=0)


def test_a_piece_of_a_batch_keeps_its_own_part_of_each_length() -> None:
    batch = next(SequenceBatches(*numbered(), batch_size=5, shuffle=False, step_targets=True).epoch(0))
    piece = batch.steps(3, 7)
    assert piece.lengths is not None
    assert piece.mask is not None
    assert piece.lengths.tolist() == [4, 1, 0, 4, 0] == piece.mask.sum(0).tolist()
    assert torch.equal(piece.inputs, batch.inputs[3:7])
    assert batch.step_targets
    assert piece.step_targets
