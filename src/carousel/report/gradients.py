"""Gradient flow: exact Jacobians of a recurrent loop, from the last step back, by lag; on the reference, in float64."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from carousel.cells import VARIANTS, Cell, find, name_of
from carousel.nn import LSTM
from carousel.ops import Operands, State, reference
from carousel.report.errors import ReportError

PATHS = {
    "hidden": "∂h_T / ∂h_{T-q}, with c_{T-q} held fixed",
    "cell": "∂c_T / ∂c_{T-q}, with h_{T-q} held fixed",
    "carousel": "∂c_T / ∂c_{T-q} along the carousel alone, with all gates held fixed",
}
"""What is measured; a plain RNN has the first alone."""
RNN = "rnn"
SEQUENCES, FEATURES, STEPS_AT_ONCE = 8, 8, 16


@dataclass(frozen=True)
class Loop:
    """A recurrent net's loop over given sequences, unrolled.

    `step` takes pre-activations (rows,) and a state (units,) to the next state; `gates` (time, batch, rows) and
    `states` (time + 1, batch, units) are what it went through; `parts` says where "hidden" and "cell" lie in a state;
    `kept` (time, batch, cells) is the share of each cell state that a step keeps, None where there is no cell.
    """

    step: Callable[[Tensor, Tensor], Tensor]
    gates: Tensor
    states: Tensor
    parts: dict[str, slice]
    kept: Tensor | None = None


@dataclass(frozen=True)
class GradientNorms:
    """Norms of one net's Jacobians: for each of PATHS that it has a tensor (sequences, lags), lag 0 first."""

    name: str
    lags: tuple[int, ...]
    spectral: dict[str, Tensor] = field(default_factory=dict)
    frobenius: dict[str, Tensor] = field(default_factory=dict)

    def middle(self, path: str) -> list[float]:
        """The geometric mean of the spectral norm over the sequences, by lag."""
        return self.spectral[path].log().mean(0).exp().tolist()

    def band(self, path: str) -> tuple[list[float], list[float]]:
        """The 5 % and 95 % quantiles of the spectral norm over the sequences, by lag."""
        low, high = self.spectral[path].quantile(torch.tensor([0.05, 0.95], dtype=torch.float64), dim=0)
        return low.tolist(), high.tolist()

    def factor(self, path: str) -> float:
        """By how much a step multiplies the norm: the slope of its logarithm over the second half of the lags."""
        known = [(lag, math.log(value)) for lag, value in zip(self.lags, self.middle(path), strict=True) if value > 0]
        known = known[len(known) // 2 :]
        if len(known) < 2:
            return math.nan
        (first, at_first), (last, at_last) = known[0], known[-1]
        return math.exp((at_last - at_first) / (last - first))


def gradient_norms(lstm: LSTM, x: Tensor, lags: int | Sequence[int] = 100, *, name: str | None = None) -> GradientNorms:
    """The Jacobian norms of an LSTM's last layer (forward direction), trained or fresh, on sequences x.

    x is (time, batch, features), in the module's own order of axes with batch_first. `lags` are counted back from the
    last step; an integer means all up to it, and no lag reaches further back than the first step. The module stays as
    it is: a copy on the processor computes in float64.

    Raises ReportError if there is no step or no sequence, for lags that are all beyond them, and for inputs that are
    not finite; TypeError for another module. Source: Hochreiter 1991; Hochreiter & Schmidhuber 1997.
    """
    if not isinstance(lstm, LSTM):
        kind = f"{type(lstm).__module__}.{type(lstm).__name__}"
        raise TypeError(f"lstm is a {kind}; give a carousel.LSTM, which takes the state_dict of torch's")
    twin = copy.deepcopy(lstm).cpu().double().eval()
    with torch.no_grad():
        operands = twin.operands(x.detach().to("cpu", torch.float64))
        loop = unrolled(twin.cell, operands[-2 if twin.bidirectional else -1])
    return jacobian_norms(loop, lags, name or name_of(lstm.cell))


def fresh_norms(
    name: str | Cell, x: Tensor, lags: int | Sequence[int] = 100, *, hidden: int = 32, seed: int = 0
) -> GradientNorms:
    """The same for a fresh net of the cell of that name; "rnn" is the plain RNN of Elman (1990) with tanh.

    Weights are those that torch draws for `torch.nn.LSTM` and `torch.nn.RNN` after that seed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == RNN:
            rnn = torch.nn.RNN(x.shape[-1], hidden, dtype=torch.float64)
            return jacobian_norms(plain_rnn(rnn, x.double()), lags, RNN)
        return gradient_norms(LSTM(x.shape[-1], hidden, cell=name, dtype=torch.float64), x, lags)


def random_inputs(time: int, sequences: int = SEQUENCES, features: int = FEATURES, seed: int = 0) -> Tensor:
    """Normal noise (time, sequences, features), for nets without data."""
    return torch.randn(time, sequences, features, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def known_nets(names: Sequence[str]) -> list[str]:
    """The names, "all" replaced by the plain RNN and every cell of the table; CellError for an unknown one."""
    every = [each for name in names for each in ([RNN, *VARIANTS] if name == "all" else [name])]
    for name in every:
        if name != RNN:
            find(name)
    return list(dict.fromkeys(every))


def unrolled(cell: Cell, operands: Operands) -> Loop:
    """The loop of one layer, from what it is given."""
    widths = [part.shape[1] for part in operands.state if part is not None]
    states, kept = [_joined(operands.state)], []
    for _, moment, state in reference.unroll(cell, operands):
        states.append(_joined(state))
        forget = moment.gates["forget"]
        kept.append(torch.ones_like(state.cell) if forget is None else per_cell(forget, state.cell))
    ends = [sum(widths[: k + 1]) for k in range(2)]
    parts = {"hidden": slice(0, ends[0]), "cell": slice(*ends)}
    step = partial(_lstm_step, cell, operands, widths)
    return Loop(step, operands.gates, torch.stack(states), parts, torch.stack(kept) if kept else None)


def plain_rnn(rnn: torch.nn.RNN, x: Tensor) -> Loop:
    """The loop of a torch.nn.RNN's first layer over x (time, batch, features): h_t = squash(W x_t + b + R h_{t-1})."""
    named = {name: value.detach() for name, value in rnn.named_parameters()}
    gates = x @ named["weight_ih_l0"].T
    if rnn.bias:
        gates = gates + named["bias_ih_l0"] + named["bias_hh_l0"]
    return elman(named["weight_hh_l0"], gates, rnn.nonlinearity)


def elman(R: Tensor, gates: Tensor, squash: str = "tanh") -> Loop:
    """The loop h_t = squash(gates_t + R h_{t-1}) from zeros, for gates (time, batch, units): Elman 1990.

    `squash` is a name of the table of squashing functions.
    """
    step = partial(_elman_step, R, reference.SQUASH[squash])
    states = [gates.new_zeros(gates.shape[1:])]
    for row in gates:
        states.append(step(row, states[-1]))
    return Loop(step, gates, torch.stack(states), {"hidden": slice(0, R.shape[0])})


def jacobian_norms(loop: Loop, lags: int | Sequence[int], name: str) -> GradientNorms:
    """The norms of all Jacobians of a loop at these lags."""
    time, batch = loop.gates.shape[:2]
    if not time or not batch:
        raise ReportError(f"{batch} sequences of {time} steps have no gradient to follow; give one step at least")
    wanted = range(lags + 1) if isinstance(lags, int) else sorted(set(lags))
    kept = tuple(lag for lag in wanted if 0 <= lag <= time)
    if not kept:
        raise ReportError(f"lags is {lags}; over {time} steps give some between 0 and {time}")
    if not loop.gates.isfinite().all():
        raise ReportError("the inputs or the weights hold NaN or infinity; gradients can be followed in numbers alone")
    rows = [_of_sequence(loop, row, kept) for row in range(batch)]
    both = [{path: torch.stack([found[order][path] for found in rows]) for path in rows[0][order]} for order in (0, 1)]
    return GradientNorms(name, kept, *both)


def _of_sequence(loop: Loop, row: int, lags: Sequence[int]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Spectral and Frobenius norms by lag of one sequence."""
    wanted, blocks = set(lags), {path: [] for path in loop.parts}
    for lag, product in enumerate(_products(loop, row, max(lags))):
        if lag in wanted:
            for path, at in loop.parts.items():
                blocks[path].append(product[at, at])
    stacked = {path: torch.stack(found) for path, found in blocks.items()}
    spectral = {path: torch.linalg.matrix_norm(found, 2) for path, found in stacked.items()}
    frobenius = {path: torch.linalg.matrix_norm(found) for path, found in stacked.items()}
    if loop.kept is not None:
        shares = _shares(loop.kept[:, row])[list(lags)]
        spectral["carousel"], frobenius["carousel"] = shares.amax(1), shares.norm(dim=1)
    return spectral, frobenius


def _shares(kept: Tensor) -> Tensor:
    """What each cell (columns) keeps over the last q steps, for q = 0, 1, … (rows): products of forget activations."""
    return torch.cat([kept.new_ones(1, kept.shape[1]), kept.flip(0).cumprod(0)]).abs()


def _products(loop: Loop, row: int, furthest: int) -> Iterator[Tensor]:
    """∂s_T / ∂s_{T-q} of the whole state s, for q = 0, 1, … up to the furthest lag."""
    product = torch.eye(loop.states.shape[2], dtype=loop.states.dtype, device=loop.states.device)
    yield product
    slopes = torch.func.vmap(torch.func.jacrev(loop.step, argnums=1))
    time = loop.gates.shape[0]
    for end in range(time, time - furthest, -STEPS_AT_ONCE):
        at = slice(max(end - STEPS_AT_ONCE, time - furthest), end)
        for jacobian in slopes(loop.gates[at, row], loop.states[at, row]).flip(0):
            product = product @ jacobian
            yield product


def _lstm_step(cell: Cell, operands: Operands, widths: list[int], gates: Tensor, state: Tensor) -> Tensor:
    before = State(*(part.unsqueeze(0) for part in state.split(widths)))
    _, after = reference.recurrence(cell, Operands(gates.view(1, 1, -1), before, operands.weights))
    return _joined(after).squeeze(0)


def _elman_step(R: Tensor, squash: Callable[[Tensor], Tensor], gates: Tensor, state: Tensor) -> Tensor:
    return squash(gates + state @ R.T)


def _joined(state: State) -> Tensor:
    return torch.cat([part for part in state if part is not None], dim=1)


def per_cell(gate: Tensor, cells: Tensor) -> Tensor:
    """A gate that a block of cells shares, once for each of its cells."""
    return gate.repeat_interleave(cells.shape[1] // gate.shape[1], dim=1)
