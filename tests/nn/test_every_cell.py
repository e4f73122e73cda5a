"""Every cell of the table, with block, norm and projection too, does everything: one test of cells times demands."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, vmap

import carousel
from carousel.cells import VARIANTS

CELLS: dict[str, dict[str, object]] = {
    **{name: {"cell": name} for name in VARIANTS},
    "blocks of 1997": {"cell": "lstm1997", "block": 2},
    "blocks with peepholes": {"cell": "peephole", "block": 2},
    "blocks with full gate recurrence": {"cell": "fgr", "block": 2},
    "layer norm": {"cell": "lstm", "norm": "ba2016"},
    "layer norm kept": {"cell": "peephole", "norm": "torch_sample"},
    "projection": {"cell": "peephole", "proj_size": 1},
}
TIME, BATCH, FEATURES, HIDDEN = 3, 2, 2, 2
LENGTHS = torch.tensor([1, 3])
Options = dict[str, object]


def make(options: Options, **more: object) -> carousel.LSTM:
    return carousel.LSTM(FEATURES, HIDDEN, dtype=torch.float64, **{**options, **more})  # type: ignore[arg-type]


def batch(time: int = TIME, size: int = BATCH) -> Tensor:
    return torch.randn(time, size, FEATURES, dtype=torch.float64)


def flat(result: tuple[Tensor, tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return (result[0], *result[1])


def of_all(lstm: carousel.LSTM, **call: object) -> tuple[Callable[..., tuple[Tensor, ...]], list[Tensor]]:
    """Outputs and last state as a function of the input, the initial state and all parameters."""
    names = [name for name, _ in lstm.named_parameters()]
    x = batch()
    state = [torch.randn_like(part) for part in lstm(x)[1]]
    given = [x, *state, *(parameter.detach() for parameter in lstm.parameters())]

    def function(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        parameters = dict(zip(names, rest[len(state) :], strict=True))
        return flat(functional_call(lstm, parameters, (x, rest[: len(state)]), call))

    return function, [tensor.clone().requires_grad_() for tensor in given]


def as_function(lstm: carousel.LSTM) -> Callable[..., Tensor]:
    return lambda parameters, x: functional_call(lstm, parameters, (x,))[0]


def demand_gradcheck(options: Options) -> None:
    """First derivatives by every input, state and parameter, against differences."""
    assert torch.autograd.gradcheck(*of_all(make(options), lengths=LENGTHS))


def demand_gradgradcheck(options: Options) -> None:
    """Second derivatives, against differences."""
    assert torch.autograd.gradgradcheck(*of_all(make(options)))


def demand_double_backward(options: Options) -> None:
    """A gradient penalty trains the parameters."""
    lstm, x = make(options, bidirectional=True), batch().requires_grad_()
    (slope,) = torch.autograd.grad(lstm(x)[0].square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    penalties = [parameter.grad for parameter in lstm.parameters() if parameter.grad is not None]
    assert len(penalties) == len(list(lstm.parameters()))
    assert all(bool(penalty.isfinite().all()) for penalty in penalties)
    assert any(bool(penalty.any()) for penalty in penalties)


def demand_vmap(options: Options) -> None:
    """A batch of batches, an ensemble of weights, and a gradient for each sample."""
    lstm = make(options)
    run, parameters, x = as_function(lstm), dict(lstm.named_parameters()), torch.stack([batch(), batch()])
    torch.testing.assert_close(vmap(run, (None, 0))(parameters, x)[1], lstm(x[1])[0])
    ensemble = {name: torch.stack([value, 2 * value]) for name, value in parameters.items()}
    doubled = {name: 2 * value for name, value in parameters.items()}
    torch.testing.assert_close(vmap(run, (0, None))(ensemble, x[0])[1], run(doubled, x[0]))
    each = vmap(grad(lambda p, one: run(p, one).sum()), (None, 0))(parameters, x)
    expected = torch.autograd.grad(lstm(x[0])[0].sum(), list(parameters.values()), materialize_grads=True)
    torch.testing.assert_close([value[0] for value in each.values()], list(expected))


def demand_jvp(options: Options) -> None:
    """Forward derivatives are those of differences."""
    run, parameters = as_function(lstm := make(options)), dict(lstm.named_parameters())
    x, towards, small = batch(), batch(), 1e-6
    slope = jvp(lambda v: run(parameters, v), (x,), (towards,))[1]
    rise = (run(parameters, x + small * towards) - run(parameters, x - small * towards)) / (2 * small)
    torch.testing.assert_close(slope, rise, rtol=1e-6, atol=1e-8)


def demand_jacrev(options: Options) -> None:
    """The Jacobian backwards is the Jacobian forwards, and knows no effect before its cause."""
    run, parameters = as_function(lstm := make(options)), dict(lstm.named_parameters())
    x = batch(size=1)
    jacobian = jacrev(lambda v: run(parameters, v))(x)
    torch.testing.assert_close(jacobian, jacfwd(lambda v: run(parameters, v))(x))
    assert (jacobian[0, ..., 1:, :, :] == 0).all()
    assert jacobian[-1, ..., 0, :, :].abs().sum() > 0


def demand_lengths(options: Options) -> None:
    """Each sequence of a ragged batch comes out as if it were alone."""
    lstm, x = make(options, bidirectional=True), batch()
    outputs, state = lstm(x, lengths=LENGTHS)
    for b, length in enumerate(LENGTHS.tolist()):
        alone, end = lstm(x[:length, b : b + 1])
        torch.testing.assert_close(outputs[:length, b : b + 1], alone)
        torch.testing.assert_close([part[:, b : b + 1] for part in state], list(end))
        assert (outputs[length:, b] == 0).all()


def demand_reset(options: Options) -> None:
    """A reset parts two sequences of one stream, in both directions."""
    lstm, x = make(options, bidirectional=True), batch()
    reset = torch.zeros(TIME, BATCH, dtype=torch.bool)
    reset[1] = True
    outputs, _ = lstm(x, reset=reset)
    torch.testing.assert_close(outputs, torch.cat([lstm(x[:1])[0], lstm(x[1:])[0]]))


def demand_bidirectional(options: Options) -> None:
    """The second direction is the first over the reversed sequence, and passes gradcheck."""
    lstm, x = make(options, bidirectional=True), batch()
    single = make(options)
    with torch.no_grad():
        for name, parameter in single.named_parameters():
            parameter.copy_(lstm.get_parameter(f"{name}_reverse"))
    half = lstm(x)[0].shape[2] // 2
    torch.testing.assert_close(lstm(x)[0][..., half:], single(x.flip(0))[0].flip(0))
    assert torch.autograd.gradcheck(lambda v: flat(lstm(v, lengths=LENGTHS)), batch().requires_grad_())


def demand_two_layers(options: Options) -> None:
    """The second layer runs over the outputs of the first, and passes gradcheck."""
    lstm, x = make(options, num_layers=2), batch()
    below = make(options)
    above = carousel.LSTM(below(x)[0].shape[2], HIDDEN, dtype=torch.float64, **options)  # type: ignore[arg-type]
    for number, single in enumerate((below, above)):
        single.load_state_dict({name: lstm.state_dict()[f"{name[:-1]}{number}"] for name in single.state_dict()})
    torch.testing.assert_close(lstm(x)[0], above(below(x)[0])[0])
    assert torch.autograd.gradcheck(lambda v: flat(lstm(v)), batch().requires_grad_())


def demand_compile(options: Options) -> None:
    """torch.compile takes it whole, forward and backward, with lengths."""
    lstm, x = make(options, bidirectional=True), batch().requires_grad_()
    torch._dynamo.reset()
    compiled = torch.compile(lstm, fullgraph=True, backend="aot_eager")
    results = []
    for module in (lstm, compiled):
        outputs = flat(module(x, lengths=LENGTHS))
        wanted = [x, *lstm.parameters()]
        results.append((outputs, torch.autograd.grad([part.sum() for part in outputs], wanted, materialize_grads=True)))
    torch.testing.assert_close(results[1], results[0])


def demand_export(options: Options) -> None:
    """torch.export takes it with a batch and a time of any size."""
    lstm = make(options)
    time, size = torch.export.Dim("time", min=2, max=64), torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(lstm, (batch(),), dynamic_shapes={"input": {0: time, 1: size}})
    x = batch(7, 5)
    torch.testing.assert_close(program.module()(x)[0], lstm(x)[0])


DEMANDS = {name.removeprefix("demand_"): value for name, value in globals().items() if name.startswith("demand_")}


def test_the_table_is_whole() -> None:
    assert {options["cell"] for options in CELLS.values()} >= set(VARIANTS)
    assert len(DEMANDS) == 12


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own forward mode calls it
@pytest.mark.parametrize("demand", DEMANDS)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_meets_every_demand(cell: str, demand: str) -> None:
    DEMANDS[demand](CELLS[cell])
