"""What a report shows of a transcriber: its errors, and samples with their alignments and their sound."""

import base64
import io
import wave
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.cli.studies.manifest import Transcripts, read_signal
from carousel.data import DataError, Frontend, InkFrontend, SpeechFrontend
from carousel.data.audio import Recording, read_audio, resample
from carousel.decoding import DecodingError, align
from carousel.metrics import Edit, ErrorRate, edits
from carousel.report import (
    Clip,
    Confusion,
    EditStep,
    Picture,
    Placed,
    Rate,
    Reading,
    Spike,
    Stroke,
    TranscriptionFindings,
)
from carousel.tasks import Transcriber, Transcription
from carousel.tasks.spelling import labels_of, normalized, symbols_of
from carousel.tasks.transcripts import transcription

WORST, CONFUSIONS = 5, 200
DRAWN_FRAMES, DRAWN_ROWS, SPIKES, LEAST = 600, 40, 24, 0.02
CLIP_SECONDS, CLIP_RATE, ALL_CLIPS = 12.0, 16_000, 2_500_000
"""Sound on a page: of each sample, samples a second, and characters in all."""


@dataclass(frozen=True)
class Read:
    """An estimator, the held-out part, and what it found there."""

    estimator: Transcriber
    test: Transcripts
    found: list[Transcription]

    @cached_property
    def truths(self) -> list[str]:
        """The true texts, as the alphabet would write them."""
        return [normalized(text, self.estimator.alphabet_) for text in self.test.texts]

    @cached_property
    def steps(self) -> list[list[Edit]]:
        """The way from each truth to what was found."""
        alphabet, found = self.estimator.alphabet_, [own.text for own in self.found]
        pairs = zip(self.truths, found, strict=True)
        return [edits(symbols_of(truth, alphabet), symbols_of(said, alphabet)) for truth, said in pairs]

    @cached_property
    def errors(self) -> NDArray[np.float64]:
        """Errors of each sample over its true symbols."""
        counts = [sum(step.kind != "same" for step in own) for own in self.steps]
        symbols = [sum(step.truth is not None for step in own) for own in self.steps]
        return np.array(counts) / np.maximum(1, symbols)


def transcription_findings(read: Read) -> TranscriptionFindings:
    """Rates, confusions, and readings: one with the middle error, then the worst."""
    wrong = [step for own in read.steps for step in own if step.kind != "same"]
    kinds = Counter(step.kind for step in wrong)
    pairs = Counter((step.truth, step.prediction) for step in wrong)
    confusions = [Confusion(_text(true), _text(said), number) for (true, said), number in pairs.most_common(CONFUSIONS)]
    rates = read.estimator._rates(read.test.texts, [own.text for own in read.found])
    return TranscriptionFindings(
        tuple(_rate(name, own) for name, own in rates.items()),
        kinds["substitution"],
        kinds["insertion"],
        kinds["deletion"],
        tuple(confusions),
        tuple(_readings(read)),
    )


def _rate(name: str, own: ErrorRate) -> Rate:
    words = {"cer": "symbols (cer)", "wer": "words (wer)"}
    return Rate(words[name], own.rate, own.low, own.high, own.errors, own.symbols)


def _text(symbol: Any) -> str | None:
    return None if symbol is None else str(symbol)


def _readings(read: Read) -> list[Reading]:
    order = [int(place) for place in np.argsort(-read.errors, kind="stable")]
    worst = [place for place in order[:WORST] if read.errors[place] > 0]
    middle = order[len(order) // 2]
    chosen = [(middle, "typical"), *((place, "worst") for place in worst if place != middle)]
    room, readings = ALL_CLIPS, []
    for place, role in chosen:
        reading = _reading(read, place, role)
        if (clip := _clip(read, place, room)) is not None:
            room -= len(clip.wav or "")
            reading = replace(reading, clip=clip)
        readings.append(reading)
    return readings


def _reading(read: Read, place: int, role: Any) -> Reading:
    estimator, found = read.estimator, read.found[place]
    one = read.test.sequences.take([place])
    heard = None if estimator.head == "transducer" else estimator.log_probabilities(one)[0]
    frames, frontend = int(one.lengths[0]), estimator._frontend()
    steps = tuple(
        EditStep(own.kind, _text(own.truth), _text(own.prediction))  # pyright: ignore[reportArgumentType]
        for own in read.steps[place]
    )
    step, start = frame_times(frontend)
    end = start + (DRAWN_FRAMES - 0.5) * step
    said = [own for own in _said(found, steps) if own.start < end]
    return Reading(
        read.test.sequences.ids[place],
        role,
        float(read.errors[place]),
        steps,
        estimator.alphabet_.separator or "",
        found.unit,  # pyright: ignore[reportArgumentType]
        start,
        step,
        () if heard is None else tuple(own for own in _true(read, place, heard) if own.start < end),
        tuple(said),
        () if heard is None else tuple(_spikes(estimator, heard[:DRAWN_FRAMES])),
        **_drawn(read, place),
        cut=f"The first {DRAWN_FRAMES} of {frames} frames are drawn." if frames > DRAWN_FRAMES else "",
    )


def frame_times(frontend: Frontend | None) -> tuple[float, float]:
    """From one frame to the next, and where the first one lies: in seconds where frames have times, else in frames."""
    step = getattr(frontend, "hop", None) or 1.0
    return step, frontend.seconds(0) if isinstance(frontend, SpeechFrontend) else step / 2


def _said(found: Transcription, steps: tuple[EditStep, ...]) -> list[Placed]:
    right = [step.kind == "same" for step in steps if step.said is not None]
    right = right if len(right) == len(found.symbols) else [True] * len(found.symbols)
    return [Placed(own.symbol, own.start, own.end, ok) for own, ok in zip(found.symbols, right, strict=True)]


def _true(read: Read, place: int, log_probs: NDArray[np.float64]) -> list[Placed]:
    """The true symbols where they fit best; none where they do not fit, or the alphabet lacks one."""
    alphabet = read.estimator.alphabet_
    try:
        (labels,) = labels_of([read.test.texts[place]], alphabet, [place])
        best = transcription(align(log_probs, labels, alphabet), read.estimator._frontend())
    except (DataError, DecodingError):
        return []
    return [Placed(own.symbol, own.start, own.end) for own in best.symbols]


def _spikes(estimator: Transcriber, log_probs: NDArray[np.float64]) -> list[Spike]:
    """The blank's probability, and those of the labels that rise highest; None where there is next to none."""
    alphabet, chances = estimator.alphabet_, np.exp(log_probs)
    labels = [int(label) for label in np.argsort(-chances.max(axis=0)) if label != alphabet.blank][:SPIKES]
    labels = [label for label in labels if chances[:, label].max() > 0.1]
    rows = [Spike(None, chances[:, alphabet.blank].round(3))]
    for label in sorted(labels, key=lambda label: int(chances[:, label].argmax())):
        own = chances[:, label].round(3)
        rows.append(Spike(alphabet.symbol(label), np.where(own > LEAST, own, np.nan)))
    return rows


def _drawn(read: Read, place: int) -> dict[str, Any]:
    """The picture of the signal: a spectrogram, the ink, or the features themselves."""
    frontend, path = read.estimator._frontend(), Path(read.test.sequences.ids[place])
    if isinstance(frontend, SpeechFrontend):
        plain = replace(frontend, cepstra=0, energy=False, deltas=0)
        values = plain.features(read_audio(path, rate=frontend.rate, quiet=True))[:DRAWN_FRAMES]
        values = values.clip(min=np.quantile(values, 0.05))  # digital silence would take most of the colours
        return {"picture": Picture("spectrogram", values.T.round(1), plain.names)}
    if isinstance(frontend, InkFrontend):
        return {"strokes": _strokes(frontend, read_signal(path, frontend))}
    values = read.test.sequences.values[place][:DRAWN_FRAMES, :DRAWN_ROWS]
    names = read.test.sequences.features or tuple(f"feature {number + 1}" for number in range(values.shape[1]))
    scaled = (values - values.mean(0)) / np.maximum(values.std(0), 1e-9)
    return {"picture": Picture("features", scaled.T.round(2), names[:DRAWN_ROWS])}


def _strokes(frontend: InkFrontend, ink: Any) -> tuple[Stroke, ...]:
    strokes, first = [], 0
    for own in frontend.alike(ink).strokes:
        strokes.append(Stroke(own[:, 0].round(3), own[:, 1].round(3), first))
        first += len(own)
    return tuple(strokes)


def _clip(read: Read, place: int, room: int) -> Clip | None:
    """The sound of a sample as far as there is room on the page; None for what has no sound."""
    if not isinstance(read.estimator._frontend(), SpeechFrontend):
        return None
    recording = read_audio(read.test.sequences.ids[place], quiet=True)
    seconds = min(CLIP_SECONDS, recording.seconds)
    content = base64.b64encode(_wav(recording, seconds)).decode("ascii")
    if len(content) > room:
        return Clip(None, f"Its sound is left out, so that the page stays small: {recording.source}")
    whole = seconds == recording.seconds
    return Clip(content, "" if whole else f"The first {seconds:g} of {recording.seconds:.1f} seconds.")


def _wav(recording: Recording, seconds: float) -> bytes:
    """The first seconds as 16-bit WAV at 16,000 samples a second at most."""
    samples, rate = recording.samples[: round(seconds * recording.rate)].astype(np.float64), recording.rate
    if rate > CLIP_RATE:
        samples, rate = resample(samples, rate, CLIP_RATE), CLIP_RATE
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return content.getvalue()
