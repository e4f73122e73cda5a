"""Ask the questions one after the other, and keep the answers."""

import time
from collections.abc import Callable, Iterator, Sequence

import torch

import carousel
from benchmarks import machine
from benchmarks.cells import (
    costs,
    crowd,
    fallbacks,
    jax_peer,
    memory,
    online,
    population,
    streaming,
    transcription,
    vanilla,
    variants,
)
from benchmarks.cells.records import Answer
from benchmarks.cells.timing import Effort

QUESTIONS: dict[str, Callable[[Effort], Answer]] = {
    "lstm": vanilla.lstm,
    "streaming": streaming.streaming,
    "variants": variants.variants,
    "peers": variants.peers,
    "compiled": variants.compiled,
    "jax": jax_peer.scans,
    "ragged": fallbacks.ragged,
    "projection": fallbacks.projection,
    "float64": fallbacks.float64,
    "share": vanilla.share,
    "bfloat16": vanilla.bfloat16,
    "memory": memory.memory,
    "population": population.population,
    "online": online.online,
    "transcription": transcription.transcription,
    "crowd": crowd.crowd,
    "costs": costs.costs,
}


def answers(effort: Effort, names: Sequence[str] = ()) -> Iterator[Answer]:
    """The answers to these questions, or to all, each with its machine, load and seconds."""
    for name in names or QUESTIONS:
        load, start = machine.load(), time.perf_counter()
        answer = QUESTIONS[name](effort)
        answer.machine, answer.load = described(), [load, machine.load()]
        answer.seconds = round(time.perf_counter() - start, 1)
        yield answer


def described() -> dict[str, str | int | float]:
    """The machine, its vector instructions, and what runs our cells on it."""
    found = machine.described()
    del found["threads"]
    backend = next(choice.backend for choice in carousel.LSTM(1, 1).explain() if choice.runs)
    return {**found, "instructions": torch.backends.cpu.get_cpu_capability(), "backend": backend}
