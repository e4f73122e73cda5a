"""Training as it is watched: a bar on stderr, Ctrl-C between two updates, and what came out."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from carousel.cli.console import console, duration, number, say
from carousel.training import Report


@dataclass
class Training:
    """How training ended.

    last: the last report, None when not one update was made; interrupted: whether Ctrl-C ended it.
    """

    last: Report | None = None
    interrupted: bool = False


def train(reports: Any, *, shown: bool) -> Training:
    """Consume the reports, with a bar on stderr where someone is watching.

    The first Ctrl-C stops after the update that is being made, so that the run can go on exactly; the second at once.
    """
    training = Training()
    with _interrupts(training), _bar(shown) as advance:
        for report in reports:
            training.last = report
            advance(report)
            if training.interrupted:
                break
        reports.close()
    return training


@contextmanager
def _interrupts(training: Training) -> Iterator[None]:
    def interrupt(number: int, frame: Any) -> None:
        if training.interrupted:
            raise KeyboardInterrupt
        training.interrupted = True
        say("\nstopping after this update; Ctrl-C again stops at once")

    try:
        before = signal.signal(signal.SIGINT, interrupt)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _bar(shown: bool) -> Iterator[Any]:
    if not (shown and _is_watched()):
        yield lambda report: None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[figures]}"))
    with Progress(*columns, console=console(stderr=True), transient=True, refresh_per_second=5) as bar:
        task = bar.add_task("epoch 1", total=None, figures="")

        def advance(report: Report) -> None:
            bar.update(
                task,
                total=report.updates,
                completed=report.update,
                description=f"epoch {report.epoch}/{report.epochs}",
                figures=_figures(report),
            )

        yield advance


def _is_watched() -> bool:
    return sys.stderr.isatty()


def _figures(report: Report) -> str:
    parts = [f"loss {number(report.loss)}"]
    if report.history and (validation := report.history[-1]["validation"]) is not None:
        parts.append(f"validation {number(validation)} (best {number(report.best)})")
    return "  ".join([*parts, f"at most {duration(report.remaining_seconds)} left"])
