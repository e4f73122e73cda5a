"""Continual embedded Reber grammar: strings without end, and no mark where one ends and the next begins.

Source: Gers, Schmidhuber & Cummins 2000.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from carousel.data.synthetic.reber import END, INNER, SYMBOLS
from carousel.data.synthetic.stream import Stream

_INNER = {
    "begin": {"B": "0"},
    **{str(state): {symbol: str(to) for symbol, to in edges.items()} for state, edges in INNER.items()},
    str(END): {"E": "again"},
}
"""The Reber grammar: from each state the symbols that may come, and where they lead."""


def _grammar() -> dict[str, dict[str, str]]:
    """The embedded grammar, over and over: B, T or P, a string of the inner one, the same T or P, E."""
    whole = {"B": {"B": "choice"}, "choice": {which: f"{which} begin" for which in "TP"}, "E": {"E": "B"}}
    for which in "TP":
        for state, edges in _INNER.items():
            whole[f"{which} {state}"] = {symbol: f"{which} {to}" for symbol, to in edges.items()}
        whole[f"{which} again"] = {which: "E"}
    return whole


_GRAMMAR = _grammar()
_STATES = list(_GRAMMAR)
_EDGES = [[(SYMBOLS.index(symbol), _STATES.index(to)) for symbol, to in _GRAMMAR[name].items()] for name in _STATES]
_SYMBOL, _NEXT = np.array([[edges[0], edges[-1]] for edges in _EDGES]).transpose(2, 0, 1)
"""By state and by the fall of a coin: which symbol comes, and which state."""
LEGAL = np.array([[float(symbol in _GRAMMAR[state]) for symbol in SYMBOLS] for state in _STATES])
"""Which symbols may come next, by state (states, symbols)."""


def continual_reber(strings: int, rng: np.random.Generator) -> Stream:
    """That many strings one after another: symbols, and as targets 1 for each symbol that may come next."""
    walks = _walks(strings, rng)
    states = walks.T[walks.T >= 0]
    before = np.concatenate([[0], states[:-1]])
    symbols = np.where(_NEXT[before, 0] == states, _SYMBOL[before, 0], _SYMBOL[before, 1])
    observed = torch.ones(len(states), dtype=torch.bool)
    return Stream(torch.from_numpy(symbols), torch.from_numpy(LEGAL[states]), observed, torch.from_numpy(before == 0))


def _walks(strings: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The states after each symbol of each string (steps, strings), -1 behind its end."""
    alive, state, rows = np.arange(strings), np.zeros(strings, dtype=np.int64), []
    while len(alive):
        state = _NEXT[state, rng.integers(0, 2, len(alive))]
        row = np.full(strings, -1)
        row[alive] = state
        rows.append(row)
        alive, state = alive[state != 0], state[state != 0]
    return np.array(rows).reshape(-1, strings)
