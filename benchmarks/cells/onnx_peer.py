"""onnxruntime, if it is installed: one LSTM node with our weights, its inputs and outputs bound to memory that stays.

Bound memory is the fastest way that onnxruntime has: nothing is made or looked at anew at a step.
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import carousel
from carousel.cells import layout

NAME = "onnxruntime"
MISSING = "onnxruntime is not installed, so it is not measured; `pip install 'carousel-lstm[bench]'`."
Floats = NDArray[np.float32]


def installed() -> bool:
    """Whether onnx and onnxruntime can be imported."""
    return all(find_spec(name) for name in ("onnx", "onnxruntime"))


def sequence(module: carousel.LSTM, x: Tensor, threads: int) -> Callable[[], list[Tensor]]:
    """The outputs (time, batch, hidden) for x (time, batch, inputs) from a state of zeros."""
    h, c = _states(module, x)
    outputs = np.empty((*x.shape[:1], 1, *h.shape[1:]), np.float32)
    run = _bound(_session(module, threads), {"X": x.numpy(), "h": h, "c": c}, {"Y": outputs})

    def work() -> list[Tensor]:
        run()
        return [torch.from_numpy(outputs[:, 0])]

    return work


def steps(module: carousel.LSTM, x: Tensor, threads: int) -> Callable[[], list[Tensor]]:
    """A step at x (1, batch, inputs) from where the last one ended: h and c, each as a vector."""
    here, there, session = _states(module, x), _states(module, x), _session(module, threads)
    ways = [_bound(session, _given(x, *a), _made(*b)) for a, b in ((here, there), (there, here))]
    ends = [[torch.from_numpy(part).view(-1) for part in state] for state in (there, here)]
    at = 1

    def work() -> list[Tensor]:
        nonlocal at
        at = 1 - at
        ways[at]()
        return ends[at]

    return work


def _states(module: carousel.LSTM, x: Tensor) -> tuple[Floats, Floats]:
    size = (1, x.shape[1], module.hidden_size)
    return np.zeros(size, np.float32), np.zeros(size, np.float32)


def _given(x: Tensor, h: Floats, c: Floats) -> dict[str, Floats]:
    return {"X": x.numpy(), "h": h, "c": c}


def _made(h: Floats, c: Floats) -> dict[str, Floats]:
    return {"Y_h": h, "Y_c": c}


def _session(module: carousel.LSTM, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(_model(module), options, providers=["CPUExecutionProvider"])


def _bound(session: Any, given: Mapping[str, Floats], made: Mapping[str, Floats]) -> Callable[[], None]:
    """A run that reads and writes these arrays."""
    binding = session.io_binding()
    for bind, arrays in ((binding.bind_input, given), (binding.bind_output, made)):
        for name, array in arrays.items():
            bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

    def run() -> None:
        session.run_with_iobinding(binding)

    run.reads = (given, made)  # type: ignore[attr-defined]  # the memory lives as long as the run
    return run


def _model(module: carousel.LSTM) -> bytes:
    from onnx import TensorProto, helper

    node = helper.make_node(
        "LSTM", ["X", "W", "R", "B", "", "h", "c"], ["Y", "Y_h", "Y_c"], hidden_size=module.hidden_size
    )
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 3) for name in ("X", "h", "c")]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("Y", "Y_h", "Y_c")]
    weights = [
        helper.make_tensor(name, TensorProto.FLOAT, value.shape, value.ravel())
        for name, value in _weights(module).items()
    ]
    graph = helper.make_graph([node], "lstm", given, made, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    return model.SerializeToString()


def _weights(module: carousel.LSTM) -> dict[str, Floats]:
    named = {name: _in_order(value.detach()) for name, value in module.named_parameters()}
    biases = torch.cat([named["bias_ih_l0"], named["bias_hh_l0"]])
    weights = {"W": named["weight_ih_l0"], "R": named["weight_hh_l0"], "B": biases}
    return {name: value.unsqueeze(0).numpy() for name, value in weights.items()}


def _in_order(rows: Tensor) -> Tensor:
    gates = rows.chunk(4)
    return torch.cat([gates[at] for at in layout.order_in("onnx")])
