"""The reference against an oracle that shares no code with it, against torch, and against answers known by thought."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from carousel.cells import VARIANTS, Cell, Complement, Gate, Open, find
from carousel.cells.layout import Sizes
from carousel.ops import Operands, State, Steps, Weights, example, recurrence
from tests.ops.oracle import LEARNED, Oracle

HIDDEN, TIME, BATCH = 4, 5, 3
OPTIONS = {
    "plain": {},
    "block": {"block": 2},
    "projection": {"projection": True},
    "ba2016": {"norm": "ba2016"},
    "torch_sample": {"norm": "torch_sample"},
    "all at once": {"block": 2, "projection": True, "norm": "ba2016"},
}


def array(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.numpy()


def oracle(name: str, cell: Cell, operands: Operands) -> Oracle:
    weights = {role: array(tensor) for role, tensor in operands.weights._asdict().items()}
    return Oracle(name, hidden=HIDDEN, norm=cell.norm, block=cell.block, **weights)  # type: ignore[arg-type]


def run(cell: Cell, operands: Operands) -> tuple[Tensor, State]:
    return recurrence(
        cell, operands.gates, operands.weights, operands.state, steps=operands.steps, noise=operands.noise
    )


def by_hand(
    name: str, cell: Cell, operands: Operands, b: int, order: Sequence[int]
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """The oracle over the steps of sequence b in this order: h at each step, and the last [h, c]."""
    start = [[] if part is None else part[b].tolist() for part in operands.state]
    rows = oracle(name, cell, operands).run(operands.gates[list(order), b].numpy(), *start)
    return {t: row[: operands.output] for t, row in zip(order, rows, strict=True)}, rows[-1]


def a_cell(name: str, option: str) -> tuple[Cell, Operands]:
    options = dict(OPTIONS[option])
    if options.get("projection") and name.startswith("peephole_matrix"):
        options.pop("norm", None)
    cell = find(name).with_options(**options)
    return cell, example(cell, TIME, BATCH, Sizes(3, HIDDEN, 2 if cell.projection else 0), dtype=torch.float64)


def agree(name: str, cell: Cell, operands: Operands, orders: list[list[int]]) -> None:
    """Outputs and last states are the oracle's over these steps; zeros elsewhere."""
    outputs, state = run(cell, operands)
    for b, order in enumerate(orders):
        expected, last = by_hand(name, cell, operands, b, order) if order else ({}, None)
        for t in range(TIME):
            np.testing.assert_allclose(outputs[t, b].numpy(), expected.get(t, np.zeros(operands.output)), atol=1e-12)
        if last is None:
            last = torch.cat([operands.state.hidden[b], operands.state.cell[b]]).numpy()
        np.testing.assert_allclose(torch.cat([state.hidden[b], state.cell[b]]).numpy(), last, atol=1e-12)


def test_the_oracle_knows_every_row_of_the_table() -> None:
    assert set(LEARNED) == set(VARIANTS)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", VARIANTS)
def test_agrees_with_scalar_loops(name: str, option: str) -> None:
    cell, operands = a_cell(name, option)
    agree(name, cell, operands, [list(range(TIME))] * BATCH)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", VARIANTS)
def test_agrees_with_scalar_loops_over_ragged_sequences(name: str, reverse: bool) -> None:
    cell, operands = a_cell(name, "plain")
    lengths = [2, 0, 5]
    ragged = Operands(
        operands.gates, operands.state, operands.weights, Steps(torch.tensor(lengths), None, None, reverse)
    )
    orders = [list(range(length)) for length in lengths]
    agree(name, cell, ragged, [order[::-1] for order in orders] if reverse else orders)


@pytest.mark.parametrize("name", VARIANTS)
def test_hands_on_the_gates_of_full_gate_recurrence(name: str) -> None:
    cell, operands = a_cell(name, "plain")
    _, state = run(cell, operands)
    if name != "full_gate_recurrence":
        assert state.gates is None
        return
    sent = [part[0].tolist() for part in operands.state if part is not None]
    for t in range(TIME):
        sent = list(oracle(name, cell, operands).step(operands.gates[t, 0].tolist(), *sent))
    assert state.gates is not None
    np.testing.assert_allclose(state.gates[0].numpy(), sent[2], atol=1e-12)


def test_gates_may_read_h_and_others_c() -> None:
    """A cell whose input gate reads c_{t-1} and whose other gates read h_{t-1}, written out."""
    cell = Cell(input=Gate(recurrent="cell"), output=Gate(recurrent=None))
    given = example(cell, 1, 1, Sizes(3, 2), dtype=torch.float64)
    (pre,), (R, h, c) = given.gates[0], (given.weights.R, given.state.hidden[0], given.state.cell[0])
    assert R is not None
    i, f = torch.sigmoid(pre[:2] + R[:2] @ c), torch.sigmoid(pre[2:4] + R[2:4] @ h)
    new = f * c + i * torch.tanh(pre[4:6] + R[4:6] @ h)
    outputs, state = run(cell, given)
    torch.testing.assert_close(state.cell[0], new)
    torch.testing.assert_close(outputs[0, 0], torch.sigmoid(pre[6:]) * new.tanh())


@pytest.mark.parametrize("peeps", ["input", "candidate"])
def test_peepholes_of_a_block(peeps: str) -> None:
    """A shared gate sums over the cells of its block; the candidate has a row for each cell and sums over none."""
    options = {peeps: Gate("tanh" if peeps == "candidate" else "sigmoid", peephole="previous")}
    cell = Cell(**options, block=2)  # type: ignore[arg-type]
    given = example(cell, 1, 1, Sizes(3, 4), dtype=torch.float64)
    (pre,), (R, p, h, c) = (
        given.gates[0],
        (given.weights.R, given.weights.p, given.state.hidden[0], given.state.cell[0]),
    )
    assert R is not None
    assert p is not None
    i, f, z, _ = (pre + R @ h).split([2, 2, 4, 2])
    seen = p[0] * c
    i = i + seen.view(2, 2).sum(1) if peeps == "input" else i
    z = z + seen if peeps == "candidate" else z
    new = torch.sigmoid(f).repeat_interleave(2) * c + torch.sigmoid(i).repeat_interleave(2) * z.tanh()
    torch.testing.assert_close(run(cell, given)[1].cell[0], new)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_is_torch_lstm(dtype: torch.dtype) -> None:
    theirs = torch.nn.LSTM(3, 6, dtype=dtype)
    x, h, c = torch.randn(7, 4, 3, dtype=dtype), torch.randn(1, 4, 6, dtype=dtype), torch.randn(1, 4, 6, dtype=dtype)
    expected, (h_n, c_n) = theirs(x, (h, c))
    W, R, b_ih, b_hh = theirs.all_weights[0]
    outputs, state = recurrence("lstm", x @ W.T + b_ih + b_hh, Weights(R=R), State(h[0], c[0]))
    tolerance = {"rtol": 0, "atol": 1e-12 if dtype == torch.float64 else 1e-6}
    torch.testing.assert_close(outputs, expected, **tolerance)
    torch.testing.assert_close((state.hidden, state.cell), (h_n[0], c_n[0]), **tolerance)


class TestThought:
    """Gates driven to 0 or 1, one peephole cancelled at a time: the answer needs no computer (after PyBrain)."""

    OPEN, SHUT = 1e3, -1e3

    def hold(self, cell: str | Cell, pre: list[float], p: list[float], c: float = 0.5) -> tuple[float, float]:
        """h and c after one step of one unit from cell state c, with these pre-activations and peepholes."""
        gates = torch.tensor(pre, dtype=torch.float64).view(1, 1, -1)
        rows = len(find(cell).recurrent)
        peepholes = torch.tensor(p, dtype=torch.float64).view(-1, 1) if p else None
        weights = Weights(R=torch.zeros(rows, 1, dtype=torch.float64), p=peepholes)
        start = State(torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), c, dtype=torch.float64))
        outputs, state = recurrence(cell, gates, weights, start)
        return outputs.item(), state.cell.item()

    def test_the_carousel_turns(self) -> None:
        """Input shut, forget open: the cell state stays for ever."""
        h, c = self.hold("lstm", [self.SHUT, self.OPEN, 3.0, self.OPEN], [])
        assert c == 0.5
        assert h == pytest.approx(np.tanh(0.5), abs=1e-15)

    def test_forgetting(self) -> None:
        assert self.hold("lstm", [self.SHUT, self.SHUT, 3.0, self.OPEN], []) == (0.0, 0.0)

    def test_writing(self) -> None:
        h, c = self.hold("lstm", [self.OPEN, self.SHUT, 0.3, self.OPEN], [])
        assert c == pytest.approx(np.tanh(0.3), abs=1e-15)
        assert h == pytest.approx(np.tanh(np.tanh(0.3)), abs=1e-15)

    def test_output_gate_shut(self) -> None:
        assert self.hold("lstm", [self.OPEN, self.OPEN, 0.3, self.SHUT], [])[0] == 0.0

    @pytest.mark.parametrize(("gate", "at"), [("input", 0), ("forget", 1)])
    def test_a_peephole_on_the_old_state_cancels_its_gate(self, gate: str, at: int) -> None:
        """The gate's pre-activation is +1000, its peephole on c = 0.5 brings -2000: shut."""
        p = [0.0, 0.0, 0.0]
        p[at] = -4e3
        _, c = self.hold("peephole", [self.OPEN, self.OPEN, 0.3, self.OPEN], p)
        kept = {"input": 0.5, "forget": np.tanh(0.3)}[gate]
        assert c == pytest.approx(kept, abs=1e-15)

    def test_the_output_peephole_sees_the_new_state(self) -> None:
        """c goes from 0.5 to tanh(-1) < 0; a peephole that shut the gate on the old state opens it on the new."""
        pre, p = [self.OPEN, self.SHUT, -1.0, 0.0], [0.0, 0.0, -1e4]
        h, c = self.hold("peephole", pre, p)
        assert c == pytest.approx(np.tanh(-1), abs=1e-15)
        assert h == pytest.approx(np.tanh(c), abs=1e-15)

    def test_an_output_peephole_on_the_old_state(self) -> None:
        old = Cell(output=Gate(peephole="previous"))
        assert self.hold(old, [self.OPEN, self.SHUT, -1.0, 0.0], [-1e4])[0] == pytest.approx(0, abs=1e-15)

    def test_coupled_gates_share_one_whole(self) -> None:
        _, c = self.hold("coupled", [0.0, 1e3, self.OPEN], [0.0, 0.0])
        assert c == pytest.approx(0.5 * 0.5 + 0.5 * 1.0, abs=1e-15)

    def test_a_forget_gate_may_be_learnt_and_the_input_its_complement(self) -> None:
        row = Cell(input=Complement("forget"))
        _, c = self.hold(row, [self.SHUT, 1e3, self.OPEN], [])
        assert c == pytest.approx(1.0, abs=1e-15)

    def test_1997_counts_without_end(self) -> None:
        """No forget gate, g saturates at 2: ten open steps write twenty; h saturates at 1."""
        gates = torch.tensor([self.OPEN, self.OPEN, self.OPEN], dtype=torch.float64).repeat(10, 1, 1)
        outputs, state = recurrence("lstm1997", gates, Weights(R=torch.zeros(3, 1, dtype=torch.float64)))
        assert state.cell.item() == pytest.approx(20, abs=1e-12)
        assert outputs[-1].item() == pytest.approx(1, abs=1e-8)

    def test_a_block_shares_its_gates(self) -> None:
        """Two blocks of two cells, the first block's input gate open and the second's shut."""
        pre = torch.tensor([self.OPEN, self.SHUT, 1e3, 1e3, 1e3, 1e3, self.OPEN, self.OPEN], dtype=torch.float64)
        weights = Weights(R=torch.zeros(8, 4, dtype=torch.float64))
        _, state = recurrence(find("lstm1997").with_options(block=2), pre.view(1, 1, -1), weights)
        assert state.cell[0].tolist() == [2, 2, 0, 0]

    def test_everything_open(self) -> None:
        """No gate but the candidate: an integrator."""
        row = Cell(Open(), Open(), Gate("identity", recurrent=None), Open(), squash="identity")
        outputs, _ = recurrence(row, torch.arange(1.0, 5).view(4, 1, 1), Weights())
        assert outputs.flatten().tolist() == [1, 3, 6, 10]


@pytest.mark.parametrize(
    ("squash", "formula"),
    {
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
        "tanh": np.tanh,
        "identity": lambda v: v,
        "g1997": lambda v: 4 / (1 + np.exp(-v)) - 2,
        "h1997": lambda v: 2 / (1 + np.exp(-v)) - 1,
        "hard_sigmoid": lambda v: np.clip(v / 6 + 0.5, 0, 1),
        "softsign": lambda v: v / (1 + np.abs(v)),
        "relu": lambda v: np.maximum(v, 0),
    }.items(),
)
def test_squashing_functions(squash: str, formula: Callable[[np.ndarray], np.ndarray]) -> None:
    row = Cell(Open(), Open(), Gate(squash, recurrent=None), Open(), squash="identity")
    values = torch.linspace(-7, 7, 29, dtype=torch.float64)
    outputs, _ = recurrence(row, values.view(1, -1, 1), Weights())
    np.testing.assert_allclose(outputs.flatten().numpy(), formula(values.numpy()), atol=1e-15)


def test_the_candidate_of_a_block_peeps_at_each_cell_alone() -> None:
    """Cells share their gates, not their candidate: only the gates' peepholes are summed over a block."""
    cell = Cell(Gate(), Open(), Gate("tanh", peephole="previous"), Open(), squash="identity", block=2)
    operands = example(cell, 1, BATCH, Sizes(3, HIDDEN), dtype=torch.float64)
    R, p, (h, c, _) = operands.weights.R, operands.weights.p, operands.state
    assert R is not None and p is not None
    i, z = (operands.gates[0] + h @ R.T).split([HIDDEN // 2, HIDDEN], dim=1)
    expected = c + torch.sigmoid(i).repeat_interleave(2, dim=1) * torch.tanh(z + p[0] * c)
    torch.testing.assert_close(run(cell, operands)[1].cell, expected)
