"""Recordings: one channel at one rate, from files and arrays; what was converted is said, what is broken is refused."""

import warnings
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from carousel.data.audio.decoding import decoded
from carousel.data.errors import DataError

SLOWEST, FASTEST = 1000, 768_000
LOUDEST = 16.0
"""A peak of floating-point samples above which they are meant as integers."""
Truncation = Literal["error", "keep"]
Samples = NDArray[np.float32]


class AudioWarning(UserWarning):
    """A recording was converted on the way in; the message says how."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One channel of sound.

    samples: float32 (time,), in [-1, 1] where nothing was clipped.
    rate: samples a second.
    source: the file or array, for messages.
    notes: what was converted, and what is odd about it, a sentence each.
    """

    samples: Samples
    rate: int
    source: str = "the signal"
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return len(self.samples) / self.rate


def read_audio(
    path: str | Path, *, rate: int | None = None, quiet: bool = False, truncated: Truncation = "error"
) -> Recording:
    """Read a sound file as one channel.

    WAV (integers and floats) and Asterisk's raw .sln files are read as the package stands; FLAC, OGG, MP3, GSM,
    telephone codes and other WAV need the extra `audio`.

    rate: samples a second to convert to; None keeps the file's own. quiet: give no AudioWarning for what was
        converted (it stands in `notes` all the same). truncated: "keep" takes what a file still holds that ends before
        its header says.

    Raises FileNotFoundError; DataError for a file that is empty, cut short, no sound, or holds NaN; ImportError without
    the extra where it is needed.
    """
    found = Path(path)
    if not found.is_file():
        raise FileNotFoundError(f"there is no file {found}")
    if found.stat().st_size == 0:
        raise DataError(f"{found} is empty: it has 0 bytes")
    values, own, cut = decoded(found)
    if cut and truncated == "error":
        raise DataError(
            f"{found} is cut short: {cut}; record it again, or take the rest in Python: "
            'data.audio.read_audio(path, truncated="keep")'
        )
    recording = as_recording(values, own, wanted=rate, source=str(found), notes=(f"cut short: {cut}",) if cut else ())
    if recording.notes and not quiet:
        warnings.warn(f"{found}: {'; '.join(recording.notes)}", AudioWarning, stacklevel=2)
    return recording


def as_recording(
    values: Any, rate: int, *, wanted: int | None = None, source: str = "the signal", notes: tuple[str, ...] = ()
) -> Recording:
    """Samples (time,) or (time, channels), integers or floats in [-1, 1], as one channel at the wanted rate.

    Raises DataError for no samples, NaN, infinity, floats on the scale of integers, or an impossible rate.
    """
    array, said = _number_array(values, source), list(notes)
    for name, number in (("rate", rate), ("wanted rate", wanted)):
        if number is not None and not SLOWEST <= number <= FASTEST:
            raise DataError(f"{source}: the {name} is {number} samples a second; {SLOWEST} to {FASTEST} are read")
    samples = _unit_scale(array, source)
    if samples.ndim == 2:
        said += [f"{samples.shape[1]} channels averaged"] if samples.shape[1] > 1 else []
        samples = samples.mean(axis=1)
    if (samples == samples[0]).all():
        said.append(f"silent: every sample is {samples[0]:g}")
    if wanted is not None and wanted != rate:
        said.append(f"converted from {rate} to {wanted} samples a second")
        samples = resample(samples, rate, wanted)
    return Recording(np.ascontiguousarray(samples, np.float32), wanted or rate, source, tuple(said))


def resample(samples: NDArray[Any], rate: int, wanted: int) -> NDArray[np.float64]:
    """Samples (time,) at another rate: scipy's polyphase filter, without delay; ceil(time * wanted / rate) samples."""
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    return resample_poly(np.asarray(samples, np.float64), wanted // common, rate // common)


def _number_array(values: Any, source: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or array.ndim not in (1, 2):
        raise DataError(
            f"{source} has dtype {array.dtype} and shape {array.shape}; give numbers (time,) or (time, channels)"
        )
    if array.size == 0:
        raise DataError(f"{source} is empty: it has 0 samples")
    if array.ndim == 2 and array.shape[1] > array.shape[0]:
        raise DataError(
            f"{source} has shape {array.shape}: more channels than samples; turn it round, (time, channels)"
        )
    return array


def _unit_scale(array: NDArray[Any], source: str) -> NDArray[np.float64]:
    """The samples as float64 in [-1, 1]; integers are divided by the largest of their type."""
    if array.dtype.kind == "u":
        middle = 2 ** (8 * array.itemsize - 1)
        return array.astype(np.float64) / middle - 1
    if array.dtype.kind == "i":
        return array.astype(np.float64) / 2 ** (8 * array.itemsize - 1)
    values = array.astype(np.float64)
    if not (sound := np.isfinite(values)).all():
        first = tuple(int(place) for place in np.argwhere(~sound)[0])
        raise DataError(
            f"{source} holds {values[first]} at sample {first[0]}, {(~sound).sum()} in all; mend or drop it"
        )
    if (peak := np.abs(values).max()) > LOUDEST:
        raise DataError(
            f"{source} peaks at {peak:g}; floating-point samples lie in [-1, 1]: divide 16-bit ones by 32768"
        )
    return values
