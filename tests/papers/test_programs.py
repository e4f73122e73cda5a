"""Programs compiled to weights, step by step beside plain Python."""

import pytest
import torch

from carousel.cells import VARIANTS, find
from papers.siegelmann1995 import oracle
from papers.siegelmann1995.programs import BUSY_BEAVER, ON, Machine, automaton, rule110
from papers.siegelmann1995.run import DTYPES, TORCH, backends, run


def test_the_oracle_knows_rule_110() -> None:
    assert list(oracle.rule110([0, 0, 0, 0, 0, 1], 3))[2] == [0, 0, 1, 1, 0, 1]
    *_, (tape, _, state) = oracle.turing(BUSY_BEAVER, [0] * 20, 12, 107)
    assert (sum(tape), state) == (13, "H")
    *_, (_, _, state) = oracle.turing(BUSY_BEAVER, [0] * 20, 12, 106)
    assert state != "H"


@pytest.mark.parametrize("backend", [*backends(), TORCH])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cells", [3, 40])
def test_rule_110_on_every_backend(backend: str, dtype: str, cells: int) -> None:
    tape = torch.randint(2, (cells,))
    found = run(rule110(tape), torch.zeros(100, 1), 60, backend, DTYPES[dtype]) > ON / 2
    assert found.int().tolist() == list(oracle.rule110(tape.tolist(), 100))


def test_all_eight_neighbourhoods() -> None:
    for number in range(8):
        tape = [number >> 2 & 1, number >> 1 & 1, number & 1]
        found = run(rule110(torch.tensor(tape)), torch.zeros(1, 1), 60, "reference", torch.float64)
        assert int(found[0, 1] > ON / 2) == 110 >> number & 1


def test_an_automaton_that_counts_modulo_three() -> None:
    table = [[0, 1], [1, 2], [2, 0]]
    word = [1, 1, 0, 1, 0, 0, 1]
    x = torch.nn.functional.one_hot(torch.tensor(word), 2)
    found = run(automaton(table), x, 60, "reference", torch.float64) > ON / 2
    assert found[:, :-1].int().argmax(1).tolist() == [2 * q + a for q, a in oracle.automaton(table, word)]
    assert found.sum(1).tolist() == [1] * len(word)


def test_a_state_without_moves_rests() -> None:
    machine = Machine({("a", 0): ("b", 1, 0)}, "a")
    assert machine.states == ["a", "b"]
    assert list(oracle.turing(machine, [0], 0, 2)) == [([1], 0, "b")] * 2


def test_programs_are_for_the_plain_cell() -> None:
    assert automaton([[0]]).compile(60).cell == find("lstm") == VARIANTS["lstm"]
