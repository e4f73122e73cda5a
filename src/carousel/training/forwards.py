"""Gradients carried forwards in time instead of back: real-time recurrent learning, and the rule of 1997."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from carousel.cells import find, layout
from carousel.data import Batch
from carousel.nn import LSTM
from carousel.ops.influence import OnlineStep, influence
from carousel.ops.online import OnlineNet
from carousel.training.bptt import BPTT
from carousel.training.method import Model

MOST = 2**28
"""Numbers that real-time recurrent learning may carry from step to step: a gibibyte of float32."""


class _Forwards:
    """What both methods add to backpropagation: the recurrent layer's gradient is found on the way forwards."""

    _rule: ClassVar[str]

    def prepare(self, model: Model, batches: int, epochs: int) -> None:
        _net(_recurrent(model))
        if self.precision != "float32":  # type: ignore[attr-defined]
            raise ValueError(f"precision is {self.precision!r}; this method computes in float32")  # type: ignore[attr-defined]
        super().prepare(model, batches, epochs)  # type: ignore[misc]

    def update(self, model: Model, batch: Batch) -> float:
        with _carried_forwards(_recurrent(model), self._rule):
            return super().update(model, batch)  # type: ignore[misc]


@dataclass(kw_only=True)
class RTRL(_Forwards, BPTT, name="rtrl"):
    """Real-time recurrent learning: the same gradient as backpropagation's, found on the way forwards.

    Memory does not grow with time, but with the fourth power of the cells: for small nets. The model has one recurrent
    layer, fed by data; what follows it learns by backpropagation. Options are those of "bptt".

    Raises ValueError for other models. Source: Williams & Zipser 1989.
    """

    _rule = "rtrl"


@dataclass(kw_only=True)
class Rule1997(_Forwards, BPTT, name="rule1997"):
    """The rule of the original LSTM: no error leaves a cell through a gate or the cell's input.

    A weight and step cost the same however long the sequence is, and memory does not grow with time. The model has one
    recurrent layer, fed by data; what follows it learns by backpropagation. Options are those of "bptt".

    Raises ValueError for other models. Source: Hochreiter & Schmidhuber 1997, with peepholes Gers et al. 2002.
    """

    _rule = "rule1997"


def _recurrent(model: Model) -> LSTM | nn.LSTM:
    """The one recurrent layer of a model."""
    modules = model.modules() if isinstance(model, nn.Module) else ()
    found = [module for module in modules if isinstance(module, nn.RNNBase)]
    if len(found) != 1 or not isinstance(found[0], LSTM | nn.LSTM):
        raise ValueError(
            f"{type(model).__name__} has {len(found)} recurrent modules; this method takes one LSTM of one layer"
        )
    layer = found[0]
    problem = next((words for words, wrong in _problems(layer).items() if wrong), None)
    if problem:
        raise ValueError(f"this method takes one recurrent layer, read forwards in time; here {problem}")
    return layer


def _problems(layer: LSTM | nn.LSTM) -> dict[str, Any]:
    """What a layer must not have, in words, and whether it has it."""
    regularization = getattr(layer, "regularization", None)
    return {
        f"num_layers is {layer.num_layers}: take num_layers=1": layer.num_layers > 1,
        "the layer is bidirectional: take bidirectional=False": layer.bidirectional,
        "the layer has a projection: take proj_size=0": layer.proj_size,
        "the layer drops or keeps values at random: take none of these options": regularization
        and regularization.active,
        "the layer's input is added to its output: take residual=False": getattr(layer, "residual", False),
        "the initial state is learned: take learn_initial_state=False": hasattr(layer, "initial_h_l0"),
    }


def _net(layer: LSTM | nn.LSTM) -> OnlineNet:
    """The layer as it is learned online, without a readout."""
    return OnlineNet(getattr(layer, "cell", find("lstm")), layer.input_size, int(layer.hidden_size), 0)


@contextmanager
def _carried_forwards(layer: LSTM | nn.LSTM, rule: str) -> Iterator[None]:
    """Inside, the layer's gradient comes from that rule."""

    def forward(
        input: Tensor, hx: Any = None, *, lengths: Tensor | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, None]:
        for name, given in (("an initial state", hx), ("resets", reset)):
            if given is not None:
                raise ValueError(
                    f"the model gives its recurrent layer {name}; this method takes whole sequences from zeros"
                )
        if not isinstance(input, Tensor) or input.dim() != 3 or input.requires_grad:
            raise ValueError("this method takes padded batches of data: nothing before the recurrent layer can learn")
        x = input.transpose(0, 1) if layer.batch_first else input
        outputs = _Layer.apply(_net(layer), rule, x, lengths, *_weights(layer))
        return outputs.transpose(0, 1) if layer.batch_first else outputs, None

    layer.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        del layer.forward


def _weights(layer: LSTM | nn.LSTM) -> tuple[Tensor, Tensor]:
    """W (rows, sources) and p (peepholes, hidden) of a layer, through which gradients reach its parameters."""
    net = _net(layer)
    W, R, G = (getattr(layer, f"weight_{name}_l0", None) for name in ("ih", "hh", "gh"))
    assert W is not None
    b, b_recurrent = (getattr(layer, f"bias_{name}_l0", None) for name in ("ih", "hh"))
    spans, sent = layout.recurrent_rows(net.cell, net.hidden), net.sent
    rows = []
    for gate, at in net.rows.items():
        own = {"inputs": W[at], "bias": W.new_zeros(len(W[at]), 1) if b is None else b[at].unsqueeze(1)}
        zeros = W.new_zeros(len(W[at]), net.states)
        hidden, cell, gates = (zeros[:, : net.hidden], zeros[:, : net.hidden], zeros[:, 2 * net.hidden :])
        if gate in spans and R is not None:
            hidden, cell = (
                R[spans[gate]] if net.cell.gate(gate).recurrent == kind else zeros[:, : net.hidden]
                for kind in ("hidden", "cell")
            )
            own["bias"] = own["bias"] if b_recurrent is None else own["bias"] + b_recurrent[spans[gate]].unsqueeze(1)
        if gate in sent and G is not None:
            gates = G[sent[gate]]
        recurring = torch.cat([hidden, cell, gates], dim=1)[:, net.recurring]
        rows.append(torch.cat([own["inputs"], recurring, own["bias"]], dim=1))
    p = getattr(layer, "weight_ch_l0", None)
    return torch.cat(rows), W.new_zeros(0, net.hidden) if p is None else p


class _Layer(torch.autograd.Function):
    """A recurrent layer whose gradient is carried forwards: x (time, batch, inputs) to h (time, batch, hidden)."""

    @staticmethod
    def forward(ctx: Any, net: OnlineNet, rule: str, x: Tensor, lengths: Tensor | None, W: Tensor, p: Tensor) -> Tensor:
        ctx.net, ctx.rule, ctx.inside = net, rule, _inside(x, lengths)
        ctx.save_for_backward(x, W, p)
        outputs, state, step = [], x.new_zeros(x.shape[1], net.states), _step(net, W, p, x.shape[1])
        for values in x:
            moment = step(values, state)
            outputs.append(moment.hidden)
            state = moment.state()
        return torch.stack(outputs).masked_fill(~ctx.inside, 0) if outputs else x.new_zeros(*x.shape[:2], net.hidden)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        (x, W, p), net = ctx.saved_tensors, ctx.net
        batch = x.shape[1]
        if ctx.rule == "rtrl":
            _check_size(net, batch)
        step = _step(net, W, p, batch)
        memory, state = influence(ctx.rule, step, batch), x.new_zeros(batch, net.states)
        wrong, by_W, by_p = grad[0].masked_fill(~ctx.inside, 0), torch.zeros_like(W), torch.zeros_like(p)
        for values, error in zip(x, wrong, strict=True):
            moment = step(values, state)
            memory.advance(moment)
            by = memory.gradient(moment, error)
            by_W += by[0].sum(0)
            by_p += by[1].sum(0)
            state = moment.state()
        return None, None, None, None, by_W, by_p


def _step(net: OnlineNet, W: Tensor, p: Tensor, batch: int) -> OnlineStep:
    return OnlineStep(net, W.expand(batch, -1, -1), p.expand(batch, -1, -1))


def _inside(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Which steps belong to a sequence: (time, batch, 1)."""
    steps = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    ends = torch.full((x.shape[1],), x.shape[0], device=x.device) if lengths is None else lengths.to(x.device)
    return (steps < ends).unsqueeze(2)


def _check_size(net: OnlineNet, batch: int) -> None:
    """Raise ValueError if there would be too much to carry."""
    numbers = batch * net.states * net.weights
    if numbers > MOST:
        raise ValueError(
            f"real-time recurrent learning would carry {numbers:,} numbers from step to step, of which {MOST:,} are "
            "allowed; take fewer cells, a smaller batch_size, or method='rule1997'"
        )
