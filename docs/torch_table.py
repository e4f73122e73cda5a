"""What torch.nn.LSTM does and what it cannot, each tried on it and on carousel.LSTM: the page docs/torch.md.

A probe is a function of the module class; it returns what it found, or nothing if all is as its row says. An exception
is a finding too. No probe takes a time.
"""

import copy
import pickle
import re
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, stack_module_state, vmap
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import carousel

Kind = Callable[..., Any]
Probe = Callable[[Kind], str | None]
BEHAVIOURS: dict[str, Probe] = {}
GAPS: dict[str, Probe] = {}
SUBJECTS: tuple[Kind, ...] = (nn.LSTM, carousel.LSTM)
TOLD = ("performance drop", "oneDNN")
"""Words of warnings that belong to a finding."""


def behaviour(probe: Probe) -> Probe:
    """A row of what torch.nn.LSTM does."""
    BEHAVIOURS[probe.__doc__ or ""] = probe
    return probe


def gap(probe: Probe) -> Probe:
    """A row of what torch.nn.LSTM cannot, or does badly."""
    GAPS[probe.__doc__ or ""] = probe
    return probe


def batch(time: int = 5, size: int = 3) -> Tensor:
    """An input (time, batch, features)."""
    return torch.randn(time, size, 4)


def cell_of(kind: Kind) -> Kind:
    """The one-step module beside a class."""
    return nn.LSTMCell if kind is nn.LSTM else carousel.LSTMCell


def like_torch(kind: Kind, x: Any, *state: Any, **options: Any) -> None:
    """Outputs and last state equal those of torch's module with the same weights."""
    torch.manual_seed(1)
    ours = kind(4, 6, **options)(x, *state)
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = nn.LSTM(4, 6, **options)(x, *state)
    torch.testing.assert_close(ours, theirs)


def run_of(module: nn.Module) -> Callable[..., Tensor]:
    """Outputs as a function of parameters and input."""
    return lambda parameters, x: functional_call(module, parameters, (x,))[0]


def packed(*lengths: int) -> PackedSequence:
    """A packed batch of these lengths, unsorted."""
    return pack_padded_sequence(batch(size=len(lengths)), torch.tensor(lengths), enforce_sorted=False)


BEHAVIOURS |= {
    "`(time, batch, features)` in, `output, (h_n, c_n)` out": lambda kind: like_torch(kind, batch()),
    "one sequence without a batch axis": lambda kind: like_torch(kind, batch()[:, 0]),
    "`batch_first=True`: input and output turned, states not": lambda kind: like_torch(kind, batch(), batch_first=True),
    "`num_layers`, `bidirectional`, `bias=False`": lambda kind: like_torch(
        kind, batch(), num_layers=3, bidirectional=True, bias=False
    ),
    "`proj_size`": lambda kind: like_torch(kind, batch(), proj_size=2, bidirectional=True),
    "an initial state `(h_0, c_0)`": lambda kind: like_torch(
        kind, batch(), (torch.randn(1, 3, 6), torch.randn(1, 3, 6))
    ),
    "a PackedSequence in is a PackedSequence out, sorted or not": lambda kind: like_torch(
        kind, packed(2, 5, 1), bidirectional=True
    ),
}


@behaviour
def _(kind: Kind) -> None:
    """`dropout` between layers: the same mask for the same seed"""
    theirs, ours = nn.LSTM(4, 6, 2, dropout=0.5), kind(4, 6, 2, dropout=0.5)
    ours.load_state_dict(theirs.state_dict())
    x, outputs = batch(), []
    for module in (theirs, ours):
        torch.manual_seed(2)
        outputs.append(module(x)[0])
    torch.testing.assert_close(*outputs)


@behaviour
def _(kind: Kind) -> None:
    """the same seed gives the same initial weights, to the bit"""
    weights = []
    for module in (nn.LSTM, kind):
        torch.manual_seed(3)
        weights.append(module(4, 6, 2, bidirectional=True).state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@behaviour
def _(kind: Kind) -> None:
    """checkpoints load with `strict=True`, there and back"""
    theirs, ours = (module(4, 6, 2, bidirectional=True, proj_size=2) for module in (nn.LSTM, kind))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)


@behaviour
def _(kind: Kind) -> None:
    """a batch of no sequences"""
    assert kind(4, 6)(batch(size=0))[0].shape == (5, 0, 6)


@behaviour
def _(kind: Kind) -> None:
    """`copy.deepcopy`, `pickle`"""
    module = kind(4, 6)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        torch.testing.assert_close(twin(x := batch())[0], module(x)[0])


@behaviour
def _(kind: Kind) -> None:
    """weights tied by assignment"""
    module = kind(4, 6, bidirectional=True)
    module.bias_ih_l0_reverse = module.bias_ih_l0
    module(batch())[0].sum().backward()
    assert module.bias_ih_l0.grad is module.bias_ih_l0_reverse.grad


@behaviour
def _(kind: Kind) -> None:
    """`parametrizations.weight_norm`, `orthogonal`, `spectral_norm`"""
    for wrap in (parametrizations.weight_norm, parametrizations.orthogonal, parametrizations.spectral_norm):
        module = wrap(kind(4, 6), "weight_hh_l0")
        module(batch())[0].sum().backward()
        assert all(parameter.grad is not None for parameter in module.parameters())


@behaviour
def _(kind: Kind) -> None:
    """double backward, float32, float64 and with a projection (CPU)"""
    for options in ({}, {"dtype": torch.float64}, {"proj_size": 2}):
        module = kind(4, 6, **options)
        x = batch().to(module.weight_ih_l0).requires_grad_()
        (slope,) = torch.autograd.grad(module(x)[0].square().sum(), x, create_graph=True)
        slope.square().sum().backward()
        assert module.weight_hh_l0.grad.any()


@behaviour
def _(kind: Kind) -> None:
    """backward in eval mode (CPU)"""
    kind(4, 6).eval()(batch())[0].sum().backward()


@behaviour
def _(kind: Kind) -> str:
    """under CPU autocast to bfloat16 it gives"""
    with torch.autocast("cpu", torch.bfloat16):
        return str(kind(4, 6)(batch())[0].dtype)


@behaviour
def _(kind: Kind) -> str:
    """`isinstance(module, torch.nn.LSTM)`, `torch.nn.RNNBase`"""
    module = kind(4, 6)
    return f"{isinstance(module, nn.LSTM)}, {isinstance(module, nn.RNNBase)}"


@behaviour
def _(kind: Kind) -> str | None:
    """`torch.ao.quantization.quantize_dynamic` (deprecated in torch)"""
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(kind(4, 6)), {nn.LSTM}, dtype=torch.qint8)
    return "left in float32" if isinstance(model[0], nn.RNNBase) else None


@gap
def _(kind: Kind) -> None:
    """`vmap` over inputs"""
    module = kind(4, 6)
    vmap(run_of(module), (None, 0))(dict(module.named_parameters()), torch.randn(2, 5, 3, 4))


@gap
def _(kind: Kind) -> None:
    """`vmap` over stacked weights"""
    modules = [kind(4, 6) for _ in range(2)]
    vmap(run_of(modules[0]), (0, None))(stack_module_state(modules)[0], batch())


@gap
def _(kind: Kind) -> None:
    """`jvp`, forward-mode derivatives"""
    jvp(lambda x: kind(4, 6)(x)[0], (batch(),), (batch(),))


@gap
def _(kind: Kind) -> None:
    """`jacfwd`"""
    module = kind(4, 6)
    jacfwd(lambda x: module(x)[0])(batch())


@gap
def _(kind: Kind) -> None:
    """`jacrev`"""
    module = kind(4, 6)
    jacrev(lambda x: module(x)[0])(batch())


@gap
def _(kind: Kind) -> None:
    """a gradient for each sample: `vmap(grad(...))`"""
    module = kind(4, 6)
    loss = grad(lambda parameters, x: run_of(module)(parameters, x).sum())
    vmap(loss, (None, 0))(dict(module.named_parameters()), torch.randn(2, 5, 3, 4))


@gap
def _(kind: Kind) -> None:
    """`torch.compile(fullgraph=True)`"""
    module, x = kind(4, 6), batch()
    torch.testing.assert_close(torch.compile(module, fullgraph=True, backend="eager")(x), module(x))


@gap
def _(kind: Any) -> None:
    """`torch.compile(fullgraph=True)` of a subclass of it"""

    class Mine(kind):
        """A subclass that changes nothing."""

    torch.compile(Mine(4, 6), fullgraph=True, backend="eager")(batch())


@gap
def _(kind: Kind) -> None:
    """`torch.export` with a batch of any size"""
    exported(kind, {1: torch.export.Dim("batch", min=2, max=99)}, batch(size=7))


@gap
def _(kind: Kind) -> None:
    """`torch.export` with any length"""
    exported(kind, {0: torch.export.Dim("time", min=2, max=99)}, batch(time=9))


def exported(kind: Kind, dynamic: dict[int, Any], other: Tensor) -> None:
    """Export with dynamic axes, and run the program on an input of another size."""
    module = kind(4, 6)
    program = torch.export.export(module, (batch(),), dynamic_shapes={"input": dynamic})
    torch.testing.assert_close(program.module()(other)[0], module(other)[0])


@gap
def _(kind: Kind) -> None:
    """a ragged batch given by its lengths, unsorted, one of them zero"""
    if kind is nn.LSTM:
        kind(4, 6)(packed(2, 5, 0))
        return
    assert not kind(4, 6)(batch(), lengths=[2, 5, 0])[0][:, 2].any()


@gap
def _(kind: Kind) -> None:
    """a sequence of no steps"""
    assert kind(4, 6)(batch(time=0))[0].shape == (0, 3, 6)


@gap
def _(kind: Kind) -> None:
    """a projection, on its way to the fast path"""
    kind(4, 6, proj_size=2)(batch())


@gap
def _(kind: Kind) -> str:
    """what a state of another dtype is told"""
    state = torch.zeros(1, 3, 6, dtype=torch.float64)
    try:
        kind(4, 6)(batch(), (state, state))
    except Exception as error:
        return f"“{short(error)}”"
    return "nothing"


@gap
def _(kind: Kind) -> str:
    """LSTMCell under CPU autocast to bfloat16 gives"""
    with torch.autocast("cpu", torch.bfloat16):
        return str(cell_of(kind)(4, 6)(batch()[0])[0].dtype)


def with_options(*each: dict[str, Any], hidden: Any = 6) -> Probe:
    """A probe that builds and runs a module with each of these options."""

    def probe(kind: Kind) -> None:
        for options in each:
            assert kind(4, hidden, **options)(batch())[0].isfinite().all()

    return probe


BEYOND: dict[str, Probe] = {
    "peepholes, coupled gates, the cell of 1997: any of the table, or one's own": with_options(
        {"cell": "peephole"}, {"cell": "coupled"}, {"cell": "lstm1997"}
    ),
    "layer norm inside the cell": with_options({"norm": "ba2016"}),
    "zoneout": with_options({"zoneout": 0.1}),
    "dropout on the recurrent path, with one mask a sequence": with_options({"recurrent_dropout": 0.1}),
    "weight drop": with_options({"weight_drop": 0.1}),
    "a forget bias, named; chrono initialisation": with_options({"forget_bias": 1.0}, {"init": "chrono:784"}),
    "a width for each layer": with_options({}, hidden=[6, 3]),
    "residual connections": with_options({"residual": True}),
    "an initial state that is learnt": with_options({"learn_initial_state": True}),
    "training on long sequences in less memory": with_options({"recompute": "auto"}),
    "a reset in the middle of a stream": lambda kind: kind(4, 6)(batch(), reset=torch.zeros(5, 3) > 0) and None,
    "gates and cell states of all steps": lambda kind: kind(4, 6).trace(batch()) and None,
}


def short(error: Exception) -> str:
    """The first words of an error, without what changes from run to run."""
    line = next(line.strip() for line in f"{error}\n-".splitlines() if line.strip())
    line = re.sub(r"\.? ?(We could not|This is|To work around|You can|If you).*", "", line).replace("|", "/")
    return line if len(line) <= 90 else f"{line[:89].rsplit(' ', 1)[0]} …"


def measure(probe: Probe, kind: Kind) -> str:
    """What a probe finds: its own words, `works`, or the error."""
    torch.manual_seed(0)
    torch._dynamo.reset()
    torch.set_warn_always(True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = probe(kind) or "works"
        except Exception as error:
            return f"{type(error).__name__}: {short(error)}"
        finally:
            torch.set_warn_always(False)
    told = any(words in str(warning.message) for warning in caught for words in TOLD)
    return f"{found}, with a warning that it is slow" if told else found


def table(probes: dict[str, Probe]) -> str:
    """A Markdown table: a row a probe, a column a module."""
    rows = [(row, *(measure(probe, kind) for kind in SUBJECTS)) for row, probe in probes.items()]
    head = "| | `torch.nn.LSTM` | `carousel.LSTM` |\n|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def page() -> str:
    """The page docs/torch.md, measured now."""
    return f"""# Beside torch.nn.LSTM

Each line was tried on both modules by `docs/torch_table.py` when `make docs` wrote this page, on a CPU with torch
{torch.__version__.partition("+")[0]}; a test tries them again and holds the page current. `works` means that the result
was right and, in the first table, that it was torch's own.

## What torch.nn.LSTM does

{table(BEHAVIOURS)}
Three things differ on purpose. `carousel.LSTM` is an `nn.RNNBase` and not an `nn.LSTM`, because torch.compile refuses
every subclass of the latter. torch's dynamic quantisation knows its own class alone. And a padded output, a state at a
true end and a reset are asked for by name (`lengths=`, `reset=`), where torch has packing.

## What torch.nn.LSTM cannot

{table(GAPS)}
Not tried here, for want of its packages: `torch.onnx.export`. It writes `torch.nn.LSTM` as one node a layer
but freezes the length, ONNX Runtime refuses what it writes for `proj_size`, and a cell of one's own becomes some twenty
nodes a step. This package writes no ONNX yet.

## What torch.nn.LSTM has no word for

{table(BEYOND)}
torch's own test samples for both modules, every one with its gradients and every error, run on ours in
`tests/nn/test_torch_samples.py`; torch's tests of its RNNs are restated in `tests/nn/test_torch_names.py`.
"""
