"""What a module hands out of its loops."""

import torch

from carousel.nn import LSTM
from carousel.ops import reference


def test_operands_are_what_each_loop_is_given() -> None:
    lstm = LSTM(3, 4, num_layers=2, bidirectional=True, dtype=torch.float64)
    x, lengths = torch.randn(6, 2, 3, dtype=torch.float64), torch.tensor([6, 4])
    given = lstm.operands(x, lengths=lengths)
    assert [each.steps.reverse for each in given] == [False, True, False, True]
    outputs = [reference.recurrence(lstm.cell, each)[0] for each in given[2:]]
    assert torch.allclose(torch.cat(outputs, dim=2), lstm(x, lengths=lengths)[0], rtol=1e-12)
