"""One process of the crowd: it does, line by line, what it is told on its input, and answers with its step times."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

BUSY = "busy loop"


def main() -> None:
    """Take orders {"kind", "seconds", "least"} until the input ends; "stop" ends the order before its time."""
    from benchmarks.cells import cases

    orders: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    stopped = threading.Event()
    threading.Thread(target=_listen, args=(orders, stopped), daemon=True).start()
    works: dict[str, Callable[[], object]] = {BUSY: lambda: sum(range(10_000))}
    for order in iter(orders.get, None):
        problem, kind = cases.shape(order["problem"]), order["kind"]
        if kind not in works:
            module = cases.ours(problem)
            works[kind] = cases.Contestant(cases.theirs(module) if kind == cases.TORCH else module).training(
                cases.inputs(problem)
            )
        print(json.dumps(list(_steps(works[kind], order["seconds"], stopped, order["least"]))), flush=True)


def _steps(work: Callable[[], object], seconds: float, stopped: threading.Event, least: int) -> Iterator[float]:
    """The seconds of each step, at least so many, until the time is over or somebody says stop."""
    start, done = time.perf_counter(), 0
    while not stopped.is_set() and (done < least or time.perf_counter() - start < seconds):
        before = time.perf_counter()
        work()
        done += 1
        yield time.perf_counter() - before


def _listen(orders: "SimpleQueue[dict[str, Any] | None]", stopped: threading.Event) -> None:
    for line in sys.stdin:
        if line.strip() == "stop":
            stopped.set()
        else:
            stopped.clear()  # here, where the next stop is read too: it belongs to this order, however late that begins
            orders.put(json.loads(line))
    orders.put(None)


if __name__ == "__main__":
    main()
