"""Evolino evolves the recurrent part alone, solves the last layer for each network, and resumes to the bit."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from carousel.cells import VARIANTS
from carousel.data import Batch
from carousel.nn import LSTM, FeedbackLSTM, SupportVectors
from carousel.training import DivergenceError, Evolino, Evolution, Plan, fit
from carousel.training.groups import weight_groups
from tests.training.problem import Waves, dreamer, summer, timeless, weights


def evolino(**options: Any) -> Evolino:
    return Evolino(**{"population": 12, "sigma": 0.5, **options})


def trained(method: Evolino, epochs: int, model: FeedbackLSTM | None = None, **plan: Any) -> tuple[FeedbackLSTM, Any]:
    model = model or dreamer()
    return model, list(fit(model, Waves(), method, Plan(epochs=epochs, **plan)))[-1]


@pytest.mark.parametrize("search", ["esp", "cosyne", "snes"])
def test_a_free_run_improves_generation_by_generation(search: str) -> None:
    model, report = trained(evolino(search=search, population=24, seed=0), 15)
    losses = [epoch["loss"] for epoch in report.history]
    assert losses[-1] < 0.7 * losses[0]
    assert all(epoch["batched"] for epoch in report.history)
    if search != "snes":
        assert losses == sorted(losses, reverse=True)
    with torch.no_grad():
        free = model.eval().loss(model(Waves().batch), Waves().batch).item()
    assert free == pytest.approx(report.history[-1]["lowest"], rel=1e-6) or search == "snes"


def solved_by_hand(model: FeedbackLSTM, batch: Batch) -> float:
    """The loss of a free run with the last layer that numpy finds."""
    rows = model.features(batch).flatten(0, 1).numpy()
    whole = np.hstack([rows, np.ones((len(rows), 1))])
    wanted = model.wanted(batch)[0].flatten(0, 1).numpy()
    line = np.linalg.lstsq(whole, wanted, rcond=None)[0]
    with torch.no_grad():
        model.readout.weight.copy_(torch.from_numpy(line[:-1].T))  # type: ignore[operator, union-attr]
        model.readout.bias.copy_(torch.from_numpy(line[-1]))  # type: ignore[operator, union-attr]
        return model.loss(model(batch), batch).item()


@pytest.mark.parametrize("chunk", [None, 2])
def test_each_network_is_judged_by_its_free_run_with_its_own_last_layer(chunk: int | None) -> None:
    model, batch = dreamer().eval(), Waves().batch
    method = evolino(ridge=1e-12, chunk=chunk)
    method.prepare(model, 1, 1)
    evolved = [weight for name, weight in model.named_parameters() if not name.startswith("readout")]
    vectors = 0.5 * torch.randn(5, parameters_to_vector(evolved).numel(), dtype=torch.float64)
    got = method._losses(model, batch, vectors)
    for vector, loss in zip(vectors, got.tolist(), strict=True):
        with torch.no_grad():
            vector_to_parameters(vector.clone(), evolved)
            assert solved_by_hand(model, batch) == pytest.approx(loss, rel=1e-4)


def test_update_leaves_the_best_network_with_its_last_layer_and_tells_the_loss_before() -> None:
    model, batch = dreamer(), Waves().batch
    method = evolino(ridge=1e-12)
    method.prepare(model, 1, 1)
    model.eval()
    with torch.no_grad():
        before = solved_by_hand(model, batch)
    assert method.update(model, batch) == pytest.approx(before, rel=1e-4)
    with torch.no_grad():
        after = model.loss(model(batch), batch).item()
        assert after == pytest.approx(method.measures()["lowest"], rel=1e-6)
        assert solved_by_hand(model, batch) == pytest.approx(after, rel=1e-4)


@pytest.mark.parametrize("cell", [*VARIANTS])
def test_any_row_of_the_table_evolves(cell: str) -> None:
    model, report = trained(evolino(), 2, dreamer(cell=cell))
    assert report.history[-1]["batched"] == 1
    assert report.history[-1]["loss"] <= report.history[0]["loss"]
    assert parameters_to_vector(model.parameters()).isfinite().all()


@pytest.mark.parametrize("readout", ["svr", "pinv"])
@pytest.mark.parametrize("search", ["esp", "cosyne"])
def test_a_resumed_run_ends_with_the_same_bits(readout: str, search: str, tmp_path: Path) -> None:
    def method() -> Evolino:
        machine = {"machine_options": {"C": 10.0}, "support_vectors": 30} if readout == "svr" else {}
        patience = {"patience": 2} if search == "esp" else {}
        return evolino(search=search, readout=readout, search_options=patience, **machine)

    whole, report = trained(method(), 7)
    plan = Plan(epochs=7, checkpoint=tmp_path / "run", checkpoint_updates=1)
    last = None
    for stop_after in (2, 3, 4):
        model = dreamer()
        last = list(islice(fit(model, Waves(), method(), plan), stop_after))[-1]
    while last is not None and last.stopped is None:
        model = dreamer()
        last = list(fit(model, Waves(), method(), plan))[-1]
    assert weights(model) == weights(whole)
    assert last is not None
    assert timeless(last.history) == timeless(report.history)


def test_support_vectors_stand_in_the_model() -> None:
    method = evolino(readout="svr", support_vectors=30, machine_options={"C": 10.0, "gamma": 0.5, "epsilon": 0.01})
    model, report = trained(method, 3)
    assert isinstance(model.readout, SupportVectors)
    assert (model.readout.capacity, model.readout.gamma) == (30, 0.5)
    assert {"readout.vectors", "readout.dual", "readout.intercept"} <= model.state_dict().keys()
    fresh = dreamer()
    method.furnish(fresh)
    fresh.load_state_dict(model.state_dict())
    batch = Waves().batch
    assert torch.equal(fresh.eval()(batch), model.eval()(batch))
    with torch.no_grad():
        assert model.loss(model(batch), batch).item() == pytest.approx(report.history[-1]["lowest"], rel=1e-6)


class Asking(FeedbackLSTM):
    """Looks at a value, which no vmap can."""

    def features(self, batch: Batch) -> Tensor:
        read = super().features(batch)
        return read if read.sum() > 0 else read * 1.0


def test_what_cannot_run_at_once_runs_one_after_the_other() -> None:
    torch.manual_seed(0)
    looping = Asking(0, 5, 1, washout=20, backprojection=0.01, dtype=torch.float64)
    ends = [trained(evolino(), 2, model)[1] for model in (looping, dreamer())]
    assert [end.history[-1]["batched"] for end in ends] == [0.0, 1.0]
    assert ends[0].loss == pytest.approx(ends[1].loss, rel=1e-6)


def test_rows_that_are_not_known_do_not_count() -> None:
    class Holed(Waves):
        def __init__(self) -> None:
            super().__init__()
            known = torch.ones(60, 3, dtype=torch.bool)
            known[30:35, 1] = False
            target = self.batch.target
            assert target is not None
            wrong = torch.where(known.unsqueeze(-1), target, 1e3)
            self.batch = Batch(inputs=self.batch.inputs, indices=self.batch.indices, target=wrong, mask=known)

    model, method = dreamer(), evolino(ridge=1e-12)
    method.prepare(model, 1, 1)
    holed = Holed().batch
    method.update(model, holed)
    rows = model.features(holed)[holed.mask[20:]].detach().numpy()  # type: ignore[index]
    wanted = holed.target[20:][holed.mask[20:]].numpy()  # type: ignore[index]
    line = np.linalg.lstsq(np.hstack([rows, np.ones((len(rows), 1))]), wanted, rcond=None)[0]
    np.testing.assert_allclose(model.readout.bias.detach().numpy(), line[-1], rtol=1e-3)  # type: ignore[operator, union-attr]


@pytest.mark.parametrize("cell", [*VARIANTS])
def test_a_chromosome_is_all_that_enters_one_memory_cell(cell: str) -> None:
    torch.manual_seed(0)
    model: Any = LSTM(3, 4, cell=cell, dtype=torch.float64)
    groups = weight_groups(model, "cell")
    assert len(groups) == 4
    assert sorted(torch.cat(groups).tolist()) == list(range(parameters_to_vector(model.parameters()).numel()))
    x = torch.randn(1, 1, 3, dtype=torch.float64)
    start = torch.randn(1, 1, 4, dtype=torch.float64), torch.randn(1, 1, 4, dtype=torch.float64)
    if model.cell.full_gate_recurrence:
        return
    before, vector = model(x, start)[0], parameters_to_vector(model.parameters()).detach().clone()
    for number, group in enumerate(groups):
        changed = vector.clone()
        changed[group] += 0.5
        vector_to_parameters(changed, model.parameters())
        moved = (model(x, start)[0] != before)[0, 0]
        assert moved.tolist() == [at == number for at in range(4)]


def test_chromosomes_of_blocks_of_torchs_layer_and_of_a_projection() -> None:
    layers: list[Any] = [
        LSTM(3, 4, cell="peephole", block=2),
        nn.LSTM(3, 4, num_layers=2),
        LSTM(3, 4, proj_size=2),
        LSTM(3, 4, norm=True, learn_initial_state=True),
    ]
    assert [len(weight_groups(layer, "cell")) for layer in layers] == [2, 8, 4 + 2, 4]


def test_evolution_takes_chromosomes_too() -> None:
    method = Evolution(search="esp", population=8)
    method.prepare(dreamer(), 1, 1)
    search: Any = method._search
    assert search._groups == 5 + 1


class Broken(FeedbackLSTM):
    """Reads nothing that is finite."""

    def features(self, batch: Batch) -> Tensor:
        return super().features(batch) * torch.nan


def test_divergence_leaves_the_model_as_it_was() -> None:
    model, method = Broken(0, 5, 1, washout=20, dtype=torch.float64), evolino()
    method.prepare(model, 1, 1)
    before = weights(model)
    with pytest.raises(DivergenceError, match="the loss is nan"):
        method.update(model, Waves().batch)
    assert weights(model) == before


def test_other_models_and_more_than_one_batch_are_refused() -> None:
    with pytest.raises(TypeError, match="Summer does not say what its last layer reads"):
        evolino().prepare(summer(), 1, 1)
    with pytest.raises(ValueError, match="an epoch has 3 batches; give one batch of all"):
        evolino().prepare(dreamer(), 3, 1)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"readout": "ols"}, ValueError, "readout is 'ols'; it can be pinv, svr, svc, linear_svc"),
        ({"ridge": -1.0}, ValueError, "ridge is -1.0"),
        ({"machine_options": {"C": 1.0}}, ValueError, "take readout='svr', or ridge="),
        ({"readout": "svr", "machine_options": {"D": 1.0}}, TypeError, "'D'"),
        ({"search": "adam"}, ValueError, "no search is called 'adam'"),
        ({"search_options": {"credit": "some"}}, ValueError, "credit is 'some'"),
    ],
)
def test_errors(options: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        Evolino(**options)
