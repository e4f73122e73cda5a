"""A network that reads its own answers: taught, folded into one recurrence, and step by step, all the same."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from carousel.cells import VARIANTS
from carousel.data import Batch
from carousel.nn import LSTM, FeedbackLSTM, SupportVectors

TIME, SEQUENCES, WASHOUT = 9, 2, 4


def network(**options: Any) -> FeedbackLSTM:
    torch.manual_seed(0)
    made = FeedbackLSTM(2, 4, 3, washout=WASHOUT, backprojection=0.7, dtype=torch.float64, **options).eval()
    for weight in made.parameters():
        nn.init.uniform_(weight, -0.8, 0.8)
    return made


def batch(inputs: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(TIME, SEQUENCES, inputs, dtype=torch.float64, generator=generator)
    target = torch.randn(TIME, SEQUENCES, 3, dtype=torch.float64, generator=generator)
    return Batch(inputs=x, indices=torch.arange(SEQUENCES), target=target)


def by_hand(model: FeedbackLSTM, given: Batch) -> Tensor:
    """Free answers, a step at a time with torch's LSTM cell state carried by hand."""
    assert given.target is not None
    state, last, found = None, torch.zeros_like(given.target[0]), []
    for t in range(TIME):
        read = torch.cat([given.inputs[t], 0.7 * last], dim=-1)
        outputs, state = model.lstm(read.unsqueeze(0), state)
        answer = model.readout(outputs[0])
        last = given.target[t] if t < WASHOUT else answer
        found.append(answer)
    return torch.stack(found)[WASHOUT:]


OPTIONS: list[dict[str, Any]] = [
    *({"cell": cell} for cell in VARIANTS),
    {"proj_size": 2},
    {"norm": "ba2016"},
    {"num_layers": 2},
    {"bias": False},
    {"block": 2},
    {"zoneout": (0.3, 0.1)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_free_run_is_what_it_is_step_by_step(options: dict[str, Any]) -> None:
    model, given = network(**options), batch()
    with torch.no_grad():
        torch.testing.assert_close(model(given), by_hand(model, given), rtol=1e-10, atol=1e-12)


def test_the_free_run_is_folded_where_it_can_be() -> None:
    cells = {name for name in VARIANTS if network(cell=name)._folds()}
    assert set(VARIANTS) - cells == {"peephole_matrix", "peephole_matrix_tanh"}
    loose = [options for options in OPTIONS if {"norm", "num_layers", "bias"} & options.keys()]
    assert not any(network(**options)._folds() for options in loose)


def test_the_truth_is_read_in_training_and_in_the_washout() -> None:
    model, given = network(), batch()
    assert given.target is not None
    taught = model.train()(given)
    torch.testing.assert_close(taught, model.readout(model.features(given)))
    before = torch.cat([torch.zeros_like(given.target[:1]), given.target[:-1]])
    outputs, _ = model.lstm(torch.cat([given.inputs, 0.7 * before], dim=-1))
    torch.testing.assert_close(model.features(given), outputs[WASHOUT:])
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(given)[0], taught[0])
        assert not torch.allclose(model(given)[1], taught[1])


def test_without_inputs_and_with_more_steps_than_the_batch_judges() -> None:
    torch.manual_seed(0)
    model = FeedbackLSTM(0, 4, 3, washout=WASHOUT).eval().double()
    given = batch(inputs=0)
    with torch.no_grad():
        assert model(given).shape == (TIME - WASHOUT, SEQUENCES, 3)
        torch.testing.assert_close(model.dream(given, 2), model(given)[:2])


def test_the_loss_counts_what_is_known() -> None:
    model, given = network(), batch()
    known = torch.ones(TIME, SEQUENCES, dtype=torch.bool)
    known[6, 1] = False
    output = model(given)
    assert given.target is not None
    squares = (output - given.target[WASHOUT:]).square().mean(-1)
    torch.testing.assert_close(model.loss(output, given), squares.mean())
    masked = Batch(inputs=given.inputs, indices=given.indices, target=given.target, mask=known)
    torch.testing.assert_close(model.loss(output, masked), squares[known[WASHOUT:]].mean())


def test_support_vectors_run_free_step_by_step() -> None:
    model, given = network(), batch()
    model.take_readout(lambda width, outputs: SupportVectors(width, outputs, 5, gamma=0.5))
    readout: Any = model.readout
    for name in ("vectors", "dual", "intercept"):
        getattr(readout, name).normal_()
    assert not model._folds()
    with torch.no_grad():
        torch.testing.assert_close(model(given), by_hand(model, given))


def test_errors() -> None:
    with pytest.raises(ValueError, match="washout is 0"):
        FeedbackLSTM(0, 4, 1, washout=0)
    with pytest.raises(ValueError, match="bidirectional=False"):
        FeedbackLSTM(0, 4, 1, washout=1, bidirectional=True)
    with pytest.raises(ValueError, match="batch_first=False"):
        FeedbackLSTM(0, 4, 1, washout=1, batch_first=True)
    for model in (network(), network().train()):
        with pytest.raises(ValueError, match="the batch has 4 steps, all within the washout of 4; give longer"):
            model(batch().steps(0, WASHOUT))
    with pytest.raises(ValueError, match="kernel is 'sigmoid'; it can be rbf, linear, poly"):
        SupportVectors(3, 1, 4, kernel="sigmoid")
    assert isinstance(FeedbackLSTM(0, 4, 1, washout=1).lstm, LSTM)
