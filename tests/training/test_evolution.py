"""Evolution lowers the loss of any model, all networks at once where that can be, and resumes to the bit."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from carousel.data import Batch
from carousel.tasks import SequenceClassifier
from carousel.training import CheckpointError, DivergenceError, Evolution, Plan, fit, method_named
from carousel.training.evolution import batched_losses
from carousel.training.searches import ESP, SEARCHES, SNES
from tests.training.problem import OurSummer, Summer, batches, summer, timeless, train, weights

SEARCHED = list(SEARCHES)


def ours() -> OurSummer:
    torch.manual_seed(1)
    return OurSummer()


def size_of(model: nn.Module) -> int:
    """How many weights it has."""
    return sum(own.numel() for own in model.parameters())


def needed(search: str) -> None:
    if search == "cma":
        pytest.importorskip("cma")


@pytest.mark.parametrize("search", SEARCHED)
def test_it_lowers_the_loss(search: str) -> None:
    needed(search)
    options = {"learning_rate": 0.05} if search == "openai_es" else {}
    report = train(
        ours(), Plan(epochs=25), Evolution(search=search, population=32, sigma=0.2, seed=0, search_options=options)
    )
    assert report.history[-1]["loss"] < 0.8 * report.history[0]["loss"]
    assert all(epoch["batched"] for epoch in report.history)
    assert report.history[-1]["lowest"] > 0


def one_by_one(model: Summer, batch: Batch, vectors: Tensor) -> Tensor:
    losses, before = [], parameters_to_vector(model.parameters()).detach().clone()
    with torch.no_grad():
        for vector in vectors:
            vector_to_parameters(vector.clone(), model.parameters())
            losses.append(model.loss(model(batch), batch))
        vector_to_parameters(before, model.parameters())
    return torch.stack(losses)


@pytest.mark.parametrize("chunk", [None, 2])
def test_the_losses_of_a_population_are_those_of_its_networks(chunk: int | None) -> None:
    model, batch = ours().eval(), next(batches().epoch(0)).to(dtype=torch.float32)
    vectors = torch.randn(5, parameters_to_vector(model.parameters()).numel())
    with torch.no_grad():
        got = batched_losses(model, batch, vectors, chunk)
    torch.testing.assert_close(got, one_by_one(model, batch, vectors))


class Tied(OurSummer):
    """One layer under two names, and one bias under two more."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(2, 2)
        self.again = self.into
        self.bias = self.other = nn.Parameter(torch.ones(1))

    def forward(self, batch: Batch) -> Tensor:
        inputs = self.again(self.into(batch.inputs).tanh())
        return super().forward(replace(batch, inputs=inputs)) * self.bias + self.other


class TiedAsking(Tied):
    """Looks at a value, which no vmap can."""

    def forward(self, batch: Batch) -> Tensor:
        output = super().forward(batch)
        return output if output.sum() > 0 else output * 1.0


def tied(kind: type[Tied] = Tied) -> Tied:
    torch.manual_seed(1)
    return kind()


@pytest.mark.parametrize("chunk", [None, 2])
def test_one_layer_under_two_names_is_one(chunk: int | None) -> None:
    model, batch = tied().eval(), next(batches().epoch(0)).to(dtype=torch.float32)
    before, own = weights(model), dict(model.named_parameters(remove_duplicate=False))
    vectors = torch.randn(5, size_of(model))
    with torch.no_grad():
        got = batched_losses(model, batch, vectors, chunk)
    now = dict(model.named_parameters(remove_duplicate=False))
    assert all(now[name] is parameter for name, parameter in own.items())
    assert weights(model) == before
    torch.testing.assert_close(got, one_by_one(model, batch, vectors))


@pytest.mark.parametrize("search", ["snes", "esp"])
def test_tied_weights_learn_alike_at_once_and_one_after_the_other(search: str) -> None:
    models = [tied(), tied(TiedAsking)]
    ends = [train(model, Plan(epochs=2), Evolution(search=search, population=8, seed=0)) for model in models]
    assert [end.history[-1]["batched"] for end in ends] == [1.0, 0.0]
    assert all(model.again is model.into and type(model.into.weight) is nn.Parameter for model in models)
    torch.testing.assert_close(models[0].state_dict(), models[1].state_dict())


class Asking(OurSummer):
    """Looks at a value, which no vmap can."""

    def forward(self, batch: Batch) -> Tensor:
        output = super().forward(batch)
        return output if output.sum() > 0 else output * 1.0


def test_what_cannot_run_at_once_runs_one_after_the_other() -> None:
    looping, batching = Asking(), ours()
    looping.load_state_dict(batching.state_dict())
    ends = [train(model, Plan(epochs=2), Evolution(population=8)) for model in (looping, batching)]
    assert [end.history[-1]["batched"] for end in ends] == [0.0, 1.0]
    assert ends[0].loss == pytest.approx(ends[1].loss, rel=1e-4)
    torch.testing.assert_close(looping.state_dict(), batching.state_dict())


def test_a_resumed_run_goes_on_one_after_the_other() -> None:
    method, batch = Evolution(population=8), next(batches().epoch(0)).to(dtype=torch.float32)
    method.prepare(looping := Asking(), 1, 1)
    method.update(looping, batch)
    resumed = Evolution(population=8)
    resumed.prepare(ours(), 1, 1)
    resumed.restore(*method.state())
    assert resumed.measures()["batched"] == 0


def test_dropout_is_off_while_networks_are_compared_and_on_again_after() -> None:
    seen = []

    class Watching(Summer):
        def forward(self, batch: Batch) -> Tensor:
            seen.append(self.lstm.training)
            return super().forward(batch)

    model = Watching(dropout=0.5).train()
    method = Evolution(population=4)
    method.prepare(model, 1, 1)
    method.update(model, next(batches().epoch(0)).to(dtype=torch.float32))
    assert set(seen) == {False}
    assert model.lstm.training


def test_update_tells_the_loss_before_it_and_leaves_the_mean() -> None:
    model, batch = ours().eval(), next(batches().epoch(0)).to(dtype=torch.float32)
    method = Evolution(population=8)
    method.prepare(model, 1, 1)
    with torch.no_grad():
        before = model.loss(model(batch), batch).item()
    assert method.update(model, batch) == pytest.approx(before, rel=1e-6)
    mean = method.state()[0]["mean"]
    assert torch.equal(parameters_to_vector(model.parameters()), mean.float())


@pytest.mark.parametrize("search", SEARCHED)
def test_a_resumed_run_ends_with_the_same_bits(search: str, tmp_path: Path) -> None:
    needed(search)

    def method() -> Evolution:
        return Evolution(search=search, population=8)

    whole = ours()
    history = train(whole, Plan(epochs=3), method()).history
    plan = Plan(epochs=3, checkpoint=tmp_path / "run", checkpoint_updates=1)
    for stop_after in (2, 5, 11):
        model = ours()
        report = next(islice(fit(model, batches(), method(), plan), stop_after - 1, None), None)
    assert weights(model) == weights(whole)
    assert report is not None
    assert timeless(report.history) == timeless(history)


def test_a_checkpoint_of_another_population_is_refused(tmp_path: Path) -> None:
    plan = Plan(epochs=1, checkpoint=tmp_path / "run")
    train(ours(), plan, Evolution(population=8))
    with pytest.raises(CheckpointError, match="population is 6"):
        train(ours(), plan, Evolution(population=6))


class Foreign:
    """Anything with ask and tell: tries the same points, and hears their losses."""

    def __init__(self, points: list[Any]) -> None:
        self.points, self.told = points, list[Any]()

    def ask(self) -> list[Any]:
        return self.points

    def tell(self, scores: Any) -> None:
        self.told.append(scores)


class Hearing(Foreign):
    """Wants to hear what it asked, too."""

    def tell(self, asked: Any, scores: Any) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        assert asked is self.points
        self.told.append(scores)


def test_any_object_with_ask_and_tell_is_a_search() -> None:
    model = ours()
    size = parameters_to_vector(model.parameters()).numel()
    points = list(np.random.default_rng(0).normal(size=(3, size)))
    search, method = Foreign(points), Evolution(search=(foreign := Foreign(points)))
    report = train(model, Plan(epochs=1), method)
    assert len(foreign.told) == report.update
    assert not search.told
    best = points[int(foreign.told[-1].argmin())]
    torch.testing.assert_close(parameters_to_vector(model.parameters()), torch.from_numpy(best).float())
    with pytest.raises(TypeError, match=r"Foreign has no state\(\) and restore\(\)"):
        method.state()
    before = len(foreign.told)
    train(model, Plan(epochs=1), method)
    assert len(foreign.told) == 2 * before, "it goes on in another fit"
    own = SNES(parameters_to_vector(model.parameters()), population=4)
    train(model, Plan(epochs=1), Evolution(search=own))
    assert torch.equal(parameters_to_vector(model.parameters()), own.mean.float())


@pytest.mark.parametrize("kind", [Foreign, Hearing])
def test_a_foreign_search_hears_finite_losses_as_an_array(kind: type[Foreign]) -> None:
    model, batch = ours(), next(batches().epoch(0)).to(dtype=torch.float32)
    size = parameters_to_vector(model.parameters()).numel()
    search = kind([np.full(size, 0.1), np.full(size, np.nan), np.full(size, 0.3), np.full(size, np.inf)])
    method = Evolution(search=search)
    method.prepare(model, 1, 1)
    method.update(model, batch)
    (told,) = search.told
    assert isinstance(told, np.ndarray)
    assert np.isfinite(told).all()
    assert told[1] == told[3] == told.max() > told.min()


@pytest.mark.parametrize(
    ("asked", "gave"),
    [
        (np.zeros((3, 7)), r"an array of shape \(3, 7\)"),
        (torch.zeros(3, 7), r"an array of shape \(3, 7\)"),
        (np.zeros(7), r"an array of shape \(7,\)"),
        ([], r"an array of shape \(0,\)"),
        ([[0.0], [1.0, 2.0]], r"\[\[0.0\], \[1.0, 2.0\]\]"),
        ("many", "'many'"),
        (None, r"an array of shape \(\)"),
    ],
)
def test_what_a_foreign_search_proposes_must_fit(asked: Any, gave: str) -> None:
    model, search = ours(), Foreign(asked)
    size = parameters_to_vector(model.parameters()).numel()
    with pytest.raises(
        ValueError, match=rf"ask\(\) of the search gave ({gave}); the model has {size} weights .* \(networks, {size}\)"
    ):
        train(model, Plan(epochs=1), Evolution(search=search))
    assert not search.told


def test_divergence_leaves_the_model_as_it_was() -> None:
    model = summer()
    nn.init.constant_(model.readout.bias, torch.inf)
    before = weights(model)
    with pytest.raises(DivergenceError, match=r"the loss is (inf|nan); lower sigma \(now 0.05\)"):
        train(model, Plan(epochs=1), Evolution(population=4))
    assert weights(model) == before


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"search": "adam"}, ValueError, "no search is called 'adam'"),
        ({"search": 3}, TypeError, r"an object with ask\(\) and tell\(scores\)"),
        ({"search": "pgpe", "population": 5}, ValueError, "an even number"),
        ({"search_options": {"speed": 1}}, TypeError, "no option 'speed'"),
        ({"chunk": 0}, ValueError, "chunk is 0"),
        ({"chunk": "a"}, TypeError, "chunk is 'a'; it is a whole number or None"),
        ({"population": "a"}, TypeError, "population is 'a'; it is a whole number"),
        ({"sigma": "a"}, TypeError, "sigma is 'a'; it is a number"),
        ({"seed": "a"}, TypeError, "seed is 'a'; it is a whole number"),
        ({"bounds": 1}, ValueError, "bounds are 1; they are two numbers"),
        ({"search_options": 5}, TypeError, "search_options is 5; it is a table"),
    ],
)
def test_errors(options: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        method_named("evolution", **options)


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    method = Evolution(population=4, chunk=np.int64(2))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert type(method.chunk) is int and method.chunk == 2


class Lost(Foreign):
    """Holds weights best that are no numbers."""

    @property
    def mean(self) -> np.ndarray[Any, Any]:
        return np.full(len(self.points[0]), np.nan)


def test_a_search_that_is_lost_leaves_the_model_as_it_was() -> None:
    model = summer()
    before = weights(model)
    with pytest.raises(DivergenceError, match="the search holds weights best that are not finite"):
        train(model, Plan(epochs=1), Evolution(search=Lost([np.zeros(size_of(model))] * 2)))
    assert weights(model) == before


def test_a_search_without_state_says_before_any_work_that_it_can_have_no_checkpoints(tmp_path: Path) -> None:
    search = Foreign([np.zeros(size_of(summer()))])
    with pytest.raises(TypeError, match=r"Foreign has no state\(\) and restore\(\): it can have no checkpoints"):
        fit(summer(), batches(), Evolution(search=search), Plan(epochs=1, checkpoint=tmp_path / "run"))


def test_sub_populations_are_those_that_are_named() -> None:
    model = summer()
    halves = [list(range(first, size_of(model), 2)) for first in (0, 1)]
    method = Evolution(search="esp", population=6, search_options={"groups": halves})
    method.prepare(model, 1, 1)
    assert isinstance(method._search, ESP)
    assert method._search.groups == halves
    with pytest.raises(ValueError, match="groups name 1 parameters"):
        Evolution(search="esp", search_options={"groups": [[0]]}).prepare(model, 1, 1)


def test_an_estimator_takes_it_by_name() -> None:
    x = np.random.default_rng(0).normal(size=(40, 6, 2))
    options = {"search": "snes", "population": 16}
    estimator = SequenceClassifier(method="evolution", method_options=options, max_epochs=3, random_state=0)
    estimator.fit(x, x.sum((1, 2)) > 0)
    assert [epoch["batched"] for epoch in estimator.history_] == [1.0] * 3
    assert len(estimator.predict(x)) == 40


@pytest.mark.parametrize("search", ["snes", "ga"])
def test_the_search_draws_from_the_numbers_of_the_run(search: str) -> None:
    def end(run: int, **options: Any) -> dict[str, bytes]:
        model = ours()
        train(model, Plan(epochs=1, seed=run), Evolution(search=search, population=6, **options))
        return weights(model)

    assert end(1) == end(1)
    assert end(1) != end(2)
    assert end(1, seed=5) == end(2, seed=5)


def test_an_estimators_random_state_decides_the_search() -> None:
    x = np.random.default_rng(0).normal(size=(40, 6, 2))
    found = []
    for state in (0, 0, 1):
        method: dict[str, Any] = {"method": "evolution", "method_options": {"population": 6}, "hidden_size": 3}
        estimator = SequenceClassifier(**method, max_epochs=1, random_state=state).fit(x, x.sum((1, 2)) > 0)
        estimator.partial_fit(x, x.sum((1, 2)) > 0)
        found.append(estimator._online.method._search.seed)  # type: ignore[attr-defined]  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    assert found[0] == found[1] != found[2]


def test_a_foreign_search_hears_what_it_asked_if_it_wants_to() -> None:
    """The strategy of the package cma is told so."""
    cma = pytest.importorskip("cma")
    model = ours()
    start = parameters_to_vector(model.parameters()).detach().numpy()
    search = cma.CMAEvolutionStrategy(start, 0.3, {"popsize": 12, "seed": 1, "verbose": -9, "CMA_diagonal": True})
    report = train(model, Plan(epochs=10), Evolution(search=search))
    assert report.history[-1]["loss"] < report.history[0]["loss"]
    assert search.countiter == report.update
