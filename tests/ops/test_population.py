"""Many networks at once are the same as one after the other, for every row of the table, on every way to run them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

import carousel
from carousel.cells import find
from carousel.cells.layout import Sizes
from carousel.ops import (
    Inputs,
    Noise,
    Operands,
    Reference,
    ShapeError,
    State,
    Steps,
    Weights,
    example,
    layer,
    only,
    population,
    recurrence,
)
from carousel.testing.agreement import CELLS
from carousel.testing.problems import SMALL, Problem, for_tests
from tests.ops.cpu.extension import needs_extension

NETWORKS = 3
BACKENDS = [pytest.param("cpu", marks=needs_extension), "reference"]
PROBLEMS = [problem for problem in for_tests() if isinstance(problem, Problem)]
EVERYTHING = next(problem for problem in PROBLEMS if problem.name == "everything")


def members(
    problem: Problem, name: str, networks: int = NETWORKS, dtype: torch.dtype = torch.float64
) -> list[Operands]:
    """The operands of each network; lengths, resets and masks are the first one's."""
    cell = problem.cell(CELLS[name])
    drawn = [problem.operands(cell, dtype=dtype, seed=seed) for seed in range(networks)]
    return [Operands(each.gates, each.state, each.weights, drawn[0].steps, drawn[0].noise) for each in drawn]


def stacked(parts: list[Tensor | None]) -> Tensor | None:
    return None if parts[0] is None else torch.stack([part for part in parts if part is not None])


def together(given: list[Operands]) -> tuple[Tensor, Weights, State]:
    """Pre-activations, weights and states of all networks."""
    weights = Weights(*(stacked(list(parts)) for parts in zip(*(each.weights for each in given), strict=True)))
    state = State(*(stacked(list(parts)) for parts in zip(*(each.state for each in given), strict=True)))  # type: ignore[arg-type]
    return torch.stack([each.gates for each in given]), weights, state


def agree(got: tuple[Tensor, State], each: list[tuple[Tensor, State]], atol: float = 1e-10) -> None:
    torch.testing.assert_close(got[0], torch.stack([outputs for outputs, _ in each]), rtol=0, atol=atol)
    for at, part in enumerate(got[1]):
        wanted = stacked([state[at] for _, state in each])
        assert (part is None) == (wanted is None)
        if part is not None:
            torch.testing.assert_close(part, wanted, rtol=0, atol=atol)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CELLS)
def test_every_cell_with_everything(name: str, backend: str) -> None:
    problem = EVERYTHING if EVERYTHING.suits(CELLS[name]) and not CELLS[name].block > 1 else SMALL
    given, cell = members(problem, name), problem.cell(CELLS[name])
    gates, weights, state = together(given)
    with only(backend):
        got = population(cell, gates, weights, state, steps=given[0].steps, noise=given[0].noise)
    agree(got, [Reference().recurrence(cell, each) for each in given])


@needs_extension
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_every_problem(problem: Problem) -> None:
    given = members(problem, "lstm")
    gates, weights, state = together(given)
    cell = problem.cell(CELLS["lstm"])
    with only("cpu"):
        got = population(cell, gates, weights, state, steps=given[0].steps, noise=given[0].noise)
    agree(got, [Reference().recurrence(cell, each) for each in given])


@needs_extension
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("problem", [each for each in PROBLEMS if not each.noise], ids=lambda problem: problem.name)
@pytest.mark.parametrize("name", CELLS)
def test_small_networks_side_by_side(name: str, problem: Problem, dtype: torch.dtype) -> None:
    """Enough of them for several vectors, the last one filled in part."""
    if not problem.suits(CELLS[name]):
        pytest.skip("blocks do not divide the cells")
    given, cell = members(problem, name, 37, dtype), problem.cell(CELLS[name])
    gates, weights, state = together(given)
    found = []
    for backend in ("cpu", "reference"):
        with only(backend):
            found.append(population(cell, gates, weights, state, steps=given[0].steps))
    torch.testing.assert_close(*found, rtol=0, atol=1e-10 if dtype == torch.float64 else 1e-4)


def inputs(shared: bool, networks: int = NETWORKS) -> Inputs:
    """Networks of 4 cells over 5 steps of 2 sequences with 3 features."""
    x = torch.randn(5, 2, 3) if shared else torch.randn(2, networks, 5, 3).permute(1, 2, 0, 3)
    return Inputs(x.double(), torch.randn(networks, 16, 3).double(), torch.randn(networks, 16).double())


@needs_extension
@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("shared", [True, False])
def test_small_networks_read_inputs_side_by_side(shared: bool, lengths: bool) -> None:
    """Lengths of their own send networks one after the other, as `lengths` does here."""
    given, R = inputs(shared, 21), torch.randn(21, 16, 4).double()
    steps = Steps(torch.randint(0, 6, (21, 2)) if lengths else torch.tensor([4, 0]))
    found = []
    for backend in ("cpu", "reference"):
        with only(backend):
            found.append(population("lstm", given, Weights(R), steps=steps))
    torch.testing.assert_close(*found, rtol=0, atol=1e-10)


@needs_extension
def test_who_lies_beside_a_network_changes_no_bit() -> None:
    given, R = inputs(True, 40), torch.randn(40, 16, 4).double()
    assert given.b is not None
    whole, _ = population("lstm", given, Weights(R))
    for at in (slice(0, 20), slice(7, 31)):
        part, _ = population("lstm", Inputs(given.x, given.W[at], given.b[at]), Weights(R[at]))
        assert torch.equal(part, whole[at])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shared", [True, False])
def test_inputs_are_shared_or_each_has_its_own(shared: bool, backend: str) -> None:
    given, R = inputs(shared), torch.randn(NETWORKS, 16, 4).double()
    lengths = torch.tensor([[5, 2], [0, 5], [1, 4]])
    drop = torch.rand(NETWORKS, 1, 2, 1).double()
    with only(backend):
        got = population("lstm", given, Weights(R), steps=Steps(lengths), noise=Noise(drop_hidden=drop))
    each = [
        layer("lstm", Inputs(given.x if shared else given.x[k], given.W[k], given.b[k]), Weights(R[k]),  # type: ignore[index]
              steps=Steps(lengths[k]), noise=Noise(drop_hidden=drop[k]))
        for k in range(NETWORKS)
    ]  # fmt: skip
    agree(got, each)


@needs_extension
@pytest.mark.parametrize("networks", [NETWORKS, 50])
def test_the_number_of_threads_changes_no_bit(networks: int) -> None:
    given, R, before = inputs(True, networks), torch.randn(networks, 16, 4).double(), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(population("lstm", given, Weights(R))[0])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_gradients_are_those_of_each_network() -> None:
    given, R = inputs(shared=True), torch.randn(NETWORKS, 16, 4).double().requires_grad_()
    (all_at_once,) = torch.autograd.grad(population("lstm", given, Weights(R))[0].sum(), R)
    b = given.b
    assert b is not None
    outputs = [layer("lstm", Inputs(given.x, given.W[k], b[k]), Weights(R[k]))[0].sum() for k in range(NETWORKS)]
    (one_by_one,) = torch.autograd.grad(torch.stack(outputs).sum(), R)
    torch.testing.assert_close(all_at_once, one_by_one)


def spied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many networks each call into the extension took."""
    from carousel.ops.cpu import extension

    counts, real = list[int](), extension.module

    class Spy:
        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        def population(self, *arguments: object) -> None:
            counts.append(int(arguments[-2]))  # type: ignore[call-overload]
            real.population(*arguments)

    monkeypatch.setattr(extension, "module", Spy())
    return counts


@needs_extension
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "norm": True, "zoneout": 0.1}])
def test_vmap_over_a_module_is_one_call_a_layer(options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    lstm, x = carousel.LSTM(3, 4, dtype=torch.float64, **options).eval(), torch.randn(5, 2, 3).double()  # type: ignore[arg-type]
    weights = {name: torch.randn(NETWORKS, *value.shape).double() for name, value in lstm.named_parameters()}
    run: Callable[[dict[str, Tensor]], Tensor] = lambda own: functional_call(lstm, own, (x,))[0]  # noqa: E731
    each = [run({name: value[k] for name, value in weights.items()}) for k in range(NETWORKS)]
    counts = spied(monkeypatch)
    torch.testing.assert_close(torch.vmap(run)(weights), torch.stack(each))
    assert counts == [NETWORKS] * (4 if options else 1)


@needs_extension
def test_bfloat16() -> None:
    cell, weights = find("lstm"), example(find("lstm"), 1, 1, Sizes(3, 4)).weights
    gates = torch.randn(NETWORKS, 5, 2, 16).bfloat16()
    R = weights.R.bfloat16()  # type: ignore[union-attr]
    got, _ = population(cell, gates, Weights(R))
    assert torch.equal(got, torch.stack([recurrence(cell, one, Weights(R))[0] for one in gates]))


@pytest.mark.parametrize(
    ("x", "R", "told"),
    [
        ((5, 2, 16), (16, 4), "no operand has an axis for them"),
        ((3, 5, 2, 16), (2, 16, 4), "gates for 3, R for 2"),
        ((2, 16), (16, 4), r"gates has shape \(2, 16\); it has 3 axes, or one more in front"),
    ],
)
def test_errors_name_what_came(x: tuple[int, ...], R: tuple[int, ...], told: str) -> None:
    with pytest.raises(ShapeError, match=told):
        population("lstm", torch.zeros(x), Weights(torch.zeros(R)))
