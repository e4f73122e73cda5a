"""Gates and gradient norms of a traced LSTM, held against plain automatic differentiation."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from carousel.cells import VARIANTS
from carousel.nn import LSTM
from carousel.report import ReportError, look_inside, look_inside_layer, memory
from carousel.report.memory import Labels


class Network(nn.Module):
    """A classifier's shape: LSTM, then a linear head."""

    def __init__(self, lstm: nn.Module) -> None:
        super().__init__()
        self.lstm, self.head = lstm, nn.Linear(6, 2, dtype=torch.float64)

    def forward(self, x: Any) -> Tensor:
        _, (h, _) = self.lstm(x)
        return self.head(h[-1])


def _lstm(hidden_size: int | list[int] = 6, **options: Any) -> LSTM:
    return LSTM(3, hidden_size, dtype=torch.float64, **options)


def test_gates_and_states_are_those_of_the_trace() -> None:
    lstm, x = _lstm(num_layers=2), torch.randn(9, 3, dtype=torch.float64)
    found = look_inside_layer(
        lstm, x, Labels("the sequence", ("a", "b", "c"), tuple(f"2026-01-0{k + 1}" for k in range(9)))
    )
    last = lstm.trace(x.unsqueeze(1))[1]
    assert [line.name for line in found.inputs] == ["a", "b", "c"]
    assert [gate.name[0] for gate in found.gates] == ["i", "f", "o"]
    for row, unit in zip(found.cell_state.values, found.units, strict=True):
        np.testing.assert_allclose(np.array(row, float), last["cell"][:, 0, unit].detach(), atol=1e-4)
    means = [np.mean(np.array(row, float)) for row in found.gates[1].values]
    assert means == sorted(means)
    assert found.layer == "layer 2 of 2"
    assert found.time is not None


def _jacobian_norms(lstm: LSTM, x: Tensor) -> np.ndarray:
    jacobian = torch.autograd.functional.jacobian(lambda x: lstm(x)[0][-1], x)
    assert isinstance(jacobian, Tensor)
    return jacobian.square().sum((0, 2)).div(jacobian.shape[0]).sqrt().flip(0).numpy()


@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2}, {"proj_size": 2}, {"batch_first": True}, {"hidden_size": [4, 6]}]
)
def test_the_gradient_to_the_input_is_the_jacobian(options: dict[str, Any]) -> None:
    lstm, x = _lstm(**options), torch.randn(11, 3, dtype=torch.float64)
    _, to_input = memory.gradient_flow(lstm, x)
    np.testing.assert_allclose(np.array(to_input.values, float), _jacobian_norms(lstm, x), rtol=1e-9)


def test_the_gradient_to_the_cell_state_holds_the_hidden_state_fixed() -> None:
    lstm, x = _lstm(), torch.randn(7, 3, dtype=torch.float64)
    to_cell, _ = memory.gradient_flow(lstm, x)
    assert to_cell.values[0] is None
    _, (h, c) = lstm(x[:4].unsqueeze(1))
    jacobian = torch.autograd.functional.jacobian(lambda c: lstm(x[4:].unsqueeze(1), (h, c))[0][-1, 0], c)
    assert isinstance(jacobian, Tensor)
    assert to_cell.values[3] == pytest.approx(jacobian.square().sum().div(6).sqrt().item(), rel=1e-9)


def test_a_bidirectional_layer_shows_its_forward_direction() -> None:
    lstm, x = _lstm(bidirectional=True), torch.randn(8, 3, dtype=torch.float64)
    (flow,) = memory.gradient_flow(lstm, x)
    jacobian = torch.autograd.functional.jacobian(lambda x: lstm(x)[0][-1, :6], x)
    assert isinstance(jacobian, Tensor)
    expected = jacobian.square().sum((0, 2)).div(6).sqrt().flip(0).numpy()
    np.testing.assert_allclose(np.array(flow.values, float), expected, rtol=1e-9)
    assert look_inside_layer(lstm, x).layer == "the LSTM layer, forward direction"


@pytest.mark.parametrize("cell", VARIANTS)
def test_every_cell_can_be_looked_into(cell: str) -> None:
    found = look_inside_layer(_lstm(cell=cell, block=2), torch.randn(5, 3, dtype=torch.float64))
    assert {len(gate.values) for gate in (*found.gates, found.cell_state)} == {6}
    assert all(value is not None and value > 0 for value in found.gradients[1].values)


def test_without_a_forget_gate_the_units_keep_their_order() -> None:
    found = look_inside_layer(_lstm(cell="no_forget_gate"), torch.randn(5, 3, dtype=torch.float64))
    assert list(found.units) == [5, 4, 3, 2, 1, 0]
    assert found.order == "in the order of the layer"


def test_long_sequences_and_wide_layers_are_cut() -> None:
    lstm, x = LSTM(2, 70), torch.randn(450, 2)
    found = look_inside_layer(lstm, x)
    assert (len(found.units), found.units_total, len(found.cell_state.values[0])) == (48, 70, 400)
    assert all(len(flow.values) == 200 for flow in found.gradients)


def test_a_gate_shared_by_a_block_is_drawn_for_each_of_its_cells() -> None:
    gate = torch.tensor([[0.1, 0.9]])
    assert memory.per_cell(gate, torch.zeros(1, 6)).tolist()[0] == pytest.approx([0.1, 0.1, 0.1, 0.9, 0.9, 0.9])


@pytest.mark.parametrize("batch_first", [False, True])
def test_the_network_is_watched_while_it_runs(batch_first: bool) -> None:
    network = Network(_lstm(batch_first=batch_first))
    x = torch.randn(1, 5, 3, dtype=torch.float64) if batch_first else torch.randn(5, 1, 3, dtype=torch.float64)
    found = look_inside(network, lambda: network.lstm(x))
    np.testing.assert_allclose(np.array(found.inputs[2].values, float), x.reshape(5, 3)[:, 2], atol=1e-4)
    assert network.training


def test_jacobians_come_with_it_but_for_wide_layers() -> None:
    found = look_inside_layer(_lstm(cell="lstm1997"), torch.randn(5, 3, dtype=torch.float64)).jacobians
    assert [flow.name for flow in found] == ["hidden", "cell", "carousel"]
    assert list(found[2].values) == [1.0] * 6
    assert not look_inside_layer(LSTM(2, [3, memory.MAX_WIDTH + 1]), torch.randn(2, 2)).jacobians


def test_packed_input_is_unpacked() -> None:
    network, x = Network(_lstm()), torch.randn(5, 1, 3, dtype=torch.float64)
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4]))
    assert len(look_inside(network, lambda: network(packed)).inputs[0].values) == 4


def test_networks_without_a_memory_are_refused() -> None:
    with pytest.raises(ReportError, match="no LSTM with a trace"):
        look_inside(nn.Linear(1, 1), lambda: None)
    with pytest.raises(ReportError, match="ran without using its LSTM"):
        look_inside(Network(_lstm()), lambda: None)


def test_looking_inside_leaves_no_gradients_and_no_mode_behind() -> None:
    lstm = _lstm().eval()
    look_inside_layer(lstm, torch.randn(4, 3, dtype=torch.float64))
    assert not lstm.training
    assert all(weight.grad is None for weight in lstm.parameters())
