"""LSTMCell takes the options of LSTM, and last outputs take lengths in any form."""

import pytest
import torch

from carousel.nn import LSTM, LSTMCell, last_output


def test_a_cell_takes_norm_and_block_as_a_layer_does() -> None:
    layer, cell = LSTM(3, 4, cell="peephole", norm=True, block=2), LSTMCell(3, 4, cell="peephole", norm=True, block=2)
    assert layer.cell == cell.cell
    assert cell.cell.norm == "ba2016"


@pytest.mark.parametrize("lengths", [[2, 0, 5], torch.tensor([2, 0, 5], dtype=torch.int32)], ids=["list", "int32"])
def test_last_outputs_take_lengths_in_any_form(lengths: object) -> None:
    output = torch.randn(5, 3, 2)
    last = last_output(output, lengths)  # type: ignore[arg-type]
    torch.testing.assert_close(last, torch.stack([output[1, 0], torch.zeros(2), output[4, 2]]))


def test_last_outputs_refuse_lengths_of_another_batch() -> None:
    with pytest.raises(ValueError, match="one for each of the 3 sequences"):
        last_output(torch.randn(5, 3, 2), [1, 2])
