"""Speech made by eSpeak NG, with the time of each phone: training data where recordings are few.

The synthesiser is a package of its own (extra `speech`, GPL); it runs in a process of its own (`speaker`) from when it
is first asked.
"""

import json
import os
import subprocess
import sys
import weakref
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from carousel.data.audio.recording import Recording
from carousel.data.audio.segments import Segments
from carousel.data.errors import DataError

SILENCE = "_"
SPEAKER = Path(__file__).with_name("speaker.py")


@dataclass(frozen=True)
class Voice:
    """A language with a variant ("en-us", "ru+f2", "de+m3"), words a minute, pitch and its range (0 to 100).

    eSpeak breaks down where a wide range takes the low pitch of some variants below zero, in Spanish above 60.
    """

    name: str = "en-us"
    speed: int = 175
    pitch: int = 50
    range: int = 50


def spoken(text: str, voice: Voice = Voice()) -> tuple[Recording, Segments]:
    """A text as that voice speaks it, and its phones in IPA with their times (pauses are "_").

    Raises ImportError without the extra `speech`, DataError for an unknown voice, a text without sound, or a voice
    for which eSpeak breaks down.
    """
    if find_spec("espeakng_loader") is None:
        raise ImportError("synthesis needs eSpeak NG: pip install 'carousel-lstm[speech]'")
    found, content = _speaker(os.getpid()).ask({"text": text, **asdict(voice)}, voice)
    if found["problem"]:
        raise OSError(found["problem"])
    if not found["known"]:
        raise DataError(
            f"eSpeak has no voice {voice.name!r}; give a language such as en-us, with a variant such as +f2"
        )
    if not content or not found["phones"]:
        raise DataError(f"{text!r:.60} has no sound in the voice {voice.name}")
    samples = (np.frombuffer(content, np.int16) / 32768).astype(np.float32)
    phones = [(start, name or SILENCE) for start, name in found["phones"]]
    return Recording(samples, found["rate"], f"eSpeak {voice.name}"), _segments(phones, len(samples) / found["rate"])


def _segments(phones: list[tuple[int, str]], seconds: float) -> Segments:
    """Phones that begin at these milliseconds, as names and ends; what comes before the first is silence."""
    begins = [start / 1000 for start, _ in phones]
    names = [name for _, name in phones]
    if begins[0] > 0:
        begins, names = [0.0, *begins], [SILENCE, *names]
    ends = np.minimum([*begins[1:], seconds], seconds)
    return Segments(tuple(names), np.maximum.accumulate(ends))


class _Speaker:
    """The process with the synthesiser; where it breaks down, the next text begins another."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, asked: dict[str, Any], voice: Voice) -> tuple[dict[str, Any], bytes]:
        """What it answers, and the bytes of the samples. Raises DataError where it breaks down."""
        process = self._running()
        try:
            found, content = _answer(process, asked)
        except BaseException:
            self._process = None  # an answer that nobody waits for is not to be taken for the next
            _end(process)
            raise
        if len(content) != found["bytes"]:
            self._process, code = None, process.wait()
            _end(process)
            raise DataError(
                f"eSpeak broke down (exit code {code}) at {asked['text']!r:.60} with {voice}; "
                "take a higher pitch, or a range of 50 or less"
            )
        return found, content

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            command = [sys.executable, str(SPEAKER)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            weakref.finalize(self, _end, self._process)
        return self._process


def _answer(process: subprocess.Popen[bytes], asked: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """What the process answers and as many bytes as it says, or fewer where it is gone."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(OSError):  # it is gone, which the answer tells
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        process.stdin.flush()
    head = process.stdout.readline()
    found = json.loads(head) if head.endswith(b"\n") else {"bytes": -1}
    return found, process.stdout.read(max(0, found["bytes"]))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # a fork's copy knows that it is not its own, and lets it live
    with suppress(OSError), process:  # which closes its pipes, and waits for it
        pass


@lru_cache(maxsize=1)
def _speaker(process: int) -> _Speaker:
    """That of this process: a fork of it has its own."""
    return _Speaker()
