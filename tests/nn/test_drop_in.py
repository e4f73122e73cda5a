"""`carousel.LSTM` in place of `torch.nn.LSTM`: names, weights, checkpoints, inputs, copies, parametrizations."""

import copy
import inspect
import io
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

import carousel

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own
Options = dict[str, Any]
Both = tuple[nn.LSTM, carousel.LSTM]
GRID = [
    dict(zip(("num_layers", "bias", "bidirectional", "proj_size"), values, strict=True))
    for values in product((1, 3), (True, False), (True, False), (0, 2))
]


def pair(**options: Any) -> Both:
    modules = []
    for kind in (nn.LSTM, carousel.LSTM):
        torch.manual_seed(5)
        modules.append(kind(3, 5, **options))
    return modules[0], modules[1]


def sequences(*lengths: int) -> Tensor:
    return torch.randn(max(lengths), len(lengths), 3)


def same(ours: object, theirs: object) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_arguments_come_in_torch_s_order() -> None:
    ours = list(inspect.signature(carousel.LSTM.__init__).parameters.values())
    assert [p.name for p in ours[1:11]] == [
        "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size",
        "device", "dtype",
    ]  # fmt: skip
    assert all(p.kind is p.KEYWORD_ONLY for p in ours[11:])
    theirs = list(inspect.signature(nn.LSTMCell.__init__).parameters.values())
    cell = list(inspect.signature(carousel.LSTMCell.__init__).parameters.values())
    assert [(p.name, p.default) for p in cell[: len(theirs)]] == [(p.name, p.default) for p in theirs]


@pytest.mark.parametrize("options", GRID, ids=str)
def test_one_seed_gives_the_same_weights(options: Options) -> None:
    theirs, ours = pair(**options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))
    torch.manual_seed(6)
    theirs.reset_parameters()
    torch.manual_seed(6)
    ours.reset_parameters()
    assert torch.equal(ours.all_weights[0][0], theirs.all_weights[0][0])


def test_every_attribute_of_torch_s_is_there() -> None:
    theirs, ours = pair(num_layers=2, bidirectional=True, dropout=0.25)
    public = {name for name in dir(theirs) if not name.startswith("_")} - {"get_expected_cell_size"}
    assert not public - set(dir(ours))
    for name in ("mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert [[w.shape for w in layer] for layer in ours.all_weights] == [
        [w.shape for w in lay] for lay in theirs.all_weights
    ]
    assert isinstance(ours, nn.RNNBase)
    assert repr(ours).removeprefix("LSTM") == repr(theirs).removeprefix("LSTM")


@pytest.mark.parametrize("options", GRID, ids=str)
def test_checkpoints_load_both_ways(options: Options) -> None:
    theirs, ours = nn.LSTM(3, 5, **options), carousel.LSTM(3, 5, **options)
    x = sequences(4, 4)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    same(ours(x), theirs(x))
    theirs.load_state_dict(carousel.LSTM(3, 5, **options).state_dict(), strict=True)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    same(ours(x), theirs(x))


@pytest.mark.parametrize("options", GRID, ids=str)
@pytest.mark.parametrize("batch_first", [True, False])
def test_batched_and_unbatched(options: Options, batch_first: bool) -> None:
    theirs, ours = pair(**options, batch_first=batch_first)
    x = sequences(4, 4)
    out, state = theirs(x)
    for _ in range(2):
        same(ours(x), (out, state))
        same(ours(x, state), theirs(x, state))
        x = torch.randn(6, 3)
        out, state = theirs(x)


def packed() -> Iterator[PackedSequence]:
    yield pack_padded_sequence(sequences(5, 3, 1), torch.tensor([5, 3, 1]))
    yield pack_padded_sequence(sequences(3, 5, 1), torch.tensor([3, 5, 1]), enforce_sorted=False)
    yield pack_padded_sequence(sequences(2, 2), torch.tensor([2, 2]))
    yield pack_sequence([torch.randn(n, 3) for n in (1, 4, 2)], enforce_sorted=False)


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("at", range(4))
def test_packed_sequences(at: int, batch_first: bool, bidirectional: bool) -> None:
    theirs, ours = pair(num_layers=2, bidirectional=bidirectional, batch_first=batch_first)
    given = list(packed())[at]
    batch = int(given.batch_sizes[0])
    start = tuple(torch.randn(4 if bidirectional else 2, batch, 5) for _ in range(2))
    for state in (None, start):
        expected, end = theirs(given, state)
        output, last = ours(given, state)
        assert isinstance(output, PackedSequence)
        same((output.data, output.batch_sizes), (expected.data, expected.batch_sizes))
        same(pad_packed_sequence(output), pad_packed_sequence(expected))
        same(last, end)


def test_a_packed_sequence_says_its_own_lengths() -> None:
    given = next(packed())
    ours = carousel.LSTM(3, 5)
    for more in ({"lengths": [5, 3, 1]}, {"reset": torch.zeros(5, 3, dtype=torch.bool)}):
        with pytest.raises(ValueError, match="a PackedSequence has its own lengths and takes no reset"):
            ours(given, **more)


@pytest.mark.parametrize("p", [0.3, 1.0])
def test_dropout_of_one_seed_is_torch_s(p: float) -> None:
    theirs, ours = pair(num_layers=3, dropout=p)
    x = sequences(6, 6)
    results = []
    for module in (theirs, ours):
        torch.manual_seed(11)
        results.append(module(x)[0])
    same(*results)
    same(ours.eval()(x), theirs.eval()(x))


def test_it_drops_between_layers_only() -> None:
    ours = carousel.LSTM(3, 5, 2, dropout=1.0)
    x = sequences(4, 4)
    top = carousel.LSTM(5, 5)
    top.load_state_dict({f"{name[:-1]}0": value for name, value in ours.state_dict().items() if name.endswith("1")})
    same(ours(x)[0], top(torch.zeros(4, 2, 5))[0])


def test_copies() -> None:
    ours = carousel.LSTM(3, 5, 2, bidirectional=True, cell="fgr", norm=True, init="chrono:20")
    x = sequences(4, 4)
    buffer = io.BytesIO()
    torch.save(ours, buffer)
    buffer.seek(0)
    for twin in (copy.deepcopy(ours), copy.copy(ours), torch.load(buffer, weights_only=False)):
        same(twin(x), ours(x))
        assert twin.get_parameter("weight_ih_l0") is twin._flat_weights[0]
    twin = copy.deepcopy(ours)
    with torch.no_grad():
        twin.get_parameter("weight_ih_l0").zero_()
    assert ours.get_parameter("weight_ih_l0").any()


def test_moves() -> None:
    ours, x = carousel.LSTM(3, 5, 2, cell="peephole"), sequences(4, 4)
    out = ours(x)[0]
    same(ours.double()(x.double())[0].float(), out)
    assert ours.half()(x.half())[0].dtype == torch.float16
    assert ours.bfloat16()(x.bfloat16())[0].dtype == torch.bfloat16
    ours.float()
    assert {p.dtype for p in ours.parameters()} == {torch.float32}
    assert ours.to("meta")(x.to("meta"))[0].shape == (4, 2, 5)
    assert carousel.LSTM(3, 5, device="meta").weight_hh_l0.is_meta
    assert carousel.LSTM(3, 5, dtype=torch.float64).weight_hh_l0.dtype == torch.float64


def test_meta_then_empty_then_drawn() -> None:
    ours = carousel.LSTM(3, 5, device="meta").to_empty(device="cpu")
    torch.manual_seed(5)
    ours.reset_parameters()
    same(ours(x := sequences(4, 4)), pair()[1](x))


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "weight_hh_l0_reverse"])
@pytest.mark.parametrize("wrap", ["weight_norm", "orthogonal", "spectral_norm"])
def test_parametrizations(wrap: str, name: str) -> None:
    theirs, ours = pair(bidirectional=True)
    x = sequences(4, 4)
    for module in (theirs, ours):
        torch.manual_seed(3)
        getattr(parametrizations, wrap)(module, name)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    theirs.eval()
    ours.eval()
    same(ours(x), theirs(x))
    twin = copy.deepcopy(ours)
    same(twin(x), ours(x))
    ours(x)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in ours.parameters())
    torch.optim.SGD(ours.parameters(), 0.1).step()
    assert not torch.equal(ours(x)[0], twin(x)[0])


def test_pruning() -> None:
    ours = carousel.LSTM(3, 5)
    before = ours(x := sequences(4, 4))[0]
    prune.l1_unstructured(ours, "weight_hh_l0", amount=0.5)
    assert int((ours.all_weights[0][1] == 0).sum()) == 50
    assert not torch.equal(ours(x)[0], before)
    ours(x)[0].sum().backward()
    prune.remove(ours, "weight_hh_l0")
    assert "weight_hh_l0" in dict(ours.named_parameters())


def test_hooks_see_what_torch_s_see() -> None:
    seen: list[int] = []
    ours = carousel.LSTM(3, 5)
    ours.register_forward_hook(lambda *_: seen.append(1))
    ours.register_forward_pre_hook(lambda *_: seen.append(0))
    ours(sequences(4, 4))
    assert seen == [0, 1]


def test_data_parallel_replicas_run() -> None:
    """What DataParallel does on each device: a shallow copy with plain tensors in place of parameters."""
    ours = carousel.LSTM(3, 5, 2, cell="peephole")
    replica = ours._replicate_for_data_parallel()
    for name, parameter in ours.named_parameters():
        setattr(replica, name, parameter * 1)
    same(replica(x := sequences(4, 4)), ours(x))


def test_ensembles_stack() -> None:
    models = [carousel.LSTM(3, 5) for _ in range(3)]
    parameters, _ = torch.func.stack_module_state(models)
    x = sequences(4, 4)
    outs = torch.vmap(lambda p: torch.func.functional_call(models[0], p, (x,))[0])(parameters)
    same(outs, torch.stack([model(x)[0] for model in models]))


@pytest.mark.parametrize("options", [{}, {"norm": True}, {"proj_size": 2}, {"cell": "fgr"}], ids=str)
def test_autocast(options: Options) -> None:
    """bfloat16 comes out of both modules, with float32 states going in and sums kept in float32 inside."""
    ours, x = carousel.LSTM(3, 5, bidirectional=True, **options), sequences(4, 4)
    exact = ours(x)
    with torch.autocast("cpu", torch.bfloat16):
        out, last = ours(x, exact[1])
        assert {out.dtype, *(part.dtype for part in last)} == {torch.bfloat16}
    torch.testing.assert_close(out.float(), ours(x, exact[1])[0], rtol=0, atol=3e-2)
    out.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in ours.parameters())


def test_backward_in_eval_mode() -> None:
    theirs, ours = pair(num_layers=2, dropout=0.5)
    gradients = []
    for module in (theirs.eval(), ours.eval()):
        x = torch.ones(4, 2, 3, requires_grad=True)
        module(x)[0].square().sum().backward()
        gradients.append(x.grad)
    same(*gradients)


def test_inference_mode_and_no_grad() -> None:
    ours, x = carousel.LSTM(3, 5), sequences(4, 4)
    with torch.inference_mode():
        out = ours(x)[0]
    same(out.clone(), ours(x)[0])


def test_non_contiguous_inputs() -> None:
    theirs, ours = pair(num_layers=2)
    x, h = torch.randn(3, 2, 4).permute(2, 1, 0), torch.randn(5, 2, 2).permute(2, 1, 0)
    assert not x.is_contiguous()
    same(ours(x, (h, h)), theirs(x, (h, h)))


def test_flatten_parameters_is_harmless() -> None:
    ours = carousel.LSTM(3, 5)
    assert ours.flatten_parameters() is None
