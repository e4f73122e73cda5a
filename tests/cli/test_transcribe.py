"""`carousel fit transcribe` and `carousel transcribe`: a manifest of sound files, and what new ones say."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from carousel.cli.studies import manifest as manifests
from carousel.cli.subtitles import subtitles
from carousel.tasks import TimedSymbol, Transcriber, Transcription, load
from tests.cli.calls import QUICK, Call, write_rows

RATE = 8000
SPEECH = ("--set", f"frontend_options.rate={RATE}", "--set", "frontend_options.bands=8", "--frontend", "speech")
TONES = {"a": 400, "b": 1700, " ": 0}


def tone(text: str) -> np.ndarray:
    """A tenth of a second for each letter, and as much silence behind it."""
    time = np.arange(RATE // 10) / RATE
    parts = [np.sin(2 * np.pi * pitch * time) for letter in text for pitch in (TONES[letter], 0)]
    noise = np.random.default_rng(0).normal(scale=50, size=len(time) * len(parts))
    return (8000 * np.concatenate(parts) + noise).astype(np.int16)


@pytest.fixture
def manifest(here: Path) -> Path:
    """Twenty sound files in a folder, and the manifest beside it."""
    (here / "wav").mkdir()
    texts = ["ab", "ba", "a", "b", "a b"] * 4
    for number, text in enumerate(texts):
        wavfile.write(here / "wav" / f"{number}.wav", RATE, tone(text))
    return write_rows(here / "said.csv", [["file", "text"], *([f"wav/{n}.wav", text] for n, text in enumerate(texts))])


@pytest.fixture
def run(manifest: Path, call: Call, here: Path) -> Path:
    found = call("fit", "transcribe", manifest, "--out", "run", *SPEECH, *QUICK)
    assert found.exit_code == 0, found.stderr
    return here / "run"


def test_a_manifest_is_learned_and_measured(run: Path, call: Call, manifest: Path) -> None:
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))["findings"]
    scores = {score["name"]: score["values"] for score in report["results"]["scores"]}
    assert set(scores) == {"LSTM", "commonest text", "text of like length"}
    assert report["results"]["metric"] == "cer" and report["results"]["lower_is_better"]
    assert set(scores["LSTM"]) == {"cer", "wer", "exact"}
    assert [rate["name"] for rate in report["transcription"]["rates"]] == ["symbols (cer)", "words (wer)"]
    assert [part["series"] for part in report["data"]["parts"]] == [16, 4]
    assert load(run).alphabet_.symbols == (" ", "a", "b")
    again = json.loads(call("evaluate", run, manifest, "--json").stdout)
    fitted = load(run)
    files = [manifest.parent / "wav" / f"{number}.wav" for number in range(20)]
    assert again["scores"]["LSTM"]["cer"] == fitted.evaluate(files, ["ab", "ba", "a", "b", "a b"] * 4)["cer"]
    assert call("predict", run, manifest).stdout.count("\n") == 21


def test_sound_needs_no_front_end_named(manifest: Path, call: Call) -> None:
    found = call("fit", "transcribe", manifest, "--out", "run", *QUICK)
    assert found.exit_code == 0, found.stderr
    assert "converted from 8000 to 16000" in found.stderr
    assert load("run").frontend == "speech"


def test_a_manifest_is_read_once(run: Path, manifest: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, rows = list[Path](), manifests._rows
    monkeypatch.setattr(manifests, "_rows", lambda path: reads.append(path) or rows(path))
    for words in (("fit", "transcribe", manifest, "--out", "again", *SPEECH, *QUICK), ("predict", run, manifest)):
        assert call(*words).exit_code == 0
        assert reads == [manifest]
        reads.clear()
    assert call("evaluate", run, manifest).exit_code == 0 and reads == [manifest]


def test_files_are_written_down(run: Path, call: Call) -> None:
    files = [Path("wav") / f"{number}.wav" for number in (0, 4)]
    found = call("transcribe", run, *files)
    assert found.exit_code == 0, found.stderr
    texts = load(run).predict(files)
    assert found.stdout == "".join(f"{file}\t{text}\n" for file, text in zip(files, texts, strict=True))
    shown = json.loads(call("transcribe", run, *files, "--json").stdout)["transcriptions"]
    assert [own["text"] for own in shown] == texts
    assert [own["unit"] for own in shown] == ["seconds"] * 2
    beam = json.loads(call("transcribe", run, *files, "--beam", "5", "--json").stdout)["transcriptions"]
    assert beam[0]["log_probability"] >= shown[0]["log_probability"]


def test_a_transducer_begins_with_the_layers_of_a_run(run: Path, manifest: Path, call: Call) -> None:
    head = ("--head", "transducer", "--set", "head_options.joint=8", "--pretrained", run)
    found = call("fit", "transcribe", manifest, "--out", "second", *SPEECH, *QUICK, *head)
    assert found.exit_code == 0, found.stderr
    fitted = load("second")
    assert fitted.head == "transducer" and fitted.network_.head.output.in_features == 8
    shown = json.loads(call("transcribe", "second", "wav/0.wav", "--beam", "3", "--json").stdout)["transcriptions"]
    assert shown[0]["text"] == fitted.set_params(decoder="prefix_beam", beam=3).predict(["wav/0.wav"])[0]
    found = call("fit", "transcribe", manifest, "--out", "third", *SPEECH, *QUICK, *head, "--hidden-size", "3")
    assert found.exit_code != 0 and "take its hidden_size" in found.stderr


def test_subtitles_are_written(run: Path, call: Call) -> None:
    found = call("transcribe", run, "wav/0.wav", "wav/1.wav", "--srt", "subs")
    assert found.exit_code == 0 and found.stdout == ""
    expected = [subtitles(own) for own in load(run).transcribe(["wav/0.wav", "wav/1.wav"])]
    assert [Path(f"subs/{number}.srt").read_text(encoding="utf-8") for number in (0, 1)] == expected


def spread(text: str, each: float = 0.5) -> Transcription:
    symbols = [TimedSymbol(letter, each * at, each * at + each, 1.0) for at, letter in enumerate(text)]
    return Transcription(text, tuple(symbols), "seconds", 0.0)


def test_a_cue_holds_what_is_read_at_once() -> None:
    assert subtitles(spread("ab b")) == "1\n00:00:00,000 --> 00:00:02,000\nab b\n"
    assert subtitles(spread("")) == ""
    cues = subtitles(spread("abba " * 100)).split("\n\n")
    assert len(cues) == 50, "two words of 2.5 seconds fit into 6, three do not"
    assert cues[-1].startswith("50\n00:04:05,000 --> 00:04:09,500\nabba abba")
    assert max(len(cue.splitlines()[2]) for cue in subtitles(spread("abba " * 100, 0.01)).split("\n\n")) <= 42
    phones = Transcription("aa sh", (TimedSymbol("aa", 0, 1, 1.0), TimedSymbol("sh", 1, 2, 1.0)), "seconds", 0.0)
    assert subtitles(phones) == "1\n00:00:00,000 --> 00:00:02,000\naa sh\n"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "m.csv",
            'w.wav,"hello, world"\nw.wav,hello, world\n',
            "row 3 of m.csv has 3 cells, the heading 2; quote",
        ),
        ("m.tsv", "w.wav\thello\tworld\n", "row 2 of m.tsv has 3 cells, the heading 2; quote texts that hold a tab"),
        ("m.csv", "w.wav,a\nw.wav,\nw.wav\n", "row 4 of m.csv names no text: it has 1 cell, the heading 2"),
        ("m.csv", 'w.wav,"hello\nw.wav,a\n', "m.csv is no CSV in UTF-8: unexpected end of data"),
        ("m.csv", 'w.wav,"hello" he said\n', "a text that holds quotes stands in quotes"),
    ],
)
def test_no_text_of_a_manifest_is_lost(name: str, content: str, words: str, here: Path, call: Call) -> None:
    wavfile.write("w.wav", RATE, tone("a"))
    divider = "\t" if name.endswith(".tsv") else ","
    Path(name).write_text(f"file{divider}text\n{content}", encoding="utf-8")
    found = call("fit", "transcribe", name, "--out", "run", *SPEECH, *QUICK)
    assert found.exit_code == 1 and words in found.stderr


def test_a_manifest_names_each_column_once(here: Path, call: Call) -> None:
    write_rows(Path("m.csv"), [["file", "text", "text"], ["w.wav", "a", "b"]])
    assert "m.csv has two columns 'text'" in call("fit", "transcribe", "m.csv", "--out", "run", *QUICK).stderr


def test_an_empty_text_is_a_cell(here: Path) -> None:
    rows = [["file", "text"], ["w.wav", ""], ["w.wav", 'she said "a, b"']]
    given = manifests.Manifest(write_rows(Path("m.csv"), rows), manifests.ManifestColumns())
    assert given.texts == ["", 'she said "a, b"']


def test_texts_are_taken_as_they_are_written(here: Path, call: Call) -> None:
    rng = np.random.default_rng(0)
    for number in range(10):
        np.save(here / f"{number}.npy", rng.normal(size=(12, 3)))
    rows = [["file", "text", "phones"], *([f"{number}.npy", "007", "d ah"] for number in range(10))]
    assert call("fit", "transcribe", write_rows(here / "m.csv", rows), *QUICK, "--out", "digits").exit_code == 0
    assert load("digits").alphabet_.symbols == ("0", "7")
    found = call("fit", "transcribe", "m.csv", "--text", "phones", "--symbols", *QUICK, "--out", "phones")
    assert found.exit_code == 0, found.stderr
    alphabet: Any = load("phones").alphabet_
    assert alphabet.symbols == ("ah", "d") and alphabet.separator == " "
    refused = call("transcribe", "digits", "0.npy", "--srt", "subs")
    assert refused.exit_code == 2 and "--srt needs times" in refused.stderr


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([["path", "text"], ["a.wav", "a"]], "has no column 'file'"),
        ([["file", "said"], ["a.wav", "a"]], "has no column 'text'"),
        ([["file", "text"]], "has no rows"),
        ([["file", "text"], ["wav/0.wav", "a"], ["", "b"]], "row 3 of bad.csv names no file"),
        ([["file", "text"], ["nowhere.wav", "a"]], "nowhere.wav"),
        ([["file", "text"], ["wav/0.wav", "a"]], "0.2 of 1 files cannot be held out"),
        ([["file", "text"], ["wav/0.wav", "ab" * 200], *[["wav/1.wav", "a"]] * 9], "wav/0.wav: 38 frames, 400 needed"),
    ],
)
def test_a_manifest_that_cannot_be_used(rows: list[list[str]], words: str, manifest: Path, call: Call) -> None:
    found = call("fit", "transcribe", write_rows(Path("bad.csv"), rows), "--out", "run", *SPEECH, *QUICK)
    assert found.exit_code == 1
    assert words in found.stderr and found.stderr.count("error: ") == 1
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--beam", "0"), "--beam is 0"),
        (("--language-model", "x.arpa"), "is for a beam search"),
        (("--srt", "wav/1.wav"), "--srt is wav/1.wav, which is a file; name a folder"),
        (("other/0.wav", "--srt", "subs"), "several files would be written to"),
    ],
)
def test_calls_that_make_no_sense(options: tuple[str, ...], words: str, run: Path, call: Call) -> None:
    Path("other").mkdir()
    wavfile.write("other/0.wav", RATE, tone("a"))
    found = call("transcribe", run, "wav/0.wav", *options)
    assert found.exit_code == 2 and words in found.stderr


def test_a_run_of_another_kind(classes: Path, call: Call) -> None:
    call("fit", "classify", classes, "--out", "other", *QUICK)
    found = call("transcribe", "other", "a.wav")
    assert found.exit_code == 1
    assert re.search(r"holds a SequenceClassifier, not a Transcriber", found.stderr)


def test_files_beside_broken_ones_are_written_down(run: Path, call: Call) -> None:
    Path("empty.wav").touch()
    files = ("wav/0.wav", "empty.wav", "wav/1.wav", "nowhere.wav")
    whole = call("transcribe", run, files[0], files[2])
    found = call("transcribe", run, *files)
    assert found.exit_code == 1 and found.stdout == whole.stdout and whole.stdout.count("\n") == 2
    words = ["error: empty.wav is empty: it has 0 bytes", "error: there is no file nowhere.wav"]
    assert found.stderr.splitlines() == words
    assert call("transcribe", run, *files, "--srt", "subs").exit_code == 1
    assert {path.name for path in Path("subs").iterdir()} == {"0.srt", "1.srt"}
    listed = json.loads(call("transcribe", run, *files, "--json").stdout)["transcriptions"]
    assert [own["file"] for own in listed] == ["wav/0.wav", "wav/1.wav"]


def test_all_broken_files_of_a_manifest_are_listed(manifest: Path, call: Call) -> None:
    Path("wav/3.wav").write_bytes(b"")
    Path("wav/5.wav").unlink()
    wavfile.write("wav/7.wav", RATE, tone("a")[:50])
    found = call("fit", "transcribe", manifest, "--out", "run", *SPEECH, *QUICK)
    assert found.exit_code == 1 and found.stderr.count("error: ") == 1
    assert all(f"{number}.wav" in found.stderr for number in (3, 5, 7)), found.stderr


def test_broken_files_are_named(run: Path, call: Call) -> None:
    Path("empty.wav").touch()
    found = call("transcribe", run, "empty.wav")
    assert found.exit_code == 1 and "empty.wav is empty" in found.stderr
    assert isinstance(load(run), Transcriber)
