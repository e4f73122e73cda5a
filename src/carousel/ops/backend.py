"""Backends: each says in a sentence what it cannot run; the first in order of preference that refuses nothing runs."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor

from carousel.cells import Cell, name_of
from carousel.ops.operands import LayerOperands, Moment, Operands, State, StepOperands

AnyOperands = Operands | LayerOperands | StepOperands
"""What a backend can be asked to run: a recurrence, a layer, or a single step."""


class Backend(ABC):
    """A way to run cells. Results must agree with the reference in values and all gradients."""

    name: str
    recomputes: bool = False
    """Whether it heeds `Steps.recompute`. One that does not keeps every step, and gives the same numbers."""

    @abstractmethod
    def refuses(self, cell: Cell, operands: AnyOperands) -> str | None:
        """Why this backend cannot run the cell on these operands, in a sentence; None if it can."""

    @abstractmethod
    def recurrence(self, cell: Cell, operands: Operands) -> tuple[Tensor, State]:
        """Outputs (time, batch, output) and the last state."""

    def layer(self, cell: Cell, operands: LayerOperands) -> tuple[Tensor, State]:
        """Outputs and the last state, given the inputs; here by one product for all steps, then the recurrence."""
        return self.recurrence(cell, operands.with_gates())

    @abstractmethod
    def step(self, cell: Cell, operands: StepOperands) -> Moment:
        """The state after one step, and the gates' activations."""

    def way(self, cell: Cell, operands: AnyOperands) -> str:
        """How it runs the cell on operands that it does not refuse: what `explain` says of it."""
        if isinstance(operands, StepOperands) or (segment := operands.steps.segment(operands.time)) is None:
            return "runs"
        if not self.recomputes:
            return "runs, and keeps every step: recompute is for the compiled loops"
        return f"runs; while training it keeps a state every {segment} steps and computes the rest again"


def refuses_watchers() -> str | None:
    """Why compiled loops cannot run under a mode of torch that must see every single operation; None outside."""
    if torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state() is not None:
        return "a dispatch mode or a trace wants to see plain torch operations"
    return None


class Choice(NamedTuple):
    """What `explain` says of one backend: whether it runs, and if not, why."""

    backend: str
    runs: bool
    reason: str


PREFERENCE: list[Backend] = []
"""All backends, the preferred one first; the reference is last and refuses nothing."""

_only: ContextVar[str | None] = ContextVar("only", default=None)


@contextmanager
def only(name: str) -> Iterator[None]:
    """Inside this context the named backend runs, or raises with its reason.

    Raises ValueError if no backend has that name.
    """
    if name not in (known := [backend.name for backend in PREFERENCE]):
        raise ValueError(f"no backend is called {name!r}; there are {', '.join(known)}")
    token = _only.set(name)
    try:
        yield
    finally:
        _only.reset(token)


def allows(name: str) -> bool:
    """Whether `only` leaves that backend a chance here."""
    return _only.get() in (None, name)


def pick(cell: Cell, operands: AnyOperands) -> Backend:
    """The first backend in order of preference that does not refuse.

    Raises NotImplementedError with the reasons if all that may run refuse.
    """
    reasons = []
    for backend in _allowed():
        reason = backend.refuses(cell, operands)
        if reason is None:
            return backend
        reasons.append(f"{backend.name}: {reason}")
    raise NotImplementedError(f"no backend runs cell {name_of(cell)}: {'; '.join(reasons)}")


def explain(cell: Cell, operands: AnyOperands) -> list[Choice]:
    """For each backend in order of preference whether it would run these operands, and why not."""
    choices: list[Choice] = []
    for backend in _allowed():
        reason = backend.refuses(cell, operands)
        if reason is None and any(choice.runs for choice in choices):
            reason = "a preferred backend runs"
        choices.append(Choice(backend.name, reason is None, reason or backend.way(cell, operands)))
    return choices


def _allowed() -> list[Backend]:
    return [backend for backend in PREFERENCE if allows(backend.name)]
