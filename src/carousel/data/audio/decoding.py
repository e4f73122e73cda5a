"""Sound files to arrays: WAV by scipy, Asterisk's raw files by numpy, everything else by soundfile (extra `audio`)."""

import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data.errors import DataError

LINEAR = {f".sln{kilo}": 1000 * kilo for kilo in (12, 16, 24, 32, 48, 96, 192)} | {".sln": 8000, ".sln44": 44_100}
"""Asterisk's signed linear files: 16-bit little-endian samples without a header, and their rates."""
CODED = {".gsm": "GSM610", ".ulaw": "ULAW", ".ul": "ULAW", ".alaw": "ALAW", ".al": "ALAW"}
"""Telephone codes without a header, at 8,000 samples a second, and their names in libsndfile."""
TELEPHONE = 8000
Decoded = tuple[NDArray[Any], int, str]


def decoded(path: Path) -> Decoded:
    """Samples (time,) or (time, channels), the rate, and what of the file is missing ("" where it is whole)."""
    ending = path.suffix.lower()
    if ending in LINEAR:
        return _linear(path), LINEAR[ending], ""
    if ending in (".wav", ".wave") and (found := _wav(path)) is not None:
        return found
    return _by_soundfile(path, ending)


def _linear(path: Path) -> NDArray[np.int16]:
    content = path.read_bytes()
    if len(content) % 2:
        raise DataError(f"{path} has {len(content)} bytes, but each sample takes 2; it is cut short or no .sln file")
    return np.frombuffer(content, "<i2")


def _wav(path: Path) -> Decoded | None:
    """A WAV file of integers or floats; None for one in another code."""
    from scipy.io import wavfile

    if path.read_bytes()[:4] not in (b"RIFF", b"RIFX", b"RF64"):
        raise DataError(f"{path} is no WAV file: it does not begin with RIFF")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", wavfile.WavFileWarning)
        try:
            rate, values = wavfile.read(path)
        except ValueError as error:
            if "Unknown wave file format" in str(error):
                return None
            raise DataError(f"{path} is a broken WAV file: {error}") from None
        except Exception as error:
            raise DataError(f"{path} is a broken WAV file: {type(error).__name__} {error}") from None
    cut = any("Reached EOF prematurely" in str(row.message) for row in caught)
    return values, int(rate), f"it ends after {len(values) / rate:.3g} s, before its header says" if cut else ""


def _by_soundfile(path: Path, ending: str) -> Decoded:
    soundfile = _soundfile(path)
    options: dict[str, Any] = {}
    if ending in CODED:
        options = {"samplerate": TELEPHONE, "channels": 1, "format": "RAW", "subtype": CODED[ending]}
    try:
        with soundfile.SoundFile(path, **options) as stream:
            expected, rate = len(stream), stream.samplerate
            values = stream.read(expected, dtype="float32")
    except (soundfile.LibsndfileError, TypeError) as error:
        raise DataError(f"{path} is no sound file that can be read: {error}") from None
    short = expected > len(values) > 0 and ending not in CODED
    return values, rate, f"it holds {len(values)} of {expected} samples" if short else ""


def _soundfile(path: Path) -> ModuleType:
    try:
        return import_module("soundfile")
    except (ImportError, OSError):
        raise ImportError(
            f"{path.name} needs soundfile: pip install 'carousel-lstm[audio]', or convert it to 16-bit WAV"
        ) from None
