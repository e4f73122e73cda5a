"""Memory that cannot be had, in words: how much was asked for, by which settings, and what would do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ALLOCATED = re.compile(r"allocate (\d+(?:\.\d+)?) ?(bytes|[KMGTPE]iB)")
_OVERFLOW = ("Storage size calculation overflowed", "integer multiplication overflow")
"""What torch says of sizes whose product is no number of bytes any more."""
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")


def lack_of_memory(error: BaseException) -> str | None:
    """How much memory was asked for in vain, in words, by the error that torch or numpy raised; None for another."""
    if not isinstance(error, RuntimeError | MemoryError):
        return None
    if any(words in str(error) for words in _OVERFLOW):
        return "more was asked for than any machine has"
    if found := _ALLOCATED.search(str(error)):
        amount, unit = found.groups()
        return f"{_in_words(float(amount)) if unit == 'bytes' else f'{amount} {unit}'} were asked for at once"
    return "more was asked for than there is" if isinstance(error, MemoryError) and not str(error) else None


@contextmanager
def asking_for_memory(**sizes: Any) -> Iterator[None]:
    """Inside, memory that cannot be had is a MemoryError that names these settings."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if (lack := lack_of_memory(error)) is None:
            raise
        asked = ", ".join(f"{name}={size}" for name, size in sizes.items())
        raise MemoryError(f"not enough memory: {lack}, with {asked}; take less of one of these") from error


def _in_words(count: float) -> str:
    """Bytes in three digits, such as 281 TB."""
    power = 0
    while count >= 1000 and power < len(_UNITS):
        count, power = count / 1000, power + 1
    return f"{count:.3g} {('bytes', *_UNITS)[power]}"
