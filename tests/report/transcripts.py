"""Made-up transcriptions of each kind of signal, for tests and for looking at the page."""

import base64
import io
import wave

import numpy as np

from carousel.metrics import edits
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

HOP = 0.02


def sound(seconds: float = 0.4) -> str:
    """A tone as a WAV file in base64."""
    time = np.arange(round(8000 * seconds)) / 8000
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((9000 * np.sin(2 * np.pi * 440 * time)).astype("<i2").tobytes())
    return base64.b64encode(content.getvalue()).decode("ascii")


def steps(truth: str, said: str) -> tuple[EditStep, ...]:
    return tuple(EditStep(own.kind, own.truth, own.prediction) for own in edits(truth, said))  # type: ignore[arg-type]


def spikes(text: str, frames: int) -> tuple[Spike, ...]:
    """The blank, and a spike for each symbol of the text."""
    time = np.arange(frames)
    peaks = {place: np.exp(-np.square((time - 3 - 4 * place) / 1.2)) for place in range(len(text))}
    rows = [Spike(text[place], np.where(own > 0.02, own.round(3), np.nan)) for place, own in peaks.items()]
    return (Spike(None, (1 - np.clip(sum(peaks.values()), 0, 1)).round(3)), *rows)


def placed(text: str, step: float, wrong: str = "") -> tuple[Placed, ...]:
    return tuple(
        Placed(letter, step * (2 + 4 * place), step * (4 + 4 * place), letter not in wrong)
        for place, letter in enumerate(text)
    )


def heard(name: str, truth: str, said: str, role: str = "worst") -> Reading:
    """A reading of sound."""
    frames = 4 * max(len(truth), len(said)) + 6
    bands = 20 + 6 * np.sin(np.arange(24)[:, None] / 5 + np.arange(frames) / 7)
    return Reading(
        name, role, 0.2, steps(truth, said), unit="seconds", start=HOP / 2, step=HOP,  # type: ignore[arg-type]
        truth=placed(truth, HOP), said=placed(said, HOP, "z"), spikes=spikes(said, frames),
        picture=Picture("spectrogram", bands.round(1), tuple(f"mel{row}" for row in range(24))),
        clip=Clip(sound(), "The first 12 of 14.0 seconds."),
    )  # fmt: skip


def written() -> Reading:
    """A reading of pen strokes."""
    way = np.linspace(0, 2 * np.pi, 20)
    strokes = tuple(Stroke(3 * place + np.cos(way), np.sin(way * (1 + place)), 20 * place) for place in range(3))
    said = tuple(Placed(letter, 20.0 * place + 8, 20.0 * place + 12) for place, letter in enumerate("abc"))
    return Reading(
        "word.json", "worst", 0.33, steps("abd", "abc"), truth=(), said=said, spikes=spikes("abc", 60), strokes=strokes,
        clip=None,
    )  # fmt: skip


def transcripts() -> TranscriptionFindings:
    """All kinds of readings: sound, phonemes without a picture, ink, nothing found."""
    phones = Reading(
        "phones.npy", "worst", 0.5, (EditStep("same", "aa", "aa"), EditStep("substitution", "sh", "s")), separator=" ",
        clip=Clip(None, "Its sound is left out, so that the page stays small: phones.npy"),
    )  # fmt: skip
    return TranscriptionFindings(
        (Rate("symbols (cer)", 0.0912, 0.058, 0.127, 30, 329), Rate("words (wer)", 0.414, 0.271, 0.543, 29, 70)),
        6, 2, 22,
        (Confusion(" ", None, 9), Confusion("z", None, 5), Confusion("t", "d", 4), Confusion(None, "n", 1)),
        (heard("0.wav", "five nine", "five nine", "typical"), heard("1.wav", "six zero" * 4, "six zebro" * 4),
         written(), phones, Reading("silent.wav", "worst", 1.0, steps("a", ""))),
    )  # fmt: skip
