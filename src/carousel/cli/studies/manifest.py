"""Manifests: tables that name a file and its text in each row."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from carousel.cli.console import say
from carousel.cli.errors import sentence
from carousel.data import DataError, Frontend, InkFrontend, Sequences, as_sequences
from carousel.data.audio import read_audio
from carousel.data.ink import Ink, as_ink
from carousel.tasks import Transcriber
from carousel.tasks.speakers import with_speakers

UNREADABLE = (DataError, FileNotFoundError, IsADirectoryError, PermissionError, ImportError)
"""What a file raises that cannot be used: others beside it still can."""
REST = "\n"
"""Under this name, which no column has, stand the cells behind the last column."""


@dataclass(frozen=True)
class ManifestColumns:
    """How a manifest is read."""

    path: str | None = field(
        default=None, metadata={"help": "the data: a manifest, .csv or .tsv, with a file and its text in each row"}
    )
    file: str = field(
        default="file",
        metadata={
            "help": "column with the files, from the manifest's folder on: sound (for 'speech'), .json of pen strokes "
            "(for 'ink'), or .npy of features"
        },
    )
    text: str = field(default="text", metadata={"help": "column with what they say"})
    speaker: str = field(
        default="speaker", metadata={"help": "column with who speaks or writes, for --normalize speaker"}
    )
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


class Manifest:
    """A manifest, read once.

    Raises DataError for one that cannot be used, FileNotFoundError; what is asked of it raises DataError, naming column
    or row, where that is missing.
    """

    def __init__(self, path: str | Path, columns: ManifestColumns) -> None:
        self.path, self._columns, self._rows = Path(path), columns, _rows(Path(path))

    @property
    def files(self) -> list[Path]:
        """The files that it names."""
        found = self._column(self._columns.file)
        if "" in found:
            raise DataError(f"row {found.index('') + 2} of {self.path} names no file in column {self._columns.file!r}")
        return [self.path.parent / name for name in found]

    @property
    def speakers(self) -> list[str | None] | None:
        """Who speaks in each file; None where there is no such column."""
        name = self._columns.speaker
        if name not in self._rows[0] and name == ManifestColumns.speaker:
            return None
        return [own or None for own in self._column(name)]

    @property
    def texts(self) -> list[Any]:
        """What each file says: a text, or a list of symbols."""
        found = self._column(self._columns.text)
        return [text.split() for text in found] if self._columns.symbols else list(found)

    def transcripts(self, estimator: Transcriber) -> Transcripts:
        """Features and texts. Raises DataError for files that cannot be used; FileNotFoundError."""
        texts = self.texts
        return Transcripts(read_files(self.files, estimator, self.speakers), texts, str(self.path))

    def _column(self, name: str) -> list[str]:
        if name not in self._rows[0]:
            raise DataError(f"{self.path} has no column {name!r}; it has {', '.join(map(repr, self._rows[0]))}")
        found = [row[name] for row in self._rows]
        if None in found:
            row = self._rows[found.index(None)]
            raise DataError(
                f"row {found.index(None) + 2} of {self.path} names no {name}: it has {_cells(row)}, the heading "
                f"{len(row)}; where {name} is nothing, leave its cell empty, but there"
            )
        return [(cell or "").strip() for cell in found]


def read_files(
    paths: Iterable[Path], estimator: Transcriber, speakers: Sequence[str | None] | None = None
) -> Sequences:
    """The features of files, and who speaks in them where that matters; what was converted is said on stderr.

    Raises DataError that lists the files that cannot be used; where that is one, what it raised, such as
    FileNotFoundError.
    """
    found, refused = read_each(paths, estimator, speakers)
    if refused:
        raise refused[0] if len(refused) == 1 else DataError("; ".join(map(sentence, refused)))
    return found


def read_each(
    paths: Iterable[Path], estimator: Transcriber, speakers: Sequence[str | None] | None = None
) -> tuple[Sequences, list[Exception]]:
    """The features of the files that can be used, as `read_files` gives them, and why the others cannot."""
    listed, frontend, refused = list(paths), estimator._frontend(), list[Exception]()
    kept: dict[int, Any] = {}
    for place, path in enumerate(listed):
        try:
            kept[place] = _values(path, frontend)
        except UNREADABLE as error:
            refused.append(error)
    if not kept:
        return Sequences([], None, ()), refused
    found = as_sequences(list(kept.values()), dtype=np.float64)
    who = None if speakers is None or estimator.normalize != "speaker" else [speakers[place] for place in kept]
    ids = tuple(str(listed[place]) for place in kept)
    return with_speakers(replace(found, features=frontend and frontend.names, ids=ids), who), refused


def _values(path: Path, frontend: Frontend | None) -> Any:
    """The features of one file. Raises DataError that names it."""
    signal = read_signal(path, frontend, whole=True)
    try:
        found = as_sequences([signal if frontend is None else frontend.features(signal)], dtype=np.float64)
    except DataError as error:
        raise error if str(path) in str(error) else DataError(f"{path}: {error}") from None
    return found.values[0]


def read_signal(path: Path, frontend: Frontend | None, *, whole: bool = False) -> Any:
    """What a front end takes of a file: samples (with `whole` the Recording), strokes, or without one features.

    What was converted is said on stderr.
    """
    if frontend is None:
        if path.suffix != ".npy":
            raise DataError(f"{path} is no .npy file with features; for sound, name --frontend speech")
        return _array(path)
    if isinstance(frontend, InkFrontend):
        return _ink(path)
    recording = read_audio(path, rate=getattr(frontend, "rate", None), quiet=True)
    if recording.notes:
        say(f"{path}: {'; '.join(recording.notes)}")
    return recording if whole else recording.samples


def acquainted(estimator: Transcriber, found: Sequences) -> tuple[Transcriber, Sequences]:
    """An estimator that knows all who speak here, after it was said how it deals with strangers, and the features."""
    if estimator.normalize != "speaker" or found.speakers is None:
        return estimator, found
    known = set(estimator.speakers_.speakers)
    strangers = sorted({name for name in found.speakers if name is not None} - known)
    if None in found.speakers:
        say("who speaks is not known of some files, which are scaled by the level of all training speakers")
    if not strangers:
        return estimator, found
    if estimator.unseen_speaker == "all":
        say(f"not heard in training, and scaled by the level of all training speakers: {', '.join(strangers)}")
        return estimator, replace(found, speakers=tuple(name if name in known else None for name in found.speakers))
    say(f"not heard in training, and scaled by their own files here: {', '.join(strangers)}")
    wider = copy(estimator)
    for name in strangers:
        own = [place for place, speaker in enumerate(found.speakers) if speaker == name]
        wider.add_speaker(name, replace(found.take(own), speakers=None))
    return wider, found


def _ink(path: Path) -> Ink:
    """Pen strokes of a .json file: a list of strokes, each a list of points [x, y], y upwards."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path} holds no pen strokes in JSON: {error}") from None
    if not isinstance(content, list):
        raise DataError(
            f"{path} holds a {type(content).__name__}; give a list of strokes, each a list of points [x, y]"
        )
    return as_ink(content, what=str(path))


def _array(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except ValueError as error:
        raise DataError(f"{path} holds no array: {error}") from None


def _rows(path: Path) -> list[dict[str, str | None]]:
    """The rows of a manifest, its cells as they are written: "007" is a text, and None a cell that is not there."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no manifest {path}")
    delimiter = "\t" if path.suffix == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, delimiter=delimiter, restkey=REST, strict=True)
            heading, rows = list(reader.fieldnames or ()), list[dict[str, Any]](reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} is no CSV in UTF-8: {error}; a text that holds quotes stands in quotes, with each of its own twice"
        ) from None
    if not rows:
        raise DataError(f"{path} has no rows; give one for each file, below a line of column names")
    if twice := [name for name in heading if heading.count(name) > 1]:
        raise DataError(f"{path} has two columns {twice[0]!r}; name each once")
    for number, row in enumerate(rows, start=2):
        if REST in row:
            mark = "a tab" if delimiter == "\t" else "a comma"
            raise DataError(
                f"row {number} of {path} has {_cells(row)}, the heading {len(heading)}; quote texts that hold {mark}"
            )
    return rows


def _cells(row: Mapping[str, Any]) -> str:
    """How many cells are written in a row."""
    rest = row.get(REST, ())
    count = sum(name != REST and cell is not None for name, cell in row.items()) + len(rest)
    return f"{count} cell{'s' if count > 1 else ''}"
