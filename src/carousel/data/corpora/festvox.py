"""festvox-ru: 620 utterances of one Russian speaker, 1.66 hours, with the time of each phone.

Recorded for the Festival voice msu_ru_nsh_clunits; phone times were aligned by machine.
"""

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from carousel.data.audio.recording import Recording, read_audio
from carousel.data.audio.segments import Segments
from carousel.data.corpora.sources import folder_of
from carousel.data.errors import DataError

RATE = 16_000
TEST_EVERY = 10
_TRANSCRIPT = re.compile(r'^\(\s*(?P<name>\S+)\s+"(?P<text>.*)"\s*\)$')


@dataclass(frozen=True, eq=False)
class Utterance:
    """One recording: its file, its words (stress marks "+" left out), its phones and their times."""

    name: str
    path: Path
    text: str
    phones: Segments

    def recording(self) -> Recording:
        """The sound, one channel at 16,000 samples a second."""
        return read_audio(self.path, rate=RATE)

    @property
    def part(self) -> str:
        """ "test", "validation" or "training": a tenth, a tenth and the rest, by the utterance's number for ever."""
        number = int(re.sub(r"\D", "", self.name))
        return {0: "test", TEST_EVERY // 2: "validation"}.get(number % TEST_EVERY, "training")


def festvox_ru(folder: Path | None = None) -> list[Utterance]:
    """All utterances in order, from a folder with `wav`, `lab` and `etc`; None looks where `fetch` puts them.

    Raises FileNotFoundError where they are not here, DataError for files that do not fit together.
    """
    place = folder_of("festvox-ru") if folder is None else folder
    listed = (place / "etc" / "txt.done.data").read_text(encoding="utf-8").splitlines()
    found = [_utterance(place, line, number) for number, line in enumerate(listed, 1) if line.strip()]
    return sorted(found, key=lambda utterance: utterance.name)


def festvox_sample() -> list[Utterance]:
    """Three of the utterances, thirteen seconds in all, which the package ships (`sets/festvox-ru/COPYING`)."""
    return festvox_ru(Path(str(files("carousel.data") / "sets" / "festvox-ru")))


def _utterance(place: Path, line: str, number: int) -> Utterance:
    parts = _TRANSCRIPT.match(line.strip())
    if parts is None:
        raise DataError(f'{place}/etc/txt.done.data, line {number} is not ( NAME "TEXT" ): {line:.60}')
    name = parts["name"]
    return Utterance(name, place / "wav" / f"{name}.wav", parts["text"].replace("+", ""), read_labels(place, name))


def read_labels(place: Path, name: str) -> Segments:
    """The phones of an utterance: lines `END_SECONDS COLOUR PHONE` after a line `#`."""
    path = place / "lab" / f"{name}.lab"
    _, _, body = path.read_text(encoding="utf-8").partition("#\n")
    rows = [line.split() for line in body.splitlines() if line.strip()]
    if not rows or any(len(row) != 3 for row in rows):
        raise DataError(f"{path} holds no lines END COLOUR PHONE after a line #")
    return Segments(tuple(row[2] for row in rows), np.array([float(row[0]) for row in rows]))
