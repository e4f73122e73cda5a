"""What graves2008 writes: lines of two parts of a text, and strings of digits that no training saw."""

from pathlib import Path

import numpy as np

from carousel.data.corpora import hershey_fonts
from papers.experiment import Experiment
from papers.graves2008 import lines
from papers.graves2008.run import neighbours


def test_words_are_folded_in_their_order() -> None:
    words = ["so", "it", "is", "a", "long", "incomprehensibility", "in", "a", "row"]
    assert lines._folded(words, 7) == ["so it", "is a", "long in", "a row"]
    assert lines._folded([], 7) == []


def test_the_parts_are_of_different_texts() -> None:
    training, test = (lines.running_text(part, 16) for part in ("training", "test"))
    assert len(training) > 3 * len(test) > 600
    assert all(0 < len(line) <= 16 and {*line} <= {*lines.LETTERS} for line in (*training, *test))
    assert len({*test} & {*training}) < len({*test}) / 2
    known = {*lines.vocabulary("training", 16)}
    assert lines.new_words({"letters": 16}) and not known & {*lines.new_words({"letters": 16})}


def test_no_test_digit_is_learned(tmp_path: Path) -> None:
    settings = Experiment("graves2008", True, tmp_path).settings()["digits"] | {"training": 40, "test": 40}
    drawn = {part: lines.strings(settings, part, np.random.default_rng(0)) for part in ("training", "test")}
    assert max(map(len, drawn["training"].texts)) == settings["longest"]
    assert max(map(len, drawn["test"].texts)) == settings["longest_tested"]
    assert all(len(ink.strokes) == len(text) for ink, text in zip(drawn["test"].inks, drawn["test"].texts, strict=True))
    assert neighbours(settings, 0)["cer"] < 0.1


def test_both_hands_write_every_letter(tmp_path: Path) -> None:
    settings = Experiment("graves2008", False, tmp_path).settings()["words"]
    assert {*settings["fonts"]} <= {*hershey_fonts()}
    rng = np.random.default_rng(0)
    for font in settings["fonts"]:
        for letter in lines.LETTERS.strip():
            assert len(lines.in_hand(letter, {**settings, "fonts": [font]}, rng).points) > 1
