"""Last layers solved for many networks at once, each beside numpy's or scikit-learn's own answer."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.svm import SVC, SVR, LinearSVC
from torch import Tensor
from torch.func import functional_call

from carousel.training.readouts import LeastSquares, Machines

RNG = np.random.default_rng(0)
READ = torch.from_numpy(RNG.normal(size=(3, 40, 5)))
WANTED = torch.from_numpy(RNG.normal(size=(40, 2)))
CLASSES = (WANTED > 0.2).double()
WEIGHT = torch.from_numpy(RNG.uniform(0.5, 2, size=40))


def answers(readout: Any, tensors: dict[str, Tensor], rows: Tensor) -> Tensor:
    """What the layers of all networks say to their rows."""
    module = readout.make(5, 2).double()
    own = [{name: value[net] for name, value in tensors.items()} for net in range(len(rows))]
    return torch.stack([functional_call(module, one, (x,)) for one, x in zip(own, rows, strict=True)])


def test_the_pseudo_inverse() -> None:
    found = LeastSquares(0.0).solve(READ, WANTED, None)
    for net, read in enumerate(READ.numpy()):
        whole = np.hstack([read, np.ones((40, 1))])
        wanted = np.linalg.pinv(whole) @ WANTED.numpy()
        np.testing.assert_allclose(found["weight"][net], wanted[:-1].T, rtol=1e-9)
        np.testing.assert_allclose(found["bias"][net], wanted[-1], rtol=1e-9)
    close = LeastSquares(1e-12).solve(READ, WANTED, None)
    torch.testing.assert_close(close, found, rtol=1e-8, atol=1e-9)


def test_the_smallest_solution_of_fewer_rows_than_features() -> None:
    found = LeastSquares(0.0).solve(READ[:, :4], WANTED[:4], None)
    assert torch.allclose(answers(LeastSquares(), found, READ[:, :4]), WANTED[:4].expand(3, -1, -1))
    centred = READ[0, :4] - READ[0, :4].mean(0)
    np.testing.assert_allclose(
        found["weight"][0], (np.linalg.pinv(centred.numpy()) @ (WANTED[:4] - WANTED[:4].mean(0)).numpy()).T, rtol=1e-8
    )


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_ridge(weight: Tensor | None) -> None:
    """(XᵀSX + λ m I) W = XᵀSY on centred rows, with shares S, and m the mean square of a feature."""
    found = LeastSquares(0.3).solve(READ, WANTED, weight)
    share = np.full(40, 1 / 40) if weight is None else weight.numpy() / weight.numpy().sum()
    for net, read in enumerate(READ.numpy()):
        x, y = read - share @ read, WANTED.numpy() - share @ WANTED.numpy()
        gram = x.T @ (share[:, None] * x)
        right = np.linalg.solve(gram + 0.3 * np.trace(gram) / 5 * np.eye(5), x.T @ (share[:, None] * y))
        np.testing.assert_allclose(found["weight"][net], right.T, rtol=1e-9)
        np.testing.assert_allclose(found["bias"][net], share @ WANTED.numpy() - (share @ read) @ right, rtol=1e-9)


def test_features_that_are_all_zero_give_the_mean() -> None:
    found = LeastSquares().solve(torch.zeros(1, 40, 5, dtype=torch.float64), WANTED, None)
    torch.testing.assert_close(found["bias"][0], WANTED.mean(0))
    assert found["weight"].eq(0).all()


@pytest.mark.parametrize("options", [{}, {"kernel": "linear"}, {"kernel": "poly", "gamma": 0.4, "coef0": 1.0}])
@pytest.mark.parametrize(("kind", "machine"), [("svr", SVR), ("svc", SVC)])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_machines_say_what_those_of_scikit_learn_say(
    kind: str, machine: Any, options: dict[str, Any], weight: Tensor | None
) -> None:
    given = {"C": 3.0, **options}
    readout = Machines(kind, 60, given)
    target = WANTED if kind == "svr" else CLASSES
    said = answers(readout, readout.solve(READ, target, weight), READ)
    for net, rows in enumerate(READ.numpy()):
        for column in range(2):
            fitted = machine(**{"gamma": 1 / 5, **given}).fit(rows, target[:, column].numpy(), sample_weight=weight)
            theirs = fitted.predict(rows) if kind == "svr" else fitted.decision_function(rows)
            np.testing.assert_allclose(said[net, :, column], theirs, atol=1e-9)


def test_a_linear_machine() -> None:
    readout = Machines("linear_svc", 60, {"C": 2.0, "random_state": 0})
    said = answers(readout, readout.solve(READ, CLASSES, None), READ)
    theirs = LinearSVC(C=2.0, random_state=0).fit(READ[1].numpy(), CLASSES[:, 0].numpy()).decision_function(READ[1])
    np.testing.assert_allclose(said[1, :, 0], theirs, atol=1e-9)


def rows_of(found: dict[str, Tensor]) -> list[int]:
    """Which rows of READ a machine learned from."""
    return [int((READ[0] == vector).all(1).nonzero()) for vector in found["vectors"][0]]


def test_no_more_rows_than_asked_for_and_constant_outputs() -> None:
    readout = Machines("svc", 10)
    target = CLASSES.clone()
    target[:, 1] = 0.0
    found = readout.solve(READ, target, None)
    assert found["vectors"].shape == (3, 10, 5)
    assert len(set(rows_of(found))) == 10
    assert found["dual"][:, 1].eq(0).all()
    assert found["intercept"][:, 1].eq(-1).all()
    few = readout.solve(READ[:, :6], target[:6], None)
    assert few["vectors"][:, 6:].eq(0).all()
    assert few["dual"].shape == (3, 2, 10)


@pytest.mark.parametrize("lanes", [2, 4])
@pytest.mark.parametrize("kind", ["svr", "svc"])
def test_the_rows_are_of_all_lanes(kind: str, lanes: int) -> None:
    """Rows of several series lie step by step beside each other: a whole spacing would always meet the same one."""
    readout = Machines(kind, 20)
    own = torch.arange(40) % lanes
    chosen = rows_of(readout.solve(READ, (own == 0).double().unsqueeze(1), None))
    counts = own[chosen].bincount(minlength=lanes)
    assert (counts >= 20 / lanes / 2).all()
    assert chosen == sorted(chosen) == rows_of(readout.solve(READ, (own == 0).double().unsqueeze(1), None))


def test_the_rows_have_each_class_at_its_share() -> None:
    target = torch.zeros(40, 2, dtype=torch.float64)
    target[torch.arange(40) % 10 == 3, 0] = 1.0
    target[:20, 1] = 1.0
    chosen = rows_of(Machines("svc", 20).solve(READ, target, None))
    assert target[chosen].sum(0).tolist() == [2, 10]


def test_all_rows_are_taken_as_they_stand_where_there_is_room() -> None:
    for rows in (40, 41):
        assert torch.equal(Machines("svc", rows).solve(READ, CLASSES, None)["vectors"][:, :40], READ)


@pytest.mark.parametrize("readout", [LeastSquares(), Machines("svr"), Machines("linear_svc")])
def test_scaled_layers_say_so_many_times_as_much(readout: Any) -> None:
    factor = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    found = readout.solve(READ, CLASSES, None)
    said = answers(readout, readout.scaled(found, factor), READ)
    torch.testing.assert_close(said, factor.view(3, 1, 1) * answers(readout, found, READ))


def test_a_module_fits_only_its_own_readout() -> None:
    assert Machines("svr").fits(Machines("svr").make(3, 1))
    assert not Machines("svr").fits(Machines("svr", options={"gamma": 0.5}).make(3, 1))
    assert not Machines("svr").fits(Machines("svr", 40).make(3, 1))
    assert not Machines("svr").fits(LeastSquares().make(3, 1))
    assert LeastSquares().fits(Machines("linear_svc").make(3, 1))
    assert not LeastSquares().fits(torch.nn.Linear(3, 1, bias=False))


@pytest.mark.parametrize(
    ("make", "error", "told"),
    [
        (lambda: Machines("svc").solve(READ, WANTED, None), ValueError, "readout='svc' tells two values apart"),
        (lambda: Machines("svr", options={"gamma": "scale"}), TypeError, "gamma is 'scale'; here it is a number"),
        (lambda: Machines("svr", options={"speed": 1}), TypeError, "speed"),
    ],
)
def test_errors(make: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        make()
