"""A transcriber's part of the page: rates, confusions, differences, alignments, sound."""

import re
from dataclasses import replace
from typing import Any

import pytest

from carousel import report
from carousel.report.sections import sections
from carousel.report.transcript_figures import alignment, confusion_map, runs
from tests.report import samples
from tests.report.test_page import HOSTILE
from tests.report.transcripts import heard, sound, steps, transcripts, written


def page(found: report.TranscriptionFindings) -> str:
    """The page without its scripts."""
    text = report.render(replace(samples.transcription(), transcription=found))
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def test_findings_go_to_json_and_back() -> None:
    findings = samples.transcription()
    assert report.from_json(report.to_json(findings)) == findings


def test_rates_stand_with_their_intervals() -> None:
    shown = {part.name: part for part in sections(samples.transcription())}
    (table,) = shown["rates"].tables
    assert table.rows[0] == ("symbols (cer)", "9.1\u202f%", "5.8\u202f% to 12.7\u202f%", "30", "329")
    assert shown["errors"].lead == "6 substitutions, 2 insertions and 22 deletions."
    first = shown["errors"].tables[0].rows[0]
    assert first[0] == "␣ → nothing" and first[2] == "30\u202f%"


def test_confusions_count_errors_alone() -> None:
    drawn: Any = confusion_map(transcripts())
    (heat,), layout = drawn.figure["data"], drawn.figure["layout"]
    truths, saids = layout["yaxis"]["ticktext"], layout["xaxis"]["ticktext"]
    assert truths == ["␣", "t", "z", "nothing"] and saids == ["d", "n", "nothing"]
    assert heat["z"][truths.index("␣")][saids.index("nothing")] == 9
    assert heat["z"][truths.index("nothing")][saids.index("n")] == 1
    assert heat["z"][truths.index("z")][saids.index("d")] is None
    assert "19 of 30 errors" in drawn.caption
    many = [report.Confusion(chr(65 + k), chr(66 + k), 50 - k) for k in range(40)]
    crowded: Any = confusion_map(replace(transcripts(), confusions=many))
    assert len(crowded.figure["data"][0]["z"]) == 14
    assert confusion_map(replace(transcripts(), confusions=())) is None


@pytest.mark.parametrize(
    ("truth", "said", "expected"),
    [
        ("six two", "sixtwo", (("same", "six"), ("lost", "␣"), ("same", "two"))),
        ("abc", "axxc", (("same", "a"), ("lost", "b"), ("added", "xx"), ("same", "c"))),
        ("", "a", (("added", "a"),)),
        ("ab", "", (("lost", "ab"),)),
        ("ab", "ab", (("same", "ab"),)),
    ],
)
def test_differences_are_marked_run_by_run(truth: str, said: str, expected: Any) -> None:
    found = runs(report.Reading("x", "worst", 0.5, steps(truth, said)))
    assert found == expected
    assert "".join(text for kind, text in found if kind != "added").replace("␣", " ") == truth
    assert "".join(text for kind, text in found if kind != "lost").replace("␣", " ") == said


def test_differences_can_be_read_without_colour() -> None:
    text = page(transcripts())
    assert "<del>sh</del> <ins>s</ins>" in text, "symbols with a separator stand apart"
    assert re.search(r"<dt>true</dt><dd>aa sh</dd>", text) and re.search(r"<dt>found</dt><dd>aa s</dd>", text)
    assert "<dd>(nothing)</dd>" in text


def test_sound_plays_from_inside_the_page() -> None:
    text = page(transcripts())
    assert text.count("<audio controls") == 2
    assert f'src="data:audio/wav;base64,{sound()}"' in text
    assert "media-src data:;" in text
    assert "Its sound is left out, so that the page stays small" in text
    assert "The first 12 of 14.0 seconds." in text


def test_symbols_stand_over_the_signal_at_their_places() -> None:
    drawn: Any = alignment(heard("a.wav", "one", "ozne"), 3)
    words = [trace for trace in drawn.figure["data"] if trace.get("mode") == "text"]
    assert [trace["text"] for trace in words] == [["o", "n", "e"], ["o", "n", "e"], ["<b><u>z</u></b>"]]
    assert words[0]["x"][0] == pytest.approx(0.06)
    curves = [trace for trace in drawn.figure["data"] if trace.get("yaxis") == "y3"]
    assert [trace["name"] for trace in curves] == ["blank", "o", "z", "n", "e"]
    peak = max(range(len(curves[1]["y"])), key=lambda frame: curves[1]["y"][frame] or 0)
    assert curves[1]["x"][peak] == pytest.approx(0.07), "the middle of frame 3"
    assert len(drawn.figure["layout"]["shapes"]) == 4
    assert drawn.width > 100 and drawn.name == "reading-3"
    assert alignment(report.Reading("x", "worst", 1.0, ()), 0) is None


def test_ink_is_drawn_with_the_points_of_each_symbol() -> None:
    drawn: Any = alignment(written(), 0)
    pen = [trace for trace in drawn.figure["data"] if trace.get("xaxis") == "x2"]
    assert [trace["mode"] for trace in pen] == ["lines"] * 3 + ["markers+text"] * 3
    own = written().strokes[1]
    assert pen[4]["x"] == list(own.x[8:12]) and pen[4]["text"][0] == "b"
    assert "do not fit into the frames" in drawn.caption


def test_hostile_texts_stay_texts() -> None:
    reading = report.Reading(
        HOSTILE, "worst", 1.0, (report.EditStep("substitution", HOSTILE, HOSTILE + "!"),),
        clip=report.Clip('"><script>'),
        said=(report.Placed(HOSTILE, 0.0, 1.0, False),), spikes=(report.Spike(HOSTILE, (0.5,)),),
    )  # fmt: skip
    found = replace(transcripts(), readings=(reading,), confusions=(report.Confusion(HOSTILE, None, 1),))
    text = report.render(replace(samples.transcription(), transcription=found))
    assert text.count("<script") == 3 and "<img src" not in text


def test_findings_that_contradict_themselves() -> None:
    with pytest.raises(report.ReportError, match="is none"):
        report.Confusion("a", "a", 1)
    with pytest.raises(report.ReportError, match="role"):
        report.Reading("x", "best", 0.0, ())  # type: ignore[arg-type]
