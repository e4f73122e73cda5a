"""Where words go: results to stdout, everything else to stderr."""

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

WIDE = 160
"""Columns where nobody watches: wide enough that no table is folded."""


def table(headings: Iterable[str], rows: Iterable[Iterable[str]], title: str | None = None) -> None:
    """Print a table on stdout, below its title; columns of numbers are aligned to the right."""
    from rich import box
    from rich.table import Table

    if title:
        print(title)
    rows = [list(row) for row in rows]
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for position, heading in enumerate(headings):
        numeric = bool(rows) and all(_is_number(row[position]) for row in rows)
        shown.add_column(heading, justify="right" if numeric else "left")
    for row in rows:
        shown.add_row(*row)
    console().print(shown)


def console(stderr: bool = False) -> Any:
    """A rich console on the present stdout or stderr that takes text as it is."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else WIDE
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=width)


def say(text: str, quiet: bool = False) -> None:
    """A line on stderr."""
    if not quiet:
        print(text, file=sys.stderr)


def write_json(result: Mapping[str, Any]) -> None:
    """The result as one JSON object on stdout; NaN and infinities become null."""
    print(json.dumps(_finite(result), ensure_ascii=False, indent=1, allow_nan=False, default=str))


def write_json_line(result: Mapping[str, Any]) -> None:
    """The result as one line of JSON on stdout, at once."""
    print(json.dumps(_finite(result), ensure_ascii=False, allow_nan=False, default=str), flush=True)


def number(value: float | None) -> str:
    """A number in four significant digits."""
    return "-" if value is None or math.isnan(value) else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds as 0:07, 3:20 or 2:05:00."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _is_number(text: str) -> bool:
    try:
        float(text.replace("-", "0", 1))
    except ValueError:
        return False
    return True


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value
