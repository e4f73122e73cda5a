"""JAX, if it is installed: cells as its users write them, a step under `lax.scan`, compiled as a whole by XLA.

XLA is given one core when it starts, and so one thread. Work is done when its arrays are ready.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.cells import cases, timing
from benchmarks.cells.cases import OURS, REFERENCE, ROWS, TRAINING, WORKS, Contestant, Entrant
from benchmarks.cells.records import Answer, Figure, Row, geometric_mean
from benchmarks.cells.timing import Effort
from carousel.testing import Problem

NAME = "JAX scan"
MISSING = "JAX is not installed, so it is not measured; `pip install jax`."
SHAPES = ("100-1-64-64", "100-32-64-128", "100-32-256-256")
Array = Any
Weights = dict[str, Array]
State = tuple[Array, Array]
Step = Callable[[Weights, State, Array], State]


def installed() -> bool:
    """Whether jax can be imported."""
    return find_spec("jax") is not None


def scans(effort: Effort, problems: Sequence[Problem] | None = None) -> Answer:
    """Cells written by hand for JAX, against XLA's loop."""
    answer = Answer(
        "jax",
        "Beside compiled scans of JAX",
        "float32, one thread. The loop is jax.lax.scan over a step written by hand, compiled whole under jax.jit with "
        "the product of the inputs in front; a training step is jax.vjp, to the outputs and the gradients of all "
        "weights and of the inputs.",
        [],
    )
    if not installed():
        answer.notes.append(MISSING)
        return answer
    found = cases.chosen(problems or [*map(cases.shape, SHAPES)], effort)
    answer.rows = [_row(problem, name, work, effort) for work in WORKS for problem in found for name in STEPS]
    gains = [figure.value for row in answer.rows for figure in row.figures]
    answer.summary = [Figure(f"geometric mean against {NAME}", geometric_mean(gains))]
    return answer


def _row(problem: Problem, name: str, work: str, effort: Effort) -> Row:
    module, x = cases.ours(problem, **ROWS.get(name, {})), cases.inputs(problem)
    contestants: dict[str, Entrant] = {
        OURS: Contestant(module),
        NAME: Scan(cases.ours(problem, **ROWS.get(name, {})), STEPS[name]),
        REFERENCE: Contestant(cases.ours(problem, **ROWS.get(name, {})), cases.referred()),
    }
    row = Row(f"{name}, {problem.name}", work, 1)
    row = cases.compared(row, contestants, x, effort, right=REFERENCE, untimed=(REFERENCE,))
    cases.against(row, NAME)
    return row


@dataclass(frozen=True)
class Scan:
    """A step over time with the weights of a module."""

    module: nn.Module
    step: Step

    def work(self, kind: str, x: Tensor) -> timing.Work:
        """Outputs, and in training the gradients of x and of all parameters."""
        jax, weights = _jax(), [value.detach().numpy() for value in self.module.parameters()]
        given, run = [weights, x.numpy()], self._inference
        if kind == TRAINING:
            given, run = [*given, cases.any_gradient(self.module(x)[0]).numpy()], self._training
        given, run = jax.device_put(given), jax.jit(run)

        def work() -> list[Tensor]:
            return [torch.from_dlpack(each) for each in jax.block_until_ready(run(*given))]

        return work

    def _inference(self, values: list[Array], x: Array) -> list[Array]:
        return [self._outputs(values, x)]

    def _training(self, values: list[Array], x: Array, gradient: Array) -> list[Array]:
        outputs, pull = _jax().vjp(self._outputs, values, x)
        of_values, of_x = pull(gradient)
        return [outputs, of_x, *of_values]

    def _outputs(self, values: list[Array], x: Array) -> Array:
        jax = _jax()
        names = (name.removesuffix("_l0") for name, _ in self.module.named_parameters())
        weights = dict(zip(names, values, strict=True))
        gates = _given(weights, x)
        zeros = jax.numpy.zeros((x.shape[1], weights["weight_hh"].shape[1]), x.dtype)

        def advance(state: State, each: Array) -> tuple[State, Array]:
            state = self.step(weights, state, each)
            return state, state[0]

        return jax.lax.scan(advance, (zeros, zeros), gates)[1]


def _given(weights: Weights, x: Array) -> Array:
    product, bias = x @ weights["weight_ih"].T, weights["bias_ih"] + weights["bias_hh"]
    return (_normed(product, weights, "ih") if "ln_ih_weight" in weights else product) + bias


def _lstm(weights: Weights, state: State, gates: Array) -> State:
    sigmoid, tanh, (h, c) = _jax().nn.sigmoid, _jax().numpy.tanh, state
    i, f, z, o = _jax().numpy.split(gates + h @ weights["weight_hh"].T, 4, 1)
    c_new = sigmoid(f) * c + sigmoid(i) * tanh(z)
    return sigmoid(o) * tanh(c_new), c_new


def _peephole(weights: Weights, state: State, gates: Array) -> State:
    sigmoid, tanh, (h, c), p = _jax().nn.sigmoid, _jax().numpy.tanh, state, weights["weight_ch"]
    i, f, z, o = _jax().numpy.split(gates + h @ weights["weight_hh"].T, 4, 1)
    c_new = sigmoid(f + p[1] * c) * c + sigmoid(i + p[0] * c) * tanh(z)
    return sigmoid(o + p[2] * c_new) * tanh(c_new), c_new


def _coupled(weights: Weights, state: State, gates: Array) -> State:
    sigmoid, tanh, (h, c), p = _jax().nn.sigmoid, _jax().numpy.tanh, state, weights["weight_ch"]
    i, z, o = _jax().numpy.split(gates + h @ weights["weight_hh"].T, 3, 1)
    i = sigmoid(i + p[0] * c)
    c_new = (1 - i) * c + i * tanh(z)
    return sigmoid(o + p[1] * c_new) * tanh(c_new), c_new


def _norm(weights: Weights, state: State, gates: Array) -> State:
    sigmoid, tanh, (h, c) = _jax().nn.sigmoid, _jax().numpy.tanh, state
    i, f, z, o = _jax().numpy.split(gates + _normed(h @ weights["weight_hh"].T, weights, "hh"), 4, 1)
    c_new = sigmoid(f) * c + sigmoid(i) * tanh(z)
    return sigmoid(o) * tanh(_normed(c_new, weights, "ch")), c_new


def _normed(values: Array, weights: Weights, name: str) -> Array:
    centred = values - values.mean(-1, keepdims=True)
    deviation = _jax().numpy.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return centred / deviation * weights[f"ln_{name}_weight"] + weights[f"ln_{name}_bias"]


STEPS: dict[str, Step] = {"lstm": _lstm, "peephole": _peephole, "coupled": _coupled, "norm": _norm}
"""By the names of the rows in `cases.ROWS`."""


@cache
def _jax() -> Any:
    """JAX, started on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        import jax

        jax.config.update("jax_platforms", "cpu")
        jax.devices()
    finally:
        os.sched_setaffinity(0, cores)
    return jax
