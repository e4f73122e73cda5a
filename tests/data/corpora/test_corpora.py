"""The sets themselves: those that are shipped, and the others where they are here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carousel.data import DataError, SpeechFrontend, corpora
from carousel.data.audio import frame_labels, read_audio
from carousel.data.corpora import Voice, espeak
from carousel.data.ink import InkVariation


def test_the_sample_of_festvox() -> None:
    found = corpora.festvox_sample()
    assert len(found) == 3
    for utterance in found:
        sound = utterance.recording()
        assert (sound.rate, sound.notes) == (16_000, ())
        assert utterance.phones.ends[-1] == pytest.approx(sound.seconds, abs=0.3)
        assert utterance.phones.names[0] == utterance.phones.names[-1] == "pau"
        assert "+" not in utterance.text
    assert len({name for utterance in found for name in utterance.phones.names}) > 25


def test_labels_fit_the_sound() -> None:
    """Pauses are quiet, vowels are not."""
    frontend, level = SpeechFrontend(), {"pau": [], "a": []}
    for utterance in corpora.festvox_sample():
        features = frontend.features(utterance.recording())
        labels = frame_labels(utterance.phones, frontend, len(features))
        for name, own in level.items():
            own.append(features[labels == name, 0])
    assert np.concatenate(level["a"]).mean() > np.concatenate(level["pau"]).mean() + 4


def test_broken_folders(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "lab").mkdir()
    (tmp_path / "etc" / "txt.done.data").write_text("( a no quotes )\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1 is not"):
        corpora.festvox_ru(tmp_path)
    (tmp_path / "etc" / "txt.done.data").write_text('( a "text" )\n', encoding="utf-8")
    (tmp_path / "lab" / "a.lab").write_text("no header", encoding="utf-8")
    with pytest.raises(DataError, match="no lines END COLOUR PHONE"):
        corpora.festvox_ru(tmp_path)


def test_pendigits() -> None:
    whole, training, test = corpora.pendigits(), corpora.pendigits("training"), corpora.pendigits("test")
    assert (len(whole), len(training), len(test)) == (10_992, 8244, 2748)
    assert np.bincount(whole.labels).tolist() == [1143, 1143, 1144, 1055, 1144, 1055, 1056, 1142, 1055, 1055]
    assert whole.points.shape == (10_992, 8, 2)
    assert (whole.points.min(), whole.points.max()) == (0, 100)
    assert whole.ink()[0].points.tolist() == whole.points[0].tolist()
    ones = whole.points[whole.labels == 1]
    assert (ones[:, -1, 1] < ones[:, 0, 1]).mean() > 0.9, "a one ends below its beginning"
    with pytest.raises(ValueError, match="no part 'dev'"):
        corpora.pendigits("dev")


def test_digit_strings_hold_the_digits_that_they_name() -> None:
    still = InkVariation(slant=0, turn=0, stretch=0, waver=0)
    test = corpora.pendigits("test")
    shapes = np.array([_shape(points) for points in test.points])
    inks, texts = corpora.digit_strings("test", 60, np.random.default_rng(0), longest=4, hand=still)
    assert {len(text) for text in texts} == {1, 2, 3, 4}
    for ink, text in zip(inks, texts, strict=True):
        away = [np.abs(shapes - _shape(stroke)).max(1) for stroke in ink.strokes]
        assert max(own.min() for own in away) < 1e-9
        assert "".join(str(test.labels[own.argmin()]) for own in away) == text
    again = corpora.digit_strings("test", 60, np.random.default_rng(0), longest=4, hand=still)
    assert again[1] == texts
    heights = [np.ptp(stroke[:, 1]) / np.ptp(ink.strokes[0][:, 1]) for ink in inks for stroke in ink.strokes[1:]]
    assert 0.02 < np.std(np.log(heights)) < 0.4


def _shape(stroke: Any) -> Any:
    """What place and size leave of a stroke."""
    middle = stroke - stroke.mean(0)
    return (middle / middle.std()).ravel()


def test_festvox_where_it_is_here() -> None:
    try:
        found = corpora.festvox_ru()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert len(found) == 620
    assert sum(len(utterance.phones.names) for utterance in found) == 54_372
    assert len({name for utterance in found for name in utterance.phones.names}) == 51
    parts = [utterance.part for utterance in found]
    assert {name: parts.count(name) for name in set(parts)} == {"training": 491, "validation": 66, "test": 63}


@pytest.mark.parametrize("language", ["en", "es", "fr", "it", "ru"])
def test_asterisk_where_it_is_here(language: str) -> None:
    try:
        digits = corpora.spoken_digits(language)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert list(digits) == list(range(10))
    for path in digits.values():
        sound = read_audio(path)
        assert sound.rate == 8000
        assert 0.1 < sound.seconds < 3


def test_an_unknown_language() -> None:
    with pytest.raises(ValueError, match="no recordings in 'xx'"):
        corpora.spoken_words("xx")


def test_words_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    for name in ("b.wav", "a.wav", "readme"):
        (tmp_path / "letters" / name).touch()
    assert list(corpora.spoken_words("en", "letters", tmp_path)) == ["a", "b"]
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        corpora.spoken_digits("en", tmp_path)


def test_synthesis() -> None:
    pytest.importorskip("espeakng_loader")
    sound, phones = corpora.spoken("seven three", Voice("en-us"))
    assert sound.rate == 22_050
    assert 0.5 < sound.seconds < 2
    said = "".join(name for name in phones.names if name != "_")
    assert said.startswith("s") and "θ" in said
    assert phones.ends[-1] == pytest.approx(sound.seconds, abs=0.01)
    faster, _ = corpora.spoken("seven three", Voice("en-us+f3", speed=300))
    assert faster.seconds < 0.8 * sound.seconds
    with pytest.raises(DataError, match="no voice 'xx-none'"):
        corpora.spoken("a", Voice("xx-none"))


def test_a_synthesiser_that_breaks_down_takes_nobody_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    mended, broken = espeak.SPEAKER, tmp_path / "broken.py"
    for last_words in ("", "sys.stdout.write('{\"bytes\": 8}\\n1234')"):
        broken.write_text(f"import os, sys\nsys.stdin.readline()\n{last_words}\nsys.stdout.flush()\nos.abort()\n")
        monkeypatch.setattr(espeak, "SPEAKER", broken)
        espeak._speaker.cache_clear()
        with pytest.raises(
            DataError, match=r"broke down \(exit code -6\) at 'a' .*pitch=20, range=90.*take a higher pitch"
        ):
            corpora.spoken("a", Voice("en-us", pitch=20, range=90))
        monkeypatch.setattr(espeak, "SPEAKER", mended)
        assert corpora.spoken("a")[0].seconds > 0.1


def test_what_was_interrupted_is_not_taken_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader")
    right, answer = corpora.spoken("three")[1].names, espeak._answer

    def interrupted(process: Any, asked: Any) -> Any:
        process.stdin.write(b'{"text": "nine", "name": "en-us", "speed": 175, "pitch": 50, "range": 50}\n')
        process.stdin.flush()
        raise KeyboardInterrupt

    monkeypatch.setattr(espeak, "_answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        corpora.spoken("nine")
    monkeypatch.setattr(espeak, "_answer", answer)
    assert corpora.spoken("three")[1].names == right


def test_synthesis_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "espeakng_loader", None)
    with pytest.raises(ImportError, match=r"carousel-lstm\[speech\]"):
        corpora.spoken("a")


def test_hershey() -> None:
    pytest.importorskip("HersheyFonts")
    assert "scripts" in corpora.hershey_fonts()
    word = corpora.written("Tall")
    lower, upper = word.box
    assert upper[0] - lower[0] > 1.2 * (upper[1] - lower[1])
    bar = corpora.written("T", "futural").strokes
    assert max(stroke[:, 1].max() for stroke in bar) == max(stroke[:, 1].mean() for stroke in bar), "its bar is on top"
    with pytest.raises(DataError, match="no Hershey font 'arial'"):
        corpora.written("a", "arial")


def test_hershey_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "HersheyFonts", None)
    with pytest.raises(ImportError, match=r"carousel-lstm\[ink\]"):
        corpora.written("a")
