"""Sound as people have it: wrong rates, several channels, broken files; converted and said, or refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from carousel.data.audio import resample
from carousel.decoding import NGram
from carousel.tasks import Transcriber
from tests.cli.calls import Call
from tests.tasks.test_transcription import listener, tones

__all__ = ["listener"]
RATE = 8000
SOUND = tones(["abba"])[0]
Broken = Callable[[Path], Any]


@pytest.fixture
def run(listener: Transcriber, here: Path) -> Path:
    listener.save(here / "run")
    return here / "run"


def integers(values: np.ndarray) -> np.ndarray:
    return (values * 32767).astype(np.int16)


@pytest.mark.parametrize("stream", [(), ("--stream",)])
@pytest.mark.parametrize(
    ("rate", "values", "words"),
    [
        (16_000, integers(resample(SOUND, RATE, 16_000)), "converted from 16000 to 8000 samples a second"),
        (RATE, np.stack([integers(SOUND), integers(SOUND)], axis=1), "2 channels averaged"),
        (RATE, SOUND.astype(np.float32), ""),
        (RATE, integers(np.zeros_like(SOUND)), "silent: every sample is 0"),
    ],
)
def test_what_can_be_converted_is_and_it_is_said(
    rate: int, values: np.ndarray, words: str, stream: tuple[str, ...], run: Path, call: Call
) -> None:
    wavfile.write("x.wav", rate, values)
    found = call("transcribe", run, "x.wav", *stream)
    assert found.exit_code == 0, found.stderr
    assert found.stdout == ("x.wav\t\n" if "silent" in words else "x.wav\tabba\n")
    assert found.stderr == (f"x.wav: {words}\n" if words else "")


def cut_short(path: Path) -> None:
    wavfile.write(path, RATE, integers(SOUND))
    path.write_bytes(path.read_bytes()[:-5000])


def with_nan(path: Path) -> None:
    values = SOUND.astype(np.float32)
    values[7] = np.nan
    wavfile.write(path, RATE, values)


BROKEN: dict[str, tuple[Broken, str]] = {
    "empty": (Path.touch, "x.wav is empty: it has 0 bytes"),
    "no samples": (lambda path: wavfile.write(path, RATE, np.zeros(0, np.int16)), "x.wav"),
    "text": (lambda path: path.write_text("hello"), "is no WAV file"),
    "cut short": (cut_short, "x.wav is cut short: it ends after"),
    "NaN": (with_nan, "x.wav holds nan at sample 7"),
    "integers as floats": (lambda path: wavfile.write(path, RATE, 9000 * SOUND.astype(np.float32)), "lie in [-1, 1]"),
    "too short": (lambda path: wavfile.write(path, RATE, integers(SOUND[:50])), ""),
    "missing": (lambda path: None, "there is no file x.wav"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_broken_is_refused_in_one_line(kind: str, run: Path, call: Call) -> None:
    make, words = BROKEN[kind]
    make(Path("x.wav"))
    for stream in ((), ("--stream",)):
        found = call("transcribe", run, "x.wav", *stream)
        assert found.exit_code == 1 and found.stdout == "", kind
        assert found.stderr.startswith("error: ") and found.stderr.count("\n") == 1
        assert words in found.stderr and "fault of carousel" not in found.stderr


def test_the_beam_and_its_language_model_change_the_decoder(run: Path, call: Call) -> None:
    wavfile.write("x.wav", RATE, integers(SOUND))
    NGram.estimate([list("aaaa")] * 9 + [list("b")], order=2).write("model.arpa")

    def asked(*options: str) -> dict[str, Any]:
        found = call("transcribe", run, "x.wav", "--json", *options)
        assert found.exit_code == 0, found.stderr
        return json.loads(found.stdout)["transcriptions"][0]

    path, beam = asked(), asked("--beam", "20")
    assert path["text"] == beam["text"] == "abba"
    assert beam["log_probability"] > path["log_probability"], "a sum over alignments, not one path"
    assert asked("--beam", "1")["log_probability"] <= beam["log_probability"]
    own = Transcriber.load(run).set_params(decoder="prefix_beam", beam=20, language_model="model.arpa")
    assert asked("--beam", "20", "--language-model", "model.arpa")["text"] == own.predict(["x.wav"])[0]
    own.set_params(decoder_options={"weight": 20.0}).save("led")
    led = json.loads(call("transcribe", "led", "x.wav", "--json").stdout)["transcriptions"][0]
    assert led["text"].count("b") < 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "nowhere.arpa"),
        ("no model\n", "broken.arpa"),
        ("\\data\\\nngram 1=2\n\n\\1-grams:\n-1 a\n", "broken.arpa"),
    ],
)
def test_language_models_that_cannot_be_read(content: str | None, words: str, run: Path, call: Call) -> None:
    wavfile.write("x.wav", RATE, integers(SOUND))
    if content is not None:
        Path("broken.arpa").write_text(content, encoding="utf-8")
    found = call("transcribe", run, "x.wav", "--beam", "5", "--language-model", words)
    assert found.exit_code == 1 and words in found.stderr and found.stderr.count("\n") == 1


def test_times_are_told_in_json_and_in_subtitles(run: Path, call: Call) -> None:
    wavfile.write("x.wav", RATE, integers(SOUND))
    (found,) = json.loads(call("transcribe", run, "x.wav", "--json").stdout)["transcriptions"]
    starts = [own["start"] for own in found["symbols"]]
    assert starts == [own.start for own in Transcriber.load(run).transcribe(["x.wav"])[0].symbols]
    assert 0.25 < starts[0] < starts[1] < starts[2] < starts[3] < 2.25
    assert all(0 < own["confidence"] <= 1 for own in found["symbols"])
    call("transcribe", run, "x.wav", "--srt", "subs")
    number, times, text = Path("subs/x.srt").read_text(encoding="utf-8").splitlines()[:3]
    assert (number, text) == ("1", "abba")
    assert times.startswith(f"00:00:00,{round(1000 * starts[0]):03}")
