"""Gates and gradient norms of a traced LSTM, held against plain automatic differentiation."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from carousel.report import ReportError, look_inside, look_inside_layer, memory
from carousel.report.memory import Labels


class Traced(nn.LSTM):
    """torch's LSTM with a trace: it runs the equations again, one layer and direction after the other."""

    def trace(self, x: Tensor) -> list[dict[str, Tensor]]:
        x = x.transpose(0, 1) if self.batch_first else x
        found = []
        for layer in range(self.num_layers):
            sides = [self._side(x, layer, reverse) for reverse in range(2 if self.bidirectional else 1)]
            x = torch.cat([side["hidden"] for side in sides], dim=-1)
            found += sides
        return found

    def _side(self, x: Tensor, layer: int, reverse: int) -> dict[str, Tensor]:
        names = [f"{name}_l{layer}{'_reverse' * reverse}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        w, r, b, d = (getattr(self, name) for name in names)
        h = c = torch.zeros(x.shape[1], self.hidden_size, dtype=x.dtype)
        rows: list[tuple[Tensor, ...]] = []
        for step in reversed(x) if reverse else x:
            i, f, z, o = (step @ w.T + h @ r.T + b + d).chunk(4, dim=-1)
            i, f, z, o = i.sigmoid(), f.sigmoid(), z.tanh(), o.sigmoid()
            c = f * c + i * z
            h = o * c.tanh()
            rows.append((i, f, z, o, c, h))
        stacked = [torch.stack(rows[::-1] if reverse else rows) for rows in map(list, zip(*rows, strict=True))]
        return dict(zip(("input", "forget", "candidate", "output", "cell", "hidden"), stacked, strict=True))


class Network(nn.Module):
    """A classifier's shape: LSTM, then a linear head."""

    def __init__(self, lstm: nn.Module) -> None:
        super().__init__()
        self.lstm, self.head = lstm, nn.Linear(6, 2)

    def forward(self, x: Any) -> Tensor:
        out, _ = self.lstm(x)
        return out if isinstance(out, nn.utils.rnn.PackedSequence) else self.head(out[-1])


def _lstm(**options: Any) -> Traced:
    return Traced(3, 6, **options).double()


def test_gates_and_states_are_those_of_the_trace() -> None:
    lstm, x = _lstm(num_layers=2), torch.randn(9, 3, dtype=torch.float64)
    found = look_inside_layer(lstm, x, Labels("the sequence", ("a", "b", "c"), tuple(f"2026-01-0{k + 1}" for k in range(9))))
    last = lstm.trace(x.unsqueeze(1))[1]
    assert [line.name for line in found.inputs] == ["a", "b", "c"]
    assert [gate.name[0] for gate in found.gates] == ["i", "f", "o"]
    for row, unit in zip(found.cell_state.values, found.units, strict=True):
        np.testing.assert_allclose(np.array(row, float), last["cell"][:, 0, unit].detach(), atol=1e-4)
    means = [np.mean(np.array(row, float)) for row in found.gates[1].values]
    assert means == sorted(means)
    assert found.layer == "layer 2 of 2"
    assert found.time is not None


def _jacobian_norms(lstm: Traced, x: Tensor) -> np.ndarray:
    jacobian = torch.autograd.functional.jacobian(lambda x: lstm(x)[0][-1], x)
    assert isinstance(jacobian, Tensor)
    return jacobian.square().sum((0, 2)).div(jacobian.shape[0]).sqrt().flip(0).numpy()


@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"proj_size": 2}, {"batch_first": True}])
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


def test_long_sequences_and_wide_layers_are_cut() -> None:
    lstm, x = Traced(2, 70), torch.randn(450, 2)
    found = look_inside_layer(lstm, x)
    assert (len(found.units), found.units_total, len(found.cell_state.values[0])) == (48, 70, 400)
    assert all(len(flow.values) == 200 for flow in found.gradients)


def test_a_gate_shared_by_a_block_is_drawn_for_each_of_its_cells() -> None:
    gate = torch.tensor([[0.1, 0.9]])
    assert memory._per_unit(gate, torch.zeros(1, 6)).tolist()[0] == pytest.approx([0.1, 0.1, 0.1, 0.9, 0.9, 0.9])


@pytest.mark.parametrize("batch_first", [False, True])
def test_the_network_is_watched_while_it_runs(batch_first: bool) -> None:
    network = Network(_lstm(batch_first=batch_first))
    x = torch.randn(1, 5, 3, dtype=torch.float64) if batch_first else torch.randn(5, 1, 3, dtype=torch.float64)
    found = look_inside(network, lambda: network.lstm(x))
    np.testing.assert_allclose(found.inputs[2].values, x.reshape(5, 3)[:, 2], atol=1e-4)
    assert network.training


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
