"""Alphabets: labels and texts, what they refuse, and how they are kept."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carousel.data import Alphabet, DataError, check_feasible, frames_needed, infeasible
from carousel.data.feasibility import frames_needed_by_each
from carousel.nn import pad_labels

GERMAN = Alphabet(("s", "c", "h", "sch", "a", "f", "ü"))


def test_labels_leave_out_the_blank() -> None:
    assert Alphabet(("a", "b")).encode("ab") == [1, 2]
    assert Alphabet(("a", "b"), blank=1).encode("ab") == [0, 2]
    assert Alphabet(("a", "b"), blank=2).encode("ab") == [0, 1]
    assert [len(Alphabet(("a", "b"), blank=blank)) for blank in range(3)] == [3] * 3


def test_the_longest_symbol_is_found_first() -> None:
    assert GERMAN.spell("schaf") == ["sch", "a", "f"]
    assert GERMAN.spell("scaf") == ["s", "c", "a", "f"]


def test_phonemes_are_separated() -> None:
    phonemes = Alphabet(("s", "p", "iy", "ch"), separator=" ")
    assert phonemes.encode("  s p iy\tch ") == [1, 2, 3, 4]
    assert phonemes.text([1, 2, 3, 4]) == "s p iy ch"
    assert Alphabet(("a b", "c"), separator="|").spell("a b|c") == ["a b", "c"]


def test_one_accent_written_in_two_ways_is_one_symbol() -> None:
    assert GERMAN.encode("u\N{COMBINING DIAERESIS}") == GERMAN.encode("ü") == [7]
    assert Alphabet(("fi",), form="NFKC").encode("\N{LATIN SMALL LIGATURE FI}") == [1]
    assert Alphabet(("ss", "a"), case="fold").spell("ßA") == ["ss", "a"]
    assert Alphabet(("A",), case="upper").spell("a") == ["A"]


def test_a_change_of_case_is_normalised_again() -> None:
    """In capitals the letter's accents stand apart, of which the first has a letter of its own."""
    assert Alphabet.of(["\u0390"], case="upper").normalize("\u0390") == "\u03aa\u0301"


@given(st.text(), st.sampled_from(["keep", "lower", "upper", "fold"]), st.sampled_from(["NFC", "NFD"]), st.booleans())
def test_the_inverse_of_spelling(text: str, case: str, form: str, last: bool) -> None:
    alphabet = Alphabet.of([text], case=case, form=form)
    if last:
        alphabet = Alphabet(alphabet.symbols, case=case, form=form, blank=len(alphabet.symbols))
    labels = alphabet.encode(text)
    assert alphabet.text(labels) == alphabet.normalize(text)
    assert alphabet.encode(alphabet.text(labels)) == labels
    assert alphabet.blank not in labels and all(0 <= label < len(alphabet) for label in labels)


def test_what_it_cannot_spell_is_refused_by_sample() -> None:
    alphabet = Alphabet(("a", "b"))
    with pytest.raises(DataError, match=r"sample 1 has 'é' \(U\+00E9\), '!', which .* 2 symbols .*'aé!b'"):
        alphabet.encode_all(["ab", "aé!b"])
    with pytest.raises(DataError, match=r"(?s)sample x\.wav has 'c'.*sample y\.wav has 'd'"):
        alphabet.encode_all(["c", "a", "d"], names=["x.wav", "z.wav", "y.wav"])


def test_what_is_no_text_is_refused() -> None:
    alphabet = Alphabet(("a", "b"))
    with pytest.raises(DataError, match="the text is 5; give a text"):
        alphabet.encode(5)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"sample 1 is \['b'\]; give a text"):
        alphabet.encode_all(["a", ["b"]])  # type: ignore[list-item]
    with pytest.raises(DataError, match="text 1 is None; give a text"):
        Alphabet.of(["a", None])  # type: ignore[list-item]


def test_what_is_unknown_has_a_symbol() -> None:
    alphabet = Alphabet(("a", "<unk>"), unknown="<unk>")
    assert alphabet.spell("aba") == ["a", "<unk>", "a"]
    assert Alphabet.of(["ba"], unknown="?").symbols == ("a", "b", "?")


def test_paths_collapse() -> None:
    assert Alphabet(("a", "b")).collapse([0, 1, 1, 0, 1, 2, 2, 0]) == [1, 1, 2]
    assert Alphabet(("a", "b"), blank=2).collapse([0, 0, 2, 0, 1]) == [0, 0, 1]


def test_kept_as_json(tmp_path: Path) -> None:
    alphabet = Alphabet(("ü", "b", "?"), unknown="?", case="lower", blank=3)
    alphabet.save(tmp_path / "alphabet.json")
    assert Alphabet.load(tmp_path / "alphabet.json") == alphabet
    assert json.loads((tmp_path / "alphabet.json").read_text("utf-8"))["symbols"] == ["ü", "b", "?"]


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"symbols": 3}', "[" * 100_000, json.dumps({**Alphabet(("a",)).to_json(), "blank": "0"})],
)
def test_other_files_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "alphabet.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"alphabet\.json: "):
        Alphabet.load(tmp_path / "alphabet.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"symbols": ("a", "b", "a")}, "'a' more than once"),
        ({"symbols": ("a", "")}, "'' is no symbol"),
        ({"symbols": ("A",), "case": "lower"}, "symbol 'A' becomes 'a'"),
        ({"symbols": ("u\u0308",)}, "becomes 'ü'"),
        ({"symbols": ("a b",), "separator": " "}, "holds the separator"),
        ({"symbols": ("a",), "separator": ""}, "separator is ''; give a text, or None"),
        ({"symbols": ("a",), "separator": 3}, "separator is 3"),
        ({"symbols": {"a", "b"}}, "symbols are a set, which has no order"),
        ({"symbols": ("a", "\ud800")}, "holds half of a character"),
        ({"symbols": ("a",), "blank": 1.0}, "blank is 1.0; it is a label, a whole number"),
        ({"symbols": ("a",), "blank": True}, "blank is True"),
        ({"symbols": ("a",), "unknown": "?"}, "unknown is '\\?'"),
        ({"symbols": ("a",), "blank": 2}, "blank is 2; it is a label from 0 to 1"),
        ({"symbols": ("a",), "case": "title"}, "case is 'title'"),
        ({"symbols": ("a",), "form": "utf8"}, "form is 'utf8'"),
    ],
)
def test_no_alphabet(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Alphabet(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("label", "message"), [(0, "0 is the blank"), (3, "3 is no label"), (-1, "-1 is no label")])
def test_no_symbol(label: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Alphabet(("a", "b")).text([1, label])


def test_frames_needed() -> None:
    assert [frames_needed(labels) for labels in ([], [1], [1, 1], [1, 2, 2, 2, 1])] == [0, 1, 3, 7]
    assert frames_needed([1, 1, 1], "transducer") == 1
    with pytest.raises(ValueError, match="loss is 'mse'"):
        frames_needed([1], "mse")


@given(st.lists(st.lists(st.integers(1, 2), max_size=6), min_size=1, max_size=5))
def test_frames_needed_by_each_of_a_batch(targets: list[list[int]]) -> None:
    found = frames_needed_by_each(*pad_labels(targets))
    assert found.tolist() == [frames_needed(labels) for labels in targets]


def test_every_sample_that_cannot_be_learnt_is_listed() -> None:
    targets, frames = [[1, 2], [1, 1], [3] * 30, []], [2, 2, 59, 0]
    assert infeasible(targets, frames, names=list("abcd")) == [("b", 2, 3)]
    assert infeasible(targets, [20, 9, 0, 0], subsampling=4) == [(2, 0, 59)]
    assert infeasible(targets, [20, 8, 300, 0], subsampling=4) == [(1, 2, 3)]
    assert infeasible(targets, [1, 1, 1, 0], loss="transducer") == [(3, 0, 1)]
    check_feasible(targets, [2, 3, 59, 0])
    with pytest.raises(
        DataError,
        match=r"(?s)2 samples have fewer frames.*sample 1: 2 frames, 3 needed\nsample 2: 58 frames, 59 needed$",
    ):
        check_feasible(targets, [2, 2, 58, 0])


@pytest.mark.parametrize(
    ("options", "message"), [({"subsampling": 0}, "subsampling is 0"), ({"names": ["a"]}, "2 targets and 2")]
)
def test_what_is_no_question(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        infeasible([[1], [2]], [1, 1], **options)  # type: ignore[arg-type]
