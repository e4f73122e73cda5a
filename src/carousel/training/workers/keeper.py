"""Who keeps what it is at from one question to the next, wherever it is."""

from abc import ABC, abstractmethod
from typing import Any


class LostError(RuntimeError):
    """A process ended before it answered: another is begun when it is asked next, and has nothing in mind."""


class Keeper(ABC):
    """A place of its own in which one task answers questions, made by `Workers.keepers`.

    What the task keeps lasts from question to question, until its process is lost or it is closed. `births` counts how
    often it began with nothing in mind: where it has grown, what was kept is gone. It first does so by the first
    `begin`. Who has asked waits for the answer, or closes it, before asking again.
    """

    births: int = 0

    @abstractmethod
    def begin(self) -> None:
        """Begin with nothing in mind, where nothing has begun or what had is gone."""

    @abstractmethod
    def ask(self, question: Any) -> None:
        """Send a question; `answer` waits for what comes of it."""

    @abstractmethod
    def answer(self) -> Any:
        """The answer to the last question. Raises what the task raised, LostError where the process is gone."""

    @abstractmethod
    def close(self) -> None:
        """End it, and all that it keeps; a later question begins it anew."""
