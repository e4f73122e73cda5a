"""Dates and times from text: ISO 8601 and the common written forms."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data.errors import DataError

_CLOCK = r"(?:[T ](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d{1,9})?))?)?"
_ZONE = r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?"
_FORMS = [
    re.compile(rf"(?P<year>\d{{4}})(?P<mark>[-/])(?P<month>\d{{1,2}})(?:[-/](?P<day>\d{{1,2}}))?{_CLOCK}{_ZONE}"),
    re.compile(rf"(?P<first>\d{{1,2}})(?P<mark>[./])(?P<second_part>\d{{1,2}})[./](?P<year>\d{{4}}){_CLOCK}{_ZONE}"),
    re.compile(r"(?P<year>\d{4})[- ]?Q(?P<quarter>[1-4])"),
]
_EXPECTED = "write dates as 2020-01-31 or 2020-01-31T18:00"


class TimeError(DataError):
    """A text is no date, at the position `row` of its column."""

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message)
        self.row = row


def parse_times(texts: Sequence[str]) -> tuple[NDArray[np.datetime64], str]:
    """Return texts as datetime64[us] ("" as NaT) and their common offset from UTC ("" where none is stated).

    Takes ISO 8601, 2020/01/31, 31.12.2020, 12/31/2020 or 31/12/2020 (where the column decides which) and 2020Q1.

    Raises TimeError (a DataError) with the position of a text that is no date, a date that is ambiguous, or an offset
    that differs from the one before.
    """
    quick = _iso_times(texts)
    if quick is not None:
        return quick, ""
    parts = [_parts(text, row) for row, text in enumerate(texts)]
    zone = _common_zone(parts, texts)
    day_first = _day_first(parts, texts)
    isos = ["NaT" if found is None else _iso(found, day_first) for found in parts]
    return _checked(isos, texts), zone


def _iso_times(texts: Sequence[str]) -> NDArray[np.datetime64] | None:
    """Let numpy read plain ISO times, all at once; None where it cannot."""
    if not all(len(text) >= 7 and text[4] == "-" and text[:4].isdigit() for text in texts if text):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return np.array([text or "NaT" for text in texts], dtype="M8[us]")
    except (ValueError, UserWarning, DeprecationWarning):
        return None


def _parts(text: str, row: int) -> dict[str, Any] | None:
    """Split a date into its parts; None for an empty text."""
    if not text:
        return None
    for form in _FORMS:
        match = form.fullmatch(text.strip())
        if match:
            return match.groupdict()
    raise TimeError(f"{text!r} is not a date; {_EXPECTED}", row)


def _common_zone(parts: list[dict[str, Any] | None], texts: Sequence[str]) -> str:
    """Return the one offset that all dates state."""
    zones = [None if found is None else _offset(found.get("zone")) for found in parts]
    stated = [(row, zone) for row, zone in enumerate(zones) if zone is not None]
    for row, zone in stated:
        if zone != stated[0][1]:
            other = texts[stated[0][0]]
            raise TimeError(
                f"{other!r} and {texts[row]!r} state different time zones, or one states none; convert them to UTC", row
            )
    return stated[0][1] if stated else ""


def _offset(zone: str | None) -> str:
    if zone is None:
        return ""
    digits = "+0000" if zone in ("Z", "UTC", "GMT") else zone.replace(":", "").ljust(5, "0")
    return f"{digits[:3]}:{digits[3:]}".replace("-00:00", "+00:00")


def _day_first(parts: list[dict[str, Any] | None], texts: Sequence[str]) -> bool:
    """Decide, from the whole column, whether 03/04/2020 is in April or in March."""
    slashed = [(row, found) for row, found in enumerate(parts) if found and "first" in found]
    if not slashed or all(found["mark"] == "." for _, found in slashed):
        return True
    day_first = any(int(found["first"]) > 12 for _, found in slashed)
    if not day_first and not any(int(found["second_part"]) > 12 for _, found in slashed):
        row = slashed[0][0]
        raise TimeError(f"{texts[row]!r} may mean day/month or month/day; {_EXPECTED}", row)
    return day_first


def _iso(found: dict[str, Any], day_first: bool) -> str:
    if "quarter" in found:
        return f"{found['year']}-{3 * int(found['quarter']) - 2:02}"
    month, day = found.get("month"), found.get("day") or 1
    if "first" in found:
        day, month = (found["first"], found["second_part"])[:: 1 if day_first else -1]
    date = f"{found['year']}-{int(month or 1):02}-{int(day):02}"
    if found["hour"] is None:
        return date
    return f"{date}T{int(found['hour']):02}:{found['minute']}:{(found['second'] or '00').replace(',', '.')}"


def _checked(isos: list[str], texts: Sequence[str]) -> NDArray[np.datetime64]:
    try:
        return np.array(isos, dtype="M8[us]")
    except ValueError:
        row = next(row for row, iso in enumerate(isos) if not _exists(iso))
        raise TimeError(f"{texts[row]!r} is not a date; {_EXPECTED}", row) from None


def _exists(iso: str) -> bool:
    try:
        np.datetime64(iso, "us")
    except ValueError:
        return False
    return True


def times_as_text(times: NDArray[Any], zone: str = "") -> list[str]:
    """Return times in ISO 8601, NaT as "", without a clock where all are midnight, without seconds where all are 0.

    zone: an offset such as "+01:00", written after each time of day.
    """
    there = times[~np.isnat(times)]
    unit: Any = next((unit for unit in ("D", "m", "s") if (there == there.astype(f"M8[{unit}]")).all()), "us")
    suffix = zone if unit != "D" else ""
    texts = np.datetime_as_string(times, unit=unit).tolist()
    return ["" if text == "NaT" else f"{text}{suffix}" for text in texts]
