"""Gradient flow by lag: plain RNNs of several spectral radii, the carousel of 1997, forget gates of several biases."""

import math
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from carousel.cells import layout
from carousel.nn import LSTM
from carousel.ops import Operands, Weights, reference
from carousel.report import GradientNorms
from carousel.report.gradients import elman, jacobian_norms, unrolled
from papers.experiment import Parts, Results
from papers.hochreiter1991 import picture
from papers.hochreiter1991.picture import FIXED, RANDOM
from papers.hochreiter1991.trained import learned

Settings = dict[str, Any]


@dataclass(frozen=True)
class Draw:
    """What one seed draws: weights and inputs."""

    settings: Settings
    seed: int

    def generator(self) -> torch.Generator:
        """A generator of this seed, at its start."""
        return torch.Generator().manual_seed(self.seed)

    def inputs(self, steps: int, generator: torch.Generator) -> Tensor:
        """Normal noise (steps, 1, units) as pre-activations of an RNN."""
        return torch.randn(steps, 1, self.settings["units"], dtype=torch.float64, generator=generator)

    def matrix(self, radius: float, generator: torch.Generator) -> Tensor:
        """A normal random recurrent matrix of that spectral radius."""
        units = self.settings["units"]
        R = torch.randn(units, units, dtype=torch.float64, generator=generator)
        return R * radius / torch.linalg.eigvals(R).abs().max()


def parts(settings: Settings) -> Parts:
    """One part for each net and seed."""
    found: Parts = {}
    for seed in range(settings["seeds"]):
        draw = Draw(settings, seed)
        for squash, radius in product(settings["squashes"], settings["radii"]):
            found[f"rnn {squash} {radius} seed {seed}"] = partial(plain, draw, squash, radius)
        found[f"lstm1997 seed {seed}"] = partial(carousel, draw)
        for bias, weights in product(settings["forget_biases"], (RANDOM, FIXED)):
            found[f"lstm {bias} {weights} seed {seed}"] = partial(forgetting, draw, bias, weights)
        for cell, bias in settings["taught"]:
            found[f"learned {cell} {bias} seed {seed}"] = partial(learned, settings, cell, bias, seed)
    return found


def plain(draw: Draw, squash: str, radius: float) -> dict[str, Any]:
    """A plain RNN: norms by lag, their factor a step, and the same factor estimated forwards on other inputs."""
    generator = draw.generator()
    R, settings = draw.matrix(radius, generator), draw.settings
    loop = elman(R, draw.inputs(settings["steps"], generator), squash)
    norms = jacobian_norms(loop, lags(settings["steps"]), squash)
    largest = torch.linalg.matrix_norm(R, 2).item() * (0.25 if squash == "sigmoid" else 1.0)
    pairs = zip(norms.lags, norms.middle("hidden"), strict=True)
    bounded = all(math.log(value) <= lag * math.log(largest) + 1e-9 for lag, value in pairs if value > 0)
    estimate = forwards(R, draw.inputs(settings["free_steps"], generator), squash)
    return _curve(norms, "hidden") | {"estimate": estimate, "bounded": bounded, "squash": squash, "radius": radius}


def forwards(R: Tensor, gates: Tensor, squash: str) -> float:
    """By how much a step multiplies a small difference: a vector pushed forwards through the loop, kept at length 1."""
    function, total = reference.SQUASH[squash], 0.0
    h, v = gates.new_zeros(gates.shape[2]), gates.new_ones(gates.shape[2])
    for row in gates[:, 0]:
        net = (row + R @ h).requires_grad_()
        (slope,) = torch.autograd.grad(function(net).sum(), net)
        h, v = function(net).detach(), slope * (R @ v)
        total += math.log(v.norm().item())
        v = v / v.norm()
    return math.exp(total / len(gates))


def carousel(draw: Draw) -> dict[str, Any]:
    """The cell of 1997."""
    lstm, x = _lstm(draw, "lstm1997", None, RANDOM)
    found = cut(lstm, x, lags(len(x)))
    return _curve(found, "cell") | {"off": _off(found.spectral["cell"])}


def cut(lstm: LSTM, x: Tensor, wanted: list[int]) -> GradientNorms:
    """Norms of the net with its recurrence cut, as the rule of 1997 cuts it: what recurs is given, and has no slope."""
    with torch.no_grad():
        given, hidden = lstm.operands(x)[0], lstm.trace(x)[0]["hidden"]
        before = torch.cat([given.state.hidden.unsqueeze(0), hidden[:-1]])
        gates = given.gates + before @ lstm.weight_hh_l0.T
        return jacobian_norms(unrolled(lstm.cell, Operands(gates, given.state, Weights())), wanted, "cut")


def forgetting(draw: Draw, bias: float, weights: str) -> dict[str, Any]:
    """The cell of 2000 with a forget bias; the closed form is the product of its forget gate's activations."""
    lstm, x = _lstm(draw, "lstm", bias, weights)
    found = cut(lstm, x, lags(len(x)))
    forget = lstm.trace(x)[0]["forget"][:, 0].detach().flip(0).log().cumsum(0).exp()
    closed = torch.cat([forget.new_ones(1, forget.shape[1]), forget])[list(found.lags)].amax(1)
    ratio = (found.spectral["cell"][0] / closed)[closed > 1e-290]
    return _curve(found, "cell") | {"bias": bias, "weights": weights, "off": _off(ratio)}


def _off(values: Tensor) -> float:
    return (values - 1).abs().max().item()


def _lstm(draw: Draw, cell: str, bias: float | None, weights: str) -> tuple[LSTM, Tensor]:
    """A fresh net and one sequence; with `weights` FIXED its forget gate has none but the bias."""
    settings = draw.settings
    torch.manual_seed(draw.seed)
    lstm = LSTM(settings["features"], settings["units"], cell=cell, forget_bias=bias, dtype=torch.float64)
    if weights == FIXED:
        rows = layout.rows(lstm.cell, settings["units"])["forget"]
        with torch.no_grad():
            lstm.weight_ih_l0[rows] = 0
            lstm.weight_hh_l0[rows] = 0
    return lstm, torch.randn(settings["steps"], 1, settings["features"], dtype=torch.float64)


def lags(steps: int) -> list[int]:
    """All lags up to 20, then every tenth."""
    return [*range(min(20, steps)), *range(20, steps + 1, 10)]


def _curve(norms: GradientNorms, path: str) -> dict[str, Any]:
    return {"lags": list(norms.lags), "norm": norms.middle(path), "factor": norms.factor(path)}


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    rnns = _of(results, "rnn")
    found = {"carousel_1997_off_one": [row["off"] for row in _of(results, "lstm1997")]}
    found["linear_factor_to_radius"] = [row["factor"] / row["radius"] for row in rnns if row["squash"] == "identity"]
    for squash in ("tanh", "sigmoid"):
        rows = [row for row in rnns if row["squash"] == squash]
        found[f"{squash}_slope_to_estimate"] = [math.log(row["factor"]) / math.log(row["estimate"]) for row in rows]
    found["within_bound"] = [float(row["bounded"]) for row in rnns]
    forgetting = _of(results, "lstm ")
    found["forget_off_product"] = [row["off"] for row in forgetting]
    fixed = [row for row in forgetting if row["weights"] == FIXED]
    found["forget_factor_to_bias"] = [row["factor"] * (1 + math.exp(-row["bias"])) for row in fixed]
    for cell, bias in dict.fromkeys((row["cell"], row["bias"]) for row in _of(results, "learned ")):
        found |= learned_claims(f"{cell}_{bias}", _of(results, f"learned {cell} {bias} "))
    return found


def learned_claims(key: str, rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    """What is claimed of nets of one cell that were taught: who solves it, norms over the lag, and cosines."""
    found = {f"{key}_solved": [float(row["done"] > 0) for row in rows]}
    for when, look in (("fresh", 0), ("trained", -1)):
        found |= {f"{key}_{path}_{when}": [row[when][path][-1] for row in rows] for path in ("whole", "cut")}
        found[f"{key}_cosine_{when}"] = [row["looks"][look][1] for row in rows]
    return found


def _of(results: Results, begin: str) -> list[dict[str, Any]]:
    return [row for name, row in results.items() if name.startswith(begin)]


def draw(results: Results, path: Path) -> None:
    """The figure: RNNs that vanish or explode, carousels fresh and trained, and the truncated rule beside the whole."""
    picture.drawn({kind: _of(results, kind) for kind in ("rnn", "lstm1997 ", "lstm ", "learned ")}, path)
