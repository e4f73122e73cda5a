"""Token passing, held to all sentences and their best alignments."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from carousel.decoding import DecodingError, NGram, TokenPassing, align
from tests.decoding.oracle import ABC, BOTH, LAST, SPACED, bests, compiled, log_probs, word_model

SPELT = {"one": "ab", "won": "ab", "be": "b", "abba": "abba", "sea": "c"}
PAIRS = NGram.estimate([line.split() for line in ("one be", "won sea", "be be one", "abba", "sea one", "one one")], 2)


def sentences(words: list[str], most: int) -> Iterator[tuple[str, ...]]:
    for count in range(most + 1):
        yield from itertools.product(words, repeat=count)


@pytest.mark.parametrize("is_compiled", BOTH)
@pytest.mark.parametrize("language", [None, PAIRS, NGram(PAIRS.entries[:1])], ids=["none", "pairs", "words"])
@pytest.mark.parametrize("seed", range(6))
def test_the_best_of_all_sentences(language: NGram | None, seed: int, is_compiled: bool) -> None:
    frames = log_probs(5, 4, seed=seed)
    best = bests(frames, ABC)
    scored = {}
    for words in sentences(list(SPELT), 5):
        labels = tuple(ABC.encode("".join(SPELT[word] for word in words)))
        if labels in best:
            cost = best[labels][0] + 0.25 * len(words)
            scored[words] = cost + (0.6 * language.sentence(words) if language else 0.0)
    expected = max(scored, key=lambda words: scored[words])
    with compiled(is_compiled):
        (found,) = TokenPassing(ABC, SPELT, language, weight=0.6, bonus=0.25)(frames)
    assert found.score == pytest.approx(scored[expected], rel=1e-12)
    assert scored[tuple(found.text.split())] == pytest.approx(scored[expected], rel=1e-12)
    assert found.log_probability == pytest.approx(best[found.labels][0], rel=1e-12)


@pytest.mark.parametrize("is_compiled", BOTH)
@pytest.mark.parametrize("seed", range(6))
def test_words_may_be_spaced(seed: int, is_compiled: bool) -> None:
    frames, language = log_probs(6, 4, seed=seed), word_model()
    best, scored = bests(frames, SPACED), {}
    for words in sentences(["a", "ab", "b"], 4):
        labels = tuple(SPACED.encode(" ".join(words)))
        if labels in best:
            scored[words] = best[labels][0] + language.sentence(words)
    with compiled(is_compiled):
        (found,) = TokenPassing(SPACED, ["a", "ab", "b"], language, spaced=True)(frames)
    assert found.score == pytest.approx(max(scored.values()), rel=1e-12)
    assert SPACED.text(found.labels) == found.text


@pytest.mark.parametrize("is_compiled", BOTH)
def test_words_lie_where_their_symbols_do(is_compiled: bool) -> None:
    frames = np.full((9, 3), np.log(0.05))
    for t, label in enumerate([2, 0, 0, 1, 2, 2, 0, 1, 1]):  # ab, silence, ab
        frames[t, label] = np.log(0.9)
    with compiled(is_compiled):
        (found,) = TokenPassing(LAST, ["ab", "b"], bonus=1.0)(frames)
    assert found.text == "ab ab"
    assert [(word.symbol, word.start) for word in found.words] == [("ab", 1), ("ab", 6)]
    assert [word.confidence for word in found.words] == [pytest.approx(0.9)] * 2
    assert [(each.symbol, each.start, each.end) for each in found.symbols] == [
        ("a", 1, 3), ("b", 3, 4), ("a", 6, 7), ("b", 7, 9)
    ]  # fmt: skip


@pytest.mark.parametrize("is_compiled", BOTH)
def test_an_alignment_is_the_best_path_of_its_labels(is_compiled: bool) -> None:
    frames = log_probs(6, 4, seed=7)
    for labels, (cost, path) in bests(frames, ABC).items():
        with compiled(is_compiled):
            found = align(frames, labels, ABC)
        assert found.log_probability == pytest.approx(cost, rel=1e-12)
        again = [0] * 6
        for label, symbol in zip(labels, found.symbols, strict=True):
            again[symbol.start : symbol.end] = [label] * (symbol.end - symbol.start)
        assert tuple(again) == path


@pytest.mark.parametrize("is_compiled", BOTH)
def test_no_alignment(is_compiled: bool) -> None:
    with compiled(is_compiled):
        with pytest.raises(DecodingError, match="2 frames hold no alignment of 'aa'"):
            align(log_probs(2, 4), [1, 1], ABC)
        assert align(np.zeros((0, 4)), [], ABC).log_probability == 0
        with pytest.raises(DecodingError, match="0 frames hold no alignment of 'a'"):
            align(np.zeros((0, 4)), [1], ABC)


@pytest.mark.parametrize("is_compiled", BOTH)
def test_too_few_frames_for_a_word_leave_silence(is_compiled: bool) -> None:
    with compiled(is_compiled):
        (found,) = TokenPassing(ABC, ["abc"])(log_probs(2, 4))
        (none,) = TokenPassing(ABC, ["abc"])(np.zeros((0, 4)))
    assert (found.text, none.text) == ("", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dictionary": []}, "empty"),
        ({"dictionary": ["a", "xyz"]}, "'xyz'"),
        ({"dictionary": {"silence": ""}}, "no symbols"),
        ({"dictionary": ["a"], "language_model": NGram.estimate([["a"]], 3)}, "order 3"),
        ({"dictionary": ["a"], "weight": -2.0}, "weight is -2.0"),
        ({"dictionary": ["a"], "spaced": True}, "the symbol ' '"),
    ],
)
def test_refusals(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DecodingError, match=message):
        TokenPassing(ABC, **arguments)  # type: ignore[arg-type]
