"""ARPA files of n-gram models, read with suspicion and written whole."""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, NoReturn

from carousel.decoding.hypothesis import DecodingError

Entries = tuple[dict[tuple[str, ...], tuple[float, float]], ...]

LN10 = math.log(10)
LONGEST_LINE, HIGHEST_ORDER = 1 << 16, 16
_COUNT, _SECTION = re.compile(r"ngram +(\d{1,2})=(\d{1,12})"), re.compile(r"\\(\d{1,2})-grams:")


def read(path: Path) -> Entries:
    """The entries of each order, in natural logarithms. Raises DecodingError that names file and line."""
    with open(path, "rb") as file:
        lines = _Lines(path, file)
        counts = _header(lines)
        entries = tuple(_section(lines, order, count, len(counts)) for order, count in enumerate(counts, start=1))
        if lines.text != "\\end\\":
            lines.refuse(f"there is {_shown(lines.text)} where \\end\\ should be")
    return entries


def write(path: Path, entries: Entries) -> None:
    """Write the entries of each order; after a crash the old file is there, or the new one, whole.

    As `data.atomic` writes, which this room may not import, but line by line and without waiting for the folder's entry
    to reach the disk: after a power cut the old file may be back.
    """
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        part = Path(file.name)
        try:
            file.writelines(f"{line}\n" for line in _written(entries))
            file.flush()
            os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


class _Lines:
    """The lines of a file that say something, one after the other: `text` is the one that is looked at."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.number, self.text = path, 0, ""
        self._file = file
        self.next()

    def next(self) -> None:
        """Look at the next line. Raises DecodingError at the end of the file: it should not end before \\end\\."""
        while True:
            raw = self._file.readline(LONGEST_LINE)
            if not raw:
                self.refuse("the file ends before \\end\\; it has been cut off, or is no ARPA file")
            self.number += 1
            if len(raw) == LONGEST_LINE:
                self.refuse(f"the line is longer than {LONGEST_LINE} bytes; this is no ARPA file")
            try:
                self.text = raw.decode("utf-8").strip()
            except UnicodeDecodeError:
                self.refuse("the line is no UTF-8 text; this is no ARPA file")
            if self.text:
                return

    def refuse(self, why: str) -> NoReturn:
        """Raise DecodingError for the line that is looked at."""
        raise DecodingError(f"{self.path}, line {self.number}: {why}")


def _header(lines: _Lines) -> list[int]:
    """How many entries of each order there are."""
    while lines.text != "\\data\\":
        if lines.text.startswith("\\"):
            lines.refuse(f"there is {_shown(lines.text)} before \\data\\")
        lines.next()
    lines.next()
    counts: list[int] = []
    while found := _COUNT.fullmatch(lines.text):
        order, count = map(int, found.groups())
        if order != len(counts) + 1 or order > HIGHEST_ORDER:
            lines.refuse(f"order {order} follows {len(counts)}; orders go up from 1 to {HIGHEST_ORDER} at most")
        counts.append(count)
        lines.next()
    if not counts:
        lines.refuse(f"there is {_shown(lines.text)} where 'ngram 1=' and a number should be")
    return counts


def _section(lines: _Lines, order: int, count: int, highest: int) -> dict[tuple[str, ...], tuple[float, float]]:
    """The entries of one order."""
    found = _SECTION.fullmatch(lines.text)
    if not found or int(found[1]) != order:
        lines.refuse(f"there is {_shown(lines.text)} where \\{order}-grams: should be")
    entries: dict[tuple[str, ...], tuple[float, float]] = {}
    lines.next()
    while not lines.text.startswith("\\"):
        words, numbers = _entry(lines, order, highest)
        if words in entries:
            lines.refuse(f"{' '.join(words)!r} is there twice")
        entries[words] = numbers
        lines.next()
    if len(entries) != count:
        lines.refuse(f"there were {len(entries)} {order}-grams, but the file announced {count}; entries are missing")
    return entries


def _entry(lines: _Lines, order: int, highest: int) -> tuple[tuple[str, ...], tuple[float, float]]:
    parts = lines.text.split()
    if len(parts) not in (order + 1, order + 2) or (order == highest and len(parts) == order + 2):
        weight = "" if order == highest else ", and perhaps a weight of backing off"
        lines.refuse(f"{_shown(lines.text)} is no {order}-gram: a logarithm, {order} words{weight}")
    probability = _number(lines, parts[0])
    if probability > 1e-6:
        lines.refuse(
            f"{parts[0]} is the logarithm of more than one; probabilities are written as logarithms of base 10"
        )
    weight = _number(lines, parts[-1]) if len(parts) == order + 2 else 0.0
    return tuple(parts[1 : order + 1]), (min(probability, 0.0) * LN10, weight * LN10)


def _number(lines: _Lines, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if text.lower().lstrip("+-") in ("inf", "infinity") and value < 0:
        return -99.0  # some tools write never so
    if not math.isfinite(value):
        lines.refuse(f"{_shown(text)} is no finite number")
    return value


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _written(entries: Entries) -> Iterator[str]:
    yield "\\data\\"
    yield from (f"ngram {order}={len(each)}" for order, each in enumerate(entries, start=1))
    for order, each in enumerate(entries, start=1):
        yield f"\n\\{order}-grams:"
        for words, (probability, weight) in each.items():
            last = f"\t{weight / LN10:.9g}" if order < len(entries) else ""
            yield f"{probability / LN10:.9g}\t{' '.join(words)}{last}"
    yield "\n\\end\\"
