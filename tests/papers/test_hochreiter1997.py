"""The protocol of 1997: when a net counts as done, and what it is then tested as."""

import tomllib
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.data.synthetic import Strings, embedded_reber
from carousel.nn import LSTM
from papers.experiment import ROOT
from papers.hochreiter1997 import protocol, run
from papers.hochreiter1997.nets import Backwards, Online, SymbolLSTM, draw_of, guessed, net_of
from papers.hochreiter1997.protocol import Lately, thinned, two_sets, until_ranked, until_right, until_tested

FOLDER = ROOT / "hochreiter1997"
FULL = tomllib.loads((FOLDER / "experiment.toml").read_text(encoding="utf-8"))["full"]
GIVEN = run.described(FULL)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("reber4x1", 264), ("reber3x2", 276), ("same2a", 10504), ("noise3a", 102),
        ("adding100", 93), ("order6a", 156), ("order6b", 308),
    ],
)  # fmt: skip
def test_nets_have_the_weights_that_the_paper_counts(name: str, weights: int) -> None:
    assert net_of(GIVEN[name]).learned().sum() == weights


@pytest.mark.parametrize(("q", "p", "weights"), [(50, 50, 364), (1000, 1000, 6064), (1000, 50, 364)])
def test_nets_for_long_lags_have_four_biases_more(q: int, p: int, weights: int) -> None:
    name = f"lag{q}" if q == p else f"lag{q}of{p}"
    assert net_of(GIVEN[name]).learned().sum() == weights + 4


def test_a_run_of_right_strings_is_found_wherever_it_begins() -> None:
    worst = torch.tensor([[0.5], [0.1], [0.1], [0.1], [0.5], [0.1]], dtype=torch.float64)
    lately = Lately(worst, worst / 2)
    assert lately.first_good(0, {"right": 0.3, "in_a_row": 3}) == 1
    assert lately.first_good(0, {"right": 0.3, "in_a_row": 4}) is None
    assert lately.first_good(0, {"right": 0.3, "in_a_row": 4, "fewer": 2}) == 0
    assert lately.first_good(0, {"right": 0.3, "in_a_row": 4, "fewer": 2, "mean_error": 0.09}) is None
    assert lately.first_good(0, {"right": 0.3, "in_a_row": 7}) is None
    lost = Lately(torch.full((3, 1), torch.nan), torch.full((3, 1), torch.nan))
    assert lost.first_good(0, {"right": 0.3, "in_a_row": 3}) is None
    assert len(lately.and_then(worst, worst, 2).worst) == 8


class Perfect:
    """Nets that are right from a given string on; it is remembered when they were kept."""

    nets = 2

    def __init__(self, begins: tuple[int, int]) -> None:
        self.begins, self.seen, self.kept = begins, 0, {}

    def learn(self, strings: Strings) -> Tensor:
        known = [(self.seen + strings.string_of >= begin).double() for begin in self.begins]
        self.seen += strings.count
        return torch.stack([strings.targets[:, 0] * each.unsqueeze(1) for each in known], dim=1)

    def predict(self, strings: Strings) -> Tensor:
        after = [float(self.seen >= begin) for begin in self.begins]
        return torch.stack([strings.targets[:, 0] * each for each in after], dim=1)

    def keep(self, nets: list[int]) -> None:
        self.kept |= dict.fromkeys(nets, self.seen)

    def recall(self) -> None:
        self.recalled = dict(self.kept)


def small(name: str, **given: Any) -> dict[str, Any]:
    return GIVEN[name] | {"nets": 2, "test": 20, "chunk": 50} | given


@pytest.mark.parametrize(("before", "counted"), [(False, [120, 330]), (True, [20, 230])])
def test_strings_are_counted_to_one(before: bool, counted: list[int]) -> None:
    student = Perfect((20, 230))
    rule = {"right": 0.3, "in_a_row": 100, "before": before}
    found = until_right(student, small("order6a", done=rule, limit=1000), 0)
    assert found["done"] == counted
    assert found["wrong"] == [0, 0]
    assert student.recalled == {0: 150, 1: 350}


def test_who_is_never_done_is_tested_as_it_ends() -> None:
    student = Perfect((20, 10**9))
    found = until_right(student, small("order6a", done={"right": 0.3, "in_a_row": 100}, limit=500), 0)
    assert found["done"] == [120, 0]
    assert found["wrong"] == [0, 20]
    assert student.recalled == {0: 150, 1: 500}


def test_the_two_criteria_of_noise() -> None:
    found = until_tested(Perfect((60, 10**9)), small("noise3a", limit=300), 0)
    assert (found["first"], found["done"]) == ([100, 0], [100, 0])


def test_the_grammar_is_learned_by_rank() -> None:
    found = until_ranked(Perfect((60, 10**9)), small("reber3x2", limit=300), 0)
    assert found["easy"] == [100, 0]
    assert found["done"] == [0, 0], "the next symbol alone is no ranking of two"
    found = until_ranked(Perfect((60, 10**9)), small("reber3x2", limit=300, targets="legal"), 0)
    assert (found["easy"], found["done"]) == ([100, 0], [100, 0])


def test_the_test_set_has_no_string_of_the_other() -> None:
    both = two_sets(embedded_reber(2000, torch.Generator().manual_seed(0)))
    assert both.count == 512
    texts = [tuple(string.tolist()) for string in both.inputs[:, 0].split(both.lengths.tolist())]
    assert not set(texts[: protocol.SET]) & set(texts[protocol.SET :])


def test_curves_are_thinned() -> None:
    rows = thinned([[float(step), 0.123456] for step in range(1000)])
    assert len(rows) == 200
    assert rows[1] == [5.0, 0.1235]
    assert thinned([[1.0, 0.5]]) == [[1.0, 0.5]]


def test_adam_learns_the_same_strings() -> None:
    given = small("order6a", limit=100, batch=20, learning_rate=0.01)
    student = Backwards(given, 0)
    draw = draw_of(given, training=True)
    strings = draw(60, torch.Generator().manual_seed(0))
    before = student.predict(strings)
    outputs = student.learn(strings)
    assert outputs.shape == strings.targets.shape
    torch.testing.assert_close(outputs[: int(strings.last[19]) + 1], before[: int(strings.last[19]) + 1])
    assert not torch.equal(student.predict(strings), before)
    student.keep([0])
    kept = student.predict(strings)
    student.learn(strings)
    student.recall()
    assert torch.equal(student.predict(strings), kept)


def test_symbols_are_looked_up_as_they_would_be_multiplied() -> None:
    torch.manual_seed(0)
    begun = LSTM(5, 3, cell=net_of(GIVEN["lag50"]).cell)
    looked_up, symbols = SymbolLSTM(begun), torch.randint(5, (7, 4))
    (outputs, (hidden, memory)), (own, state) = looked_up(symbols), begun(F.one_hot(symbols, 5).float())
    for one, other in ((outputs, own), (hidden, state[0]), (memory, state[1])):
        torch.testing.assert_close(one, other)
    outputs.square().sum().backward()
    own.square().sum().backward()
    assert begun.weight_ih_l0.grad is not None and looked_up.added.weight.grad is not None
    torch.testing.assert_close(looked_up.added.weight.grad, begun.weight_ih_l0.grad.T)
    torch.testing.assert_close(looked_up.lstm.weight_hh_l0.grad, begun.weight_hh_l0.grad)
    assert looked_up.lstm.weight_ih_l0.grad is None


def test_what_stands_in_the_table_of_adam_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def student(given: dict[str, Any], seed: int) -> Perfect:
        seen.update(given | {"seed": seed})
        return Perfect((0, 10**9))

    monkeypatch.setattr(run, "Backwards", student)
    given = small("adding100", adam={"nets": 1, "batch": 10, "learning_rate": 0.01, "limit": 150, "cells": 8})
    found = run.parts({**FULL, "long": False, "experiments": {"adding": given}})["adding adam 0"]()
    assert [row[0] for row in found["curve"]] == [50, 100, 150]
    assert (seen["cells"], seen["learning_rate"], seen["block"], seen["seed"]) == (8, 0.01, 2, 0)


def test_more_nets_leave_what_is_known_as_it_is() -> None:
    few = run.parts(FULL | {"long": False})
    more = FULL["experiments"]["order6a"] | {"groups": 9, "adam": FULL["experiments"]["order6a"]["adam"] | {"nets": 5}}
    many = run.parts(FULL | {"long": False, "experiments": {"order6a": more}})
    for name in ("order6a group 0", "order6a adam 2", "order6a guess 0"):
        known, asked = few[name], many[name]
        assert isinstance(known, partial) and isinstance(asked, partial)
        assert (asked.args, asked.keywords) == (known.args, known.keywords)


def test_guessing_finds_what_is_easy() -> None:
    given = small(
        "noise3a", given={"least": 20, "informative": 3}, guess={"tries": 4096, "at_once": 512, "spread": 100.0}
    )
    found = guessed(given, 0)
    assert 0 < found["tries"] <= 4096
    assert found["wrong"] <= 2
    assert guessed(given | {"done": {"right": -1}}, 0) == {"tries": 0, "wrong": 20}


def test_online_nets_grow_and_are_recalled() -> None:
    given = small(
        "same2a", inputs=11, outputs=11, given={"symbols": 10}, limit=300, done={"right": 0.25, "in_a_row": 50}
    )
    student = Online(given, 2, 0)
    assert student.learner.cells == 0
    student.grow()
    student.grow()
    assert student.learner.cells == 1
    assert until_right(student, given, 0)["curve"][0][1:] != [1, 1]


def test_claims_say_who_solved_it_and_when() -> None:
    results = {
        "a group 0": {"done": [5, 0], "wrong": [1, 9], "curve": [[1, 0.0, 0.5]]},
        "a adam 0": {"done": [0], "wrong": [7], "curve": []},
        "a guess 0": {"tries": 9, "wrong": 4},
    }
    assert run.claims(results) == {
        "a_solved": [1, 0], "a_count": [5], "a_wrong": [1],
        "a_adam_solved": [0], "a_adam_wrong": [7], "a_guess_solved": [1], "a_guess_count": [9],
    }  # fmt: skip
    assert list(run.curves(results, "a")) == [([1], [0.0], 5), ([1], [0.5], 0)]
