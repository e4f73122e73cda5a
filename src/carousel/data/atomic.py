"""Files that are either whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path in the same folder to write to, which replaces `path` on success and vanishes on any exception.

    After a crash at any moment `path` holds the old file or the new one, whole.
    Raises OSError, with the old file untouched and nothing left beside it, when the file cannot be written.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.part")
    try:
        yield part
        _sync(part, os.O_RDONLY)
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):
        _sync(target.parent, os.O_RDONLY | os.O_DIRECTORY)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file by this content, whole or not at all; errors as for `atomic_path`."""
    with atomic_path(path) as part:
        part.write_bytes(content)


def _sync(path: Path, flags: int) -> None:
    """Make what was written last through a power cut."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
