"""Features of sound that is still coming in: the same numbers, a piece at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.data.audio.speech import SpeechFrontend, with_deltas
from carousel.data.errors import DataError
from carousel.data.frontend import Features


class FeatureStream:
    """Features from samples in pieces of any length; all pieces together are `frontend.features` of the whole.

    A frame comes out when its window and those that its derivatives see are there: `frontend.lookahead` frames later,
    and when all are there that it is stacked with.
    """

    def __init__(self, frontend: SpeechFrontend) -> None:
        self.frontend = frontend
        self._samples, self._gap = np.empty(0), 0
        self._frames: NDArray[np.float64] | None = None
        self._done = 0

    def push(self, samples: NDArray[Any]) -> Features:
        """The frames (time, features), perhaps none, that these samples (time,) complete.

        Raises DataError for samples that are no finite floats (time,).
        """
        given = np.asarray(samples)
        if given.ndim != 1 or given.dtype.kind != "f" or not np.isfinite(given).all():
            raise DataError(f"a piece has shape {given.shape} and dtype {given.dtype}; give finite floats (time,)")
        ahead = min(self._gap, len(given))
        self._samples, self._gap = np.concatenate([self._samples, given[ahead:]]), self._gap - ahead
        fresh = self.frontend.windows_of(len(self._samples))
        if fresh:
            frames = self.frontend.static(self._samples)
            self._frames = frames if self._frames is None else np.concatenate([self._frames, frames])
            read = fresh * self.frontend.shift
            self._gap, self._samples = max(0, read - len(self._samples)), self._samples[read:]
        return self._taken(self.frontend.lookahead)

    def finish(self) -> Features:
        """The last frames, whose derivatives see the end; then begin anew."""
        rest = self._taken(0)
        self._samples, self._gap, self._frames, self._done = np.empty(0), 0, None, 0
        return rest

    def _taken(self, behind: int) -> Features:
        """Frames up to so many before the last; those that later derivatives still see are kept."""
        ready = 0 if self._frames is None else len(self._frames) - behind - self._done
        if self._frames is None or ready < self.frontend.stack:
            return np.empty((0, self.frontend.n_features), np.float32)
        end = self._done + ready // self.frontend.stack * self.frontend.stack
        found = self.frontend.stacked(with_deltas(self._frames, self.frontend.deltas)[self._done : end])
        kept = max(0, end - self.frontend.lookahead)
        self._frames, self._done = self._frames[kept:], end - kept
        return found.astype(np.float32)
