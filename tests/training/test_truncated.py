"""Truncated backpropagation: against a loop written by hand, against BPTT, over streams, and after a resume."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from carousel.data import Batch, Batches, SequenceBatches, StreamBatches
from carousel.training import BPTT, Method, Plan, TruncatedBPTT, fit, validation_loss
from tests.training.problem import Tracker, material, summer, tracker, weights

RATE = 0.3


def sgd(kind: type[Any], **options: Any) -> Any:
    return kind(optimizer="sgd", learning_rate=RATE, clip_norm=None, **options)


def learned(model: nn.Module, method: Method, source: Batches, epochs: int = 1) -> nn.Module:
    for _ in fit(model, source, method, Plan(epochs)):  # pyright: ignore[reportArgumentType]
        continue
    return model


def one_step(model: Tracker, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """One step of the LSTM as it is written in books."""
    w = dict(model.lstm.named_parameters())
    gates = x @ w["weight_ih_l0"].T + w["bias_ih_l0"] + state[0] @ w["weight_hh_l0"].T + w["bias_hh_l0"]
    i, f, z, o = gates.chunk(4, -1)
    cell = f.sigmoid() * state[1] + i.sigmoid() * z.tanh()
    hidden = o.sigmoid() * cell.tanh()
    return model.line(hidden)[:, 0], (hidden, cell)


def by_hand(model: Tracker, batches: list[Batch], k1: int, k2: int) -> Tracker:
    """The same stream step by step, with detached states that are kept at every step."""
    inputs, reset, target, mask = (
        torch.cat([getattr(batch, name) for batch in batches]) for name in ("inputs", "reset", "target", "mask")
    )
    zeros = torch.zeros(inputs.shape[1], 4, dtype=inputs.dtype)
    states = {0: (zeros, zeros)}
    begin, window = 0, 0
    for batch in batches:
        end = begin + len(batch.inputs)
        for first in range(begin, end, k1):
            stop, state = min(first + k1, end), states[window]
            loss = torch.zeros((), dtype=inputs.dtype)
            for t in range(window, stop):
                state = (state[0] * ~reset[t, :, None], state[1] * ~reset[t, :, None])
                output, state = one_step(model, inputs[t], state)
                states[t + 1] = (state[0].detach(), state[1].detach())
                if t >= first:
                    loss = loss + ((output - target[t]).square() * mask[t]).sum()
            model.zero_grad()
            (loss / mask[begin:end].sum()).backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    assert parameter.grad is not None
                    parameter.sub_(RATE * parameter.grad)
            window = max(window, stop - (k2 - k1))
        begin = end
    return model


@pytest.mark.parametrize(("k1", "k2"), [(1, 1), (1, 6), (3, 3), (4, 7), (5, 12), (8, 30), (40, 40), (2, 100)])
@pytest.mark.parametrize("steps", [8, 11, 50])
def test_a_stream_is_learned_as_by_a_loop_written_by_hand(k1: int, k2: int, steps: int) -> None:
    """With sequences that begin inside a window, and lanes that end before others."""
    source = StreamBatches(*material(), lanes=2, steps=steps)
    stream = list(source.epoch(0))
    assert any(batch.lengths is not None for batch in stream)
    assert sum(int(batch.reset[1:].sum()) for batch in stream if batch.reset is not None) > 0
    ours = learned(tracker(), sgd(TruncatedBPTT, k1=k1, k2=k2), source)
    hand = by_hand(tracker(), stream, k1, k2)
    for one, other in zip(ours.parameters(), hand.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("source", ["equal", "ragged", "stream"])
def test_with_k1_and_k2_no_shorter_than_the_sequences_it_is_bptt_to_the_bit(source: str, dtype: torch.dtype) -> None:
    options: dict[str, Any] = {"learning_rate": 0.02, "schedule": "cosine", "warmup": 2}
    made: dict[str, Callable[[], Batches]] = {
        "equal": lambda: SequenceBatches(*material((7,) * 9), batch_size=4, step_targets=True),
        "ragged": lambda: SequenceBatches(*material(), batch_size=2, step_targets=True),
        "stream": lambda: StreamBatches(*material((7,) * 4), lanes=4, steps=7),
    }
    whole = learned(tracker(dtype), BPTT(**options), made[source](), epochs=3)
    cut = learned(tracker(dtype), TruncatedBPTT(**options, k1=23, k2=30), made[source](), epochs=3)
    assert weights(cut) == weights(whole)


def test_the_losses_of_the_pieces_add_up_to_the_loss_of_the_batch() -> None:
    model = tracker()
    batch = next(SequenceBatches(*material(), batch_size=5, step_targets=True).epoch(0))
    method = TruncatedBPTT(learning_rate=1e-30, optimizer="sgd", k1=4, k2=9)
    method.prepare(model, 1, 1)
    whole = model.loss(model(batch), batch).item()
    assert method.update(model, batch) == pytest.approx(whole, rel=1e-12)


def test_gradients_of_pieces_that_reach_back_to_the_beginning_add_up_to_the_whole_gradient() -> None:
    """Steps of a vanishing rate, seen through a glass: what they add up to is the whole gradient."""
    batch = next(SequenceBatches(*material(), batch_size=5, step_targets=True).epoch(0))
    moved = []
    for method in (sgd(BPTT), sgd(TruncatedBPTT, k1=3, k2=40), sgd(TruncatedBPTT, k1=3, k2=4)):
        model = tracker()
        method.learning_rate = 1e-7
        before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
        method.prepare(model, 1, 1)
        method.update(model, batch)
        moved.append((nn.utils.parameters_to_vector(model.parameters()).detach() - before) / 1e-7)
    torch.testing.assert_close(moved[1], moved[0], rtol=1e-4, atol=1e-6)
    assert (moved[2] - moved[0]).norm() > 1e-2 * moved[0].norm()


def test_whole_sequences_do_not_hear_of_the_batch_before() -> None:
    sequences, targets = material((9, 9))
    both = SequenceBatches(sequences, targets, batch_size=1, step_targets=True, shuffle=False)
    model = learned(tracker(), sgd(TruncatedBPTT, k1=4, k2=6), both)
    apart = tracker()
    for one in (0, 1):
        alone = SequenceBatches(sequences.take([one]), [targets[one]], batch_size=1, step_targets=True)
        learned(apart, sgd(TruncatedBPTT, k1=4, k2=6), alone)
    assert weights(model) == weights(apart)


def test_validation_carries_the_state_of_a_stream() -> None:
    inputs, targets = material((30,))
    stream = StreamBatches(inputs, targets, lanes=1, steps=7)
    whole = SequenceBatches(inputs, targets, batch_size=1, step_targets=True)
    assert validation_loss(tracker(), stream) == pytest.approx(validation_loss(tracker(), whole), rel=1e-12)


def _saved_bytes(length: int, method: TruncatedBPTT) -> tuple[int, int]:
    """The most bytes that autograd held at once, and the bytes that the method keeps, over a stream of that length."""
    model, held, most = tracker(), 0, 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal held, most
        held += tensor.nbytes
        most = max(most, held)
        return tensor

    method.prepare(model, 1, 1)
    for batch in StreamBatches(*material((length,)), lanes=1, steps=10).epoch(0):
        held = 0
        with saved_tensors_hooks(pack, lambda tensor: tensor):
            method.update(model, batch)
    kept = [part for name, part in method.state()[0].items() if name.startswith(("carried", "history"))]
    return most, sum(part.untyped_storage().nbytes() for part in kept)


def test_memory_does_not_grow_with_the_stream() -> None:
    short, long = (_saved_bytes(length, TruncatedBPTT(k1=5, k2=25)) for length in (60, 1200))
    assert short == long
    assert 0 < long[1] < 20 * (2 * 8 + 1) + 4 * 8 * 2 + 64


def test_a_stream_that_was_stopped_anywhere_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    source = StreamBatches(*material(), lanes=2, steps=5)
    options: dict[str, Any] = {"k1": 3, "k2": 8, "learning_rate": 0.02, "schedule": "cosine"}
    expected = learned(tracker(), TruncatedBPTT(**options), source, epochs=2)
    path, model, stops = tmp_path / "run", tracker(), 0
    for _ in range(2 * len(source)):
        model = tracker()
        reports = fit(model, source, TruncatedBPTT(**options), Plan(2, checkpoint=path))
        report = next(reports)
        reports.close()
        stops += report.stopped is None
        if report.stopped is not None:
            break
    assert stops == 2 * len(source) - 1
    assert weights(model) == weights(expected)


def test_bfloat16_carries_a_state_too() -> None:
    source = StreamBatches(*material(), lanes=2, steps=7)
    model = learned(tracker(torch.float32), TruncatedBPTT(k1=3, k2=8, precision="bfloat16"), source)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert weights(model) != weights(learned(tracker(torch.float32), TruncatedBPTT(k1=3, k2=8), source))
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_steps_without_targets_are_read_but_not_learned_from() -> None:
    inputs, targets = material((12,))
    targets[0][:8] = np.nan
    model, method = tracker(), sgd(TruncatedBPTT, k1=4, k2=4)
    method.prepare(model, 3, 1)
    before = weights(model)
    batches = list(StreamBatches(inputs, targets, lanes=1, steps=4).epoch(0))
    assert [method.update(model, batch) for batch in batches[:2]] == [0.0, 0.0]
    assert weights(model) == before
    state = None
    for batch in batches[:2]:
        _, state = model.carry(batch, state)
    loss = copy.deepcopy(model)
    expected = loss.loss(loss.carry(batches[2], state)[0], batches[2]).item()
    assert method.update(model, batches[2]) == pytest.approx(expected, rel=1e-12)


def test_a_model_that_cannot_be_cut_is_refused_in_words() -> None:
    with pytest.raises(TypeError, match=r"Summer cannot learn by truncated backpropagation: it has neither carry\("):
        TruncatedBPTT().prepare(summer(), 1, 1)
    method = TruncatedBPTT()
    method.prepare(tracker(), 1, 1)
    batch = next(SequenceBatches(material()[0], [1.0] * 5, batch_size=5).epoch(0))
    with pytest.raises(TypeError, match=r"Tracker .* no recent\(batch, steps\)"):
        method.update(tracker(), batch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k1": 0}, "k1 is 0; it is a whole number of steps, 1 or more"),
        ({"k1": 1.5}, "k1 is 1.5"),
        ({"k1": 8, "k2": 7}, "k2 is 7; it is a whole number of steps, no fewer than k1=8"),
        ({"learning_rate": 0}, "learning_rate is 0"),
    ],
)
def test_an_option_outside_its_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TruncatedBPTT(**options)


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    method = TruncatedBPTT(k1=np.int64(4), k2=np.int32(8))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert method == TruncatedBPTT(k1=4, k2=8)
    assert type(method.k1) is type(method.k2) is int, "as JSON can hold them"
