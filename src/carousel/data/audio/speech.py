"""Speech features: log energies of mel bands or cepstra (MFCC), with log energy and time derivatives."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from carousel.data.audio.recording import Recording
from carousel.data.errors import DataError
from carousel.data.frontend import Features, Frontend

FULL_SCALE = 32768.0
"""Features are those of 16-bit samples, as in HTK and Kaldi."""
FLOOR = float(np.finfo(np.float32).eps)
EMPHASIS, LIFTER, DELTA_REACH, FRAMES_AT_ONCE = 0.97, 22, 2, 4096
Frames = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SpeechFrontend(Frontend, kind="speech"):
    """Spectral features of one channel, a frame each `step` seconds.

    rate: samples a second. window, step: seconds that a frame sees, and from one to the next.
    bands: triangular filters, evenly spaced in mel from `low` to `high` hertz (None: half the rate).
    cepstra: 0 for the bands' log energies, n for the first n cepstral coefficients (without the zeroth).
    energy: with the log energy of each frame. deltas: how many orders of time derivatives follow.
    stack: so many frames become one, the first to the last; a network then has as many times fewer to read (Sak et al.
        2015). What is left at the end is dropped.

    The defaults are the 123 inputs of Graves, Mohamed and Hinton 2013; `bands=26, cepstra=12, deltas=1` are the 26
    of Graves and Schmidhuber 2005. Each frame is made from its own samples alone: mean removed, pre-emphasised, Hamming
    window, power spectrum (as Kaldi does, with which it agrees); derivatives are HTK's, over two frames either side.

    Raises DataError for options outside their range. Source: Young et al., The HTK Book; Povey et al. 2011.
    """

    rate: int = 16_000
    window: float = 0.025
    step: float = 0.010
    bands: int = 40
    cepstra: int = 0
    energy: bool = True
    deltas: int = 2
    stack: int = 1
    low: float = 20.0
    high: float | None = None

    def __post_init__(self) -> None:
        high = self.rate / 2 if self.high is None else self.high
        if not 0 <= self.low < high <= self.rate / 2:
            raise DataError(
                f"bands from {self.low} to {high} Hz; at {self.rate} samples a second give 0 to {self.rate / 2}"
            )
        if self.shift < 1 or self.width < 2 or self.deltas < 0 or self.bands < 1 or self.stack < 1:
            raise DataError(
                f"{self}: give a window of 2 samples, a step of 1, 1 band, 0 deltas and a stack of 1 at least"
            )
        if not 0 <= self.cepstra < self.bands:
            raise DataError(f"{self.cepstra} cepstra of {self.bands} bands; give fewer cepstra than bands")
        if (empty := int((self._filters.sum(0) == 0).sum())) > 0:
            raise DataError(f"{empty} of {self.bands} bands see no frequency; give fewer bands or a longer window")

    @property
    def hop(self) -> float:
        """Seconds from a frame to the next."""
        return self.stack * self.shift / self.rate

    @property
    def shift(self) -> int:
        """Samples from a frame to the next, before they are stacked."""
        return int(self.rate * self.step + 1e-9)

    @property
    def width(self) -> int:
        """Samples that a frame sees, before they are stacked."""
        return int(self.rate * self.window + 1e-9)

    @property
    def names(self) -> tuple[str, ...]:
        """The features of a frame: log energy, bands or cepstra; then their derivatives, order by order."""
        kind, count = ("c", self.cepstra) if self.cepstra else ("mel", self.bands)
        base = [*(["energy"] if self.energy else []), *(f"{kind}{number}" for number in range(1, count + 1))]
        own = [f"{'d' * order}{' ' if order else ''}{name}" for order in range(self.deltas + 1) for name in base]
        return tuple(f"{name} +{later}" if later else name for later in range(self.stack) for name in own)

    @property
    def lookahead(self) -> int:
        """Frames after a frame that its derivatives see, before they are stacked."""
        return DELTA_REACH * self.deltas

    def frames(self, seconds: float) -> int:
        """The number of frames of so many seconds: those whose window lies within."""
        return self.frames_of(round(seconds * self.rate))

    def frames_of(self, samples: int) -> int:
        """The number of frames of so many samples."""
        return self.windows_of(samples) // self.stack

    def windows_of(self, samples: int) -> int:
        """The number of frames of so many samples, before they are stacked."""
        return 0 if samples < self.width else 1 + (samples - self.width) // self.shift

    def seconds(self, frame: int) -> float:
        """The time of a frame's middle."""
        first = frame * self.stack + (self.stack - 1) / 2
        return (first * self.shift + self.width / 2) / self.rate

    def features(self, signal: Any) -> Features:
        """Features (time, features) of a Recording, or of samples (time,) in [-1, 1] at this front end's rate.

        Raises DataError for another rate, NaN, or a signal shorter than a window.
        """
        return self.stacked(with_deltas(self.static(self._checked(signal)), self.deltas)).astype(np.float32)

    def stacked(self, frames: Frames) -> Frames:
        """Frames (time, features), so many of them side by side, (time / stack, features stack)."""
        whole = len(frames) // self.stack * self.stack
        return frames[:whole].reshape(whole // self.stack, -1)

    def static(self, samples: NDArray[Any]) -> Frames:
        """The features before their derivatives and before they are stacked, (time, features), of samples (time,)."""
        windows = sliding_window_view(samples, self.width)[:: self.shift]
        blocks = range(0, len(windows), FRAMES_AT_ONCE)
        return np.concatenate([self._block(windows[at : at + FRAMES_AT_ONCE]) for at in blocks])

    def _checked(self, signal: Any) -> NDArray[Any]:
        source = signal.source if isinstance(signal, Recording) else "the signal"
        if isinstance(signal, Recording) and signal.rate != self.rate:
            raise DataError(
                f"{source} has {signal.rate} samples a second, the front end wants {self.rate}; "
                f"read it with rate={self.rate}"
            )
        samples = np.asarray(signal.samples if isinstance(signal, Recording) else signal)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            raise DataError(f"{source} has shape {samples.shape} and dtype {samples.dtype}; give floats (time,)")
        if len(samples) < (least := self.width + (self.stack - 1) * self.shift):
            took, wanted = len(samples) / self.rate, least / self.rate
            raise DataError(f"{source} lasts {took:.3g} s, shorter than one window of {wanted:g} s; drop or pad it")
        if not np.isfinite(samples).all():
            raise DataError(f"{source} holds NaN or infinity; mend or drop it")
        return samples

    def _block(self, windows: NDArray[Any]) -> Frames:
        frames = windows.astype(np.float64) * FULL_SCALE
        frames -= frames.mean(axis=1, keepdims=True)
        energy = _log(np.square(frames).sum(axis=1, keepdims=True))
        sharpened = frames - EMPHASIS * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        spectrum = np.fft.rfft(sharpened * np.hamming(self.width), self._points)
        bands = _log((spectrum.real**2 + spectrum.imag**2)[:, :-1] @ self._filters)
        values = bands @ _cosines(self.bands, self.cepstra) if self.cepstra else bands
        return np.concatenate([energy, values], axis=1) if self.energy else values

    @property
    def _points(self) -> int:
        return 1 << (self.width - 1).bit_length()

    @cached_property
    def _filters(self) -> Frames:
        """Weight of each frequency below half the rate in each band, (frequencies, bands)."""
        high = self.rate / 2 if self.high is None else self.high
        corners = np.linspace(_mel(self.low), _mel(high), self.bands + 2)
        left, centre, right = corners[:-2], corners[1:-1], corners[2:]
        mel = _mel(np.arange(self._points // 2) * self.rate / self._points)[:, None]
        return np.maximum(np.minimum((mel - left) / (centre - left), (right - mel) / (right - centre)), 0)


def with_deltas(values: Frames, orders: int) -> Frames:
    """Features (time, features) followed by their derivatives in time, each order from the one before.

    d_t = sum over k = 1, 2 of k (x_{t+k} - x_{t-k}) / 10, where the first and the last frame go on beyond the ends.
    """
    found = [values]
    for _ in range(orders):
        found.append(_slope(found[-1]))
    return np.concatenate(found, axis=1)


def _slope(values: Frames) -> Frames:
    reach, time = DELTA_REACH, len(values)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    steps = np.arange(1, reach + 1)
    later = np.stack([padded[reach + k : reach + k + time] - padded[reach - k : reach - k + time] for k in steps])
    return np.tensordot(steps, later, 1) / (2 * np.square(steps).sum())


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)


def _log(power: Frames) -> Frames:
    return np.log(np.maximum(power, FLOOR))


@lru_cache(maxsize=16)
def _cosines(bands: int, cepstra: int) -> Frames:
    """The cosine transform (orthonormal, second kind) without its constant row, liftered: (bands, cepstra)."""
    orders = np.arange(1, cepstra + 1)
    rows = np.cos(np.pi / bands * np.outer(np.arange(bands) + 0.5, orders)) * np.sqrt(2 / bands)
    return rows * (1 + LIFTER / 2 * np.sin(np.pi * orders / LIFTER))
