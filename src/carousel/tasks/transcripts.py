"""What stands around a transcriber: signals on the way in, the network, transcriptions with times on the way out."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from carousel.data import Batch, DataError, Frontend, Sequences
from carousel.data.audio import Recording, SpeechFrontend, read_audio
from carousel.data.frontend import FRONTENDS
from carousel.decoding import Hypothesis
from carousel.nn import CTC, LSTM
from carousel.tasks.heads import text_loss
from carousel.tasks.network import check_forward, output_width


@dataclass(frozen=True)
class TimedSymbol:
    """One symbol, from where to where it was read, and the network's greatest probability of it there."""

    symbol: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcription:
    """What one sample says."""

    text: str
    symbols: tuple[TimedSymbol, ...]
    unit: str
    """of starts and ends: "seconds" or "frames" """
    log_probability: float
    """of the text by the network alone, as the decoder knows it"""


class CTCNetwork(nn.Module):
    """An LSTM stack with a softmax over labels and blank at each frame (a `training.Model`)."""

    def __init__(self, lstm: LSTM, labels: int, blank: int, *, dropout: float) -> None:
        super().__init__()
        self.lstm = lstm
        self.dropout = nn.Dropout(dropout)
        self.head = CTC(output_width(lstm), labels, blank=blank)

    def forward(self, batch: Batch) -> Tensor:
        """Log-probabilities (time, batch, labels) of inputs (time, batch, features)."""
        outputs, _ = self.lstm(batch.inputs, lengths=batch.lengths)
        return self.head(self.dropout(outputs))

    def carry(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """Log-probabilities of a piece of sequences, from the state after the piece before, and the state after it."""
        check_forward(self.lstm)
        outputs, state = self.lstm(batch.inputs, state)
        return self.head(self.dropout(outputs)), state

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Minus the log-probability of the texts, a mean over samples; the target is (batch, longest), filled up."""
        return text_loss(self.head, output, batch)


def frontend_named(given: Frontend | str | None, options: dict[str, Any] | None) -> Frontend | None:
    """The front end, or the one of that kind with these options.

    Raises DataError for a kind that there is not, TypeError for an option that it does not have.
    """
    if not isinstance(given, str):
        if options:
            raise DataError("frontend_options are for a front end by name, such as frontend='speech'")
        return given
    if given not in FRONTENDS:
        raise DataError(f"no front end is called {given!r}; there are {', '.join(FRONTENDS)}")
    known = [field.name for field in fields(FRONTENDS[given])]
    if unknown := [name for name in options or {} if name not in known]:
        raise TypeError(f"front end {given!r} has no option {unknown[0]!r}; it has {', '.join(known)}")
    kind: Any = FRONTENDS[given]
    return kind(**(options or {}))


def features_of(X: Any, frontend: Frontend | None) -> Any:
    """The features of signals; X itself where there is no front end, or where it is features already.

    Raises DataError that lists all signals that have none, by file or number; FileNotFoundError.
    """
    if frontend is None:
        return X
    if isinstance(X, Sequences):
        return _checked(X, frontend)
    values, names, refused = [], [], []
    for place, signal in enumerate(X):
        try:
            name, own = _features(signal, place, frontend)
        except DataError as error:
            refused.append(f"sample {place}: {error}")
        else:
            names.append(name)
            values.append(own.astype(np.float64))
    if refused:
        raise DataError("\n".join(refused))
    if not values:
        raise DataError("X is empty: found 0 sample(s) while a minimum of 1 is required")
    return Sequences(values, frontend.names, tuple(names))


def _checked(found: Sequences, frontend: Frontend) -> Sequences:
    if found.features != frontend.names:
        raise DataError(
            f"X are Sequences of other features than those of the front end of kind {frontend.kind!r}; give signals, "
            "or what `features` makes of them"
        )
    return found


def _features(signal: Any, place: int, frontend: Frontend) -> tuple[str, Any]:
    """The name and the features of one signal."""
    if isinstance(signal, str | Path):
        if not isinstance(frontend, SpeechFrontend):
            raise DataError(f"{signal} is a path, which a front end of kind {frontend.kind!r} does not read")
        signal = read_audio(signal, rate=frontend.rate)
    name = signal.source if isinstance(signal, Recording) and signal.source != "the signal" else str(place)
    return name, frontend.features(signal)


def transcription(found: Hypothesis, frontend: Frontend | None) -> Transcription:
    """A hypothesis with its places in seconds, where frames are evenly spaced."""
    hop = None if frontend is None else frontend.hop
    first = frontend.seconds(0) - frontend.hop / 2 if isinstance(frontend, SpeechFrontend) else 0.0
    symbols = tuple(
        TimedSymbol(own.symbol, _place(own.start, hop, first), _place(own.end, hop, first), own.confidence)
        for own in found.symbols
    )
    return Transcription(found.text, symbols, "frames" if hop is None else "seconds", found.log_probability)


def _place(frame: int, hop: float | None, first: float) -> float:
    """Where a frame begins: in seconds, or its number."""
    return float(frame) if hop is None else first + frame * hop
