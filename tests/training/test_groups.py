"""Which weights learn together."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from carousel.cells import VARIANTS
from carousel.nn import LSTM
from carousel.training.groups import weight_groups
from tests.training.problem import Summer, summer


class Net(Summer):
    """The same with an LSTM of ours."""

    def __init__(self, cell: str, **options: int | bool) -> None:
        super().__init__()
        self.lstm = LSTM(2, 4, cell=cell, **options)  # type: ignore[assignment]


def names(model: nn.Module, group: Tensor) -> set[str]:
    """The weights of a group as name[index]."""
    places = [f"{name}{list(place)}" for name, weight in model.named_parameters() for place in _places(weight)]
    return {places[position] for position in group}


def _places(weight: Tensor) -> list[tuple[int, ...]]:
    return [tuple(place) for place in torch.ones_like(weight).nonzero().tolist()]


@pytest.mark.parametrize("by", ["unit", "layer", "global"])
@pytest.mark.parametrize("cell", VARIANTS)
def test_each_weight_is_in_one_group(cell: str, by: str) -> None:
    model = Net(cell, num_layers=2, bidirectional=True, norm=True, learn_initial_state=True)
    groups = weight_groups(model, by)
    together = torch.cat(groups).sort().values
    assert torch.equal(together, torch.arange(sum(weight.numel() for weight in model.parameters())))
    assert len(groups) == {"layer": 5, "global": 1}.get(by, len(groups))


def test_a_unit_is_a_gate_of_a_cell_with_its_peephole() -> None:
    model = Net("peephole")
    units = [names(model, group) for group in weight_groups(model, "unit")]
    assert len(units) == 4 * 4 + 1
    forget = next(unit for unit in units if "lstm.weight_ih_l0[5, 0]" in unit)
    assert forget == {
        *(f"lstm.weight_ih_l0[5, {i}]" for i in range(2)),
        *(f"lstm.weight_hh_l0[5, {i}]" for i in range(4)),
        "lstm.bias_ih_l0[5]",
        "lstm.bias_hh_l0[5]",
        "lstm.weight_ch_l0[1, 1]",
    }


def test_blocks_share_a_gate_and_its_unit() -> None:
    model = Net("peephole", block=2)
    units = [names(model, group) for group in weight_groups(model, "unit")]
    forget = next(unit for unit in units if "lstm.weight_ih_l0[3, 0]" in unit)
    assert {"lstm.weight_ch_l0[1, 2]", "lstm.weight_ch_l0[1, 3]", "lstm.bias_hh_l0[3]"} < forget


def test_gates_into_which_nothing_recurs_have_no_recurrent_weights() -> None:
    model = Net("peephole_matrix")
    lstm: Any = model.lstm
    assert len(lstm.weight_hh_l0) < len(lstm.weight_ih_l0)
    units = [names(model, group) for group in weight_groups(model, "unit")]
    candidate = next(unit for unit in units if "lstm.weight_ih_l0[8, 0]" in unit)
    output = next(unit for unit in units if "lstm.weight_ih_l0[12, 0]" in unit)
    assert not any("weight_hh" in name for name in candidate)
    assert "lstm.weight_hh_l0[8, 0]" in output


def test_the_units_of_torch_are_rows() -> None:
    model = summer()
    units = [names(model, group) for group in weight_groups(model, "unit")]
    assert len(units) == 2 * 20 + 1
    assert {f"readout.weight[0, {i}]" for i in range(5)} | {"readout.bias[0]"} in units
