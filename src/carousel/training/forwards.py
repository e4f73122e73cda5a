"""Gradients carried forwards in time instead of back: real-time recurrent learning, and the rule of 1997."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor, nn

from carousel.cells import find, layout
from carousel.data import Batch
from carousel.nn import LSTM
from carousel.ops.influence import Exact, OnlineMoment, OnlineStep, Truncated, influence
from carousel.ops.online import OnlineNet
from carousel.training.bptt import BPTT
from carousel.training.method import Model

MOST = 2**28
"""Numbers that real-time recurrent learning may carry from step to step: a gibibyte of float32."""


@dataclass
class _Stream:
    """What goes on from batch to batch: the state (lanes, states), and by name what the rule carries, lanes first."""

    state: Tensor | None = None
    memory: dict[str, Tensor] = field(default_factory=dict)


class _Forwards:
    """What both methods add to backpropagation: the recurrent layer's gradient is found on the way forwards."""

    carries: ClassVar[bool] = True
    _rule: ClassVar[str]
    _stream: _Stream

    def prepare(self, model: Model, batches: int, epochs: int) -> None:
        _net(_recurrent(model))
        if self.precision != "float32":  # type: ignore[attr-defined]
            raise ValueError(f"precision is {self.precision!r}; this method computes in float32")  # type: ignore[attr-defined]
        self._stream = _Stream()
        super().prepare(model, batches, epochs)  # type: ignore[misc]

    def update(self, model: Model, batch: Batch) -> float:
        layer, stream = _recurrent(model), None
        if batch.reset is not None:
            stream = replace(self._stream)
        with _carried_forwards(layer, self._rule, stream) as passed:
            value = super().update(model, batch)  # type: ignore[misc]
            if stream is not None:
                self._stream = passed.after()
        return value

    def end_epoch(self, model: Model) -> None:
        super().end_epoch(model)  # type: ignore[misc]
        self._stream = _Stream()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, values = super().state()  # type: ignore[misc]
        carried = {} if self._stream.state is None else {"carried.state": self._stream.state}
        memory = {f"carried.memory.{name}": tensor for name, tensor in self._stream.memory.items()}
        return {**tensors, **carried, **memory}, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        own = {name: tensor for name, tensor in tensors.items() if name.startswith("carried.")}
        super().restore({name: tensor for name, tensor in tensors.items() if name not in own}, values)  # type: ignore[misc]
        device = self._parameters[0].device  # type: ignore[attr-defined]
        prefix = "carried.memory."
        memory = {name.removeprefix(prefix): t.to(device) for name, t in own.items() if name.startswith(prefix)}
        self._stream = _Stream(own["carried.state"].to(device) if own else None, memory)


@dataclass(kw_only=True)
class RTRL(_Forwards, BPTT, name="rtrl"):
    """Real-time recurrent learning: the same gradient as backpropagation's, found on the way forwards.

    Memory does not grow with time, but with the fourth power of the cells: for small nets. The model has one recurrent
    layer, fed by data and called once; what follows its outputs learns by backpropagation, and its last state is not
    given. Options are those of "bptt".

    In a stream (`Batch.reset`) the state and what weights have done to it go on from batch to batch, so that steps may
    come one at a time; weights that learn meanwhile make that a little old.

    Raises ValueError for other models. Source: Williams & Zipser 1989.
    """

    _rule = "rtrl"


@dataclass(kw_only=True)
class Rule1997(_Forwards, BPTT, name="rule1997"):
    """The rule of the original LSTM: no error leaves a cell through a gate or the cell's input.

    A weight and step cost the same however long the sequence is, and memory does not grow with time. The model has one
    recurrent layer, fed by data and called once; what follows its outputs learns by backpropagation, and its last state
    is not given. Options are those of "bptt".
    In a stream it goes on from batch to batch, as "rtrl" does.

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
def _carried_forwards(layer: LSTM | nn.LSTM, rule: str, stream: _Stream | None) -> Iterator["_Passage"]:
    """Inside, the layer's gradient comes from that rule; what it yields tells how a stream goes on."""
    passage = _Passage(_net(layer), rule, stream)

    def forward(
        input: Tensor, hx: Any = None, *, lengths: Tensor | None = None, reset: Tensor | None = None
    ) -> tuple[Tensor, _Withheld]:
        if hx is not None:
            raise ValueError("the model gives its recurrent layer an initial state; this method begins with zeros")
        if reset is not None and stream is None:
            raise ValueError("the model gives its recurrent layer resets that its batch does not have")
        if not isinstance(input, Tensor) or input.dim() != 3 or input.requires_grad:
            raise ValueError("this method takes padded batches of data: nothing before the recurrent layer can learn")
        x = input.transpose(0, 1) if layer.batch_first else input
        passage.begin(x, lengths, reset)
        outputs = _Layer.apply(passage, *_weights(layer))
        return outputs.transpose(0, 1) if layer.batch_first else outputs, _Withheld()

    layer.forward = forward  # type: ignore[method-assign]
    try:
        yield passage
    finally:
        del layer.forward


class _Withheld:
    """In place of the layer's last state, through which no gradient would come: whoever looks at it is told so.

    Raises ValueError where it is unpacked or indexed, AttributeError where anything is asked of it.
    """

    _WORDS: ClassVar[str] = (
        "the model uses the last state of its recurrent layer, through which this method finds no gradient; let it use "
        "the outputs (their last step is h), or take method='bptt'"
    )

    def __iter__(self) -> NoReturn:
        raise ValueError(self._WORDS)

    def __getitem__(self, at: Any) -> NoReturn:
        raise ValueError(self._WORDS)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(self._WORDS)


@dataclass
class _Passage:
    """One way through a batch x (time, batch, inputs), forwards for the outputs, and once more for the gradient."""

    net: OnlineNet
    rule: str
    stream: _Stream | None

    x: Tensor = field(init=False)
    begun: bool = field(init=False, default=False)
    inside: Tensor = field(init=False)
    ragged: list[bool] = field(init=False)
    reset: Tensor | None = field(init=False)
    start: Tensor = field(init=False)
    weights: tuple[Tensor, Tensor] = field(init=False)
    memory: Truncated | Exact | None = field(init=False, default=None)
    end: Tensor = field(init=False)

    def begin(self, x: Tensor, lengths: Tensor | None, reset: Tensor | None) -> None:
        """Take the batch.

        Raises ValueError for a second one, for other lanes than the stream's, or more numbers than are allowed.
        """
        if self.begun:
            raise ValueError(
                "the model calls its recurrent layer twice in one update; this method knows the gradient of one call: "
                "let the model read all its inputs in one, or take method='bptt'"
            )
        self.begun, self.x, self.inside, self.memory = True, x, _inside(x, lengths), None
        self.ragged = [False] * len(x) if lengths is None else (~self.inside.all(1)).flatten().tolist()
        self.reset = None if reset is None else reset & self.inside.squeeze(2)
        if self.rule == "rtrl":
            _check_size(self.net, x.shape[1])
        state = None if self.stream is None else self.stream.state
        self.start = x.new_zeros(x.shape[1], self.net.states) if state is None else state
        if len(self.start) != x.shape[1] and not (reset is not None and reset[0].all()):
            raise ValueError(f"a batch has {x.shape[1]} lanes, but {len(self.start)} go on; give the same ones")

    def outputs(self, W: Tensor, p: Tensor) -> Tensor:
        """h of all steps."""
        self.weights, step, found, state = (W, p), self._step(W, p), [], self.start
        for at, values in enumerate(self.x):
            before = self._fresh(at, state)
            moment = step(values, before)
            found.append(moment.hidden)
            state = self._next(at, moment, before)
        self.end = state
        return torch.stack(found).masked_fill(~self.inside, 0) if found else self._none()

    def gradient(self, wrong: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient by W and p, from that by the outputs."""
        W, p = self.weights
        step, state = self._step(W, p), self.start
        self.memory = self._carried(step)
        by_W, by_p = torch.zeros_like(W), torch.zeros_like(p)
        for at, (values, error) in enumerate(zip(self.x, wrong.masked_fill(~self.inside, 0), strict=True)):
            state = self._fresh(at, state)
            self._forget(at)
            moment = step(values, state)
            self._advance(self.memory, at, moment)
            by = self.memory.gradient(moment, error)
            by_W += by[0].sum(0)
            by_p += by[1].sum(0)
            state = self._next(at, moment, state)
        return by_W, by_p

    def after(self) -> _Stream:
        """What goes on."""
        if self.memory is None:  # nothing had a target
            self.gradient(self._none())
        assert self.memory is not None
        return _Stream(self.end, self.memory.tensors())

    def _none(self) -> Tensor:
        return self.x.new_zeros(*self.x.shape[:2], self.net.hidden)

    def _step(self, W: Tensor, p: Tensor) -> OnlineStep:
        batch = self.x.shape[1]
        return OnlineStep(self.net, W.expand(batch, -1, -1), p.expand(batch, -1, -1))

    def _fresh(self, at: int, state: Tensor) -> Tensor:
        """The state before a step, zeros where a sequence begins."""
        if self.reset is None:
            return state
        state = state if len(state) == self.x.shape[1] else state.new_zeros(self.x.shape[1], state.shape[1])
        return state.masked_fill(self.reset[at].unsqueeze(1), 0)

    def _next(self, at: int, moment: OnlineMoment, before: Tensor) -> Tensor:
        """The state after a step, as it was before where a lane has ended."""
        return torch.where(self.inside[at], moment.state(), before) if self.ragged[at] else moment.state()

    def _advance(self, memory: Truncated | Exact, at: int, moment: OnlineMoment) -> None:
        """Let the memory take a step; in a stream, that of lanes which have ended stays for the next batch."""
        if self.stream is None or not self.ragged[at]:
            memory.advance(moment)
            return
        ended = ~self.inside[at].squeeze(1)
        kept = {name: tensor[ended] for name, tensor in memory.tensors().items()}
        memory.advance(moment)
        for name, tensor in memory.tensors().items():
            tensor[ended] = kept[name]

    def _carried(self, step: OnlineStep) -> Truncated | Exact:
        """The rule's memory, as the stream has it."""
        memory = influence(self.rule, step, self.x.shape[1])
        before = {} if self.stream is None else self.stream.memory
        for name, tensor in memory.tensors().items():
            if name in before and before[name].shape == tensor.shape:
                tensor.copy_(before[name])
        return memory

    def _forget(self, at: int) -> None:
        """Forget what was carried where a sequence begins."""
        if self.reset is not None and self.memory is not None and self.reset[at].any():
            for tensor in self.memory.tensors().values():
                tensor[self.reset[at]] = 0


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
    """A recurrent layer whose gradient is carried forwards: W and p to h (time, batch, hidden)."""

    @staticmethod
    def forward(ctx: Any, passage: _Passage, W: Tensor, p: Tensor) -> Tensor:
        ctx.passage = passage
        return passage.outputs(W.detach(), p.detach().clone())

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.passage.gradient(grad[0])


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
