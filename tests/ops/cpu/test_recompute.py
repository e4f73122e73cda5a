"""Segments that run again on the way back: the same results to the bit, the same gradients, and less memory held."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from carousel.cells import Cell, find
from carousel.ops import Backend, LayerOperands, Operands, State, StepOperands, Steps, explain, layer, only, recurrence
from carousel.ops.backend import AnyOperands
from carousel.ops.cpu import CPU, extension
from carousel.testing import CELLS, Problem, check
from tests.ops.cpu.extension import EVERYTHING, TARGETS, agree, from_inputs, leaves, needs_extension, results, target

pytestmark = needs_extension
LENGTHS = (1, 3, 4, 9, 20)
"""Steps a segment, of nine."""

PROBLEMS = [
    EVERYTHING,
    replace(EVERYTHING, name="all, forwards", reverse=False),
    Problem("ragged", 9, 6, 0, 4, ragged=True),
    Problem("ragged, backwards", 9, 6, 0, 4, ragged=True, reverse=True),
    Problem("reset", 9, 3, 0, 17, reset=True),
    Problem("reset, backwards", 9, 3, 0, 17, reset=True, reverse=True),
    Problem("wider than a vector", 9, 5, 0, 34, ragged=True),
]


AnyLoop = TypeVar("AnyLoop", Operands, LayerOperands)


class Segmented(Backend):
    """The loops for the processor, with a state kept every so many steps."""

    name = "segmented"

    def __init__(self, recompute: int) -> None:
        self.recompute = recompute

    def refuses(self, cell: Cell, operands: AnyOperands) -> str | None:
        return CPU().refuses(cell, operands)

    def recurrence(self, cell: Cell, operands: Operands) -> tuple[Tensor, State]:
        return CPU().recurrence(cell, every(self.recompute, operands))

    def layer(self, cell: Cell, operands: LayerOperands) -> tuple[Tensor, State]:
        return CPU().layer(cell, every(self.recompute, operands))

    def step(self, cell: Cell, operands: StepOperands) -> Any:
        raise NotImplementedError


def every(recompute: Any, operands: AnyLoop) -> AnyLoop:
    return replace(operands, steps=operands.steps._replace(recompute=recompute))


def drawn(name: str, problem: Problem = EVERYTHING, dtype: torch.dtype = torch.float64) -> tuple[Cell, Operands]:
    cell = problem.cell(CELLS[name])
    return cell, leaves(problem.operands(cell, dtype=dtype))


@pytest.mark.parametrize(
    ("length", "dtype"),
    [*((length, torch.float64) for length in LENGTHS), (4, torch.float32), (4, torch.bfloat16)],
    ids=str,
)
def test_every_cell_and_problem(length: int, dtype: torch.dtype) -> None:
    check(Segmented(length), problems=PROBLEMS, dtype=dtype)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", CELLS)
def test_given_the_inputs(name: str, length: int, reverse: bool) -> None:
    cell, given = drawn(name, replace(EVERYTHING, reverse=reverse))
    agree(cell, every(length, from_inputs(cell, given, 5)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", CELLS)
def test_results_are_the_same_to_the_bit(name: str, length: int, dtype: torch.dtype) -> None:
    cell, given = drawn(name, dtype=dtype)
    for operands in (given, from_inputs(cell, given, 5)):
        count = 1 + len(cell.state)
        got, expected = (results(CPU(), cell, every(how, operands)) for how in (length, None))  # type: ignore[type-var]
        torch.testing.assert_close(got[:count], expected[:count], rtol=0, atol=0)
        torch.testing.assert_close(got[count:], expected[count:], rtol=2 * torch.finfo(dtype).eps, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", TARGETS)
def test_large_enough_for_every_tile(name: str, dtype: torch.dtype) -> None:
    """Whatever rows of a product fall into one segment, each is summed in the same order."""
    cell, given = drawn("peephole", Problem("large", 41, 13, 0, 75, ragged=True), dtype)
    operands = from_inputs(cell, given, 70)
    with target(name):
        for length in (1, 6, 40):
            got, expected = (results(CPU(), cell, every(how, operands)) for how in (length, None))
            torch.testing.assert_close(got[:3], expected[:3], rtol=0, atol=0)
            torch.testing.assert_close(got[3:], expected[3:], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_sequence_begins_at_each_edge(reverse: bool) -> None:
    """Resets at the first and last step of every segment; fresh states with gradients, and none."""
    cell, given = drawn("full_gate_recurrence", Problem("", 9, 4, 0, 3, reset=True))
    lengths, reset = torch.tensor([9, 6, 4, 3]), torch.zeros(9, 4, dtype=torch.bool)
    reset[[2, 3, 5, 6]] = True
    for fresh in (given.steps.fresh, None):
        agree(cell, replace(given, steps=Steps(lengths, reset, fresh, reverse, 3)))


@pytest.mark.parametrize("name", ["lstm", "peephole", "full_gate_recurrence"])
def test_each_gradient_alone(name: str) -> None:
    cell, given = drawn(name)
    everything = results(CPU(), cell, every(4, given))
    wanted = [t for t in given.tensors() if t is not None and t.requires_grad]
    for number, chosen in enumerate(wanted):
        tensors = [t.detach() if t is not None and t is not chosen else t for t in given.tensors()]
        alone = Operands.gather(tensors, reverse=given.steps.reverse, recompute=4)
        torch.testing.assert_close(results(CPU(), cell, alone)[-1], everything[number - len(wanted)], rtol=0, atol=0)


@pytest.mark.parametrize("chosen", range(3))
def test_each_result_alone(chosen: int) -> None:
    cell, given = drawn("peephole")
    wanted = [t for t in given.tensors() if t is not None and t.requires_grad]
    gradients = []
    for recompute in (4, None):
        outputs, state = CPU().recurrence(cell, every(recompute, given))
        loss = (outputs, *state)[chosen].square().sum()  # type: ignore[union-attr]
        gradients.append(torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True))
    torch.testing.assert_close(gradients[0], gradients[1])


def test_a_graph_that_is_kept_gives_the_same_again() -> None:
    _, given = drawn("peephole")
    cell = EVERYTHING.cell(find("peephole"))
    outputs, _ = CPU().recurrence(cell, every(4, given))
    loss, R = outputs.square().sum(), given.weights.R
    assert R is not None
    first, second = (torch.autograd.grad(loss, R, retain_graph=True) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_outputs_changed_in_place_do_not_matter() -> None:
    """They are computed again, and not kept."""
    cell, given = drawn("lstm")
    found = []
    for change in (lambda t: t, Tensor.zero_):
        outputs, state = CPU().recurrence(cell, every(4, given))
        change(outputs)
        found.append(torch.autograd.grad(state.cell.sum(), given.gates))
    torch.testing.assert_close(found[0], found[1])


def test_gradients_of_gradients() -> None:
    cell, given = drawn("peephole", Problem("", 4, 2, 0, 3, ragged=True, reset=True))
    found = []
    for recompute in (2, None):
        outputs, _ = CPU().recurrence(cell, every(recompute, given))
        (slope,) = torch.autograd.grad(outputs.square().sum(), given.gates, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), given.gates))
    torch.testing.assert_close(found[0], found[1])


def held(run: Callable[[], object]) -> int:
    """Bytes that autograd keeps for the way back."""
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        alive = run()
    del alive
    return sum(storages.values())


@pytest.mark.parametrize("name", ["lstm", "full_gate_recurrence", "peephole with torch_sample"])
def test_less_memory_is_held(name: str) -> None:
    """Of 400 steps the states of 20, and besides them only what was given."""
    cell, given = drawn(name, Problem("", 400, 3, 0, 16))
    operands = from_inputs(cell, given, 2)
    steps = 400 * 3 * 16 * 8
    whole, few = (held(lambda how=how: CPU().layer(cell, every(how, operands))) for how in (None, "auto"))
    state = 5 if name == "full_gate_recurrence" else 2
    handed = sum(t.nbytes for t in operands.tensors() if t is not None)
    assert few == handed + steps * state * 19 // 400
    assert whole > few + steps * 5


def test_the_longest_loop_with_memory_for_each_step_is_a_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Activations are asked for once a segment, on the way back, and are never those of all steps."""
    cell, given = drawn("lstm", Problem("", 50, 2, 0, 3))
    calls: list[tuple[int, bool]] = []

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(module, name)

        def forward(self, *arguments: Any) -> None:
            calls.append((arguments[2][0], arguments[4][module.POINTERS.index("activations")] != 0))
            module.forward(*arguments)

    module = extension.module
    monkeypatch.setattr(extension, "module", Watched())
    outputs, _ = CPU().recurrence(cell, every("auto", given))
    assert calls == [(8, False)] * 6 + [(2, False)]
    outputs.sum().backward()
    assert calls[7:] == [(2, True)] + [(8, True)] * 6
    with torch.no_grad():
        CPU().recurrence(cell, every("auto", given))
    assert calls[14:] == [(50, False)]


@pytest.mark.parametrize(("time", "length"), [(0, 1), (1, 1), (2, 2), (4, 2), (5, 3), (100, 10), (101, 11)])
def test_auto_is_the_square_root_rounded_up(time: int, length: int) -> None:
    assert Steps(recompute="auto").segment(time) == length


@pytest.mark.parametrize(
    ("recompute", "error", "words"),
    [
        (0, ValueError, "recompute is 0; pass every how many steps a state is kept, an integer from 1, or 'auto'"),
        (-3, ValueError, "recompute is -3"),
        ("some", ValueError, "recompute is 'some'; .* or None for every step"),
        (True, TypeError, "recompute is True"),
        (2.0, TypeError, "recompute is 2.0"),
    ],
)
def test_what_it_must_not_be(recompute: Any, error: type[Exception], words: str) -> None:
    cell, given = drawn("lstm", Problem("", 4, 2, 0, 3))
    with pytest.raises(error, match=words):
        recurrence(cell, given.gates, given.weights, given.state, steps=Steps(recompute=recompute))


def test_who_heeds_it_is_explained() -> None:
    cell, given = drawn("lstm", Problem("", 100, 2, 0, 3))
    assert explain(cell, every("auto", given))[0].reason == (
        "runs; while training it keeps a state every 10 steps and computes the rest again"
    )
    wide = replace(given, gates=given.gates.half())
    assert explain(cell, every(7, wide))[-1].reason == (
        "runs, and keeps every step: recompute is for the compiled loops"
    )
    assert explain(cell, given)[0].reason == "runs"


def test_the_reference_gives_the_same() -> None:
    cell, given = drawn("lstm", Problem("", 9, 2, 0, 3))
    with only("reference"):
        got = recurrence(cell, given.gates, given.weights, given.state, steps=Steps(recompute=2))
    torch.testing.assert_close(got, recurrence(cell, given.gates, given.weights, given.state))


@pytest.mark.parametrize("recompute", [3, "auto"])
def test_the_operator_heeds_it(recompute: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cell, given = drawn("lstm")
    operands = from_inputs(cell, given, 5)
    seen: list[Any] = []
    run = CPU.recurrence

    def watched(self: CPU, cell: Cell, operands: Operands) -> tuple[Tensor, State]:
        seen.append(operands.steps.recompute)
        return run(self, cell, operands)

    monkeypatch.setattr(CPU, "recurrence", watched)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    steps = operands.steps._replace(recompute=recompute)
    outputs, _ = layer(cell, operands.inputs, operands.weights, operands.state, steps=steps)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: False)
    outputs.sum().backward()
    assert seen == [recompute] * 2
