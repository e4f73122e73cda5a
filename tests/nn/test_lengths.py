"""Ragged batches, resets, streams cut in pieces, and the last output of each sequence."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import carousel
from carousel.cells import VARIANTS
from carousel.nn import last_output

TIME, BATCH = 6, 4
LENGTHS = [3, 6, 0, 1]


def make(**options: Any) -> carousel.LSTM:
    return carousel.LSTM(3, 4, dtype=torch.float64, **options)


def batch() -> Tensor:
    return torch.randn(TIME, BATCH, 3, dtype=torch.float64)


FORMS = {
    "tensor": lambda: torch.tensor(LENGTHS),
    "int32": lambda: torch.tensor(LENGTHS, dtype=torch.int32),
    "list": lambda: LENGTHS,
    "tuple": lambda: tuple(LENGTHS),
    "numpy": lambda: np.array(LENGTHS),
    "strided": lambda: torch.tensor(LENGTHS).repeat_interleave(2)[::2],
}


@pytest.mark.parametrize("form", FORMS)
def test_lengths_come_in_any_form(form: str) -> None:
    lstm, x = make(bidirectional=True), batch()
    torch.testing.assert_close(lstm(x, lengths=FORMS[form]()), lstm(x, lengths=torch.tensor(LENGTHS)))


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="lengths on another device need one: this machine has only a CPU"
)
def test_lengths_lie_on_any_device() -> None:
    lstm, x, lengths = make(bidirectional=True), batch(), torch.tensor(LENGTHS)
    torch.testing.assert_close(lstm(x, lengths=lengths.cuda()), lstm(x, lengths=lengths))
    on_gpu = lstm.cuda()(x.cuda(), lengths=lengths)
    torch.testing.assert_close(on_gpu[0].cpu(), lstm.cpu()(x, lengths=lengths)[0])


@pytest.mark.parametrize("batch_first", [True, False])
def test_lengths_are_torch_s_packing(batch_first: bool) -> None:
    theirs = nn.LSTM(3, 4, 2, bidirectional=True, batch_first=batch_first, dtype=torch.float64)
    ours = make(num_layers=2, bidirectional=True, batch_first=batch_first)
    ours.load_state_dict(theirs.state_dict())
    x, lengths = batch()[:, [0, 1, 3]], torch.tensor([3, 6, 1])
    x = x.transpose(0, 1) if batch_first else x
    packed, state = theirs(pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed, batch_first)
    torch.testing.assert_close(ours(x, lengths=lengths), (expected, state))


def test_a_sequence_of_no_steps_passes_its_state_through() -> None:
    lstm, x = make(num_layers=2, bidirectional=True), batch()
    start = tuple(torch.randn(4, BATCH, 4, dtype=torch.float64) for _ in range(2))
    out, last = lstm(x, start, lengths=LENGTHS)
    assert (out[:, 2] == 0).all()
    torch.testing.assert_close([part[:, 2] for part in last], [part[:, 2] for part in start])


def test_all_sequences_may_be_empty() -> None:
    out, last = make()(batch(), lengths=[0] * BATCH)
    assert not out.any()
    assert not last[0].any()


def test_nothing_at_all() -> None:
    lstm = make(num_layers=2, bidirectional=True)
    assert lstm(torch.zeros(0, 4, 3, dtype=torch.float64))[0].shape == (0, 4, 8)
    assert lstm(torch.zeros(6, 0, 3, dtype=torch.float64))[0].shape == (6, 0, 8)
    assert lstm(torch.zeros(6, 0, 3, dtype=torch.float64), lengths=[])[1][0].shape == (4, 0, 4)


@pytest.mark.parametrize("length", [4, [4], torch.tensor(4), torch.tensor([4])], ids=repr)
def test_one_sequence_alone_may_have_a_length(length: Any) -> None:
    lstm, x = make(bidirectional=True), batch()[:, 0]
    out, last = lstm(x, lengths=length)
    expected, end = lstm(x[:4])
    torch.testing.assert_close((out[:4], last), (expected, end))
    assert (out[4:] == 0).all()


@pytest.mark.parametrize("options", [{}, {"residual": True}, {"norm": True}, {"learn_initial_state": True}], ids=str)
def test_padding_of_nan_is_never_seen(options: dict[str, Any]) -> None:
    lstm, x = carousel.LSTM(3, 3, 2, dtype=torch.float64, bidirectional=False, **options), batch()
    behind = torch.arange(TIME)[:, None] >= torch.tensor(LENGTHS)
    results = []
    for given_x in (x, x.masked_fill(behind[..., None], float("nan"))):
        lstm.zero_grad()
        out, last = lstm(given_x, lengths=LENGTHS)
        (out.sum() + last[1].sum()).backward()
        results.append((out, last, [p.grad.clone() for p in lstm.parameters() if p.grad is not None]))
    torch.testing.assert_close(results[1], results[0])


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "too long": ([3, 7, 0, 1], ValueError, r"lengths\[1\] is 7; the input has 6 steps, so a length is 0 to 6"),
    "negative": ([3, 6, -1, 1], ValueError, r"lengths\[2\] is -1; "),
    "float": (torch.ones(4), TypeError, "lengths are torch.float32; they count steps: pass integers"),
    "list of float": ([3.0, 6.0, 0.0, 1.0], TypeError, "lengths are torch.float32"),
    "bool": (torch.ones(4, dtype=torch.bool), TypeError, "lengths are torch.bool"),
    "too few": ([3, 6], ValueError, r"lengths have shape \(2,\); expected one for each of the 4 sequences: \(4,\)"),
    "too many": ([1] * 5, ValueError, r"lengths have shape \(5,\)"),
    "of two axes": ([[3, 6, 0, 1]], ValueError, r"lengths have shape \(1, 4\)"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_lengths(what: str) -> None:
    lengths, error, words = WRONG[what]
    with pytest.raises(error, match=words):
        make()(batch(), lengths=lengths)


@pytest.mark.parametrize(
    ("reset", "error", "words"),
    [
        (torch.zeros(TIME, BATCH), TypeError, "reset is torch.float32; it says yes or no"),
        (torch.zeros(BATCH, TIME, dtype=torch.bool), ValueError, r"reset has shape \(4, 6\); expected .*\(6, 4\)"),
        (torch.zeros(TIME, dtype=torch.bool), ValueError, r"reset has shape \(6,\)"),
    ],
)
def test_wrong_resets(reset: Tensor, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()(batch(), reset=reset)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_reset_in_two_layers_and_directions_is_segments_apart(name: str) -> None:
    lstm, x = make(cell=name, num_layers=2, bidirectional=True), batch()
    reset = torch.zeros(TIME, BATCH, dtype=torch.bool)
    reset[2] = reset[5] = True
    apart = torch.cat([lstm(x[a:b])[0] for a, b in ((0, 2), (2, 5), (5, 6))])
    torch.testing.assert_close(lstm(x, reset=reset)[0], apart)


def test_each_row_has_its_own_resets_beside_lengths() -> None:
    lstm, x = make(bidirectional=True), batch()
    reset = torch.zeros(TIME, BATCH, dtype=torch.bool)
    reset[1, 0] = reset[4, 0] = reset[4, 1] = True
    out, _ = lstm(x, reset=reset, lengths=[3, 6, 0, 1])
    torch.testing.assert_close(out[:3, :1], torch.cat([lstm(x[:1, :1])[0], lstm(x[1:3, :1])[0]]))
    torch.testing.assert_close(out[:, 1:2], torch.cat([lstm(x[:4, 1:2])[0], lstm(x[4:, 1:2])[0]]))


@pytest.mark.parametrize("form", ["batch first", "unbatched", "list"])
def test_a_reset_is_laid_out_as_the_input(form: str) -> None:
    lstm, x = make(batch_first=form == "batch first"), batch()
    reset = torch.zeros(TIME, BATCH, dtype=torch.bool)
    reset[2, 0] = True
    expected = make().requires_grad_(False)
    expected.load_state_dict(lstm.state_dict())
    want = expected(x, reset=reset)[0]
    if form == "batch first":
        torch.testing.assert_close(lstm(x.transpose(0, 1), reset=reset.T)[0].transpose(0, 1), want)
    elif form == "unbatched":
        torch.testing.assert_close(lstm(x[:, 0], reset=reset[:, 0])[0], want[:, 0])
    else:
        torch.testing.assert_close(lstm(x, reset=reset.tolist())[0], want)


def test_a_reset_at_the_first_step_forgets_the_given_state() -> None:
    lstm, x = make(), batch()
    start = tuple(torch.randn(1, BATCH, 4, dtype=torch.float64) for _ in range(2))
    reset = torch.zeros(TIME, BATCH, dtype=torch.bool)
    reset[0] = True
    torch.testing.assert_close(lstm(x, start, reset=reset), lstm(x))


@pytest.mark.parametrize("cut", [1, 4])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_stream_cut_in_two_is_the_whole(name: str, cut: int) -> None:
    lstm, x = make(cell=name, num_layers=2), batch()
    whole, end = lstm(x)
    first, middle = lstm(x[:cut])
    assert len(middle) == (3 if name == "full_gate_recurrence" else 2)
    second, last = lstm(x[cut:], middle)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(last, end)


def test_two_of_three_states_are_enough_to_begin_full_gate_recurrence() -> None:
    lstm, x = make(cell="fgr"), batch()
    h, c, g = (torch.zeros_like(part) for part in lstm(x)[1])
    torch.testing.assert_close(lstm(x, (h, c)), lstm(x, (h, c, g)))


class TestLastOutput:
    """The forward half at the true end, the backward half at the start."""

    @pytest.mark.parametrize("batch_first", [True, False])
    @pytest.mark.parametrize("bidirectional", [True, False])
    @pytest.mark.parametrize("lengths", [None, torch.tensor(LENGTHS)], ids=["full", "ragged"])
    def test_is_the_last_hidden_state(self, batch_first: bool, bidirectional: bool, lengths: Tensor | None) -> None:
        lstm = make(num_layers=2, bidirectional=bidirectional, batch_first=batch_first)
        x = batch().transpose(0, 1) if batch_first else batch()
        out, (h, _) = lstm(x, lengths=lengths)
        last = last_output(out, lengths, bidirectional=bidirectional, batch_first=batch_first)
        torch.testing.assert_close(last, torch.cat([h[-2], h[-1]], dim=1) if bidirectional else h[-1])

    def test_of_nothing(self) -> None:
        assert last_output(torch.zeros(0, 2, 4)).shape == (2, 4)
        assert not last_output(torch.ones(3, 2, 4), torch.tensor([0, 0])).any()

    def test_refuses_what_is_no_output(self) -> None:
        with pytest.raises(ValueError, match=r"output has shape \(3, 4\); expected"):
            last_output(torch.zeros(3, 4))
        with pytest.raises(ValueError, match="output has 5 units; two directions make an even number"):
            last_output(torch.zeros(3, 2, 5), bidirectional=True)


class TestProperties:
    """What holds for every batch."""

    lengths = st.lists(st.integers(0, TIME), min_size=BATCH, max_size=BATCH)
    options = st.fixed_dictionaries(
        {"cell": st.sampled_from(sorted(VARIANTS)), "bidirectional": st.booleans(), "num_layers": st.integers(1, 2)}
    )

    @settings(max_examples=15)
    @given(lengths=lengths, options=options, order=st.permutations(range(BATCH)))
    def test_permuting_a_batch_permutes_its_results(self, lengths: Any, options: Any, order: list[int]) -> None:
        lstm, x = make(**options), batch()
        out, last = lstm(x, lengths=lengths)
        again, end = lstm(x[:, order], lengths=[lengths[at] for at in order])
        torch.testing.assert_close(again, out[:, order])
        torch.testing.assert_close(end, tuple(part[:, order] for part in last))

    @settings(max_examples=15)
    @given(lengths=lengths, options=options, more=st.integers(1, 4))
    def test_padding_more_changes_nothing(self, lengths: Any, options: Any, more: int) -> None:
        lstm, x = make(**options), batch()
        out, last = lstm(x, lengths=lengths)
        longer = torch.cat([x, torch.randn(more, BATCH, 3, dtype=torch.float64)])
        again, end = lstm(longer, lengths=lengths)
        torch.testing.assert_close((again[:TIME], end), (out, last))
        assert (again[TIME:] == 0).all()

    @settings(max_examples=15)
    @given(lengths=lengths, cell=st.sampled_from(sorted(VARIANTS)))
    def test_reversing_input_and_directions_reverses_the_output(self, lengths: list[int], cell: str) -> None:
        lstm, x = make(cell=cell, bidirectional=True), batch()
        turned = make(cell=cell, bidirectional=True)
        for name, parameter in lstm.named_parameters():
            other = name.removesuffix("_reverse") if name.endswith("_reverse") else f"{name}_reverse"
            turned.get_parameter(other).data.copy_(parameter.data)
        flipped = torch.zeros_like(x)
        for b, length in enumerate(lengths):
            flipped[:length, b] = x[:length, b].flip(0)
        out, again = lstm(x, lengths=lengths)[0], turned(flipped, lengths=lengths)[0]
        for b, length in enumerate(lengths):
            expected = torch.cat([out[:length, b, 4:], out[:length, b, :4]], dim=1)
            torch.testing.assert_close(again[:length, b].flip(0), expected)

    @settings(max_examples=15)
    @given(cut=st.integers(0, TIME), cell=st.sampled_from(sorted(VARIANTS)))
    def test_a_stream_may_be_cut_anywhere(self, cut: int, cell: str) -> None:
        lstm, x = make(cell=cell), batch()
        first, middle = lstm(x[:cut])
        torch.testing.assert_close(torch.cat([first, lstm(x[cut:], middle)[0]]), lstm(x)[0])


def test_lengths_may_be_mapped_over() -> None:
    lstm, x = make(bidirectional=True), torch.stack([batch(), batch()])
    lengths = torch.tensor([LENGTHS, LENGTHS[::-1]])
    mapped = torch.func.vmap(lambda part, own: lstm(part, lengths=own)[0])(x, lengths)
    torch.testing.assert_close(
        mapped, torch.stack([lstm(part, lengths=own)[0] for part, own in zip(x, lengths, strict=True)])
    )
