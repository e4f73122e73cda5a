"""Transcription of what is still coming in: a piece at a time, with carried state and in memory that does not grow."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from carousel.data import Batch, DataError, Frontend
from carousel.data.audio import FeatureStream, SpeechFrontend
from carousel.decoding import Hypothesis, Partial
from carousel.nn import LSTM
from carousel.tasks.transcripts import TimedSymbol, Transcription, transcription

Frames = NDArray[np.float64]
FRAMES_AT_ONCE = 4096
"""Frames of a long piece that the network reads in one call."""


@dataclass(frozen=True)
class PartialTranscription:
    """What a stream says so far."""

    text: str
    stable: str
    """the beginning of the text that will not change any more, whatever comes"""
    symbols: tuple[TimedSymbol, ...]
    unit: str
    """of starts and ends, and of `heard`: "seconds" or "frames" """
    heard: float
    """how much has come in"""


class Source(Protocol):
    """Features of what comes in."""

    def push(self, samples: NDArray[Any], /) -> NDArray[Any]: ...
    def finish(self) -> NDArray[Any]: ...


class Decoder(Protocol):
    """A decoder's stream, of what the network says of each frame."""

    def push(self, said: Any, /) -> Partial: ...
    def finish(self, count: int = 1) -> list[Hypothesis]: ...


class TranscriptionStream:
    """One recording that comes piece by piece: at its end, what `Transcriber.transcribe` says of the whole.

    Between two pieces it holds the samples of a window, the frames that derivatives still see, one state of the
    network and the decoder's own; what grows is the text alone.

    Args:
        network: answers a piece of frames from the state before (`carry`), in evaluation mode.
        place: on which device and in which dtype it computes.
        frontend: what makes frames of samples; None where frames come in.
        scale: frames (time, features) as the network reads them.
        decoder: the stream of a decoder.
        text: what labels write.
    """

    def __init__(
        self,
        network: Any,
        place: tuple[torch.device, torch.dtype],
        frontend: SpeechFrontend | None,
        scale: Callable[[Frames], Frames],
        decoder: Decoder,
        text: Callable[[tuple[int, ...]], str],
    ) -> None:
        self._network, self._place, self._scale = network, place, scale
        self._frontend, self._decoder, self._text = frontend, decoder, text
        self._source: Source = _Given(network.lstm.input_size) if frontend is None else FeatureStream(frontend)
        self._state: Any = None
        self._heard, self._frames, self._over = 0, 0, False
        self._partial = PartialTranscription("", "", (), "frames" if frontend is None else "seconds", 0.0)

    def push(self, samples: Any) -> PartialTranscription:
        """Hear what comes next, and say what was said so far.

        samples: with a front end for sound, floats (time,) in [-1, 1] at its rate; else frames (time, features).

        Raises DataError for anything else, ValueError once the stream has been finished.
        """
        self._check_open()
        given = np.asarray(samples)
        heard = self._listen(self._source.push(given))
        self._heard += len(given)
        amount = self._heard / self._frontend.rate if self._frontend else float(self._heard)
        self._partial = replace(self._partial if heard is None else self._said(heard), heard=amount)
        return self._partial

    def finish(self) -> Transcription:
        """What the whole said; nothing more can be pushed then.

        Raises DataError where nothing was heard, or less than one frame.
        """
        self._check_open()
        self._listen(self._source.finish())
        self._over = True
        if not self._frames:
            raise DataError(f"nothing to write down: the stream ended after {self._heard} samples, before one frame")
        return transcription(self._decoder.finish()[0], self._frontend)

    def _check_open(self) -> None:
        if self._over:
            raise ValueError("this stream was finished; ask for another by Transcriber.stream()")

    def _listen(self, frames: NDArray[Any]) -> Partial | None:
        """Let the network and the decoder hear these frames; None where there are none."""
        heard = None
        device, dtype = self._place
        for start in range(0, len(frames), FRAMES_AT_ONCE):
            scaled = self._scale(frames[start : start + FRAMES_AT_ONCE].astype(np.float64))
            inputs = torch.from_numpy(scaled)[:, None].to(device, dtype)
            batch = Batch(inputs=inputs, indices=torch.zeros(1, dtype=torch.int64))
            with torch.inference_mode():
                said, self._state = self._network.carry(batch, self._state)
            heard = self._decoder.push(said[:, 0].double().cpu())
        self._frames += len(frames)
        return heard

    def _said(self, heard: Partial) -> PartialTranscription:
        found = transcription(heard.hypothesis, self._frontend)
        stable = self._text(heard.hypothesis.labels[: heard.stable])
        return PartialTranscription(found.text, stable, found.symbols, found.unit, 0.0)


class _Given:
    """Frames that are features already."""

    def __init__(self, width: int) -> None:
        self._width = width

    def push(self, frames: NDArray[Any]) -> NDArray[Any]:
        if frames.ndim != 2 or frames.shape[1] != self._width or frames.dtype.kind not in "fiu":
            shape = f"a piece has shape {frames.shape} and dtype {frames.dtype}"
            raise DataError(f"{shape}; give numbers (time, {self._width})")
        if not np.isfinite(frames).all():
            raise DataError("a piece holds NaN or infinity; mend or drop it")
        return frames

    def finish(self) -> NDArray[Any]:
        return np.empty((0, 0))


def check_streams(network: Any, lstm: LSTM, frontend: Frontend | None) -> SpeechFrontend | None:
    """The front end, of a transcriber that can write down what is still coming in.

    Raises ValueError for one that cannot.
    """
    if lstm.bidirectional:
        raise ValueError(
            "this transcriber reads each recording from its end too (bidirectional=True), and a stream has no end yet; "
            "fit one with bidirectional=False, or use transcribe"
        )
    if not hasattr(network, "carry"):
        raise ValueError("the network of this transcriber cannot go on from piece to piece; use transcribe")
    if frontend is not None and not isinstance(frontend, SpeechFrontend):
        raise ValueError(
            f"a front end of kind {frontend.kind!r} looks at a whole signal before it makes features, so nothing can "
            "be said of a piece; use transcribe"
        )
    return frontend
