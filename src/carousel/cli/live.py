"""Transcription while it comes in: pieces of files or of standard input, and what is said so far."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from carousel.cli.console import console, say, write_json_line
from carousel.cli.errors import UsageError

STDIN = Path("-")
FRAMES = 25
"""Frames in a piece, where these come in."""
SHOWN = 1000
"""The last characters of a long text, which are shown while it grows."""


def follow(
    estimator: Any, files: list[Path], piece: float, speaker: str | None, *, json: bool
) -> tuple[list[tuple[Path, Any]], list[Exception]]:
    """What each file says, and why others could not be used.

    What is known after each piece of so many seconds goes to the terminal, or, with `json`, a line each to stdout.
    """
    if not piece > 0:
        raise UsageError(f"--piece is {piece:g}; it must be more than 0 seconds")
    from carousel.cli.studies.manifest import UNREADABLE

    found, refused = list[tuple[Path, Any]](), list[Exception]()
    for file in files:
        stream = estimator.stream(speaker)
        try:
            with _shown(file, json) as show:
                for samples in _pieces(file, estimator, piece):
                    show(stream.push(samples))
                found.append((file, stream.finish()))
        except UNREADABLE as error:
            refused.append(error)
            continue
        if json:
            write_json_line({"file": str(file), "final": True, **asdict(found[-1][1])})
    return found, refused


def _pieces(file: Path, estimator: Any, piece: float) -> Iterator[np.ndarray[Any, Any]]:
    from carousel.cli.studies.manifest import read_signal

    frontend = estimator._frontend()
    if file == STDIN:
        if frontend is None:
            raise UsageError("standard input is read as sound, but this model reads frames of features; name files")
        yield from _raw(frontend.rate, piece)
        return
    signal = read_signal(file, frontend)
    size = FRAMES if frontend is None else max(1, round(piece * frontend.rate))
    for start in range(0, len(signal), size):
        yield signal[start : start + size]


def _raw(rate: int, piece: float) -> Iterator[np.ndarray[Any, Any]]:
    """16-bit little-endian samples of one channel from standard input, as floats."""
    say(f"listening to standard input: raw 16-bit samples, one channel, {rate} a second")
    size, first = 2 * max(1, round(piece * rate)), True
    while content := sys.stdin.buffer.read(size):
        if first and content[:4] in (b"RIFF", b"fLaC", b"OggS"):
            raise UsageError("standard input is a sound file, but raw samples are read there; name the file instead")
        if len(content) % 2:
            say("standard input ends within a sample, which is left out")
        first = False
        yield np.frombuffer(content[: len(content) // 2 * 2], "<i2").astype(np.float32) / 32768


def is_watched() -> bool:
    """Whether results go to a terminal."""
    return sys.stdout.isatty()


@contextmanager
def _shown(file: Path, json: bool) -> Iterator[Any]:
    """A function that shows a partial result: as JSON, on the terminal, or, where nobody watches, not at all."""
    if json:
        yield lambda heard: write_json_line({"file": str(file), "final": False, **asdict(heard)})
    elif is_watched():
        from rich.live import Live
        from rich.text import Text

        with Live(console=console(), transient=True, auto_refresh=False) as live:

            def show(heard: Any) -> None:
                tail = Text.assemble(heard.stable, (heard.text[len(heard.stable) :], "dim"))[-SHOWN:]
                live.update(Text(f"{heard.heard:.1f}  ") + tail, refresh=True)

            yield show
    else:
        yield lambda heard: None
