"""`carousel transcribe --stream`: partial results as they come, and at the end what the whole file gives."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.io import wavfile
from typer.testing import CliRunner

from carousel.cli import app, live
from carousel.tasks import Transcriber
from tests.cli.calls import Call
from tests.tasks.test_transcription import SMALL, listener, spoken, tones

__all__ = ["listener"]
RATE = 8000


@pytest.fixture
def run(listener: Transcriber, here: Path) -> Path:
    """A run that hears tones, and a file with the sound of "abba"."""
    listener.save(here / "run")
    wavfile.write(here / "abba.wav", RATE, (tones(["abba"])[0] * 32767).astype(np.int16))
    return here / "run"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_files_beside_broken_ones_are_written_down(run: Path, call: Call) -> None:
    Path("empty.wav").touch()
    found = call("transcribe", run, "empty.wav", "abba.wav", "--stream")
    assert (found.exit_code, found.stdout) == (1, "abba.wav\tabba\n")
    assert found.stderr == "error: empty.wav is empty: it has 0 bytes\n"


@pytest.mark.parametrize("options", [(), ("--piece", "0.013"), ("--piece", "60"), ("--beam", "8")])
def test_a_stream_says_what_the_whole_file_says(options: tuple[str, ...], run: Path, call: Call) -> None:
    beam = options if "--beam" in options else ()
    whole = call("transcribe", run, "abba.wav", *beam)
    assert whole.stdout == "abba.wav\tabba\n"
    found = call("transcribe", run, "abba.wav", "--stream", *options)
    assert found.exit_code == 0, found.stderr
    assert found.stdout == whole.stdout


def test_partial_results_are_lines_of_json(run: Path, call: Call) -> None:
    found = lines(call("transcribe", run, "abba.wav", "abba.wav", "--stream", "--json").stdout)
    ends = [place for place, own in enumerate(found) if own["final"]]
    assert len(ends) == 2 and ends[1] == len(found) - 1 and 2 * ends[0] + 1 == ends[1]
    *partial, final = found[: ends[0] + 1]
    assert [own["heard"] for own in partial[:3]] == [0.25, 0.5, 0.75]
    assert {own["text"] for own in partial} >= {"", "a", "ab"}
    assert all(final["text"].startswith(own["stable"]) for own in partial)
    assert set(partial[0]) == {"file", "final", "text", "stable", "symbols", "unit", "heard"}
    (whole,) = json.loads(call("transcribe", run, "abba.wav", "--json").stdout)["transcriptions"]
    assert {**final, "log_probability": 0, "symbols": 0} == {**whole, "final": True, "log_probability": 0, "symbols": 0}
    assert [own["start"] for own in final["symbols"]] == [own["start"] for own in whole["symbols"]]


def test_raw_sound_comes_in_on_standard_input(run: Path) -> None:
    sound = wavfile.read("abba.wav")[1].astype("<i2").tobytes()
    found = CliRunner().invoke(app, ["transcribe", str(run), "-", "--stream"], input=sound + b"\x01")
    assert found.exit_code == 0, found.stderr
    assert found.stdout == "-\tabba\n"
    assert "raw 16-bit samples, one channel, 8000 a second" in found.stderr
    assert "ends within a sample, which is left out" in found.stderr


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (b"RIFF" + bytes(2000), 2, "standard input is a sound file, but raw samples are read there"),
        (b"", 1, "the stream ended after 0 samples, before one frame"),
        (bytes(100), 1, "the stream ended after 50 samples, before one frame"),
    ],
)
def test_standard_input_without_raw_sound(given: bytes, code: int, words: str, run: Path) -> None:
    found = CliRunner().invoke(app, ["transcribe", str(run), "-", "--stream"], input=given)
    assert found.exit_code == code and words in found.stderr


def test_the_terminal_shows_what_is_known_so_far(run: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=40, color_system="truecolor", _environ={"TERM": "xterm"})
    monkeypatch.setattr(live, "console", lambda: terminal)
    monkeypatch.setattr(live, "is_watched", lambda: True)
    found = call("transcribe", run, "abba.wav", "--stream")
    assert found.exit_code == 0, found.stderr
    assert found.stdout == "abba.wav\tabba\n"
    shown = screen.getvalue()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    for part in ("0.2  ", "0.5  a", "1.5  abb"):
        assert part in plain, plain
    assert "\x1b[2K" in shown, "the line is drawn over, and wiped at the end"


def test_subtitles_of_a_stream(run: Path, call: Call) -> None:
    assert call("transcribe", run, "abba.wav", "--srt", "whole").exit_code == 0
    assert call("transcribe", run, "abba.wav", "--stream", "--srt", "piecewise").exit_code == 0
    assert Path("whole/abba.srt").read_text(encoding="utf-8") == Path("piecewise/abba.srt").read_text(encoding="utf-8")


def test_features_can_come_in_pieces_too(here: Path, call: Call) -> None:
    X, y = spoken()
    Transcriber(**SMALL, bidirectional=False).fit(X, y).save(here / "run")
    np.save(here / "x.npy", np.concatenate(X[:9]))
    whole = call("transcribe", "run", "x.npy")
    assert call("transcribe", "run", "x.npy", "--stream").stdout == whole.stdout
    found = CliRunner().invoke(app, ["transcribe", "run", "-", "--stream"], input=b"1234")
    assert found.exit_code == 2 and "this model reads frames of features" in found.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-",), "add --stream"),
        (("abba.wav", "--stream", "--piece", "0"), "--piece is 0; it must be more than 0 seconds"),
        (("abba.wav", "--stream", "--speaker", "anna"), "--speaker is for models fitted with --normalize speaker"),
    ],
)
def test_streams_that_make_no_sense(options: tuple[str, ...], words: str, run: Path, call: Call) -> None:
    found = call("transcribe", run, *options)
    assert found.exit_code == 2 and words in found.stderr


def test_a_model_that_reads_backwards_cannot_stream(here: Path, call: Call) -> None:
    X, y = spoken()
    Transcriber(**SMALL).fit(X, y).save(here / "run")
    np.save(here / "x.npy", X[0])
    found = call("transcribe", "run", "x.npy", "--stream")
    assert found.exit_code == 1 and "a stream has no end yet; fit one with bidirectional=False" in found.stderr
