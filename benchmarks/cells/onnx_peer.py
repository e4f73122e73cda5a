"""onnxruntime, if it is installed: one LSTM node with our weights."""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import carousel
from carousel.cells import layout

NAME = "onnxruntime"
MISSING = "onnxruntime is not installed, so it is not measured; `pip install onnx onnxruntime`."
Floats = NDArray[np.float32]
Session = Callable[[Floats, Floats, Floats], list[Floats]]


def installed() -> bool:
    """Whether onnx and onnxruntime can be imported."""
    return all(find_spec(name) for name in ("onnx", "onnxruntime"))


def session(module: carousel.LSTM, threads: int) -> Session:
    """x (time, batch, inputs), h and c (1, batch, hidden) to the outputs (time, 1, batch, hidden), h and c."""
    import onnxruntime  # type: ignore[import-not-found]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    found = onnxruntime.InferenceSession(_model(module), options, providers=["CPUExecutionProvider"])
    return lambda x, h, c: found.run(None, {"X": x, "h": h, "c": c})


def _model(module: carousel.LSTM) -> bytes:
    from onnx import TensorProto, helper  # type: ignore[import-not-found]

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
