"""Best path decoding, and keywords in what is read."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from carousel.data import Alphabet
from carousel.decoding import BestPathStream, DecodingError, KeywordSearch, best_path
from carousel.decoding.keywords import Spike, _Ear
from tests.decoding.oracle import ABC, LAST, Reals, log_probs, paths


def spoken(path: str, alphabet: Alphabet, sure: float = 0.9) -> Reals:
    """Frames in which each letter of the path is as sure as that; "." is the blank."""
    frames = np.full((len(path), len(alphabet)), (1 - sure) / (len(alphabet) - 1))
    for frame, letter in zip(frames, path, strict=True):
        frame[alphabet.blank if letter == "." else alphabet.encode(letter)[0]] = sure
    return np.log(frames)


def rising_slowly(seed: int, time: int = 100) -> np.ndarray:
    """Log-probabilities (time, 4) of outputs that run into each other."""
    slow = np.random.default_rng(seed).normal(size=(time + 25, 4)).cumsum(0)
    scores = 0.6 * (slow[25:] - slow[:-25])
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


@pytest.mark.parametrize("alphabet", [ABC, LAST], ids=["first", "last"])
def test_the_best_path_is_the_best_of_all_paths(alphabet: Alphabet) -> None:
    frames = log_probs(6, len(alphabet))
    path, cost = max(paths(frames), key=lambda pair: pair[1])
    (found,) = best_path(frames, None, alphabet)
    assert list(found.labels) == alphabet.collapse(path)
    assert found.log_probability == pytest.approx(cost)


def test_repeats_blanks_and_places() -> None:
    batch = np.stack([spoken("aa.ab.", ABC), spoken("cc....", ABC, 0.8)], axis=1)
    first, second = best_path(torch.tensor(batch, dtype=torch.float32), torch.tensor([6, 1]), ABC)
    assert (first.text, second.text) == ("aab", "c")
    assert [(each.start, each.end) for each in first.symbols] == [(0, 2), (3, 4), (4, 5)]
    assert second.symbols[0].confidence == pytest.approx(0.8)


def test_nothing_is_read_in_no_frames() -> None:
    (found,) = best_path(np.zeros((0, 4)), None, ABC)
    assert (found.text, found.log_probability) == ("", 0.0)


def test_a_keyword_of_one_label_is_where_its_output_rises() -> None:
    """The network of Fernández et al. has one output a keyword, and the blank for all else."""
    words = Alphabet(("ja", "nein"), separator=" ")
    frames = np.log(np.array([[0.9, 0.05, 0.05], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.2, 0.2, 0.6]]))
    (found,) = KeywordSearch(words, ["ja", "nein"])(frames)
    assert [(each.symbol, each.start, each.end) for each in found] == [("ja", 1, 3), ("nein", 4, 5)]
    assert [each.confidence for each in found] == [pytest.approx(0.8), pytest.approx(0.6)]
    (surer,) = KeywordSearch(words, ["ja", "nein"], threshold=0.7)(frames)
    assert [(each.symbol, each.start, each.end) for each in surer] == [("ja", 1, 3)]


def test_a_keyword_of_several_labels_is_a_row_of_spikes() -> None:
    frames = np.stack([spoken("c.ab..b.a.b.acb..", ABC)], axis=1)
    (found,) = KeywordSearch(ABC, {"word": "ab"})(frames, [17])
    assert [(each.start, each.end) for each in found] == [(2, 4), (8, 11)]
    (near,) = KeywordSearch(ABC, ["ab"], gap=1)(spoken("a..b.a.b", ABC))
    assert [(each.start, each.end) for each in near] == [(5, 8)]


@pytest.mark.parametrize("seed", range(5))
def test_a_lower_threshold_finds_the_same_and_more(seed: int) -> None:
    """Outputs that rise slowly, so that those of neighbouring symbols run into each other."""
    frames = rising_slowly(seed)
    found = [
        {
            (each.symbol, each.start, each.end, each.confidence)
            for each in KeywordSearch(ABC, ["ab", "ca", "b"], at)(frames)[0]
        }
        for at in (0.9, 0.5, 0.2, 0.05)
    ]
    assert all(more >= fewer for fewer, more in pairwise(found))
    assert len(found[0]) < len(found[-1])


def test_the_surest_of_what_overlaps() -> None:
    frames = spoken("aba", ABC)
    frames[2] = np.log([0.1, 0.7, 0.1, 0.1])
    (found,) = KeywordSearch(ABC, ["aba", "ab"], threshold=0.2)(frames)
    assert [(each.symbol, each.start, each.end, round(each.confidence, 6)) for each in found] == [
        ("ab", 0, 2, 0.9), ("aba", 0, 3, 0.7)
    ]  # fmt: skip


SPELT: dict[str, tuple[str, list[tuple[str, int, float]], list[tuple[int, int, float]]]] = {
    "as sure as the threshold": ("b", [("b", 2, 0.25)], [(2, 3, 0.25)]),
    "no spike counts twice": ("aa", [("a", 1, 0.9)], []),
    "two of one label": ("aa", [("a", 1, 0.9), ("a", 3, 0.9)], [(1, 4, 0.9)]),
    "of ways as sure the nearest": ("ab", [("a", 0, 0.4), ("a", 2, 0.4), ("b", 4, 0.4)], [(2, 5, 0.4)]),
    "a frame belongs to one": ("aba", [(own, at, 0.9) for at, own in enumerate("ababa")], [(0, 3, 0.9)]),
    "neighbours may touch": ("ab", [(own, at, 0.9) for at, own in enumerate("abab")], [(0, 2, 0.9), (2, 4, 0.9)]),
    "a half is passed over": ("ab", [("a", 0, 0.9), ("c", 1, 0.5), ("b", 2, 0.9)], [(0, 3, 0.9)]),
    "more than that is not": ("ab", [("a", 0, 0.9), ("c", 1, 0.51), ("b", 2, 0.9)], []),
}


@pytest.mark.parametrize("name", SPELT)
def test_what_spikes_spell(name: str) -> None:
    word, spikes, expected = SPELT[name]
    given = [Spike(ABC.encode(label)[0], at, at, at + 1, peak) for label, at, peak in spikes]
    found = KeywordSearch(ABC, [word], threshold=0.25).findings(given)
    assert [(own.start, own.end, own.confidence) for own in found] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.125, 0.75, 0.25, 0.625], [(1, 1, 2), (3, 3, 4)]),
        ([0.125, 0.75, 0.375, 0.75, 0.125], [(1, 1, 4)]),  # a fall to half of the peak ends nothing
        ([0.75, 0.125, 0.25, 0.125], [(0, 0, 1)]),  # nor does a rise to twice the lowest begin anything
        ([0.25, 0.5, 0.125], [(1, 0, 2)]),  # what is half as high belongs to it
        ([0.125, 0.5, 0.5, 0.0625, 0.0625], [(1, 1, 3)]),  # of two as high the first is the peak
    ],
)
def test_spikes_by_hand(values: list[float], expected: list[tuple[int, int, int]]) -> None:
    """Peak, first frame and end of each."""
    ear = _Ear(1, 0.125)
    assert [(own.at, own.start, own.end) for own in [*ear.hear(values), *ear.as_if_over()]] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"gap": 0}, "gap is 0"),
        ({"keywords": ["xyz"]}, "'xyz'"),
        ({"keywords": []}, "empty"),
    ],
)
def test_refusals(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(DecodingError, match=message):
        KeywordSearch(ABC, **{"keywords": ["ab"], **arguments})  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_stream_ends_with_what_the_whole_gives(size: int) -> None:
    frames = spoken("aa.ab..bbb.c.c", ABC, 0.7)
    frames[1] += 0.05  # the second frame of a run is its peak
    stream, before = BestPathStream(ABC), ""
    for start in range(0, len(frames), size):
        heard = stream.push(frames[start : start + size])
        assert heard.hypothesis.text.startswith(before) and heard.stable == len(heard.hypothesis.labels)
        before = heard.hypothesis.text
    assert stream.finish() == best_path(frames, None, ABC)
    assert before == "aabbcc"
    with pytest.raises(DecodingError, match="a piece of a stream has shape"):
        stream.push(frames[0])


def test_a_stream_of_keywords_says_where_it_heard_no_probabilities() -> None:
    stream, frames = KeywordSearch(ABC, ["a"]).stream(), spoken("a.b.", ABC)
    for piece in np.split(frames, [2]):
        stream.push(piece)
    with pytest.raises(DecodingError, match="frame 4 on, has nan"):
        stream.push(frames * np.nan)


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize("keywords", [["a", "b", "c"], ["ab", "ca", "b"]], ids=["labels", "words"])
def test_keywords_in_a_stream_are_those_of_the_whole(keywords: list[str], size: int) -> None:
    heard = 0
    for seed, threshold in product(range(8), (0.1, 0.5, 0.8)):
        search, frames = KeywordSearch(ABC, keywords, threshold), rising_slowly(seed)
        stream, stable = search.stream(), ()
        for start in range(0, len(frames), size):
            now = stream.push(frames[start : start + size])
            assert now.hypothesis.symbols[: len(stable)] == stable
            stable = now.hypothesis.symbols[: now.stable]
        (found,) = stream.finish()
        assert stream.finish(0) == []
        assert list(found.symbols) == search(frames)[0] and found.symbols[: len(stable)] == stable
        assert found.text == "".join(own.symbol for own in found.symbols)
        assert (
            found.score == found.log_probability == pytest.approx(sum(np.log(own.confidence) for own in found.symbols))
        )
        heard += len(stable)
    assert (heard > 0) == (keywords == ["a", "b", "c"]), "what is spelt by several labels may be spelt anew"


def test_a_stream_of_keywords_keeps_no_frames() -> None:
    """A minute of noise after a minute of noise, then a dead line: what is kept grows with what was found, which is
    nothing."""
    stream = KeywordSearch(ABC, ["a", "b", "c"], 0.9).stream()
    noise = np.log(np.random.default_rng(0).dirichlet(np.ones(4) * 20, size=2000))
    kept = []
    for piece in [*np.split(noise, 20), np.full((200, 4), np.log(0.25))]:
        assert stream.push(piece).hypothesis.text == ""
        kept.append(len(stream._spikes) + sum(len(ear._lower) for ear in stream._ears))
    assert max(kept) < 40
