"""n-gram models: probabilities that sum to one, ARPA files that say what they hold, and files that do not."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carousel.data import Alphabet
from carousel.decoding import DecodingError, NGram, PrefixBeam
from carousel.decoding.automaton import Automaton
from carousel.decoding.kneser_ney import NEVER
from tests.decoding.oracle import SENTENCES, model, needs_extension, word_model

WRITTEN = r"""
a comment
\data\
ngram 1=4
ngram 2=2

\1-grams:
-1.0	<unk>
-99	<s>	-0.30103
-0.5	a	-0.2
-0.6	</s>

\2-grams:
-0.1	<s> a
-0.3	a </s>

\end\
"""


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_every_context_shares_out_one(order: int) -> None:
    language = model(order)
    choices = [word for word in language.words if word != "<s>"]
    for context in ([], ["a"], ["<s>"], ["b", "b"], ["<s>", "a", "b"], ["x"], ["c", "c", "c", "c"]):
        total = sum(math.exp(language.log_probability(word, context)) for word in choices)
        assert total == pytest.approx(1, rel=1e-9)


def test_smoothing_by_hand() -> None:
    """Two sentences of one word; discounts of small tables are 1/2, 1 and 3/2, and words count what came before
    them."""
    language = NGram.estimate([["a"], ["b"]], 2)
    uniform, weight = 1 / 4, (0.5 + 0.5 + 1.0) / 4  # a, b, </s>, <unk>; one, one and two different words came before
    a = 0.5 / 4 + weight * uniform
    end = 1.0 / 4 + weight * uniform
    assert math.exp(language.log_probability("a")) == pytest.approx(a)
    assert math.exp(language.log_probability("zebra")) == pytest.approx(weight * uniform)
    assert math.exp(language.log_probability("a", ["<s>"])) == pytest.approx(0.5 / 2 + 0.5 * a)
    assert math.exp(language.log_probability("</s>", ["a"])) == pytest.approx(0.5 / 1 + 0.5 * end)


def test_what_was_seen_is_likelier() -> None:
    language = NGram.estimate([["the", "cat", "sat"], ["the", "cat", "ran"], ["a", "dog", "sat"]], 3)
    assert language.sentence(["the", "cat", "sat"]) > language.sentence(["sat", "the", "cat"])
    assert language.perplexity([["the", "cat", "sat"]]) < language.perplexity([["dog", "the", "ran"]])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_file_holds_the_model(order: int, tmp_path: Path) -> None:
    language = model(order)
    language.write(tmp_path / "model.arpa")
    again = NGram.read(tmp_path / "model.arpa")
    assert [list(each) for each in again.entries] == [list(each) for each in language.entries]
    for line in [*SENTENCES, "zx"]:
        assert again.sentence(line) == pytest.approx(language.sentence(line), rel=1e-7)
    assert [path.name for path in tmp_path.iterdir()] == ["model.arpa"]


def test_a_file_by_hand(tmp_path: Path) -> None:
    (tmp_path / "model.arpa").write_text(WRITTEN, encoding="utf-8")
    language = NGram.read(tmp_path / "model.arpa")
    ten = math.log(10)
    assert language.log_probability("a", ["<s>"]) == pytest.approx(-0.1 * ten)
    assert language.log_probability("a", ["a"]) == pytest.approx((-0.2 - 0.5) * ten)
    assert language.log_probability("zebra", ["a"]) == pytest.approx((-0.2 - 1.0) * ten)
    assert language.sentence(["a"]) == pytest.approx((-0.1 - 0.3) * ten)


@pytest.mark.parametrize("end", range(40, len(WRITTEN) - 6, 7))
def test_a_file_cut_off_is_refused(end: int, tmp_path: Path) -> None:
    (tmp_path / "model.arpa").write_text(WRITTEN[:end], encoding="utf-8")
    with pytest.raises(DecodingError, match=r"model\.arpa, line \d+: "):
        NGram.read(tmp_path / "model.arpa")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ngram 2=2", "ngram 2=999999999999", "line 17: there were 2 2-grams, but the file announced 999999999999"),
        ("ngram 2=2", "ngram 3=2", "order 3 follows 1"),
        ("-0.5\ta", "0.5\ta", "line 10: 0.5 is the logarithm of more than one"),
        ("-0.5\ta", "nan\ta", "line 10: 'nan' is no finite number"),
        ("-0.5\ta", "-0.5\ta b c", "is no 1-gram"),
        ("-0.3\ta </s>", "-0.3\ta </s>\t-1", "is no 2-gram"),
        ("-0.3\ta </s>", "-0.3\t<s> a", "'<s> a' is there twice"),
        (r"\2-grams:", r"\3-grams:", "where .2-grams: should be"),
        (r"\end" + "\\", r"\data" + "\\", "where .end. should be"),
        ("a comment", r"\1-grams:", "before .data."),
        ("a comment", "x" * 70_000, "line 2: the line is longer"),
        ("a comment", "\udcff", "no UTF-8"),
    ],
)
def test_files_that_lie(old: str, new: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "model.arpa").write_bytes(WRITTEN.replace(old, new).encode(errors="surrogateescape"))
    with pytest.raises(DecodingError, match=message):
        NGram.read(tmp_path / "model.arpa")


@given(st.binary(max_size=200))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.arpa"
    path.write_bytes(b"\\data\\\nngram 1=1\n\\1-grams:\n" + content)
    with pytest.raises(DecodingError):
        NGram.read(path)


@pytest.mark.parametrize(
    ("sentences", "order", "message"),
    [
        ([], 2, "no sentences"),
        ([["a"]], 0, "order is 0"),
        ([["<s>"]], 2, "sentence 0 holds '<s>'"),
        ([["a b"]], 2, "'a b'"),
    ],
)
def test_what_cannot_be_counted(sentences: list[list[str]], order: int, message: str) -> None:
    with pytest.raises(DecodingError, match=message):
        NGram.estimate(sentences, order)


@pytest.mark.parametrize("order", ["2", 2.5, None])
def test_an_order_is_a_whole_number(order: object) -> None:
    with pytest.raises(DecodingError, match="order is .*; it is a whole number of words, from 1 to 16"):
        NGram.estimate([["a"]], order)  # type: ignore[arg-type]


@needs_extension
@pytest.mark.parametrize("language", [model(1), model(2), model(4), word_model()], ids=["one", "two", "four", "words"])
def test_the_automaton_costs_what_the_model_does(language: NGram) -> None:
    automaton, words = Automaton(language), [*language.words, "zebra"]
    draw = np.random.default_rng(0)
    for _ in range(200):
        state, context = 0, []
        for word in draw.choice(words, size=8):
            cost, state = automaton.compiled.after(state, automaton.number(word))
            assert cost == pytest.approx(language.log_probability(word, context), rel=1e-12)
            context.append(word)


def test_a_space_among_symbols_has_a_name(tmp_path: Path) -> None:
    """Letters with spaces between words: in a file a space would divide the entry."""
    NGram.estimate([list("ab ba"), list("ab b")], 2).write(tmp_path / "letters.arpa")
    letters = NGram.read(tmp_path / "letters.arpa")
    assert "<space>" in letters.words and " " not in letters.words
    space = letters.log_probability(" ", ["b"])
    assert space == letters.log_probability("<space>", ["b"]) > letters.log_probability("x", ["b"])
    assert Automaton(letters).number(" ") == letters.words.index("<space>")


@needs_extension
@pytest.mark.parametrize("spaces", ["a a", "aa"])
def test_a_search_hears_of_spaces(spaces: str) -> None:
    alphabet = Alphabet(("a", " "))
    frames = np.log(np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]) + 1e-9)
    heard = PrefixBeam(alphabet, language_model=NGram.estimate([list(spaces)] * 3, 2), weight=2.0)(frames)
    assert heard[0].text == spaces


def test_without_an_unknown_word_what_is_not_known_never_comes() -> None:
    language = NGram(({("a",): (-1.0, 0.0)},))
    assert language.log_probability("b") == NEVER
    automaton = Automaton(language)
    assert automaton.compiled.after(0, automaton.number("b")) == (NEVER, 0)
