"""How far a run of papers is, and about how long it still takes: by the minutes that each took when it was written."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO

from papers import claims
from papers.experiment import Experiment

SMALL = 0.02
"""About what share of a paper's time its small size takes."""


@dataclass
class Progress:
    """One line of progress: on a terminal always the same one, elsewhere a new one for each part.

    The time left is what expected.json says of the parts to come, times how slow this machine is with those before.
    """

    experiments: Sequence[Experiment]
    to: TextIO = field(default_factory=lambda: sys.stderr)
    _expected: dict[str, float] = field(init=False)
    _done: float = 0.0

    def __post_init__(self) -> None:
        self._expected = {each.key: _minutes(each) for each in self.experiments}
        self._began = time.perf_counter()

    def left(self) -> float:
        """Minutes still to come."""
        slower = (time.perf_counter() - self._began) / 60 / self._done if self._done > 0 else 1.0
        return sum(self._expected.values()) * slower

    def part(self, experiment: Experiment, text: str) -> None:
        """A part is done."""
        remaining = len(experiment.remaining())
        share = self._expected[experiment.key] / (remaining + 1)
        self._expected[experiment.key] = share * remaining
        self._done += share
        self.say(f"{text}; {self._place(experiment)}, about {_said(self.left())} left")

    def say(self, line: str) -> None:
        """Show a line in place of the last one."""
        terminal = self.to.isatty()
        print(f"\r\033[K{line}" if terminal else line, end="" if terminal else "\n", file=self.to, flush=True)

    def over(self) -> None:
        """Leave the line free for what is printed next."""
        if self.to.isatty():
            print("\r\033[K", end="", file=self.to, flush=True)

    def _place(self, experiment: Experiment) -> str:
        keys = [each.key for each in self.experiments]
        return f"paper {keys.index(experiment.key) + 1} of {len(keys)}"


def _minutes(experiment: Experiment) -> float:
    """What the parts of a paper that are still to be done should take."""
    whole = claims.expected(experiment.key)["minutes"] * (SMALL if experiment.small else 1)
    return whole * len(experiment.remaining()) / max(1, len(experiment.names()))


def _said(minutes: float) -> str:
    if minutes < 1:
        return "a minute"
    hours, rest = divmod(round(minutes), 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"
