"""Files that are either whole or not there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a path in the same folder to write to, which replaces `path` on success and vanishes on any exception."""
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    try:
        yield Path(name)
        _publish(Path(name), target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _publish(written: Path, target: Path) -> None:
    """Flush a file to disk, give it the permissions of a new file, and put it in its place."""
    with written.open("rb") as stream:
        os.fsync(stream.fileno())
    mask = os.umask(0)
    os.umask(mask)
    written.chmod(0o666 & ~mask)
    os.replace(written, target)
