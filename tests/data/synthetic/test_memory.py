"""Bits over a gap, and a source without memory but its last symbol."""

import pytest
import torch

from carousel.data.synthetic.markov import markov_chain
from carousel.data.synthetic.recall import BLANK, CUE, recall


def test_bits_come_again_behind_the_cue() -> None:
    strings = recall(torch.tensor([[1, 0, 1], [0, 0, 1]]), gap=2)
    assert strings.rows(strings.inputs).T.tolist()[0] == [1, 0, 1, BLANK, BLANK, CUE, 1, 0]
    wanted = strings.targets.argmax(2)[strings.observed[:, 0], 0]
    assert wanted.tolist() == [1, 0, 1, 0, 0, 1]
    assert strings.count == 2


def test_a_chain_moves_as_its_matrix_says() -> None:
    moves = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.0, 1.0], [0.5, 0.25, 0.25]], dtype=torch.float64)
    symbols = markov_chain(moves, 20000, torch.Generator().manual_seed(0))
    pairs = torch.zeros(3, 3, dtype=torch.float64)
    pairs.index_put_((symbols[:-1], symbols[1:]), torch.ones(len(symbols) - 1).double(), accumulate=True)
    torch.testing.assert_close(pairs / pairs.sum(1, keepdim=True), moves, rtol=0, atol=0.02)
    assert pairs[0, 2] == pairs[1, 0] == pairs[1, 1] == 0
    with pytest.raises(ValueError, match="each row adding up to 1"):
        markov_chain(moves[:2], 5, torch.Generator())
