"""LSTMCell takes the options of LSTM, and last outputs take lengths in any form."""

import pytest
import torch

from carousel.cells import Cell
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


def test_last_outputs_refuse_a_length_beyond_the_input() -> None:
    with pytest.raises(ValueError, match=r"lengths\[0\] is 9; the input has 5 steps"):
        last_output(torch.randn(5, 2, 2), [9, 1])


@pytest.mark.parametrize("module", [LSTM, LSTMCell])
def test_a_projection_without_a_size_is_refused(module: type) -> None:
    with pytest.raises(ValueError, match="proj_size"):
        module(3, 4, cell=Cell(projection=True))


def test_torch_s_words_for_states_are_there() -> None:
    ours, theirs = LSTM(3, 4, 2, proj_size=2), torch.nn.LSTM(3, 4, 2, proj_size=2)
    x, hx = torch.zeros(5, 6, 3), (torch.zeros(2, 6, 2), torch.zeros(2, 6, 4))
    assert repr(ours) == repr(theirs)
    assert ours.get_expected_cell_size(x, None) == theirs.get_expected_cell_size(x, None)
    ours.check_forward_args(x, hx, None)
    with pytest.raises(RuntimeError, match=r"Expected hidden\[1\] size"):
        ours.check_forward_args(x, (hx[0], hx[0]), None)
    order = torch.tensor([5, 4, 3, 2, 1, 0])
    drawn = (torch.randn(2, 6, 2), torch.randn(2, 6, 4))
    torch.testing.assert_close(ours.permute_hidden(drawn, order), theirs.permute_hidden(drawn, order))


def test_orthogonal_blocks_are_drawn_in_any_dtype() -> None:
    state = LSTM(3, 4, init="orthogonal", dtype=torch.bfloat16).state_dict()
    R = state["weight_hh_l0"][:4].float()
    torch.testing.assert_close(R @ R.T, torch.eye(4), atol=3e-2, rtol=0)


def test_a_cell_without_units_is_built_as_torch_builds_it() -> None:
    assert LSTMCell(3, 0).weight_ih.shape == torch.nn.LSTMCell(3, 0).weight_ih.shape
