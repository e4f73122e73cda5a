"""The public operator over time: lengths, resets, directions, edges, types, refusals."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from carousel.cells import VARIANTS, Cell, Gate, Open, find
from carousel.cells.layout import Sizes
from carousel.ops import (
    Inputs,
    Noise,
    Operands,
    ShapeError,
    State,
    Steps,
    Weights,
    example,
    layer,
    recurrence,
    zero_state,
)

SIZES = Sizes(3, 4)


def an_example(name: str = "peephole", time: int = 6, batch: int = 3, dtype: torch.dtype = torch.float64) -> Operands:
    return example(find(name), time, batch, SIZES, dtype=dtype)


def run(cell: str | Cell, operands: Operands, **changes: object) -> tuple[torch.Tensor, State]:
    given = replace(operands, **changes)
    return recurrence(cell, given.gates, given.weights, given.state, steps=given.steps, noise=given.noise)


def row(state: State, b: int) -> State:
    return State(*(None if part is None else part[b : b + 1] for part in state))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("reverse", [False, True])
def test_a_reset_parts_a_stream_into_separate_sequences(name: str, reverse: bool) -> None:
    operands = an_example(name)
    reset = torch.zeros(6, 3, dtype=torch.bool)
    reset[2, 0] = reset[5, 1] = reset[0, 2] = True
    outputs, last = run(name, operands, steps=Steps(None, reset, None, reverse))
    for b, cuts in enumerate([[0, 2, 6], [0, 5, 6], [0, 6]]):
        pieces = list(zip(cuts[:-1], cuts[1:], strict=True))
        end = operands.state
        for n, (start, stop) in enumerate(pieces[::-1] if reverse else pieces):
            alone = replace(operands, gates=operands.gates[start:stop, b : b + 1], state=row(operands.state, b))
            cleared = n > 0 or (bool(reset[0, b]) and not reverse)
            if cleared:
                alone = replace(alone, state=zero_state(find(name), alone.gates, 4))
            expected, end = run(name, alone, steps=Steps(reverse=reverse))
            torch.testing.assert_close(outputs[start:stop, b : b + 1], expected)
        torch.testing.assert_close(row(last, b).cell, end.cell)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_reset_goes_back_to_the_fresh_state(reverse: bool) -> None:
    operands = an_example("full_gate_recurrence")
    fresh = State(*(torch.randn_like(part) for part in operands.state if part is not None))
    reset = torch.zeros(6, 3, dtype=torch.bool)
    reset[3] = True
    outputs, last = run("fgr", operands, steps=Steps(None, reset, fresh, reverse))
    part = operands.gates[:3] if reverse else operands.gates[3:]
    expected, end = run("fgr", operands, gates=part, state=fresh, steps=Steps(reverse=reverse))
    torch.testing.assert_close(outputs[:3] if reverse else outputs[3:], expected)
    torch.testing.assert_close(tuple(last), tuple(end))


@pytest.mark.parametrize("reverse", [False, True])
def test_resets_in_the_padding_do_nothing(reverse: bool) -> None:
    operands, lengths = an_example(), torch.tensor([3, 0, 6])
    reset = torch.zeros(6, 3, dtype=torch.bool)
    reset[3:, 0] = reset[:, 1] = True
    expected, end = run("peephole", operands, steps=Steps(lengths, None, None, reverse))
    outputs, last = run("peephole", operands, steps=Steps(lengths, reset, None, reverse))
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(last[:2], end[:2])


@pytest.mark.parametrize("reverse", [False, True])
def test_the_padding_may_hold_anything(reverse: bool) -> None:
    """NaN behind a sequence's end reaches neither results nor gradients."""
    operands, lengths = an_example(), torch.tensor([3, 0, 6])
    leaves = [operands.gates, operands.weights.R, operands.weights.p]
    poisoned = operands.gates.clone()
    poisoned[3:, 0] = poisoned[:, 1] = float("nan")
    results = []
    for gates in (operands.gates, poisoned):
        leaves = [t.detach().requires_grad_() for t in (gates, operands.weights.R, operands.weights.p) if t is not None]
        given = replace(operands, gates=leaves[0], weights=Weights(R=leaves[1], p=leaves[2]))
        outputs, last = run("peephole", given, steps=Steps(lengths, None, None, reverse))
        results.append((outputs, last.cell, *torch.autograd.grad(outputs.sum() + last.cell.sum(), leaves)))
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("name", VARIANTS)
def test_running_backwards_is_running_the_reversed_sequence(name: str) -> None:
    operands = an_example(name)
    outputs, last = run(name, operands, steps=Steps(reverse=True))
    expected, end = run(name, operands, gates=operands.gates.flip(0))
    torch.testing.assert_close(outputs, expected.flip(0))
    torch.testing.assert_close(last.cell, end.cell)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_stream_cut_in_two_goes_on_from_the_state(name: str) -> None:
    operands = an_example(name)
    whole, end = run(name, operands)
    first, middle = run(name, operands, gates=operands.gates[:2])
    second, last = run(name, operands, gates=operands.gates[2:], state=middle)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close([t for t in last if t is not None], [t for t in end if t is not None])


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(("time", "batch"), [(0, 3), (6, 0), (0, 0), (1, 1)])
def test_edges(name: str, time: int, batch: int) -> None:
    operands = an_example(name, time, batch)
    outputs, last = run(
        name, operands, steps=Steps(torch.full((batch,), time), torch.zeros(time, batch, dtype=torch.bool))
    )
    assert outputs.shape == (time, batch, 4)
    if not time:
        torch.testing.assert_close(last.cell, operands.state.cell)


def test_no_state_is_a_state_of_zeros() -> None:
    for name in VARIANTS:
        for options in ({}, {"block": 2}, {"projection": True}):
            cell = find(name).with_options(**options)
            operands = example(cell, 2, 3, Sizes(3, 4, 2 if cell.projection else 0))
            zeros = zero_state(cell, operands.gates, 4, operands.output)
            expected = run(cell, operands, state=zeros)[0]
            torch.testing.assert_close(recurrence(cell, operands.gates, operands.weights)[0], expected)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_dtypes(name: str, dtype: torch.dtype) -> None:
    """Half precision goes in and out; inside, sums are in float32: off by one rounding of the inputs."""
    operands = an_example(name, dtype=dtype)
    outputs, last = run(name, operands)
    assert {outputs.dtype, *(part.dtype for part in last if part is not None)} == {dtype}
    exact = Operands.gather([None if t is None else t.double() for t in operands.tensors()], reverse=False)
    expected = run(name, exact)[0]
    tolerance = {torch.bfloat16: 2e-2, torch.float16: 3e-3, torch.float32: 1e-6}[dtype]
    torch.testing.assert_close(outputs.double(), expected, rtol=0, atol=tolerance)


def test_half_precision_keeps_the_cell_state_in_float32() -> None:
    """512 steps of writing 1/256 into the carousel: bfloat16 alone would stop counting at 1."""
    integrator = Cell(Open(), Open(), Gate("identity", recurrent=None), Open(), squash="identity")
    gates = torch.full((512, 1, 1), 1 / 256, dtype=torch.bfloat16)
    _, last = recurrence(integrator, gates, Weights())
    assert last.cell.item() == 2


class TestNoise:
    """Masks inside the loop do what their papers say."""

    def test_zoneout_keeps_the_old_value(self) -> None:
        operands = an_example()
        ones = torch.ones(1, 1, 1, dtype=torch.float64)
        _, last = run("peephole", operands, noise=Noise(ones, ones))
        torch.testing.assert_close(tuple(last[:2]), tuple(operands.state[:2]))

    def test_zoneout_by_half_lies_half_way(self) -> None:
        operands = an_example(time=1)
        half = torch.full((1, 1, 1), 0.5, dtype=torch.float64)
        _, free = run("peephole", operands)
        _, last = run("peephole", operands, noise=Noise(half, half))
        torch.testing.assert_close(last.cell, (free.cell + operands.state.cell) / 2)
        torch.testing.assert_close(last.hidden, (free.hidden + operands.state.hidden) / 2)

    def test_dropping_h_is_taking_r_away(self) -> None:
        operands = an_example("lstm")
        zeros = torch.zeros(1, 3, 4, dtype=torch.float64)
        outputs, _ = run("lstm", operands, noise=Noise(drop_hidden=zeros))
        without = operands.weights._replace(R=torch.zeros_like(operands.weights.R))  # type: ignore[arg-type]
        torch.testing.assert_close(outputs, run("lstm", operands, weights=without)[0])

    def test_dropping_the_candidate_writes_nothing(self) -> None:
        operands = an_example("no_forget_gate")
        zeros = torch.zeros(6, 3, 1, dtype=torch.float64)
        _, last = run("no_forget_gate", operands, noise=Noise(drop_candidate=zeros))
        torch.testing.assert_close(last.cell, operands.state.cell)


class TestLayer:
    """Given the inputs, W and b, a layer is the recurrence over W x + b."""

    @pytest.mark.parametrize("name", VARIANTS)
    @pytest.mark.parametrize("bias", [True, False])
    def test_it_is_the_recurrence_over_the_products(self, name: str, bias: bool) -> None:
        operands, x = an_example(name), torch.randn(6, 3, 5, dtype=torch.float64)
        W = torch.randn(operands.gates.shape[2], 5, dtype=torch.float64)
        inputs = Inputs(x, W, torch.randn_like(W[:, 0]) if bias else None)
        expected, end = run(name, operands, gates=F.linear(*inputs))
        outputs, last = layer(name, inputs, operands.weights, operands.state)
        torch.testing.assert_close((outputs, *last[:2]), (expected, *end[:2]))

    def test_no_state_is_a_state_of_zeros(self) -> None:
        operands, inputs = an_example("lstm"), Inputs(torch.randn(6, 3, 5).double(), torch.randn(16, 5).double())
        zeros = zero_state(find("lstm"), inputs.x, 4)
        expected, _ = layer("lstm", inputs, operands.weights, zeros)
        torch.testing.assert_close(layer("lstm", inputs, operands.weights)[0], expected)

    @pytest.mark.parametrize(
        ("x", "W", "b", "error", "words"),
        [
            (torch.zeros(6, 5), torch.zeros(16, 5), None, ShapeError, r"x has shape \(6, 5\); expected \(time, "),
            (torch.zeros(6, 3, 5).int(), torch.zeros(16, 5), None, TypeError, "x is torch.int32; a recurrence"),
            (torch.zeros(6, 3, 5), torch.zeros(16, 4), None, ShapeError, r"W has shape \(16, 4\); expected .*, 5\)"),
            (torch.zeros(6, 3, 5), torch.zeros(16, 5), torch.zeros(8), ShapeError, r"b has shape \(8,\); .*\(16,\)"),
            (torch.zeros(6, 3, 5), torch.zeros(12, 5), None, ShapeError, "gates have 12 rows, but cell lstm learns 4"),
            (torch.zeros(6, 3, 5), torch.zeros(16, 5).double(), None, TypeError, "W is torch.float64, but x torch.fl"),
        ],
    )
    def test_words(
        self, x: torch.Tensor, W: torch.Tensor, b: torch.Tensor | None, error: type[Exception], words: str
    ) -> None:
        operands = an_example("lstm", dtype=torch.float32)
        with pytest.raises(error, match=words):
            layer("lstm", Inputs(x, W, b), operands.weights, operands.state)


class TestRefusals:
    """What does not fit is refused in a sentence that says what came and what was expected."""

    @pytest.mark.parametrize(
        ("changes", "error", "words"),
        [
            ({"gates": torch.zeros(6, 3)}, ShapeError, r"gates have shape \(6, 3\); expected \(time, batch, rows\)"),
            ({"gates": torch.zeros(6, 3, 16, dtype=torch.int64)}, TypeError, "gates are torch.int64"),
            ({"gates": torch.zeros(6, 3, 12)}, ShapeError, "12 rows, but cell peephole learns 4 gates .*expected 16"),
            (
                {"state": State(torch.zeros(2, 4), torch.zeros(3, 4))},
                ShapeError,
                r"hidden has shape \(2, 4\); expected .*\(3, 4\)",
            ),
            (
                {"state": State(*[torch.zeros(3, 4)] * 3)},
                ShapeError,
                "the state has 'gates'; cell peephole carries hidden, cell",
            ),
            ({"state": State(torch.zeros(3, 2), torch.zeros(3, 4))}, ShapeError, "without a projection they are equal"),
            ({"weights": Weights()}, ShapeError, "R has shape None; .*needs \\(16, 4\\)"),
            ({"weights": Weights(R=torch.zeros(16, 4))}, ShapeError, "p has shape None; .*needs \\(3, 4\\)"),
            (
                {"steps": Steps(torch.zeros(2, dtype=torch.int64))},
                ShapeError,
                r"lengths have shape \(2,\); .* 3 sequences",
            ),
            ({"steps": Steps(torch.zeros(3))}, TypeError, "lengths are torch.float32; they count steps"),
            ({"steps": Steps(torch.zeros(3, dtype=torch.bool))}, TypeError, "lengths are torch.bool"),
            ({"steps": Steps(None, torch.zeros(6, 3))}, TypeError, "reset is torch.float32"),
            ({"steps": Steps(None, torch.zeros(3, 6, dtype=torch.bool))}, ShapeError, r"reset has shape \(3, 6\)"),
            (
                {"steps": Steps(None, None, State(torch.zeros(3, 4), torch.zeros(3, 5)))},
                ShapeError,
                "fresh state's cell has",
            ),
            (
                {"noise": Noise(drop_hidden=torch.ones(6, 3, 5))},
                ShapeError,
                r"drop_hidden has shape .*expected \(6, 3, 4\), or 1",
            ),
            ({"noise": Noise(zoneout_cell=torch.ones(3, 4))}, ShapeError, "zoneout_cell has shape"),
            ({"weights": Weights(R=torch.zeros(16, 4).double(), p=torch.zeros(3, 4))}, TypeError, "R is torch.float64"),
            ({"noise": Noise(torch.ones(1, 1, 1).half())}, TypeError, "zoneout_hidden is .*16.*convert it"),
            (
                {"state": State(torch.zeros(3, 4), torch.zeros(3, 4, device="meta"))},
                TypeError,
                "_cell is on meta, but g",
            ),
        ],
    )
    def test_words(self, changes: dict[str, object], error: type[Exception], words: str) -> None:
        with pytest.raises(error, match=words):
            run("peephole", an_example(dtype=torch.float32), **changes)

    def test_full_gate_recurrence_needs_its_third_tensor(self) -> None:
        operands = an_example("fgr")
        with pytest.raises(ShapeError, match="the state lacks 'gates'"):
            run("fgr", operands, state=State(*operands.state[:2]))

    def test_blocks_that_do_not_divide(self) -> None:
        with pytest.raises(ValueError, match="4 cells do not fall into memory cell blocks of 3"):
            run(find("lstm").with_options(block=3), an_example())
