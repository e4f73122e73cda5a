"""Manifests: tables that name a file and its text in each row."""

import csv
import json
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from carousel.cli.console import say
from carousel.data import DataError, Frontend, InkFrontend, Sequences, as_sequences
from carousel.data.audio import read_audio
from carousel.data.ink import Ink, as_ink
from carousel.tasks import Transcriber
from carousel.tasks.speakers import with_speakers


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
        return [(row[name] or "").strip() for row in self._rows]


def read_files(
    paths: Iterable[Path], estimator: Transcriber, speakers: Sequence[str | None] | None = None
) -> Sequences:
    """The features of files, and who speaks in them where that matters; what was converted is said on stderr.

    Raises DataError that lists the files that cannot be used, FileNotFoundError.
    """
    listed, frontend = list(paths), estimator._frontend()
    who = speakers if estimator.normalize == "speaker" else None
    signals = (read_signal(path, frontend, whole=True) for path in listed)
    if frontend is None:
        found = with_speakers(as_sequences(list(signals), dtype=np.float64), who)
    else:
        found = estimator.features(signals, who)
    return replace(found, ids=tuple(map(str, listed)))


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
