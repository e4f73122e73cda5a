"""One step without gradients on the short way: every row and option, whole stacks, and who takes the long way."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import carousel
from carousel.cells import VARIANTS, Cell, Gate
from carousel.ops import only
from tests.ops.cpu.extension import TARGETS, needs_extension, target

pytestmark = needs_extension

Options = dict[str, Any]
State = tuple[Tensor, ...]

MIXED = Cell(Gate(recurrent="cell"), Gate(recurrent=None, peephole="previous"), full_gate_recurrence=True)
ROWS: dict[str, Options] = {
    **{name: {"cell": name} for name in VARIANTS},
    "of your own": {"cell": MIXED},
    "block": {"cell": "lstm1997", "block": 3},
    "block, peepholes": {"cell": "peephole", "block": 3},
    "block, full gate recurrence": {"cell": "fgr", "block": 3},
    "norm": {"norm": "ba2016"},
    "norm kept": {"cell": "peephole", "norm": "torch_sample"},
    "norm, matrix": {"cell": "peephole_matrix", "norm": "ba2016", "block": 3},
    "norm, of your own": {"cell": MIXED, "norm": "torch_sample"},
    "zoneout": {"cell": "coupled", "zoneout": (0.25, 0.5)},
    "zoneout of the hidden state": {"zoneout": (0.25, 0.0)},
    "no bias": {"cell": "peephole", "bias": False},
    "no bias, norm": {"norm": True, "bias": False},
}
STACKS: dict[str, Options] = {
    **ROWS,
    "projection": {"proj_size": 2},
    "projection, everything": {"cell": "fgr", "proj_size": 2, "norm": "ba2016", "zoneout": 0.5, "block": 3},
    "residual": {"residual": True},
    "dropout": {"dropout": 0.5, "recurrent_dropout": 0.5, "input_dropout": 0.5, "weight_drop": 0.5},
    "initial state": {"learn_initial_state": True},
}
STEPS = 3


def reference(module: nn.Module, *arguments: object) -> Any:
    with only("reference"):
        return module(*arguments)


def stretched(module: nn.Module) -> None:
    """Weights that leave no gate where it is linear, and no gain or bias where it is 1 or 0."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, 0.1, 0.7)


def drawn(module: carousel.LSTM | carousel.LSTMCell, batch: int, dtype: torch.dtype) -> State:
    """A state with another value in each place."""
    features = module.input_size
    stacked = isinstance(module, carousel.LSTM)
    with only("reference"):
        after = module(torch.zeros(1, batch, features, dtype=dtype))[1] if stacked else module(
            torch.zeros(batch, features, dtype=dtype)
        )  # fmt: skip
    return tuple(torch.randn_like(part) for part in after)


def follow(
    step: Callable[[Tensor, State], tuple[Tensor, State]], inputs: list[Tensor], state: State
) -> list[list[Tensor]]:
    """Outputs and states of steps in sequence."""
    found = []
    for x in inputs:
        output, state = step(x, state)
        found.append([output, *state])
    return found


def held_to_the_reference(module: carousel.LSTM | carousel.LSTMCell, batch: int, dtype: torch.dtype) -> None:
    """Some steps in sequence, each of them streamed, give what float64 gives, in this dtype's precision."""
    stretched(module)
    exact = copy.deepcopy(module).double()
    state = drawn(exact, batch, torch.float64)
    stacked = isinstance(module, carousel.LSTM)
    shape = (1, batch, module.input_size) if stacked else (batch, module.input_size)
    inputs = [torch.randn(shape, dtype=torch.float64) for _ in range(STEPS)]

    def streamed(x: Tensor, state: State) -> tuple[Tensor, State]:
        after = module._stream(x, state, module._parameters)  # type: ignore[misc]
        assert after is not None
        torch.testing.assert_close(module(x, state), after, rtol=0, atol=0)
        return after if stacked else (after[0], after)

    def expected(x: Tensor, state: State) -> tuple[Tensor, State]:
        after = reference(exact, x, state)
        return after if stacked else (after[0], after)

    found = follow(streamed, [x.to(dtype) for x in inputs], tuple(part.to(dtype) for part in state))
    wanted = [[part.to(dtype) for part in step] for step in follow(expected, inputs, state)]
    near = 2e-5 if dtype is torch.float32 else 1e-12
    torch.testing.assert_close(found, wanted, rtol=near, atol=near)


@pytest.fixture(autouse=True)
def without_gradients() -> Any:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(("inputs", "hidden", "batch"), [(1, 3, 1), (3, 18, 2), (33, 66, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_cell_agrees_with_the_reference(name: str, inputs: int, hidden: int, batch: int, dtype: torch.dtype) -> None:
    cell = carousel.LSTMCell(inputs, hidden, dtype=dtype, **ROWS[name]).eval()
    held_to_the_reference(cell, batch, dtype)


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(("inputs", "hidden", "batch"), [(1, 3, 1), (18, 18, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_stack_agrees_with_the_reference(
    name: str, layers: int, inputs: int, hidden: int, batch: int, dtype: torch.dtype
) -> None:
    options: Options = STACKS[name] if layers > 1 else {**STACKS[name], "dropout": 0.0}
    lstm = carousel.LSTM(inputs, hidden, layers, dtype=dtype, **options).eval()
    held_to_the_reference(lstm, batch, dtype)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("options", [{}, {"cell": "fgr", "norm": True, "block": 3, "proj_size": 7}])
def test_every_instruction_set_agrees(name: str, options: Options) -> None:
    with target(name):
        held_to_the_reference(carousel.LSTM(17, 33, 2, **options).eval(), 16, torch.float32)


def test_a_cell_takes_one_sequence_without_a_batch_axis() -> None:
    cell = carousel.LSTMCell(3, 4, cell="fgr")
    x, state = torch.randn(3), (torch.randn(4), torch.randn(4), torch.randn(12))
    assert cell._stream(x, state, cell._parameters) is not None
    torch.testing.assert_close(cell(x, state), reference(cell, x, state))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_batch_may_come_first(layers: int, batch: int) -> None:
    lstm = carousel.LSTM(5, 7, layers, cell="peephole", batch_first=True)
    x, state = torch.randn(batch, 1, 5), (torch.randn(layers, batch, 7), torch.randn(layers, batch, 7))
    after = lstm._stream(x, state, lstm._parameters, True)  # type: ignore[misc]
    assert after is not None
    torch.testing.assert_close(after, reference(lstm, x, state))
    assert lstm(x, state)[0].data_ptr() != after[1][0].data_ptr()


def test_a_stack_equals_the_loop_over_time() -> None:
    lstm = carousel.LSTM(5, 7, 3, cell="peephole", norm=True, residual=True, dropout=0.2).eval()
    x, state = torch.randn(6, 2, 5), drawn(lstm, 2, torch.float32)
    whole, last = lstm(x, state)
    for t in range(6):
        output, state = lstm(x[t : t + 1], state)
        torch.testing.assert_close(output, whole[t : t + 1])
    torch.testing.assert_close(state, last)


def test_what_a_step_was_given_stays() -> None:
    lstm = carousel.LSTM(7, 7, 2, residual=True)
    x, state = torch.randn(1, 2, 7), drawn(lstm, 2, torch.float32)
    before = copy.deepcopy((x, state))
    lstm(x, state)
    torch.testing.assert_close((x, state), before, rtol=0, atol=0)


@pytest.mark.parametrize("make", [lambda: carousel.LSTMCell(3, 4, norm=True), lambda: carousel.LSTM(3, 4, norm=True)])
def test_weights_may_change_between_steps_by_any_road(make: Callable[[], Any]) -> None:
    module = make()
    suffix = "_l0" if isinstance(module, carousel.LSTM) else ""
    state = drawn(module, 2, torch.float32)
    x = torch.randn(2, 3) if not suffix else torch.randn(1, 2, 3)

    def agrees() -> None:
        torch.testing.assert_close(module(x, state), reference(module, x, state))

    agrees()
    getattr(module, f"weight_hh{suffix}").data.numpy()[:] *= 2
    agrees()
    setattr(module, f"weight_ih{suffix}", nn.Parameter(torch.randn(16, 3)))
    agrees()
    getattr(module, f"ln_ch_weight{suffix}").data = torch.randn(4)
    agrees()
    module.load_state_dict({name: torch.randn_like(value) for name, value in module.state_dict().items()})
    agrees()
    nn.utils.parametrizations.weight_norm(module, f"weight_hh{suffix}")
    agrees()


def negated(tensor: Tensor) -> Tensor:
    """The numbers of a tensor, to be read negated."""
    return torch._C._VariableFunctions._neg_view(tensor)  # type: ignore[attr-defined]


def without_memory(*shape: int) -> Tensor:
    """Zeros that nobody wrote down."""
    return torch._C._VariableFunctions._efficientzerotensor(*shape)  # type: ignore[attr-defined]


class Wrapped(Tensor):
    """A tensor that wants to see what is done with it."""


X, H = torch.randn(2, 3), torch.randn(2, 4)
LONG_WAYS: dict[str, tuple[object, object]] = {
    "no tensor": (None, (H, H)),
    "no state": (X, None),
    "half a state": (X, (H,)),
    "a state of something else": (X, (H, "h")),
    "inputs of another width": (torch.randn(2, 5), (H, H)),
    "a state of another width": (X, (H, torch.randn(2, 5))),
    "a state of another batch": (X, (H, torch.randn(3, 4))),
    "no batch axis in one of them": (X[0], (H, H)),
    "another dtype in the state": (X, (H, H.double())),
    "a dtype that is not computed in": (X.bfloat16(), (H.bfloat16(), H.bfloat16())),
    "integers": (X.int(), (H, H)),
    "another dtype than the weights'": (X.double(), (H.double(), H.double())),
    "another device": (X.to("meta"), (H, H)),
    "numbers that lie apart": (X, (torch.randn(4, 2).T, H)),
    "numbers read negated": (negated(X), (H, H)),
    "a state read negated": (X, (H, negated(H))),
    "a tensor of another class": (X.as_subclass(Wrapped), (H, H)),
    "numbers without memory": (without_memory(2, 3), (H, H)),
    "no sequences": (X[:0], (H[:0], H[:0])),
    "very many sequences": (torch.randn(99999, 3), (torch.randn(99999, 4),) * 2),
}


@pytest.mark.parametrize("name", LONG_WAYS)
def test_what_is_not_plainly_right_is_refused(name: str) -> None:
    cell = carousel.LSTMCell(3, 4)
    x, state = LONG_WAYS[name]
    assert cell._stream(X, (H, H), cell._parameters) is not None
    assert cell._stream(X, [H, H], cell._parameters) is not None
    assert cell._stream(x, state, cell._parameters) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [None, torch.randn(16, 5), torch.randn(4, 16).T, torch.randn(16, 4).double(), negated(torch.randn(16, 4))],
)
def test_a_weight_that_is_not_plainly_right_is_refused(value: Tensor | None) -> None:
    cell = carousel.LSTMCell(3, 4)
    assert cell._stream(X, (H, H), {**cell._parameters, "weight_hh": value}) is None
    assert cell._stream(X, (H, H), {}) is None


def test_a_stack_takes_one_step_of_all_its_layers() -> None:
    lstm = carousel.LSTM(3, 4, 2)
    x, h = torch.randn(1, 2, 3), torch.randn(2, 2, 4)
    assert lstm._stream is not None
    assert lstm._stream(x, (h, h), lstm._parameters) is not None
    assert lstm._stream(torch.randn(2, 3, 3), (h, h), lstm._parameters) is None
    assert lstm._stream(x, (h, h), lstm._parameters, True) is None
    assert lstm._stream(x[0], (h, h), lstm._parameters) is None
    assert lstm._stream(x, (h[:1], h[:1]), lstm._parameters) is None
    assert carousel.LSTM(3, 4, bidirectional=True)._stream is None
    assert carousel.LSTM(3, [4, 5])._stream is None


def test_who_wants_to_see_operations_gets_the_long_way() -> None:
    cell = carousel.LSTMCell(3, 4)

    def streams() -> bool:
        return cell._stream(X, (H, H), cell._parameters) is not None

    assert streams()
    with torch.enable_grad():
        assert not streams()
    with torch.autocast("cpu"):
        assert not streams()
    with only("reference"):
        assert not streams()
    with torch.autograd.forward_ad.dual_level():
        assert not streams()


@pytest.mark.parametrize("make", [lambda **o: carousel.LSTMCell(3, 4, **o), lambda **o: carousel.LSTM(3, 4, 2, **o)])
def test_zoneout_is_drawn_while_training(make: Callable[..., Any]) -> None:
    module = make(zoneout=0.5)
    state = drawn(module, 2, torch.float32)
    x = torch.randn(2, 3) if isinstance(module, carousel.LSTMCell) else torch.randn(1, 2, 3)
    first, second = module(x, state), module(x, state)
    assert not torch.equal(first[0], second[0])
    module.eval()
    torch.testing.assert_close(module(x, state), module(x, state), rtol=0, atol=0)


def test_dropout_between_layers_is_drawn_while_training() -> None:
    lstm = carousel.LSTM(3, 64, 2, dropout=0.5)
    x, state = torch.randn(1, 2, 3), (torch.zeros(2, 2, 64),) * 2
    assert not torch.equal(lstm(x, state)[0], lstm(x, state)[0])


@pytest.mark.parametrize("again", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_streaming_module_can_be_copied(again: Callable[[nn.Module], nn.Module]) -> None:
    for module, x in ((carousel.LSTMCell(3, 4), X), (carousel.LSTM(3, 4, 2, zoneout=0.1).eval(), X.unsqueeze(0))):
        state = drawn(module, 2, torch.float32)
        twin = again(module)
        assert twin._stream(x, state, twin._parameters) is not None  # type: ignore[operator]
        torch.testing.assert_close(twin(x, state), module(x, state), rtol=0, atol=0)


def test_without_the_table_of_torch_steps_take_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carousel.ops.cpu.stream._table", lambda: None)
    cell = carousel.LSTMCell(3, 4)
    assert cell._stream(X, (H, H), cell._parameters) is None
    torch.testing.assert_close(cell(X, (H, H)), reference(cell, X, (H, H)))
