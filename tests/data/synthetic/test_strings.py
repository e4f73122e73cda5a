"""Strings one after another: where each lies, in another order, as rows of a batch."""

import torch

from carousel.data.synthetic import Strings, temporal_order
from carousel.data.synthetic.strings import answered, foretold


def three() -> Strings:
    """Three strings of 2, 1 and 3 symbols; each step's target is its own number."""
    lengths = torch.tensor([2, 1, 3])
    found = answered(torch.tensor([[5], [6], [7], [0], [1], [2]]), lengths, torch.zeros(3, 1, dtype=torch.float64))
    return Strings(
        found.inputs,
        torch.arange(6.0, dtype=torch.float64).reshape(6, 1, 1),
        found.begins,
        found.ends,
        torch.tensor([[True], [True], [True], [True], [False], [True]]),
    )


def test_each_string_has_its_place() -> None:
    strings = three()
    assert strings.count == 3
    assert (strings.first.tolist(), strings.last.tolist()) == ([0, 2, 3], [1, 2, 5])
    assert strings.lengths.tolist() == [2, 1, 3]
    assert strings.string_of.tolist() == [0, 0, 1, 2, 2, 2]


def test_strings_in_another_order_are_the_same_strings() -> None:
    again = three().chosen(torch.tensor([2, 0, 2]))
    assert again.inputs[:, 0].tolist() == [0, 1, 2, 5, 6, 0, 1, 2]
    assert again.lengths.tolist() == [3, 2, 3]
    assert again.observed[:, 0].tolist() == [True, False, True, True, True, True, False, True]


def test_the_worst_is_taken_over_observed_steps() -> None:
    by_step = torch.tensor([[1.0, 5], [3, 4], [2, 2], [0, 0], [9, 9], [1, -1]])
    assert three().worst(by_step).tolist() == [[3, 5], [2, 2], [1, 0]]


def test_rows_are_padded_with_zeros() -> None:
    assert three().rows(three().inputs)[:, :].T.tolist() == [[5, 6, 0], [7, 0, 0], [0, 1, 2]]
    hot = three().numbers(8)
    assert hot.shape == (6, 1, 8)
    assert hot[:, 0].argmax(1).tolist() == [5, 6, 7, 0, 1, 2]
    strings = temporal_order(4, torch.Generator().manual_seed(0))
    assert strings.rows(strings.targets).shape == (int(strings.lengths.max()), 4, 4)


def test_the_next_symbol_is_foretold_and_the_last_one_not_read() -> None:
    strings = foretold(torch.tensor([0, 1, 2, 2, 0]), torch.tensor([3, 2]), 3)
    assert strings.inputs[:, 0].tolist() == [0, 1, 2]
    assert strings.targets[:, 0].argmax(1).tolist() == [1, 2, 0]
    assert strings.lengths.tolist() == [2, 1]
    assert strings.observed.all()
