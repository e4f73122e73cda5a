"""Manifests: tables that name a file and its text in each row."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from carousel.cli.console import say
from carousel.data import DataError, Sequences, as_sequences
from carousel.data.audio import Recording, read_audio
from carousel.tasks import Transcriber


@dataclass(frozen=True)
class ManifestColumns:
    """How a manifest is read."""

    path: str | None = field(
        default=None, metadata={"help": "the data: a manifest, .csv or .tsv, with a file and its text in each row"}
    )
    file: str = field(
        default="file",
        metadata={
            "help": "column with the files, from the manifest's folder on: sound (for 'speech'), or .npy of features"
        },
    )
    text: str = field(default="text", metadata={"help": "column with what they say"})
    symbols: bool = field(
        default=False, metadata={"help": "texts are symbols divided by white space, such as phonemes"}
    )
    test: str | None = field(default=None, metadata={"help": "held-out data: another manifest"})
    test_fraction: float = field(
        default=0.2, metadata={"help": "share of the files held out where there is no test data"}
    )


@dataclass(frozen=True, eq=False)
class Transcripts:
    """Features of files, named by them, and their texts."""

    sequences: Sequences
    texts: list[Any]
    source: str

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, chosen: Any) -> "Transcripts":
        """These files alone."""
        return Transcripts(self.sequences.take(chosen), [self.texts[int(i)] for i in chosen], self.source)


def read_transcripts(path: str | Path, columns: ManifestColumns, estimator: Transcriber) -> Transcripts:
    """Features and texts. Raises DataError for a manifest, or files, that cannot be used; FileNotFoundError."""
    rows = _rows(Path(path))
    texts = _column(rows, columns.text, path)
    files = read_files(named_files(path, columns), estimator)
    return Transcripts(files, [text.split() if columns.symbols else text for text in texts], str(path))


def named_files(path: str | Path, columns: ManifestColumns) -> list[Path]:
    """The files that a manifest names. Raises DataError, naming the row, where one is missing."""
    found = _column(_rows(Path(path)), columns.file, path)
    if "" in found:
        raise DataError(f"row {found.index('') + 2} of {path} names no file in column {columns.file!r}")
    return [Path(path).parent / name for name in found]


def read_files(paths: Iterable[Path], estimator: Transcriber) -> Sequences:
    """The features of files; what was converted is said on stderr.

    Raises DataError that lists the files that cannot be used, FileNotFoundError.
    """
    listed = list(paths)
    if all(path.suffix == ".npy" for path in listed) and estimator.frontend is None:
        found = as_sequences([_array(path) for path in listed], dtype=np.float64)
        return Sequences(found.values, None, tuple(map(str, listed)))
    if estimator.frontend is None:
        raise DataError(f"{listed[0]} is no .npy file with features; for sound, name --frontend speech")
    rate = getattr(estimator._frontend(), "rate", None)
    return estimator.features(_recordings(listed, rate))


def _recordings(paths: list[Path], rate: int | None) -> Iterator[Recording]:
    for path in paths:
        recording = read_audio(path, rate=rate, quiet=True)
        if recording.notes:
            say(f"{path}: {'; '.join(recording.notes)}")
        yield recording


def _array(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except ValueError as error:
        raise DataError(f"{path} holds no array: {error}") from None


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a manifest, its cells as they are written: "007" is a text."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no manifest {path}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t" if path.suffix == ".tsv" else ","))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no CSV in UTF-8: {error}") from None
    if not rows:
        raise DataError(f"{path} has no rows; give one for each file, below a line of column names")
    return rows


def _column(rows: list[dict[str, str]], name: str, path: str | Path) -> list[str]:
    if name not in rows[0]:
        raise DataError(f"{path} has no column {name!r}; it has {', '.join(map(repr, rows[0]))}")
    return [(row[name] or "").strip() for row in rows]
