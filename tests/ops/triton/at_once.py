"""Triton's interpreter with all programs of a launch at once, where by itself it runs one after the other.

Each is a thread, and one of them runs at a time: at every access to memory it may have to hand over to another, drawn
by a seed. What a program reads too early, because it does not wait, or finds written over, is then seen to be wrong.
That writes are seen in the order in which they are made is taken for granted.
"""

import inspect
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import pytest
import triton.language as tl  # pyright: ignore[reportMissingImports]
from triton.runtime import interpreter  # pyright: ignore[reportMissingImports]

PATIENCE = 20_000
"""Accesses in a row of which none writes, after which nobody will end the waiting."""
ADDS = "create_atomic_rmw"
READS, WRITES = ("create_masked_load",), ("create_masked_store", ADDS)
"""What reads and what writes: to add nothing is to read, as older versions of Triton do to wait."""


class Deadlock(Exception):
    """All programs wait for each other."""


class Launch:
    """The programs of a launch: threads of which one runs."""

    def __init__(self, seed: int, keep: float) -> None:
        self._draw, self._keep = random.Random(seed), keep
        self._programs: list[tuple[tuple[int, ...], threading.Semaphore]] = []
        self._running: list[int] = []
        self._now, self._vain = 0, 0
        self._errors: list[BaseException] = []
        self._done = threading.Event()

    def run(self, builder: Any, function: Any, calls: list[tuple[tuple[int, ...], dict[str, Any]]]) -> None:
        """Run the function at each place of the grid, with its arguments there."""
        self._builder = builder
        self._programs = [(place, threading.Semaphore(0)) for place, _ in calls]
        self._running = list(range(len(calls)))
        threads = [
            threading.Thread(target=self._program, args=(at, function, given), daemon=True)
            for at, (_, given) in enumerate(calls)
        ]
        for thread in threads:
            thread.start()
        self._hand_over(self._draw.choice(self._running))
        self._done.wait()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def access(self, *, writes: bool) -> None:
        """Maybe another program's turn comes first."""
        me, self._vain = self._now, 0 if writes else self._vain + 1
        if self._vain > PATIENCE:
            self._errors.append(Deadlock())
        if not self._errors and self._draw.random() > self._keep:
            self._hand_over(self._draw.choice(self._running))
            self._wait(me)
        if self._errors:
            raise SystemExit

    def _program(self, me: int, function: Any, given: dict[str, Any]) -> None:
        self._wait(me)
        try:
            if not self._errors:
                function(**given)
        except BaseException as error:
            self._errors.append(error)
        self._running.remove(me)
        if self._running:
            self._hand_over(self._draw.choice(self._running))
        else:
            self._done.set()

    def _hand_over(self, to: int) -> None:
        self._now = to
        self._programs[to][1].release()

    def _wait(self, me: int) -> None:
        place, turn = self._programs[me]
        turn.acquire()
        self._builder.set_grid_idx(*place)


@contextmanager
def programs_at_once(seed: int, keep: float = 0.7) -> Iterator[None]:
    """Run launches so; a program keeps its turn at an access as often as that."""
    builder, launches = interpreter.interpreter_builder, []

    class AtOnce(interpreter.GridExecutor):
        def __call__(self, *given: Any, **named: Any) -> None:
            function, calls = self.fn, []

            def note(**arguments: Any) -> None:
                calls.append((builder.grid_idx, arguments))
                if len(calls) == prod(builder.grid_dim):
                    launches.append(Launch(seed, keep))
                    launches[-1].run(builder, function, calls)

            note.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
            self.fn = note
            super().__call__(*given, **named)

    def watched(name: str, *, writes: bool) -> Any:
        own = getattr(builder, name)

        def access(*given: Any) -> Any:
            asks = name == ADDS and not given[2].data.any()
            launches[-1].access(writes=writes and not asks)
            return own(*given)

        return access

    def poll(where: Any, expected: Any, *_: Any) -> Any:
        while (builder.create_load(where, None, True).data != expected.data).any():
            pass
        return interpreter.TensorHandle(expected.data == expected.data, tl.int1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "GridExecutor", AtOnce)
        patch.setattr(builder, "create_atomic_poll", poll, raising=False)
        for writes, names in enumerate((READS, WRITES)):
            for name in names:
                patch.setattr(builder, name, watched(name, writes=bool(writes)))
        yield
