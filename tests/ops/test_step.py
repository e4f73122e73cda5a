"""One step from given pre-activations: over a grid with two predecessors, and over the pixels of a map."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.cells import VARIANTS, Gate, find
from carousel.cells.layout import Sizes, peephole_rows, rows, total
from carousel.ops import ShapeError, State, Weights, example, recurrence, step

HIDDEN, BATCH = 3, 2


def sigma(v: float) -> float:
    return 1 / (1 + math.exp(-v))


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("options", [{}, {"block": 2}, {"norm": "ba2016"}, {"norm": "torch_sample"}])
def test_one_step_is_a_recurrence_of_one_step_without_r(name: str, options: dict[str, object]) -> None:
    cell = find(name).with_options(full_gate_recurrence=False, **options)
    given = example(cell, 1, BATCH, Sizes(1, 4), dtype=torch.float64)
    weights = given.weights._replace(R=torch.zeros_like(given.weights.R))  # type: ignore[arg-type]
    if cell.norm:
        weights = weights._replace(norm_recurrent=torch.zeros_like(weights.norm_recurrent))  # type: ignore[arg-type]
    outputs, last = recurrence(cell, given.gates, weights, given.state)
    took = step(cell, given.gates[0], given.state.cell[None], p=weights.p, norm=weights.norm_cell)
    torch.testing.assert_close((took.hidden, took.cell), (outputs[0], last.cell))


def test_gates_are_returned_by_name() -> None:
    cell = find("no_input_gate")
    took = step(cell, torch.zeros(2, 9), torch.zeros(1, 2, 3), p=torch.zeros(2, 3))
    assert took.gates["input"] is None
    torch.testing.assert_close(took.gates["forget"], torch.full((2, 3), 0.5))


def test_a_grid_with_two_predecessors() -> None:
    """Graves & Schmidhuber: i sums over the predecessors' peepholes, each f sees its own, o sees the new state."""
    pre = torch.randn(BATCH, 5 * HIDDEN, dtype=torch.float64)
    previous = torch.randn(2, BATCH, HIDDEN, dtype=torch.float64)
    p = torch.randn(5, HIDDEN, dtype=torch.float64)
    took = step("peephole", pre, previous, p=p)
    for b in range(BATCH):
        for u in range(HIDDEN):
            i_net, f1_net, f2_net, z_net, o_net = (float(pre[b, k * HIDDEN + u]) for k in range(5))
            c1, c2 = float(previous[0, b, u]), float(previous[1, b, u])
            p_i1, p_i2, p_f1, p_f2, p_o = (float(p[k, u]) for k in range(5))
            i = sigma(i_net + p_i1 * c1 + p_i2 * c2)
            f1, f2 = sigma(f1_net + p_f1 * c1), sigma(f2_net + p_f2 * c2)
            c = f1 * c1 + f2 * c2 + i * math.tanh(z_net)
            o = sigma(o_net + p_o * c)
            assert took.cell[b, u].item() == pytest.approx(c, abs=1e-14)
            assert took.hidden[b, u].item() == pytest.approx(o * math.tanh(c), abs=1e-14)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "coupled"])
@pytest.mark.parametrize("predecessors", [2, 3])
def test_every_cell_runs_on_a_grid(name: str, predecessors: int) -> None:
    cell = find(name)
    wide, peepholes = total(rows(cell, HIDDEN, predecessors)), total(peephole_rows(cell, predecessors))
    pre = torch.randn(BATCH, wide, dtype=torch.float64, requires_grad=True)
    previous = torch.randn(predecessors, BATCH, HIDDEN, dtype=torch.float64, requires_grad=True)
    p = torch.randn(peepholes, HIDDEN, dtype=torch.float64, requires_grad=True) if peepholes else None
    given = [pre, previous] if p is None else [pre, previous, p]
    assert torch.autograd.gradcheck(lambda *a: step(cell, a[0], a[1], p=a[2] if p is not None else None)[:2], given)


def test_predecessors_commute_with_their_weights() -> None:
    """Which axis of the grid is called the first does not matter."""
    pre, previous = torch.randn(BATCH, 5 * HIDDEN), torch.randn(2, BATCH, HIDDEN)
    p, swapped = torch.randn(5, HIDDEN), torch.tensor([1, 0, 3, 2, 4])
    i, f1, f2, z, o = pre.split(HIDDEN, dim=1)
    other = step("peephole", torch.cat([i, f2, f1, z, o], dim=1), previous.flip(0), p=p[swapped])
    torch.testing.assert_close(other[:2], step("peephole", pre, previous, p=p)[:2])


@pytest.mark.parametrize("space", [(5,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("shared", [True, False])
def test_pixels_of_a_map_step_alone(space: tuple[int, ...], shared: bool) -> None:
    """ConvLSTM: at each place of a map the step is that of a plain cell with the peepholes of that place."""
    cell = find("peephole")
    pre, previous = torch.randn(BATCH, 4 * HIDDEN, *space), torch.randn(1, BATCH, HIDDEN, *space)
    p = torch.randn(3, HIDDEN) if shared else torch.randn(3, HIDDEN, *space)
    took = step(cell, pre, previous, p=p)
    for place in [tuple(0 for _ in space), tuple(size - 1 for size in space)]:
        at = (..., *place)
        alone = step(cell, pre[at], previous[at], p=p if shared else p[at])
        torch.testing.assert_close((took.hidden[at], took.cell[at]), alone[:2])


@pytest.mark.parametrize("peephole", ["previous", "current"])
def test_a_convolution_for_the_products_makes_conv_lstm(peephole: str) -> None:
    """Shi et al. 2015, written out in torch's own words, with o peeping at the old state or the new."""
    cell = find("peephole").with_options(output=Gate(peephole=peephole))  # type: ignore[arg-type]
    x, W, R = torch.randn(BATCH, 2, 4, 4), torch.randn(4 * HIDDEN, 2, 3, 3), torch.randn(4 * HIDDEN, HIDDEN, 3, 3)
    h, c = torch.randn(BATCH, HIDDEN, 4, 4), torch.randn(BATCH, HIDDEN, 4, 4)
    V = torch.randn(3, HIDDEN, 4, 4)

    def net(k: int) -> Tensor:
        own = slice(k * HIDDEN, (k + 1) * HIDDEN)
        return F.conv2d(x, W[own], padding=1) + F.conv2d(h, R[own], padding=1)

    i, f = torch.sigmoid(net(0) + V[0] * c), torch.sigmoid(net(1) + V[1] * c)
    new = f * c + i * torch.tanh(net(2))
    o = torch.sigmoid(net(3) + V[2] * (new if peephole == "current" else c))
    took = step(cell, F.conv2d(x, W, padding=1) + F.conv2d(h, R, padding=1), c[None], p=V)
    torch.testing.assert_close((took.hidden, took.cell), (o * torch.tanh(new), new))


@pytest.mark.parametrize("norm", ["ba2016", "torch_sample"])
def test_layer_norm_of_a_map_is_over_its_channels(norm: str) -> None:
    cell = find("lstm").with_options(norm=norm)
    pre, previous, gain = torch.randn(BATCH, 4 * HIDDEN, 5), torch.randn(1, BATCH, HIDDEN, 5), torch.randn(2, HIDDEN)
    took = step(cell, pre, previous, norm=gain)
    alone = step(cell, pre[..., 2], previous[..., 2], norm=gain)
    torch.testing.assert_close((took.hidden[..., 2], took.cell[..., 2]), alone[:2])


class TestRefusals:
    """What does not fit is refused in a sentence."""

    @pytest.mark.parametrize(
        ("cell", "pre", "previous", "weights", "words"),
        [
            ("lstm", (2, 12), (2, 3), {}, r"pre has shape \(2, 12\) and previous \(2, 3\); expected"),
            ("lstm", (2, 11), (1, 2, 3), {}, r"pre has shape \(2, 11\); .*1 predecessors needs \(2, 12\)"),
            ("lstm", (2, 12), (2, 2, 3), {}, r"2 predecessors needs \(2, 15\)"),
            ("coupled", (2, 9), (2, 2, 3), {}, "couples input and forget gate"),
            ("peephole", (2, 12), (1, 2, 3), {}, r"p has shape None; .*needs \(3, 3\)"),
            ("peephole", (2, 15), (2, 2, 3), {"p": torch.zeros(3, 3)}, r"p has shape \(3, 3\); .*needs \(5, 3\)"),
            ("lstm", (2, 12), (1, 2, 3), {"p": torch.zeros(3, 3)}, r"p has shape \(3, 3\); .*needs None"),
            ("lstm", (2, 12), (1, 2, 3), {"norm": torch.zeros(2, 3)}, r"norm has shape \(2, 3\); .*needs None"),
        ],
    )
    def test_words(self, cell: str, pre: tuple, previous: tuple, weights: dict[str, Tensor], words: str) -> None:  # type: ignore[type-arg]
        with pytest.raises(ShapeError, match=words):
            step(cell, torch.zeros(pre), torch.zeros(previous), **weights)

    def test_norm_is_missing(self) -> None:
        with pytest.raises(ShapeError, match="norm has shape None"):
            step(find("lstm").with_options(norm="ba2016"), torch.zeros(2, 12), torch.zeros(1, 2, 3))


def test_a_full_sequence_by_steps() -> None:
    """A caller who sums the products himself gets what the recurrence gives."""
    given = example(find("peephole"), 4, BATCH, Sizes(1, HIDDEN), dtype=torch.float64)
    state, weights = given.state, Weights(R=given.weights.R, p=given.weights.p)
    expected, _ = recurrence("peephole", given.gates, weights, state)
    for t in range(4):
        took = step("peephole", F.linear(state.hidden, given.weights.R) + given.gates[t], state.cell[None], p=weights.p)  # type: ignore[arg-type]
        state = State(took.hidden, took.cell)
        torch.testing.assert_close(took.hidden, expected[t])
