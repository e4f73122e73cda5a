"""What the tests of the command line share: quick fits, files, and what a folder holds."""

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

QUICK = ("--hidden-size", "4", "--max-epochs", "2")
Call = Callable[..., Any]


def write_rows(path: Path, rows: Iterable[Iterable[Any]]) -> Path:
    """A CSV file of these rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path


def names(folder: Path) -> set[str]:
    """What lies in a folder, hidden files too."""
    return {path.name for path in folder.iterdir()}
