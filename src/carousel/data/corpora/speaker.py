"""eSpeak NG in a process of its own, run as a script: it breaks down for some voices, and takes its process along.

It reads a line of JSON for each text, and answers with a line of JSON and the samples' bytes. It needs nothing but the
package that has the synthesiser.
"""

import ctypes
import json
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

SYNCHRONOUS, PHONEME_EVENTS, IPA, UTF8 = 2, 1, 2, 1
PARAMETERS = {"speed": 1, "pitch": 3, "range": 4}
END_OF_LIST, PHONEME = 0, 7


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


class Synthesiser:
    """The library, begun."""

    def __init__(self) -> None:
        loader = import_module("espeakng_loader")
        self._library = library = ctypes.CDLL(loader.get_library_path())
        library.espeak_Synth.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint]
        library.espeak_Synth.argtypes += [ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p]
        place = str(Path(loader.get_data_path()).parent)
        self.rate = library.espeak_Initialize(SYNCHRONOUS, 0, place.encode(), PHONEME_EVENTS | IPA)
        self.problem = "" if self.rate > 0 else f"eSpeak NG does not find its data in {place}"

    def speak(self, asked: dict[str, Any]) -> tuple[list[tuple[int, str]], bytes] | None:
        """Phones with the milliseconds at which they begin, and samples as int16; None for a voice there is not."""
        if self._library.espeak_SetVoiceByName(asked["name"].encode()) != 0:
            return None
        for name, number in PARAMETERS.items():
            self._library.espeak_SetParameter(number, asked[name], 0)
        pieces: list[bytes] = []
        phones: list[tuple[int, str]] = []

        def heard(samples: Any, count: int, events: Any) -> int:
            if samples and count > 0:
                pieces.append(ctypes.string_at(samples, 2 * count))
            place = 0
            while events[place].type != END_OF_LIST:
                if events[place].type == PHONEME:
                    phones.append((events[place].milliseconds, events[place].symbol.decode("utf-8", "ignore")))
                place += 1
            return 0

        callback = _CALLBACK(heard)
        self._library.espeak_SetSynthCallback(callback)
        content = asked["text"].encode()
        self._library.espeak_Synth(content, len(content) + 1, 0, 1, 0, UTF8, None, None)
        self._library.espeak_Synchronize()
        return phones, b"".join(pieces)


def main() -> None:
    """Answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; who asks decides
    synthesiser, out = Synthesiser(), sys.stdout.buffer
    for line in sys.stdin.buffer:
        found = None if synthesiser.problem else synthesiser.speak(json.loads(line))
        phones, samples = found or ([], b"")
        head = {"rate": synthesiser.rate, "problem": synthesiser.problem, "known": found is not None}
        out.write(json.dumps({**head, "phones": phones, "bytes": len(samples)}).encode() + b"\n" + samples)
        out.flush()


if __name__ == "__main__":
    main()
