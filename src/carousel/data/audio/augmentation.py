"""Drawn variation of sound and its features, for training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data.errors import DataError


@dataclass(frozen=True, kw_only=True)
class SpecAugment:
    """Blank out stripes of features (time, features): some spans of time and some of neighbouring features.

    time_masks, feature_masks: how many of each. time_width, feature_width: the widest, in frames and features; widths
    are drawn from 0 on, and a span of time covers at most the share `time_share` of the frames.
    The blank is each feature's mean over the recording, 0 where features are normalised.

    Source: Park et al. 2019 (without time warping).
    """

    time_masks: int = 2
    time_width: int = 40
    feature_masks: int = 2
    feature_width: int = 8
    time_share: float = 0.2

    def __post_init__(self) -> None:
        counts = (self.time_masks, self.time_width, self.feature_masks, self.feature_width)
        if min(counts) < 0 or not 0 <= self.time_share <= 1:
            raise DataError(f"{self}: give counts and widths of 0 or more, and a share between 0 and 1")

    def __call__(self, features: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """The features with blanks, in an array of their own. Raises DataError where there is no frame."""
        if features.ndim != 2 or not len(features):
            raise DataError(f"features have shape {features.shape}; give (time, features), 1 frame at least")
        found, blank = features.copy(), features.mean(axis=0)
        time, size = features.shape
        longest = min(self.time_width, int(self.time_share * time))
        for begin, end in _spans(self.time_masks, longest, time, rng):
            found[begin:end] = blank
        for begin, end in _spans(self.feature_masks, min(self.feature_width, size), size, rng):
            found[:, begin:end] = blank[begin:end]
        return found


@dataclass(frozen=True, kw_only=True)
class JitterFeatures:
    """Add normal noise to features, as in Graves and Schmidhuber's networks (0.6 on normalised inputs)."""

    deviation: float = 0.6

    def __call__(self, features: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """The features with noise, in an array of their own."""
        return features + rng.normal(0.0, self.deviation, features.shape).astype(features.dtype)


@dataclass(frozen=True, kw_only=True)
class AddNoise:
    """Add noise to samples (time,) at a ratio of powers drawn evenly between two figures in decibels.

    slope: how the noise's power falls with frequency, in powers of 1/f: 0 white, 1 pink, 2 brown.
    """

    lowest: float = 5.0
    highest: float = 30.0
    slope: float = 1.0

    def __post_init__(self) -> None:
        if self.lowest > self.highest:
            raise DataError(f"a ratio from {self.lowest} to {self.highest} dB; give the lower one first")

    def __call__(self, samples: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float32]:
        """The samples with noise; silence stays as it is, for no ratio is met there.

        Raises DataError where there is no sample.
        """
        if samples.ndim != 1 or not len(samples):
            raise DataError(f"samples have shape {samples.shape}; give (time,), 1 sample at least")
        ratio = 10 ** (rng.uniform(self.lowest, self.highest) / 10)
        spectrum = np.fft.rfft(rng.normal(size=len(samples)))
        noise = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))) ** (self.slope / 2), len(samples))
        power = np.mean(np.square(samples, dtype=np.float64))
        scale = np.sqrt(power / ratio / max(np.mean(np.square(noise)), np.finfo(np.float64).tiny))
        return (samples + scale * noise).astype(np.float32)


def _spans(count: int, widest: int, length: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Spans of drawn width, anywhere in the length."""
    widths = rng.integers(0, widest + 1, count)
    return [(begin := int(rng.integers(0, length - width + 1)), begin + int(width)) for width in widths]
