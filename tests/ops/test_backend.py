"""Backends: the order of preference, refusals in a sentence, and the choice explained."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from carousel.cells import Cell, find
from carousel.cells.layout import Sizes
from carousel.ops import (
    PREFERENCE,
    AnyOperands,
    Backend,
    Moment,
    Operands,
    Reference,
    State,
    StepOperands,
    example,
    explain,
    only,
    recurrence,
    step,
)


class Picky(Backend):
    """Runs plain cells only, and answers with ones."""

    name = "picky"

    def refuses(self, cell: Cell, operands: AnyOperands) -> str | None:
        return "it has no peepholes" if cell.peepholes else None

    def recurrence(self, cell: Cell, operands: Operands) -> tuple[Tensor, State]:
        return torch.ones(*operands.gates.shape[:2], operands.output), operands.state

    def step(self, cell: Cell, operands: StepOperands) -> Moment:
        ones = torch.ones_like(operands.previous[0])
        return Moment(ones, ones, {})


@pytest.fixture
def picky() -> Iterator[None]:
    PREFERENCE.insert(0, Picky())
    yield
    del PREFERENCE[0]


def run(name: str) -> Tensor:
    given = an_example(name)
    return recurrence(name, given.gates, given.weights, given.state)[0]


def an_example(name: str) -> Operands:
    return example(find(name), 2, 3, Sizes(1, 4))


def test_the_reference_is_last_and_refuses_nothing() -> None:
    assert isinstance(PREFERENCE[-1], Reference)
    assert PREFERENCE[-1].refuses(find("fgr"), an_example("fgr")) is None


@pytest.mark.usefixtures("picky")
def test_the_first_that_does_not_refuse_runs() -> None:
    assert (run("lstm") == 1).all()
    assert (step("lstm", torch.zeros(3, 16), torch.zeros(1, 3, 4)).hidden == 1).all()
    assert not (run("peephole") == 1).any()


@pytest.mark.usefixtures("picky")
def test_the_choice_is_explained() -> None:
    choices = explain(find("peephole"), an_example("peephole"))
    assert choices[0] == ("picky", False, "it has no peepholes")
    assert sum(choice.runs for choice in choices) == 1
    assert choices[1].runs == (choices[1].reason == "runs")
    choices = explain(find("lstm"), an_example("lstm"))
    assert choices[0] == ("picky", True, "runs")
    assert choices[-1] == ("reference", False, "a preferred backend runs")


@pytest.mark.usefixtures("picky")
def test_one_backend_can_be_insisted_on() -> None:
    with only("reference"):
        assert not (run("lstm") == 1).any()
    with (
        only("picky"),
        pytest.raises(NotImplementedError, match="no backend runs .*: picky: it has no peep"),
    ):
        run("peephole")
    assert (run("lstm") == 1).all()


def test_an_unknown_backend_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no backend is called 'cuda'; there are .*reference"), only("cuda"):
        pass
