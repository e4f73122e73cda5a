"""Recordings: what is read, what is converted and said, what is refused."""

import struct
import warnings
import wave
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from carousel.data import DataError
from carousel.data.audio import AudioWarning, as_recording, read_audio, resample

TONE = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000) * 0.5


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    wavfile.write(tmp_path / "whole.wav", 8000, (TONE * 32767).astype(np.int16))
    return tmp_path / "whole.wav"


@pytest.mark.parametrize(
    "values",
    [
        (TONE * 32767).astype(np.int16),
        (TONE * 2147483000).astype(np.int32),
        (TONE * 127 + 128).astype(np.uint8),
        TONE.astype(np.float32),
        TONE,
    ],
    ids=["int16", "int32", "uint8", "float32", "float64"],
)
def test_every_kind_of_number_has_one_scale(values: np.ndarray, tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 8000, values)
    found = read_audio(tmp_path / "a.wav")
    assert found.samples.dtype == np.float32
    assert (found.rate, found.seconds, found.notes) == (8000, 1.0, ())
    np.testing.assert_allclose(found.samples, TONE, atol=0.015)


def test_three_bytes_a_sample(tmp_path: Path) -> None:
    whole = (TONE * 8388607).astype(np.int32)
    with wave.open(str(tmp_path / "a.wav"), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(3)
        stream.setframerate(8000)
        stream.writeframes(b"".join(struct.pack("<i", value)[:3] for value in whole))
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav").samples, TONE, atol=1e-6)


def test_another_rate_is_converted_and_said(whole: Path) -> None:
    with pytest.warns(AudioWarning, match=r"whole.wav: converted from 8000 to 16000 samples a second"):
        found = read_audio(whole, rate=16_000)
    assert (found.rate, len(found.samples)) == (16_000, 16_000)
    wanted = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000) * 0.5
    np.testing.assert_allclose(found.samples[200:-200], wanted[200:-200], atol=2e-3)


def test_what_is_said_can_be_silenced(whole: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_audio(whole, rate=16_000, quiet=True).notes == ("converted from 8000 to 16000 samples a second",)
        assert read_audio(whole, rate=8000).notes == ()


def test_channels_are_averaged(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 8000, np.column_stack([TONE, 0 * TONE]).astype(np.float32))
    with pytest.warns(AudioWarning, match="2 channels averaged"):
        np.testing.assert_allclose(read_audio(tmp_path / "a.wav").samples, TONE / 2, atol=1e-6)


def test_silence_is_said() -> None:
    assert as_recording(np.zeros(100, np.int16), 8000).notes == ("silent: every sample is 0",)


@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_file_that_was_cut_short(whole: Path, share: float) -> None:
    content = whole.read_bytes()
    whole.write_bytes(content[: int(share * len(content))])
    with pytest.raises(
        DataError,
        match=r"whole.wav is cut short: it ends .*in Python: .*, truncated=\"keep\"\)",
    ):
        read_audio(whole)
    with pytest.warns(AudioWarning, match="cut short"):
        found = read_audio(whole, truncated="keep")
    np.testing.assert_allclose(found.samples, TONE[: len(found.samples)], atol=1e-3)
    assert len(found.samples) == pytest.approx(share * 8000, abs=30)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty: it has 0 bytes"),
        (b"RIFF", "broken WAV file"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "broken WAV file"),
        (b"<html>nothing</html>", "does not begin with RIFF"),
    ],
)
def test_files_that_are_no_sound(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_audio(tmp_path / "a.wav")


def test_a_file_without_samples(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 8000, np.zeros(0, np.int16))
    with pytest.raises(DataError, match="a.wav is empty: it has 0 samples"):
        read_audio(tmp_path / "a.wav")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_audio(tmp_path / "b.wav")


@pytest.mark.parametrize(
    ("values", "rate", "said"),
    [
        (np.array([0.1, np.nan, np.inf]), 8000, "holds nan at sample 1, 2 in all"),
        (np.array([1000.0, 2.0]), 8000, "peaks at 1000.*divide 16-bit ones by 32768"),
        (np.zeros((2, 900)), 8000, "more channels than samples"),
        (np.zeros(9), 0, "the rate is 0 samples a second"),
        (np.zeros(0), 8000, "0 samples"),
        (np.array(["a"]), 8000, "dtype <U1"),
    ],
)
def test_arrays_that_are_refused(values: np.ndarray, rate: int, said: str) -> None:
    with pytest.raises(DataError, match=said):
        as_recording(values, rate)


def test_resampling_there_and_back() -> None:
    there = resample(TONE, 8000, 22_050)
    assert len(there) == 22_050
    np.testing.assert_allclose(resample(there, 22_050, 8000)[100:-100], TONE[100:-100], atol=2e-3)


def test_resampling_down_leaves_no_mirror_image() -> None:
    high = np.sin(2 * np.pi * 7000 * np.arange(16_000) / 16_000)
    assert np.abs(resample(high, 16_000, 8000)[100:-100]).max() < 0.02


def test_asterisks_raw_sound(tmp_path: Path) -> None:
    values = (TONE * 32767).astype("<i2")
    (tmp_path / "a.sln16").write_bytes(values.tobytes())
    found = read_audio(tmp_path / "a.sln16")
    assert found.rate == 16_000
    np.testing.assert_allclose(found.samples, TONE, atol=1e-4)
    (tmp_path / "a.sln").write_bytes(values.tobytes()[:-1])
    with pytest.raises(DataError, match="each sample takes 2"):
        read_audio(tmp_path / "a.sln")


def test_other_formats_need_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.flac").write_bytes(b"fLaC")
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(ImportError, match=r"a.flac needs soundfile: pip install 'carousel-lstm\[audio\]'"):
        read_audio(tmp_path / "a.flac")


@pytest.mark.parametrize(("name", "options"), [("a.flac", {}), ("a.ogg", {}), ("a.wav", {"subtype": "ULAW"})])
def test_other_formats(name: str, options: dict[str, str], tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / name, TONE, 8000, **options)
    found = read_audio(tmp_path / name)
    assert found.rate == 8000
    np.testing.assert_allclose(found.samples[100:7000], TONE[100:7000], atol=0.05)


def test_telephone_code_without_a_header(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.gsm", TONE, 8000, format="RAW", subtype="GSM610")
    found = read_audio(tmp_path / "a.gsm")
    assert found.rate == 8000
    assert np.corrcoef(found.samples[:7000], TONE[:7000])[0, 1] > 0.9


def test_a_broken_file_of_another_format(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    (tmp_path / "a.flac").write_bytes(b"fLaC and nothing more")
    with pytest.raises(DataError, match="no sound file that can be read"):
        read_audio(tmp_path / "a.flac")
