"""Gradient flow in nets that learn the long lags of 1997 (task 2c): Jacobians before and after, and the truncated rule.

The rule of 1997 follows a part of the gradient alone. How near that is to the whole is the cosine between what one
string teaches by either rule.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.cells import find
from carousel.data.synthetic import Strings, long_lag
from carousel.ops import Operands, State, Weights
from carousel.report import GradientNorms
from carousel.report.gradients import jacobian_norms, unrolled
from carousel.training import OnlineLearner, OnlineNet

Settings = dict[str, Any]
OUTPUTS = 2
RIGHT = 0.2
"""An answer is right when both outputs are within so much of their targets."""


@dataclass(frozen=True)
class Course:
    """What a net goes through."""

    settings: Settings
    cell: str
    forget_bias: float
    seed: int

    def begun(self, rule: str, learning_rate: float) -> OnlineLearner:
        """A net of two cells with the gates' biases of 1997, and a forget gate that begins open."""
        cell = find(self.cell)
        biases = {"input": [-3.0, -5.0], "output": [-1.0, -2.0], "forget": [self.forget_bias] * 2}
        biased = tuple(gate for gate in biases if gate in cell.learned)
        learner = OnlineLearner(
            net=OnlineNet(cell, self.settings["lag"] + 4, 2, OUTPUTS, biased=biased), rule=rule,
            learning_rate=learning_rate, error="cross_entropy", spread=0.2, seed=self.seed,
        )  # fmt: skip
        for gate in biased:
            learner.set_bias(gate, biases[gate])
        return learner

    def strings(self, count: int, generator: torch.Generator) -> Strings:
        """Strings of the task."""
        lag = self.settings["lag"]
        return long_lag(count, generator, lag=lag, distractors=lag)


def learned(settings: Settings, cell: str, bias: float, seed: int) -> dict[str, Any]:
    """One net until it is right on all strings of a test: strings until then (0: never), and both ends' gradient flow.

    The cosines are followed all the way, at the counts of strings in `looks`.
    """
    course = Course(settings, cell, bias, seed)
    test = course.strings(settings["judged"], torch.Generator().manual_seed(2000 + seed))
    few = test.chosen(torch.arange(settings["followed"]))
    generator, seen, done = torch.Generator().manual_seed(1000 + seed), 0, 0
    net = course.begun("rule1997", settings["rate"])
    fresh, looks = flow(net, few, settings["lag"]), [[0, cosine(course, net, few)]]
    while seen < settings["limit"] and not done:
        strings = course.strings(settings["chunk"], generator)
        net.learn(strings.inputs, strings.targets, observed=strings.observed, begins=strings.begins)
        seen += settings["chunk"]
        done = seen if solves(net, test) else 0
        looks.append([seen, cosine(course, net, few)])
    trained = flow(net, few, settings["lag"])
    return {"cell": cell, "bias": bias, "done": done, "fresh": fresh, "trained": trained, "looks": looks}


def solves(net: OnlineLearner, strings: Strings) -> bool:
    """Whether it is right on all of them."""
    outputs = net.predict(strings.inputs, begins=strings.begins)
    return bool(((outputs - strings.targets)[strings.last].abs() < RIGHT).all())


def flow(net: OnlineLearner, strings: Strings, lag: int) -> dict[str, Any]:
    """The norms of ∂c_T/∂c_{T-q} by lag: the whole Jacobian, and with the recurrence cut; means over the strings."""
    operands = [_operands(net, symbols) for symbols in strings.inputs[:, 0].split(strings.lengths.tolist())]
    cell, lags = net.net.cell, range(lag + 1)
    whole = [jacobian_norms(unrolled(cell, each), lags, "whole") for each in operands]
    cut = [jacobian_norms(unrolled(cell, _cut(net, each)), lags, "cut") for each in operands]
    return {"lags": list(lags), "whole": _mean(whole), "cut": _mean(cut)}


def _operands(net: OnlineLearner, symbols: Tensor) -> Operands:
    """What the loop of one net is given for one string."""
    W, inputs = net.weights["W"][0], net.net.inputs
    gates = F.one_hot(symbols, inputs).double() @ W[:, :inputs].T + W[:, -1]
    zeros = gates.new_zeros(1, net.net.hidden)
    return Operands(gates.unsqueeze(1), State(zeros, zeros), Weights(R=W[:, inputs:-1]))


def _cut(net: OnlineLearner, whole: Operands) -> Operands:
    """The same with what recurs given, and without a slope, as the rule of 1997 has it."""
    loop = unrolled(net.net.cell, whole)
    given = loop.gates + loop.states[:-1, :, loop.parts["hidden"]] @ whole.weights.R.T
    return Operands(given, whole.state, Weights())


def _mean(norms: list[GradientNorms]) -> list[float]:
    """The geometric mean over strings, by lag."""
    return torch.cat([each.spectral["cell"] for each in norms]).log().mean(0).exp().tolist()


def cosine(course: Course, net: OnlineLearner, strings: Strings) -> float:
    """The cosine between the truncated and the whole gradient of the recurrent layer's weights; mean over strings."""
    lessons = [_lesson(course, net, strings, rule) for rule in ("rule1997", "rtrl")]
    return F.cosine_similarity(*lessons, dim=1).mean().item()


def _lesson(course: Course, net: OnlineLearner, strings: Strings, rule: str) -> Tensor:
    """By how much each string would change the weights of that layer (strings, weights), each from these weights."""
    taught = []
    for place in range(strings.count):
        string = strings.chosen(torch.tensor([place]))
        learner = course.begun(rule, 1.0)
        learner.load(net.weights)
        learner.learn(string.inputs, string.targets, observed=string.observed, begins=string.begins)
        taught.append((learner.weights["W"] - net.weights["W"]).flatten())
    return torch.stack(taught)
