"""An LSTM with a program for weights: Rule 110, finite automata, Turing machines; and where precision and tape end."""

import random
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from carousel.cells import find, layout
from carousel.cells.layout import Sizes
from carousel.nn import LSTM
from carousel.ops import PREFERENCE, example, only
from papers.experiment import Parts, Results
from papers.siegelmann1995 import oracle
from papers.siegelmann1995.programs import (
    BUSY_BEAVER,
    COUNTER,
    ON,
    Machine,
    Places,
    Program,
    automaton,
    rule110,
    turing,
)  # fmt: skip

Settings = dict[str, Any]
DTYPES = {"float32": torch.float32, "float64": torch.float64}
TORCH, REFERENCE, PREFERRED = "torch.nn.LSTM", "reference", "preferred"
LONG, HALTS = 64, 107
"""A tape that no machine here comes to the end of, and after how many steps the busy beaver rests."""


def parts(settings: Settings) -> Parts:
    """Rule 110 for each backend, dtype and seed; the other programs for each seed; the limits."""
    found: Parts = {}
    for seed in range(settings["seeds"]):
        for backend in [*backends(), TORCH]:
            for dtype in DTYPES:
                found[f"rule110 {backend} {dtype} seed {seed}"] = partial(ring, settings, backend, dtype, seed)
        found[f"automaton seed {seed}"] = partial(finite, settings, seed)
        found[f"counter machine seed {seed}"] = partial(counts, settings, seed)
        for sharpness in settings["sharpnesses"]:
            found[f"sharpness {sharpness} seed {seed}"] = partial(blunt, settings, sharpness, seed)
    for tape in settings["tapes"]:
        found[f"busy beaver {tape}"] = partial(beaver, settings, tape)
    for dtype in DTYPES:
        found[f"counting {dtype}"] = partial(counting, settings, dtype)
    return found


def backends() -> list[str]:
    """The backends that run here."""
    cell = find("lstm")
    operands = example(cell, 1, 1, Sizes(1, 1))
    return [backend.name for backend in PREFERENCE if backend.refuses(cell, operands) is None]


def run(program: Program, x: Tensor, sharpness: float, backend: str, dtype: torch.dtype) -> Tensor:
    """Outputs (time, units) of the compiled program on inputs x (time, symbols)."""
    lstm, state, x = program.compile(sharpness, dtype), program.first_state(dtype), x.to(dtype).unsqueeze(1)
    with torch.no_grad():
        if backend == TORCH:
            foreign = torch.nn.LSTM(lstm.input_size, lstm.hidden_size, dtype=dtype)
            foreign.load_state_dict(lstm.state_dict())
            return foreign(x, state)[0][:, 0]
        with nullcontext() if backend == PREFERRED else only(backend):
            return lstm(x, state)[0][:, 0]


def _tape(settings: Settings, seed: int) -> list[int]:
    return random.Random(seed).choices((0, 1), k=settings["cells"])


def ring(settings: Settings, backend: str, dtype: str, seed: int) -> dict[str, Any]:
    """Rule 110 from a random tape: the first wrong step, the largest distance of an output from 0 or tanh 1."""
    return _ring(settings, (backend, dtype), settings["sharpness"], seed) | {"backend": backend, "dtype": dtype}


def blunt(settings: Settings, sharpness: float, seed: int) -> dict[str, Any]:
    """The same with gates of less sharpness."""
    return _ring(settings, (PREFERRED, "float64"), sharpness, seed) | {"sharpness": sharpness, "seed": seed}


def _ring(settings: Settings, way: tuple[str, str], sharpness: float, seed: int) -> dict[str, Any]:
    tape = _tape(settings, seed)
    expected = torch.tensor(list(oracle.rule110(tape, settings["steps"])))
    x = torch.zeros(settings["steps"], 1)
    try:
        found = run(rule110(torch.tensor(tape)), x, sharpness, way[0], DTYPES[way[1]]).double()
    except NotImplementedError as error:
        return {"refused": str(error)}
    wrong = ((found > ON / 2) != expected.bool()).any(1).nonzero()
    right = int(wrong[0]) if len(wrong) else settings["steps"]
    return {"right": right, "exact": not len(wrong), "deviation": (found - ON * expected.double()).abs().max().item()}


def finite(settings: Settings, seed: int) -> dict[str, Any]:
    """A random automaton on a random word, held to the automaton at every letter."""
    draw, states, symbols = random.Random(seed), settings["states"], settings["symbols"]
    table = [[draw.randrange(states) for _ in range(symbols)] for _ in range(states)]
    word = [draw.randrange(symbols) for _ in range(settings["word"])]
    x = torch.nn.functional.one_hot(torch.tensor(word), symbols)
    found = run(automaton(table), x, settings["sharpness"], PREFERRED, torch.float64) > ON / 2
    expected = torch.zeros_like(found)
    for step, (state, letter) in enumerate(oracle.automaton(table, word)):
        expected[step, state * symbols + letter] = True
    return {"exact": bool((found == expected).all())}


def counts(settings: Settings, seed: int) -> dict[str, Any]:
    """A Turing machine counts up from a random number on its tape, held to the machine at every step."""
    bits = settings["bits"]
    tape = [0, *random.Random(seed).choices((0, 1), k=bits - 1), 2]
    return {"exact": _exact(COUNTER, tape, bits - 1, settings, steps=4 * bits)[0]}


def beaver(settings: Settings, cells: int) -> dict[str, Any]:
    """The busy beaver on so many empty cells: steps until it rests and ones that it leaves, 0 if it never does."""
    heads = [head - LONG // 2 for _, head, _ in oracle.turing(BUSY_BEAVER, [0] * LONG, LONG // 2, HALTS)]
    begin = -min(0, *heads)
    exact, found = _exact(BUSY_BEAVER, [0] * cells, min(begin, cells - 1), settings, steps=HALTS + 10)
    place = Places(BUSY_BEAVER, cells)
    resting = [place(at, symbol, "H") for at in range(cells) for symbol in (0, 1)]
    ones = [place(at, 1, state) for at in range(cells) for state in (None, *BUSY_BEAVER.states)]
    rests = found[:, resting].any(1).nonzero()
    needs = max(heads) - min(0, *heads) + 1
    halted = len(rests) > 0
    return {
        "cells": cells, "needs": needs, "exact": exact, "halts": halted,
        "steps": int(rests[0]) + 1 if halted else 0, "ones": int(found[-1, ones].sum()) if halted else 0,
    }  # fmt: skip


def _exact(machine: Machine, tape: list[int], head: int, settings: Settings, *, steps: int) -> tuple[bool, Tensor]:
    """Whether every unit is right at every step, and which units are on."""
    program = turing(machine, tape, head)
    x = torch.zeros(steps, 1)
    found = run(program, x, settings["sharpness"], PREFERRED, torch.float64) > ON / 2
    place, expected = Places(machine, len(tape)), torch.zeros_like(found)
    for step, (row, at_head, state) in enumerate(oracle.turing(machine, tape, head, steps)):
        for at, symbol in enumerate(row):
            expected[step, place(at, symbol, state if at == at_head else None)] = True
    return bool((found == expected).all()), found


def counting(settings: Settings, dtype: str) -> dict[str, Any]:
    """A cell that adds one for each a and takes one off for each b: where c and tanh c stop telling numbers."""
    counter = _counter(settings["sharpness"], DTYPES[dtype])
    state = next(k for k in range(64) if _after(counter, 2.0**k, "ab")[1] != 2.0**k)
    seen = next(n for n in range(64) if _after(counter, n, "a")[0] == _after(counter, n - 1, "a")[0])
    return {"dtype": dtype, "state": state, "output": seen}


def _counter(sharpness: float, dtype: torch.dtype) -> LSTM:
    lstm = LSTM(2, 1, dtype=dtype).requires_grad_(False)
    for parameter in lstm.parameters():
        parameter.zero_()
    rows = layout.rows(lstm.cell, 1)
    for gate in ("input", "forget", "output"):
        lstm.bias_ih_l0[rows[gate]] = sharpness
    lstm.weight_ih_l0[rows["candidate"]] = torch.tensor([[sharpness, -sharpness]], dtype=dtype)
    return lstm


def _after(counter: LSTM, count: float, word: str) -> tuple[float, float]:
    """h and c after a word, from that count."""
    x = torch.tensor([[1.0, 0.0] if letter == "a" else [0.0, 1.0] for letter in word], dtype=counter.weight_ih_l0.dtype)
    c = x.new_full((1, 1, 1), count)
    with only(REFERENCE):
        _, (h, c) = counter(x.unsqueeze(1), (torch.zeros_like(c), c))
    return h.item(), c.item()


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    rings = [row for row in _of(results, "rule110") if "refused" not in row]
    beavers = _of(results, "busy beaver")
    whole = max(beavers, key=lambda row: row["cells"])
    counters = {row["dtype"]: row for row in _of(results, "counting")}
    return {
        "rule110_exact": [float(row["exact"]) for row in rings],
        "rule110_deviation": [row["deviation"] for row in rings if row["dtype"] == "float64"],
        "automaton_exact": [float(row["exact"]) for row in _of(results, "automaton")],
        "counter_machine_exact": [float(row["exact"]) for row in _of(results, "counter machine")],
        "busy_beaver_steps": [whole["steps"]],
        "busy_beaver_ones": [whole["ones"]],
        "busy_beaver_exact": [float(row["exact"]) for row in beavers],
        "busy_beaver_tape": [min(row["cells"] for row in beavers if row["halts"])],
        "least_sharpness": _least(_of(results, "sharpness")),
        "count_bits_float32": [counters["float32"]["state"]],
        "count_bits_float64": [counters["float64"]["state"]],
        "count_seen_float32": [counters["float32"]["output"]],
        "count_seen_float64": [counters["float64"]["output"]],
    }


def _least(rows: list[dict[str, Any]]) -> list[float]:
    """For each seed the least sharpness from which on every step is right."""
    found = []
    for seed in sorted({row["seed"] for row in rows}):
        failing = [row["sharpness"] for row in rows if row["seed"] == seed and not row["exact"]]
        right = [row["sharpness"] for row in rows if row["seed"] == seed and row["exact"]]
        found.append(min(value for value in right if value > max(failing, default=0)))
    return found


def _of(results: Results, begin: str) -> list[dict[str, Any]]:
    return [row for name, row in results.items() if name.startswith(begin)]


def draw(results: Results, path: Path) -> None:
    """The figure: the outputs of a layer that runs Rule 110 from one cell, and steps that are right by sharpness."""
    from matplotlib.figure import Figure

    tape = torch.zeros(160, dtype=torch.int64)
    tape[-1] = 1
    found = run(rule110(tape), torch.zeros(150, 1), 60, REFERENCE, torch.float64)
    figure = Figure(figsize=(9.2, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1])
    left.imshow(found, cmap="Greys", interpolation="nearest", aspect="auto")
    left.set(xlabel="unit = tape cell", ylabel="step")
    rows = _of(results, "sharpness")
    sharp = sorted({row["sharpness"] for row in rows})
    for seed in sorted({row["seed"] for row in rows}):
        steps = [row["right"] for k in sharp for row in rows if (row["sharpness"], row["seed"]) == (k, seed)]
        right.plot(sharp, steps, color="#0072b2", alpha=0.45, marker="o", markersize=3.5, linewidth=1)
    right.set(xscale="log", yscale="symlog", xlabel="sharpness K of the gates", ylabel="steps until a bit is wrong")
    right.set_xticks([1, 2, 5, 10, 20, 60], ["1", "2", "5", "10", "20", "60"])
    right.set_yticks([0, 1, 10, 100, 1000], ["0", "1", "10", "100", "1000"])
    right.set_ylim(-0.15, 4000)
    right.minorticks_off()
    right.spines[["top", "right"]].set_visible(False)
    right.grid(color="#d0d7de", linewidth=0.6)
    for panel, title in ((left, "Rule 110 on one layer: its outputs h"), (right, "The limit: how sharp gates must be")):
        panel.set_title(title, loc="left", fontsize=10, fontweight="bold")
    figure.savefig(path, dpi=130, metadata={"Software": None})
