"""Speech made by eSpeak NG, with the time of each phone: training data where recordings are few.

The synthesiser is a package of its own (extra `speech`, GPL); it is loaded when it is first asked.
"""

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from carousel.data.audio.recording import Recording
from carousel.data.audio.segments import Segments
from carousel.data.errors import DataError

SYNCHRONOUS, PHONEME_EVENTS, IPA, UTF8 = 2, 1, 2, 1
RATE_PARAMETER, PITCH_PARAMETER, RANGE_PARAMETER = 1, 3, 4
END_OF_LIST, PHONEME = 0, 7
SILENCE = "_"


@dataclass(frozen=True)
class Voice:
    """A language with a variant ("en-us", "ru+f2", "de+m3"), words a minute, pitch and its range (0 to 100)."""

    name: str = "en-us"
    speed: int = 175
    pitch: int = 50
    range: int = 50


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("symbol", ctypes.c_char * 8),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


def spoken(text: str, voice: Voice = Voice()) -> tuple[Recording, Segments]:
    """A text as that voice speaks it, and its phones in IPA with their times (pauses are "_").

    Raises ImportError without the extra `speech`, DataError for an unknown voice or a text without sound.
    """
    library, rate = _library()
    pieces: list[np.ndarray[Any, Any]] = []
    phones: list[tuple[int, str]] = []

    def heard(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        place = 0
        while events[place].type != END_OF_LIST:
            if events[place].type == PHONEME:
                phones.append((events[place].milliseconds, events[place].symbol.decode("utf-8", "ignore") or SILENCE))
            place += 1
        return 0

    callback = _CALLBACK(heard)
    library.espeak_SetSynthCallback(callback)
    _set(library, voice)
    content = text.encode()
    library.espeak_Synth(content, len(content) + 1, 0, 1, 0, UTF8, None, None)
    library.espeak_Synchronize()
    if not pieces or not phones:
        raise DataError(f"{text!r:.60} has no sound in the voice {voice.name}")
    samples = (np.concatenate(pieces) / 32768).astype(np.float32)
    return Recording(samples, rate, f"eSpeak {voice.name}"), _segments(phones, len(samples) / rate)


def _segments(phones: list[tuple[int, str]], seconds: float) -> Segments:
    """Phones that begin at these milliseconds, as names and ends; what comes before the first is silence."""
    begins = [start / 1000 for start, _ in phones]
    names = [name for _, name in phones]
    if begins[0] > 0:
        begins, names = [0.0, *begins], [SILENCE, *names]
    ends = np.minimum([*begins[1:], seconds], seconds)
    return Segments(tuple(names), np.maximum.accumulate(ends))


def _set(library: Any, voice: Voice) -> None:
    if library.espeak_SetVoiceByName(voice.name.encode()) != 0:
        raise DataError(
            f"eSpeak has no voice {voice.name!r}; give a language such as en-us, with a variant such as +f2"
        )
    for parameter, value in (
        (RATE_PARAMETER, voice.speed),
        (PITCH_PARAMETER, voice.pitch),
        (RANGE_PARAMETER, voice.range),
    ):
        library.espeak_SetParameter(parameter, value, 0)


@lru_cache(maxsize=1)
def _library() -> tuple[Any, int]:
    """The synthesiser, begun once in a process, and its samples a second."""
    try:
        loader = import_module("espeakng_loader")
    except ImportError:
        raise ImportError("synthesis needs eSpeak NG: pip install 'carousel-lstm[speech]'") from None
    library = ctypes.CDLL(loader.get_library_path())
    library.espeak_Synth.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint]
    library.espeak_Synth.argtypes += [ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p]
    place = str(Path(loader.get_data_path()).parent).encode()
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, place, PHONEME_EVENTS | IPA)
    if rate <= 0:
        raise OSError(f"eSpeak NG does not find its data in {place.decode()}")
    return library, rate
