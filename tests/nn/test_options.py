"""What goes beyond torch: widths a layer, residual connections, learnt initial states, blocks, norms, any cell."""

from typing import Any

import pytest
import torch
from torch import Tensor

import carousel
from carousel.cells import VARIANTS, Cell, CellError, Gate, Open

X = 3


def make(hidden: Any = 4, **options: Any) -> carousel.LSTM:
    return carousel.LSTM(X, hidden, dtype=torch.float64, **options)


def batch(time: int = 6, features: int = X) -> Tensor:
    return torch.randn(time, 2, features, dtype=torch.float64)


class TestWidths:
    """hidden_size may be a list: one width a layer."""

    @pytest.mark.parametrize("bidirectional", [True, False])
    def test_layers_have_their_own(self, bidirectional: bool) -> None:
        lstm, x = make([4, 6, 2], bidirectional=bidirectional), batch()
        out, (h, c) = lstm(x)
        directions = 2 if bidirectional else 1
        assert lstm.num_layers == 3
        assert lstm.hidden_size == (4, 6, 2)
        assert out.shape == (6, 2, 2 * directions)
        assert [part.shape for part in h] == [part.shape for part in c]
        assert [tuple(part.shape) for part in h] == [(directions, 2, width) for width in (4, 6, 2)]

    def test_they_are_layers_on_layers(self) -> None:
        lstm, x = make([4, 6]), batch()
        below, above = make(4), carousel.LSTM(4, 6, dtype=torch.float64)
        for number, single in enumerate((below, above)):
            single.load_state_dict({key: lstm.state_dict()[f"{key[:-1]}{number}"] for key in single.state_dict()})
        torch.testing.assert_close(lstm(x)[0], above(below(x)[0])[0])

    @pytest.mark.parametrize("cell", ["lstm", "fgr"])
    def test_a_stream_goes_on(self, cell: str) -> None:
        lstm, x = make([4, 6], cell=cell, bidirectional=False), batch()
        first, middle = lstm(x[:2])
        torch.testing.assert_close(torch.cat([first, lstm(x[2:], middle)[0]]), lstm(x)[0])

    def test_equal_widths_are_one(self) -> None:
        lstm = make([4, 4])
        assert lstm.hidden_size == 4
        assert lstm(batch())[1][0].shape == (2, 2, 4)

    def test_unbatched_and_packed(self) -> None:
        lstm, x = make([4, 6]), batch()
        torch.testing.assert_close(lstm(x[:, 0])[1][0][1], lstm(x)[1][0][1][:, 0])
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, [3, 6], enforce_sorted=False)
        torch.testing.assert_close(lstm(packed, lstm(x)[1])[1], lstm(x, lstm(x)[1], lengths=[3, 6])[1])

    @pytest.mark.parametrize(
        ("hidden", "options", "error", "words"),
        [
            ([], {}, TypeError, r"a list of one int a layer, got: \[\]"),
            ([4, 2.5], {}, TypeError, "a list of one int a layer"),
            ([4, 0], {}, ValueError, "hidden_size must be greater than zero"),
            ([4, 6], {"num_layers": 3}, ValueError, "num_layers is 3, but hidden_size lists 2 layers"),
            ([4, 2], {"proj_size": 2}, ValueError, "proj_size has to be smaller than hidden_size"),
            ([4, 5], {"block": 2}, CellError, "5 cells do not fall into memory cell blocks of 2"),
        ],
    )
    def test_wrong(self, hidden: Any, options: dict[str, Any], error: type[Exception], words: str) -> None:
        with pytest.raises(error, match=words):
            make(hidden, **options)

    def test_a_state_of_the_wrong_form(self) -> None:
        lstm, x = make([4, 6]), batch()
        zeros = torch.zeros(2, 2, 4, dtype=torch.float64)
        with pytest.raises(RuntimeError, match=r"hx\[0\] must be 2 tensors, one a layer, because their widths differ"):
            lstm(x, (zeros, zeros))


class TestResidual:
    """A layer's input is added to its output where their widths agree."""

    def test_adds_where_it_can(self) -> None:
        lstm, x = make(4, num_layers=2, residual=True), batch()
        below, above = make(4), carousel.LSTM(4, 4, dtype=torch.float64)
        for number, single in enumerate((below, above)):
            single.load_state_dict({key: lstm.state_dict()[f"{key[:-1]}{number}"] for key in single.state_dict()})
        middle = below(x)[0]
        torch.testing.assert_close(lstm(x)[0], above(middle)[0] + middle)

    def test_says_so(self) -> None:
        assert "residual=True" in repr(make(residual=True))

    def test_the_state_is_the_cell_s_own(self) -> None:
        lstm, x = carousel.LSTM(4, 4, residual=True), torch.randn(5, 2, 4)
        out, (h, _) = lstm(x)
        torch.testing.assert_close(out[-1] - x[-1], h[0])


class TestLearnedInitialState:
    """The state at a sequence's start is a parameter."""

    @pytest.mark.parametrize("cell", VARIANTS)
    def test_is_where_a_sequence_starts(self, cell: str) -> None:
        lstm, x = make(num_layers=2, bidirectional=True, cell=cell, learn_initial_state=True), batch()
        plain = make(num_layers=2, bidirectional=True, cell=cell)
        plain.load_state_dict({key: value for key, value in lstm.state_dict().items() if not key.startswith("initial")})
        for key, parameter in lstm.named_parameters():
            if key.startswith("initial"):
                torch.nn.init.normal_(parameter)
        ends = ("_l0", "_l0_reverse", "_l1", "_l1_reverse")
        names = "hcg" if cell == "full_gate_recurrence" else "hc"
        start = [torch.stack([lstm.get_parameter(f"initial_{n}{end}").expand(2, -1) for end in ends]) for n in names]
        torch.testing.assert_close(lstm(x), plain(x, start))
        lstm(x)[0].square().sum().backward()
        idle = "initial_h" if VARIANTS[cell].reads_cell else "nothing"  # the matrix form reads c and never h
        learnt = [(key, p.grad) for key, p in lstm.named_parameters() if key.startswith("initial")]
        gradients = [gradient for key, gradient in learnt if not key.startswith(idle)]
        assert all(gradient is not None and gradient.any() for gradient in gradients)

    def test_a_reset_goes_back_to_it(self) -> None:
        lstm, x = make(bidirectional=True, learn_initial_state=True), batch()
        for key, parameter in lstm.named_parameters():
            if key.startswith("initial"):
                torch.nn.init.normal_(parameter)
        reset = torch.zeros(6, 2, dtype=torch.bool)
        reset[2] = True
        out, _ = lstm(x, reset=reset)
        torch.testing.assert_close(out, torch.cat([lstm(x[:2])[0], lstm(x[2:])[0]]))
        given = tuple(torch.randn(2, 2, 4, dtype=torch.float64) for _ in range(2))
        torch.testing.assert_close(lstm(x, given, reset=reset)[0][2:, :, :4], lstm(x[2:])[0][..., :4])

    def test_an_empty_sequence_ends_there(self) -> None:
        lstm = make(learn_initial_state=True)
        torch.nn.init.ones_(lstm.get_parameter("initial_c_l0"))
        assert (lstm(batch(), lengths=[0, 3])[1][1][0, 0] == 1).all()

    def test_a_given_state_comes_first(self) -> None:
        lstm, x = make(learn_initial_state=True), batch()
        zeros = (torch.zeros(1, 2, 4, dtype=torch.float64),) * 2
        torch.nn.init.ones_(lstm.get_parameter("initial_c_l0"))
        assert not torch.equal(lstm(x, zeros)[0], lstm(x)[0])


class TestCells:
    """Any cell of the table, and any of one's own."""

    def test_parameters_have_their_names_and_shapes(self) -> None:
        lstm = make(4, cell="peephole", norm=True, learn_initial_state=True)
        shapes = {name: tuple(value.shape) for name, value in lstm.named_parameters()}
        assert shapes == {
            "weight_ih_l0": (16, 3), "weight_hh_l0": (16, 4), "bias_ih_l0": (16,), "bias_hh_l0": (16,),
            "weight_ch_l0": (3, 4), "ln_ih_weight_l0": (16,), "ln_ih_bias_l0": (16,), "ln_hh_weight_l0": (16,),
            "ln_hh_bias_l0": (16,), "ln_ch_weight_l0": (4,), "ln_ch_bias_l0": (4,),
            "initial_h_l0": (4,), "initial_c_l0": (4,),
        }  # fmt: skip
        assert tuple(make(4, cell="peephole_matrix").get_parameter("weight_hh_l0").shape) == (12, 4)
        assert tuple(make(4, cell="fgr", block=2).get_parameter("weight_gh_l0").shape) == (6, 6)

    def test_rows_of_the_peepholes_are_i_f_o(self) -> None:
        """Saturating the row of one gate by a huge peephole shuts that gate."""
        x = torch.zeros(1, 1, X, dtype=torch.float64)
        c = torch.ones(1, 1, 4, dtype=torch.float64)
        for row, effect in ((0, "writes nothing"), (1, "keeps nothing"), (2, "shows nothing")):
            lstm = make(cell="peephole", bias=False)
            with torch.no_grad():
                lstm.get_parameter("weight_ch_l0").zero_()[row] = -1e4
                lstm.get_parameter("weight_hh_l0").zero_()
            out, (_, after) = lstm(x, (torch.zeros_like(c), c))
            expected = {"writes nothing": 0.5, "keeps nothing": 0.0, "shows nothing": 0.5}[effect]
            torch.testing.assert_close(after, torch.full_like(after, expected))
            assert (not out.any()) is (row == 2 or row == 1)

    @pytest.mark.parametrize("cell", VARIANTS)
    def test_both_biases_add_up_gate_by_gate(self, cell: str) -> None:
        """Of the matrix form bias_hh has rows for i, f and o, bias_ih for i, f, z and o."""
        two, x = make(4, cell=cell), batch()
        one = make(4, cell=cell)
        one.load_state_dict(two.state_dict())
        ih, hh = (one.get_parameter(f"bias_{kind}_l0").data for kind in ("ih", "hh"))
        assert hh.shape[0] == (12 if cell.startswith("peephole_matrix") else ih.shape[0])
        ih[:8] += hh[:8]
        ih[-(hh.shape[0] - 8) :] += hh[8:]
        hh.zero_()
        torch.testing.assert_close(one(x), two(x))

    def test_blocks(self) -> None:
        lstm = make(6, cell="lstm1997", block=3)
        assert tuple(lstm.get_parameter("weight_ih_l0").shape) == (2 + 6 + 2, X)
        assert lstm(batch())[0].shape == (6, 2, 6)

    def test_a_cell_of_ones_own(self) -> None:
        mine = Cell(output=Open(), candidate=Gate("softsign"), squash="identity")
        lstm = make(4, cell=mine, bidirectional=True)
        assert lstm.cell == mine
        out, (h, c) = lstm(batch())
        torch.testing.assert_close(h, c)
        assert "weight_ih_l0" in dict(lstm.named_parameters())

    def test_a_cell_into_which_nothing_recurs(self) -> None:
        still = Gate(recurrent=None)
        lstm = make(
            4, cell=Cell(still, still, Gate("tanh", recurrent=None), still), weight_drop=0.5, bidirectional=True
        )
        assert not [name for name, _ in lstm.named_parameters() if "hh" in name]
        lstm(batch())[0].sum().backward()

    def test_an_unknown_cell(self) -> None:
        with pytest.raises(CellError, match="no cell is called 'gru'"):
            make(4, cell="gru")
        with pytest.raises(CellError, match="norm is 'layer'; it can be 'ba2016', 'torch_sample', None"):
            make(4, norm="layer")

    @pytest.mark.parametrize("norm", [True, "ba2016"])
    def test_true_is_the_first_norm(self, norm: Any) -> None:
        assert make(4, norm=norm).cell.norm == "ba2016"

    def test_layer_norm_ignores_the_scale_of_its_input(self) -> None:
        lstm, x = make(4, norm=True), batch()
        torch.testing.assert_close(lstm(1e3 * x)[0], lstm(1e6 * x)[0], rtol=0, atol=1e-9)

    def test_it_says_what_it_is(self) -> None:
        text = repr(make(4, cell="peephole", norm=True, forget_bias=1.0))
        assert text == "LSTM(3, 4, cell='peephole+norm-ba2016', forget_bias=1.0)"
        assert repr(make(4)) == "LSTM(3, 4)"


class TestTrace:
    """What happens inside, gate by gate."""

    @pytest.mark.parametrize("cell", VARIANTS)
    def test_shows_what_forward_computes(self, cell: str) -> None:
        lstm, x = make(4, num_layers=2, bidirectional=True, cell=cell), batch()
        traced = lstm.trace(x, lengths=[6, 4])
        out, (h, c, *_) = lstm(x, lengths=[6, 4])
        assert len(traced) == 4
        torch.testing.assert_close(traced[2]["hidden"][:, 0], out[:, 0, :4])
        torch.testing.assert_close(traced[3]["hidden"][:, 0], out[:, 0, 4:])
        torch.testing.assert_close(traced[0]["cell"][3, 1], c[0, 1])
        torch.testing.assert_close(traced[1]["hidden"][0, 1], h[1, 1])
        assert {key for key in traced[0]} == {*VARIANTS[cell].learned, "cell", "hidden"}

    def test_the_pieces_make_the_whole(self) -> None:
        lstm, x = make(4), batch()
        (seen,) = lstm.trace(x)
        before = torch.cat([torch.zeros(1, 2, 4, dtype=torch.float64), seen["cell"][:-1]])
        torch.testing.assert_close(seen["cell"], seen["forget"] * before + seen["input"] * seen["candidate"])
        torch.testing.assert_close(seen["hidden"], seen["output"] * seen["cell"].tanh())


def test_explain_names_the_backend() -> None:
    lstm = make(4)
    assert any(choice.runs for choice in lstm.explain())
    assert [choice.backend for choice in lstm.explain(batch())][-1] == "reference"
