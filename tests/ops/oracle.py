"""A second opinion: every named cell as scalar loops over Python floats, written from the papers' equations.

It knows nothing of `carousel`: which gates a name has, and in which rows they lie, is written out here by hand.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Vector = list[float]

LEARNED = {
    "lstm": "ifzo",
    "lstm1997": "izo",
    "peephole": "ifzo",
    "peephole_matrix": "ifzo",
    "peephole_matrix_tanh": "ifzo",
    "coupled": "izo",
    "no_input_gate": "fzo",
    "no_forget_gate": "izo",
    "no_output_gate": "ifz",
    "no_input_activation": "ifzo",
    "no_output_activation": "ifzo",
    "full_gate_recurrence": "ifzo",
}
FROM_CELL = ("peephole_matrix", "peephole_matrix_tanh")
PEEPHOLES = {
    "lstm": "",
    "lstm1997": "",
    "peephole_matrix": "",
    "peephole_matrix_tanh": "",
    "coupled": "io",
    "no_input_gate": "fo",
    "no_forget_gate": "io",
    "no_output_gate": "if",
}
"""The gates with a vector peephole; i, f and o where a name is not listed."""


def sigma(v: float) -> float:
    return 1.0 / (1.0 + math.exp(-v))


@dataclass
class Oracle:
    """One layer: arrays as `carousel.ops` takes them, sizes, and the options that a name does not say."""

    name: str
    R: np.ndarray
    hidden: int
    p: np.ndarray | None = None
    G: np.ndarray | None = None
    P: np.ndarray | None = None
    norm_recurrent: np.ndarray | None = None
    norm_cell: np.ndarray | None = None
    norm: str | None = None
    block: int = 1

    def run(self, gates: np.ndarray, h: Sequence[float], c: Sequence[float], sent: Sequence[float] = ()) -> np.ndarray:
        """Rows [h_t, c_t] of one sequence from its pre-activations (time, rows)."""
        rows, state = [], (list(h), list(c), list(sent))
        for t in range(gates.shape[0]):
            state = self.step([float(v) for v in gates[t]], *state)
            rows.append(state[0] + state[1])
        return np.array(rows)

    def step(self, pre: Vector, h: Vector, c: Vector, sent: Vector) -> tuple[Vector, Vector, Vector]:
        net = self._nets(pre, h, c, sent)
        units, shared = range(self.hidden), range(self.hidden // self.block)
        i = [sigma(net["i"][k] + self._peep("i", k, c)) for k in shared] if "i" in net else [1.0 for _ in shared]
        f = [sigma(net["f"][k] + self._peep("f", k, c)) for k in shared] if "f" in net else [1.0 for _ in shared]
        if self.name == "coupled":
            f = [1.0 - i[k] for k in shared]
        z = [self._g(net["z"][u]) for u in units]
        new = [f[u // self.block] * c[u] + i[u // self.block] * z[u] for u in units]
        if self.norm == "torch_sample":
            new = self._layer_norm(new, self.norm_cell)
        o = [sigma(net["o"][k] + self._peep("o", k, new)) for k in shared] if "o" in net else [1.0 for _ in shared]
        seen = self._layer_norm(new, self.norm_cell) if self.norm == "ba2016" else new
        out = [o[u // self.block] * self._h(seen[u]) for u in units]
        if self.P is not None:
            out = [math.fsum(self.P[r, u] * out[u] for u in units) for r in range(self.P.shape[0])]
        return out, new, (i + f + o if self.name == "full_gate_recurrence" else [])

    def _nets(self, pre: Vector, h: Vector, c: Vector, sent: Vector) -> dict[str, Vector]:
        """W x + R h + G gates + b of each gate."""
        source = c if self.name in FROM_CELL else h
        product = [math.fsum(self.R[r, j] * source[j] for j in range(len(source))) for r in range(self.R.shape[0])]
        if self.norm_recurrent is not None:
            product = self._layer_norm(product, self.norm_recurrent)
        nets, at, recurrent_at = {}, 0, 0
        for gate in LEARNED[self.name]:
            size = self.hidden if gate == "z" else self.hidden // self.block
            nets[gate] = pre[at : at + size]
            at += size
            if not (gate == "z" and self.name in FROM_CELL):
                nets[gate] = [nets[gate][k] + product[recurrent_at + k] for k in range(size)]
                recurrent_at += size
        if self.name == "full_gate_recurrence":
            self._full(nets, sent)
        return nets

    def _full(self, nets: dict[str, Vector], sent: Vector) -> None:
        assert self.G is not None
        third = len(sent) // 3
        for place, gate in enumerate("ifo"):
            for k in range(third):
                nets[gate][k] += sum(self.G[place * third + k, j] * sent[j] for j in range(len(sent)))

    def _peep(self, gate: str, k: int, c: Vector) -> float:
        order = PEEPHOLES.get(self.name, "ifo")
        if gate not in order:
            return 0.0
        assert self.p is not None
        own = range(k * self.block, (k + 1) * self.block)
        return sum(float(self.p[order.index(gate), u]) * c[u] for u in own)

    def _g(self, v: float) -> float:
        if self.name == "lstm1997":
            return 4 * sigma(v) - 2
        return v if self.name == "no_input_activation" else math.tanh(v)

    def _h(self, v: float) -> float:
        if self.name == "lstm1997":
            return 2 * sigma(v) - 1
        return v if self.name in ("peephole_matrix", "no_output_activation") else math.tanh(v)

    @staticmethod
    def _layer_norm(values: Vector, gain_and_bias: np.ndarray | None) -> Vector:
        assert gain_and_bias is not None
        mean = sum(values) / len(values)
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values) + 1e-5)
        return [gain_and_bias[0, k] * (v - mean) / spread + gain_and_bias[1, k] for k, v in enumerate(values)]
