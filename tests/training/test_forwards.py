"""Methods that carry gradients forwards in time: the same learning as backpropagation, or cut as in 1997."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import carousel
from carousel.cells.variants import VARIANTS
from carousel.data import Batch, StreamBatches
from carousel.training import BPTT, METHODS, RTRL, Method, Plan, Rule1997, fit, method_named
from tests.training.problem import Tracker, batches, material, summer, tracker, weights


class Small(nn.Module):
    """One LSTM and a linear readout of its last outputs."""

    def __init__(self, lstm: nn.RNNBase | None = None, **options: Any) -> None:
        super().__init__()
        self.lstm = lstm or carousel.LSTM(2, 4, dtype=torch.float64, **options)
        self.readout = nn.Linear(4, 1, dtype=torch.float64)

    def forward(self, batch: Batch) -> Tensor:
        inputs = batch.inputs.double()
        outputs = self.lstm(inputs.transpose(0, 1) if self.lstm.batch_first else inputs)[0]
        return self.readout(outputs.transpose(0, 1)[-1] if self.lstm.batch_first else outputs[-1])[:, 0]

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        assert batch.target is not None
        return nn.functional.mse_loss(output, batch.target.double())


def small(**options: Any) -> Small:
    torch.manual_seed(3)
    return Small(**options)


def trained(method: Method, **options: Any) -> dict[str, Tensor]:
    model = small(**options)
    for _ in fit(model, batches(), method, Plan(epochs=2)):
        pass
    return model.state_dict()


@pytest.mark.parametrize("cell", VARIANTS)
def test_rtrl_learns_what_backpropagation_learns(cell: str) -> None:
    expected = trained(BPTT(learning_rate=0.02), cell=cell)
    got = trained(method_named("rtrl", learning_rate=0.02), cell=cell)
    torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("options", [{"bias": False}, {"batch_first": True}, {"cell": "peephole", "block": 2}])
def test_rtrl_knows_the_options_of_a_layer(options: dict[str, Any]) -> None:
    expected = trained(BPTT(learning_rate=0.02), **options)
    torch.testing.assert_close(
        trained(method_named("rtrl", learning_rate=0.02), **options), expected, rtol=1e-7, atol=1e-9
    )


def test_the_rule_of_1997_learns_otherwise_and_learns() -> None:
    model = small()
    reports = list(fit(model, batches(), method_named("rule1997", learning_rate=0.05), Plan(epochs=30)))
    assert reports[-1].loss < reports[0].loss / 3
    assert weights(model) != weights(small())
    got, expected = (trained(method_named(name), cell="lstm1997") for name in ("rule1997", "bptt"))
    assert not torch.equal(got["lstm.weight_hh_l0"], expected["lstm.weight_hh_l0"])


def test_padding_and_torchs_own_module() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(2, 4, dtype=torch.float64)
    model = Small(lstm)
    plain = {name: value.clone() for name, value in model.state_dict().items()}
    for _ in fit(model, batches(), method_named("rtrl"), Plan(epochs=1)):
        pass
    got = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(plain)
    for _ in fit(model, batches(), BPTT(), Plan(epochs=1)):
        pass
    torch.testing.assert_close(got, model.state_dict(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bidirectional": True}, "the layer is bidirectional: take bidirectional=False"),
        ({"num_layers": 2}, "num_layers is 2: take num_layers=1"),
        ({"zoneout": 0.1}, "the layer drops or keeps values at random"),
        ({"norm": True}, "has a norm; learning forwards in time knows rows without projection and norm"),
        ({"learn_initial_state": True}, "the initial state is learned"),
    ],
)
@pytest.mark.parametrize("name", ["rtrl", "rule1997"])
def test_other_models_are_refused(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        METHODS[name]().prepare(small(**options), 1, 1)


def test_more_than_one_layer_of_torchs_is_refused() -> None:
    with pytest.raises(ValueError, match="num_layers is 2: take num_layers=1"):
        method_named("rtrl").prepare(summer(), 1, 1)


class Twice(Small):
    """Reads the beginning and the end of a sequence with the same layer."""

    def forward(self, batch: Batch) -> Tensor:
        first, second = (self.lstm(part)[0][-1] for part in batch.inputs.double().tensor_split(2))
        return self.readout(first - second)[:, 0]


class ByState(Small):
    """Answers from the layer's last state."""

    how = "unpack"

    def forward(self, batch: Batch) -> Tensor:
        _, state = self.lstm(batch.inputs.double())
        if self.how == "unpack":
            h, _ = state
        else:
            h = state[0] if self.how == "index" else state.h
        return self.readout(h[-1])[:, 0]


@pytest.mark.parametrize("name", ["rtrl", "rule1997"])
def test_a_layer_that_is_called_twice_is_refused(name: str) -> None:
    model = Twice()
    before = weights(model)
    with pytest.raises(ValueError, match=r"calls its recurrent layer twice in one update; .* take method='bptt'"):
        list(fit(model, batches(), method_named(name), Plan(epochs=1)))
    assert weights(model) == before


@pytest.mark.parametrize("how", ["unpack", "index", "name"])
def test_the_last_state_has_no_gradient_and_is_refused(how: str) -> None:
    model = ByState()
    model.how = how
    with pytest.raises(
        (ValueError, AttributeError), match=r"uses the last state of its recurrent layer, .*the outputs"
    ):
        list(fit(model, batches(), method_named("rtrl"), Plan(epochs=1)))


def test_too_much_to_carry_is_refused() -> None:
    model = summer()
    model.lstm, model.readout = nn.LSTM(2, 400), nn.Linear(400, 1)
    with pytest.raises(ValueError, match="would carry .* numbers from step to step.*method='rule1997'"):
        list(fit(model, batches(), method_named("rtrl"), Plan(epochs=1)))


def streamed(cell: str = "peephole") -> Tracker:
    model = tracker()
    model.lstm = carousel.LSTM(2, 4, cell=cell, dtype=torch.float64)
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5, generator=torch.Generator().manual_seed(parameter.numel()))
    return model


@pytest.mark.parametrize("cell", ["peephole", "lstm1997", "full_gate_recurrence"])
def test_rtrl_of_a_stream_in_pieces_is_the_gradient_through_all_of_it(cell: str) -> None:
    """As long as the weights stand still: one step for all pieces, one for the whole."""
    sequences, targets = material((9, 5, 8))
    pieces = StreamBatches(sequences, targets, lanes=1, steps=2, shuffle=False)
    whole = StreamBatches(sequences, targets, lanes=1, steps=22, shuffle=False)
    got, expected = streamed(cell), streamed(cell)
    list(fit(got, pieces, RTRL(learning_rate=0.02, accumulate=11), Plan(epochs=1)))
    list(fit(expected, whole, BPTT(learning_rate=0.02), Plan(epochs=1)))
    torch.testing.assert_close(got.state_dict(), expected.state_dict(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", [RTRL, Rule1997])
def test_a_stream_goes_on_from_piece_to_piece(kind: type[Method]) -> None:
    sequences, targets = material((9, 5, 8))
    ends = []
    for steps in (2, 22):
        model, count = streamed(), -(-22 // steps)
        source = StreamBatches(sequences, targets, lanes=1, steps=steps, shuffle=False)
        list(fit(model, source, method_named(kind.name, learning_rate=0.02, accumulate=count), Plan(epochs=2)))
        ends.append(model.state_dict())
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", [RTRL, Rule1997])
def test_a_stopped_stream_goes_on_to_the_same_bits(kind: type[Method], tmp_path: Path) -> None:
    source = StreamBatches(*material((9, 5, 8)), lanes=2, steps=2)
    whole, stopped, resumed = streamed(), streamed(), streamed()
    list(fit(whole, source, kind(), Plan(epochs=2)))
    plan = Plan(epochs=2, checkpoint=tmp_path / "run", checkpoint_updates=1)
    for report in fit(stopped, source, kind(), plan):
        if report.update == 4:
            break
    list(fit(resumed, source, kind(), plan))
    assert weights(resumed) == weights(whole)


def ragged() -> tuple[Batch, list[Batch]]:
    """Two lanes of 9 and 7 steps, and the same in two pieces: 5 and 3 steps, then 4 and 4."""
    sequences, targets = material((9, 7))
    whole = next(StreamBatches(sequences, targets, lanes=2, steps=9, shuffle=False).epoch(0))
    assert whole.target is not None and whole.mask is not None and whole.reset is not None
    assert whole.lengths is not None and whole.lengths.tolist() == [9, 7]
    pieces = []
    for steps, first, second in (((0, 5), (0, 5), (0, 3)), ((5, 9), (5, 9), (3, 7))):
        rows = torch.zeros(steps[1] - steps[0], 2, dtype=torch.int64)
        inside = torch.zeros_like(rows, dtype=torch.bool)
        for lane, (start, stop) in enumerate((first, second)):
            rows[: stop - start, lane] = torch.arange(start, stop)
            inside[: stop - start, lane] = True
        lanes = torch.arange(2)
        pieces.append(
            replace(
                whole,
                inputs=whole.inputs[rows, lanes].masked_fill(~inside.unsqueeze(2), 7),
                target=whole.target[rows, lanes],
                mask=inside,
                lengths=inside.sum(0),
                reset=whole.reset[rows, lanes] | ~inside,
            )
        )
    return whole, pieces


@pytest.mark.parametrize("cell", ["peephole", "lstm1997", "full_gate_recurrence"])
@pytest.mark.parametrize("kind", [RTRL, Rule1997])
def test_what_lies_behind_a_lane_leaves_no_trace_in_its_stream(kind: type[RTRL | Rule1997], cell: str) -> None:
    """Neither in its state nor in what is remembered of its weights; nor does a sequence begin there."""
    whole, pieces = ragged()
    plain: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1.0, "clip_norm": None}
    found = []
    for parts in ([whole], pieces):
        model, method = streamed(cell), kind(**plain, accumulate=len(parts))
        method.prepare(model, 1, 1)
        for part in parts:
            method.update(model, part)
        found.append((model.state_dict(), method.state()[0]["carried.state"]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-7, atol=1e-9)
    if kind is RTRL:
        expected, method = streamed(cell), BPTT(**plain)
        method.prepare(expected, 1, 1)
        method.update(expected, whole)
        torch.testing.assert_close(found[1][0], expected.state_dict(), rtol=1e-7, atol=1e-9)


class Last(Tracker):
    """Only the answer at step 7 counts."""

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        assert batch.mask is not None
        return super().loss(output, batch) if batch.mask.any() else output.sum().detach().requires_grad_() * 0


def test_steps_without_a_target_are_remembered() -> None:
    """The gradient of the last step alone knows what came before it, piece by piece."""
    sequences, targets = material((8,))
    found = []
    for steps in (1, 8):
        model = streamed()
        model.__class__ = Last
        method = RTRL(learning_rate=0.02, accumulate=8 // steps)
        method.prepare(model, 1, 1)
        for at, batch in enumerate(StreamBatches(sequences, targets, lanes=1, steps=steps, shuffle=False).epoch(0)):
            last = torch.arange(at * steps, (at + 1) * steps).unsqueeze(1) == 7
            method.update(model, replace(batch, mask=last))
        found.append(model.state_dict())
    torch.testing.assert_close(found[0], found[1], rtol=1e-7, atol=1e-9)


def test_other_lanes_are_refused() -> None:
    method, model = RTRL(), streamed()
    method.prepare(model, 1, 1)
    two, three = (next(StreamBatches(*material((9, 9, 9)), lanes=count, steps=2).epoch(0)) for count in (2, 3))
    method.update(model, two)
    assert three.reset is not None
    with pytest.raises(ValueError, match="a batch has 3 lanes, but 2 go on"):
        method.update(model, replace(three, reset=torch.zeros_like(three.reset)))
    method.update(model, three)


@pytest.mark.parametrize("kind", [RTRL, Rule1997])
def test_a_stopped_run_goes_on_to_the_same_bits(kind: type[Method], tmp_path: Path) -> None:
    whole, stopped, resumed = small(), small(), small()
    list(fit(whole, batches(), kind(), Plan(epochs=2)))
    plan = Plan(epochs=2, checkpoint=tmp_path / "checkpoint.safetensors", checkpoint_updates=1)
    for report in fit(stopped, batches(), kind(), plan):
        if report.update == 4:
            break
    list(fit(resumed, batches(), kind(), plan))
    assert weights(resumed) == weights(whole)
