"""`carousel fit spot` and `carousel spot`: a manifest of sound files, and where keywords are in new ones."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from carousel.tasks import KeywordSpotter, load
from tests.cli.calls import QUICK, Call, write_rows

RATE = 8000
SPEECH = ("--set", f"frontend_options.rate={RATE}", "--set", "frontend_options.bands=8", "--frontend", "speech")
TONES = {"go": 400, "stop": 1000, "um": 1700}
TEXTS = ["um go", "stop um", "Go, stop", "um", "stop"] * 4


def tone(text: str) -> np.ndarray:
    """A tenth of a second for each word, and as much silence behind it."""
    time = np.arange(RATE // 10) / RATE
    words = text.lower().replace(",", "").split()
    parts = [np.sin(2 * np.pi * pitch * time) for word in words for pitch in (TONES[word], 0)]
    noise = np.random.default_rng(0).normal(scale=50, size=len(time) * len(parts))
    return (8000 * np.concatenate(parts) + noise).astype(np.int16)


@pytest.fixture
def manifest(here: Path) -> Path:
    """Twenty sound files in a folder, and the manifest beside it."""
    (here / "wav").mkdir()
    for number, text in enumerate(TEXTS):
        wavfile.write(here / "wav" / f"{number}.wav", RATE, tone(text))
    rows = [["file", "text"], *([f"wav/{number}.wav", text.lower()] for number, text in enumerate(TEXTS))]
    return write_rows(here / "said.csv", rows)


@pytest.fixture
def run(manifest: Path, call: Call, here: Path) -> Path:
    options = ("--keywords", "go,stop", "--hidden-size", "16", "--max-epochs", "30", "--batch-size", "4")
    found = call("fit", "spot", manifest, "--out", "run", *SPEECH, *options, "--dropout", "0")
    assert found.exit_code == 0, found.stderr
    return here / "run"


def test_a_manifest_is_learned_and_measured(run: Path, call: Call, manifest: Path) -> None:
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))["findings"]
    scores = {score["name"]: score["values"] for score in report["results"]["scores"]}
    assert set(scores) == {"LSTM", "no keyword ever", "commonest keywords"}
    assert report["results"]["metric"] == "accuracy" and not report["results"]["lower_is_better"]
    assert scores["no keyword ever"]["accuracy"] == 0 < scores["LSTM"]["accuracy"]
    assert {"recall", "precision", "false_alarms", "figure_of_merit"} < set(scores["LSTM"])
    fitted = load(run)
    assert type(fitted) is KeywordSpotter and fitted.alphabet_.symbols == ("go", "stop")
    found = report["keywords"]
    assert [own["keyword"] for own in found["keywords"]] == ["go", "stop"]
    assert [point["threshold"] for point in found["points"]][:2] == [0.05, 0.1]
    example = found["examples"][0]
    assert (example["hop"], example["start"]) == (0.01, 0.0125)
    assert [own["keyword"] for own in example["outputs"]] == ["go", "stop"]
    files = [manifest.parent / "wav" / f"{number}.wav" for number in range(20)]
    again = json.loads(call("evaluate", run, manifest, "--json").stdout)
    assert again["scores"]["LSTM"]["accuracy"] == fitted.score(files, [text.lower() for text in TEXTS])
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Spotted in recordings" in page and "Missed keywords against false alarms" in page


def test_files_are_searched(run: Path, call: Call, manifest: Path) -> None:
    fitted, files = load(run), _files()
    spotted = [(str(file), own) for file, one in zip(files, fitted.spot(files), strict=True) for own in one]
    assert {own.keyword for _, own in spotted} == {"go", "stop"}
    found = call("spot", run, *files)
    assert found.exit_code == 0, found.stderr
    rows = [line.split("\t") for line in found.stdout.splitlines()]
    assert [(row[0], row[4]) for row in rows] == [(file, own.keyword) for file, own in spotted]
    assert float(rows[0][1]) == pytest.approx(spotted[0][1].start, abs=0.01)
    shown = json.loads(call("spot", run, *files, "--threshold", "0.99999", "--keyword", "stop", "--json").stdout)
    assert [own["file"] for own in shown["files"]] == list(map(str, files))
    assert all(own["confidence"] >= 0.99999 for one in shown["files"] for own in one["detections"])
    shown = json.loads(call("spot", run, *files, "--keyword", "stop", "--json").stdout)
    heard = [own for one in shown["files"] for own in one["detections"]]
    assert len(heard) == sum(own.keyword == "stop" for _, own in spotted)
    assert all(own["keyword"] == "stop" and own["unit"] == "seconds" and own["end"] < 0.8 for own in heard)
    table = call("predict", run, manifest).stdout.splitlines()
    assert table[0] == "file,keyword,start,end,confidence" and len(table) == 1 + len(spotted)


def _files() -> list[Path]:
    return [Path("wav") / f"{number}.wav" for number in range(20)]


def test_it_promises_no_stream(call: Call) -> None:
    assert "stream" not in call("spot", "--help").stdout
    assert "--stream" in call("transcribe", "--help").stdout


def test_a_transcriber_finds_what_it_can_spell(manifest: Path, call: Call) -> None:
    assert call("fit", "transcribe", manifest, "--out", "letters", *SPEECH, *QUICK).exit_code == 0
    found = call("spot", "letters", "wav/0.wav", "--keyword", "top", "--keyword", "gum=gu m", "--json")
    assert found.exit_code == 0, found.stderr
    assert json.loads(found.stdout)["files"][0]["detections"] == [], "two epochs teach nothing"
    assert call("spot", "letters", "wav/0.wav", "--keyword", "M=m", "--threshold", "0.001").stdout.endswith("\tM\n")
    refused = call("spot", "letters", "wav/0.wav", "--keyword", "z")
    assert refused.exit_code == 1 and "dictionary has 'z'" in refused.stderr
    nothing = call("spot", "letters", "wav/0.wav")
    assert nothing.exit_code == 2 and "learned no keywords" in nothing.stderr


def test_keywords_alone(manifest: Path, call: Call) -> None:
    rows = [
        ["file", "text"],
        *([f"wav/{number}.wav", "go" if "um" in text else ""] for number, text in enumerate(TEXTS)),
    ]
    listed = write_rows(Path("listed.csv"), rows)
    assert call("fit", "spot", listed, "--symbols", "--out", "one", *SPEECH, *QUICK).exit_code == 0
    assert load("one").alphabet_.symbols == ("go",)
    found = call("fit", "spot", manifest, "--symbols", "--keywords", "go,stop", "--out", "two", *SPEECH, *QUICK)
    assert found.exit_code == 1 and "has 'um'" in found.stderr


def test_what_cannot_be_is_refused(run: Path, call: Call) -> None:
    Path("empty.wav").touch()
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (("spot", "run", "wav/0.wav", "--threshold", "1"), 2, "--threshold is 1"),
        (("spot", "run", "empty.wav"), 1, "empty.wav is empty"),
        (("spot", "run", "nowhere.wav"), 1, "nowhere.wav"),
        (("fit", "spot", "said.csv", "--out", "x", "--keywords", "go,left", *SPEECH, *QUICK), 1, "holds 'left'"),
        (("fit", "spot", "said.csv", "--out", "x", "--keywords", "left", *SPEECH, *QUICK), 1, "no keyword is in the 4"),
        (("fit", "spot", "said.csv", "--out", "x", "--threshold", "2", *SPEECH, *QUICK), 2, "threshold is 2"),
    ]
    for words, code, sentence in cases:
        found = call(*words)
        assert found.exit_code == code and sentence in found.stderr, found.stderr
    assert not Path("x").exists()
