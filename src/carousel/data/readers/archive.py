"""Sequences from .ts files, the text format of the UEA and UCR time-series archives."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data.errors import DataError
from carousel.data.readers.labelled import Labelled
from carousel.data.sequences import Sequences


def read_ts(path: Path) -> Labelled:
    """Return a .ts file: a series a line, channels separated by colons, values by commas, the label last.

    Labels are text under @classLabel and float64 under @targetLabel; "?" and NaN are missing values.
    The format is that of https://www.timeseriesclassification.com.

    Raises DataError, naming the line, for time stamps, unknown labels, and channels that do not fit.
    """
    text = path.read_bytes().decode("utf-8", errors="replace").removeprefix("\ufeff")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    header, body = _split(lines, path)
    kind, known = _label_kind(header, path)
    cases = [_case(line, f"{path}, line {number}", kind) for number, line in body]
    if not cases:
        raise DataError(f"{path} is empty: no series follow @data")
    _check_channels([values for values, _ in cases], [number for number, _ in body], path)
    for (number, _), (_, label) in zip(body, cases, strict=True):
        if known and label not in known:
            raise DataError(f"{path}, line {number} has the label {label!r}; the header lists {', '.join(known)}")
    names = tuple(str(position) for position in range(len(cases)))
    sequences = Sequences([values for values, _ in cases], None, names)
    return Labelled(sequences, _labels([label for _, label in cases], kind), str(path))


def _split(lines: list[tuple[int, str]], path: Path) -> tuple[dict[str, list[str]], list[tuple[int, str]]]:
    """Split a file into its header, by lower-case names, and its numbered lines of data."""
    kept: Iterator[tuple[int, str]] = ((number, line) for number, line in lines if line and not line.startswith("#"))
    header: dict[str, list[str]] = {}
    for number, line in kept:
        if line.lower() == "@data":
            return header, list(kept)
        if not line.startswith("@"):
            raise DataError(
                f"{path}, line {number}: header lines begin with @, data follow a line @data; got {line[:40]!r}"
            )
        name, *values = line[1:].split()
        header[name.lower()] = values
    raise DataError(f"{path} has no line @data; it is truncated or not a .ts file")


def _label_kind(header: dict[str, list[str]], path: Path) -> tuple[str | None, list[str]]:
    """Return "class", "target" or None, and the labels that the header lists."""
    if header.get("timestamps", ["false"])[0].lower() == "true":
        raise DataError(f"{path} has time stamps, which are not read; write it with @timeStamps false")
    for name, kind in (("classlabel", "class"), ("targetlabel", "target")):
        values = header.get(name, ["false"])
        if values and values[0].lower() == "true":
            return kind, values[1:] if kind == "class" else []
    return None, []


def _case(line: str, place: str, kind: str | None) -> tuple[NDArray[np.float64], str]:
    """Read one line as (time, channels) and its label."""
    channels = line.split(":")
    label = channels.pop().strip() if kind else ""
    if kind and (not channels or not label):
        raise DataError(f"{place} has no label after a last colon")
    values = [_channel(text, f"{place}, channel {number}") for number, text in enumerate(channels, 1)]
    lengths = [len(channel) for channel in values]
    if len(set(lengths)) > 1:
        raise DataError(f"{place} has channels of {min(lengths)} to {max(lengths)} steps; give all channels as many")
    return np.column_stack(values), label


def _channel(text: str, place: str) -> NDArray[np.float64]:
    if not text.strip():
        raise DataError(f"{place} is empty; drop the series, or give it at least 1 time step")
    cells = ["nan" if cell.strip() == "?" else cell for cell in text.split(",")]
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError as error:
        raise DataError(f"{place}: {error}; give numbers, and ? where one is missing") from None


def _check_channels(values: list[NDArray[np.float64]], lines: list[int], path: Path) -> None:
    for value, line in zip(values, lines, strict=True):
        if value.shape[1] != values[0].shape[1]:
            raise DataError(
                f"{path}, line {line} has {value.shape[1]} channels, line {lines[0]} has {values[0].shape[1]}; "
                "give every series the same channels"
            )


def _labels(labels: list[str], kind: str | None) -> NDArray[Any] | None:
    if kind is None:
        return None
    return np.array(labels) if kind == "class" else _channel(",".join(labels), "the target labels")
