"""Manifests that name speakers, and pen strokes: what the report shows of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carousel.report import from_json
from carousel.tasks import load
from tests.cli.calls import QUICK, Call, write_rows
from tests.tasks.test_transcription import spoken

NAMES = ("anna", "boris")


@pytest.fixture
def manifest(here: Path) -> Path:
    """Features of two speakers, of whom one is louder."""
    X, y = spoken(30)
    rows = []
    for number, (values, text) in enumerate(zip(X, y, strict=True)):
        np.save(here / f"{number}.npy", values * (1 + 9 * (number % 2)))
        rows.append([f"{number}.npy", text, NAMES[number % 2]])
    return write_rows(here / "said.csv", [["file", "text", "speaker"], *rows])


def fitted(call: Call, manifest: Path, *options: Any) -> Any:
    return call("fit", "transcribe", manifest, "--out", "run", "--normalize", "speaker", *QUICK, *options)


def test_speakers_come_from_the_manifest(manifest: Path, call: Call) -> None:
    found = fitted(call, manifest)
    assert found.exit_code == 0, found.stderr
    assert sorted(load("run").speakers_.speakers) == ["anna", "boris"]
    assert "not heard" not in found.stderr
    named = call("transcribe", "run", "1.npy", "--speaker", "boris", "--json")
    unnamed = call("transcribe", "run", "1.npy", "--json")
    assert "not known of some files" in unnamed.stderr and "not known" not in named.stderr
    assert named.stdout != unnamed.stdout
    stranger = call("transcribe", "run", "1.npy", "--speaker", "carla")
    assert stranger.exit_code == 0
    assert "not heard in training, and scaled by their own files here: carla" in stranger.stderr
    assert call("evaluate", "run", manifest).exit_code == 0
    nobody = call("predict", "run", write_rows(Path("two.csv"), [["file", "speaker"], ["0.npy", ""]]))
    assert nobody.exit_code == 0 and "not known of some files" in nobody.stderr


def test_strangers_in_the_test_part_are_said_once(manifest: Path, call: Call) -> None:
    rows = [["file", "text", "speaker"], ["0.npy", "a", "carla"], ["2.npy", "b", "carla"]]
    found = fitted(call, manifest, "--test", write_rows(Path("test.csv"), rows))
    assert found.stderr.count("scaled by their own files here: carla") == 1
    everyone = fitted(call, manifest, "--test", "test.csv", "--unseen-speaker", "all", "--force")
    assert everyone.stderr.count("scaled by the level of all training speakers: carla") == 1


def test_a_manifest_without_speakers(manifest: Path, call: Call) -> None:
    plain = write_rows(Path("plain.csv"), [["file", "text"], *[[f"{n}.npy", "a"] for n in range(10)]])
    found = fitted(call, plain)
    assert found.exit_code == 1 and "needs to know who speaks" in found.stderr
    found = fitted(call, manifest, "--speaker", "who")
    assert found.exit_code == 1 and "has no column 'who'" in found.stderr


def test_pen_strokes_are_read_from_json_and_drawn(here: Path, call: Call) -> None:
    rng, rows = np.random.default_rng(0), [["file", "text"]]
    for number in range(10):
        strokes = [rng.normal(size=(9, 2)).cumsum(0).round(2).tolist() for _ in range(2)]
        (here / f"{number}.json").write_text(json.dumps(strokes), encoding="utf-8")
        rows.append([f"{number}.json", "ab"[number % 2]])
    found = call("fit", "transcribe", write_rows(here / "ink.csv", rows), "--out", "run", *QUICK)
    assert found.exit_code == 0, found.stderr
    assert load("run").frontend == "ink"
    transcription = from_json(Path("run/report.json").read_text(encoding="utf-8")).transcription
    assert transcription is not None
    reading = transcription.readings[0]
    assert len(reading.strokes) == 2 and reading.picture is None and reading.clip is None
    assert call("transcribe", "run", "0.json").stdout.startswith("0.json\t")
    Path("bad.json").write_text('{"strokes": 1}', encoding="utf-8")
    Path("worse.json").write_text("[[", encoding="utf-8")
    for name, words in (("bad.json", "holds a dict; give a list"), ("worse.json", "holds no pen strokes in JSON")):
        refused = call("transcribe", "run", name)
        assert refused.exit_code == 1 and words in refused.stderr
